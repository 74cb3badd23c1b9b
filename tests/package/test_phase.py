"""動かせる相図: 点は選んだ場所にあり、理論は測定と、読み取りの文は描いた値と合う。"""

import numpy as np
import pytest
from readouts import worst_sentence, worst_theory

from vgbook import tanh
from vgbook.book import phase
from vgbook.book.interactive import Interactive
from vgbook.theory import meanfield


@pytest.fixture(scope="module")
def phase_diagram() -> Interactive:
    rng = np.random.default_rng(3)
    return phase.phase_diagram([0.75, 1.0, 3.0], [0.0, 0.1], rng=rng, depth=10)


def test_theory_and_sentence_agree_with_what_is_drawn(phase_diagram: Interactive):
    assert worst_theory(phase_diagram) < 0.5
    assert worst_sentence(phase_diagram) < 0.25


def test_the_chosen_point_moves_in_the_phase_diagram(phase_diagram: Interactive):
    critical, here = phase_diagram.panels[0].series
    np.testing.assert_allclose(here.x[:, 0, 0], [0.75, 1.0, 3.0])
    np.testing.assert_allclose(here.y[0, :, 0], [0.0, 0.1], atol=1e-15)
    assert critical.x[0] == pytest.approx(1.0)
    words = [text.split("、")[1].split("。")[0] for text in phase_diagram.readout[:, 0]]
    assert words == ["秩序です", "臨界です", "カオスです"]


def test_the_walk_follows_the_maps(phase_diagram: Interactive):
    q, c = (panel.series for panel in phase_diagram.panels[1:3])
    chaos = (2, 1)
    fixed = meanfield.fixed_correlation(tanh, 3**0.5, 0.1**0.5)
    assert abs(q[1].y[chaos][-1] / meanfield.fixed_point(tanh, 3**0.5, 0.1**0.5) - 1) < 1e-3
    assert (np.diff(c[1].y[chaos]) > 0).all()
    assert c[1].y[chaos][-1] < fixed
    assert abs(np.log(q[0].y / q[1].y)).max() < 0.5
    assert abs(c[0].y - c[1].y).max() < 0.15


def test_the_three_phases_are_told_apart_by_chi():
    chi = [0.989, 0.991, 1.009, 1.011]
    words = [phase.phase_of(value).split("です")[0] for value in chi]
    assert words == ["秩序", "臨界", "臨界", "カオス"]


def test_a_negative_variance_is_explained_in_japanese():
    with pytest.raises(ValueError, match="sigma_b2 には 0 以上の"):
        phase.phase_diagram([1.0], [-0.1], rng=np.random.default_rng(0))
