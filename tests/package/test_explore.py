"""本の動かせる図: 理論は測定と、読み取りの文は描いた値と合う。"""

import re
from collections.abc import Callable

import numpy as np
import pytest
from readouts import ratio_in, worst_sentence, worst_theory

from vgbook import gradient_flow, normal, relu, sigmoid, tanh
from vgbook.book import explore, words
from vgbook.book.interactive import Interactive
from vgbook.clinic.diagnosis import Thresholds
from vgbook.theory import meanfield

STDS = {"0.05": 0.05, "Xavier": 0.1, "0.4": 0.4}


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.fixture(scope="module")
def depth_and_scale() -> Interactive:
    functions = {"シグモイド": sigmoid, "ReLU": relu}
    return explore.depth_and_scale(functions, STDS, rng=rng(), depths=[5, 10])


@pytest.fixture(scope="module")
def distributions() -> Interactive:
    functions = {"シグモイド": sigmoid, "ReLU": relu}
    return explore.distributions(functions, [0.01, 0.1, 1.0], rng=rng())


def test_measured_lines_are_those_of_gradient_flow(depth_and_scale: Interactive):
    same = rng()
    flow = gradient_flow(
        sigmoid, normal(list(STDS.values())), rng=same, depth=5, samples=20, seeds=5
    )
    for panel, rms in zip(depth_and_scale.panels, (flow.h, flow.delta, flow.dW), strict=True):
        line = panel.series[0]
        np.testing.assert_array_equal(line.y[0, 0, :, :5], np.median(rms, axis=0))
        np.testing.assert_array_equal(line.low[0, 0, :, :5], rms.min(axis=0))
        assert np.isnan(line.y[0, 0, :, 5:]).all()  # 5 層のネットワークに第 6 層はない


def test_theory_multiplies_chi_layer_by_layer():
    sigma_w, sigma_b, q = 1.3, 0.4, 1.3**2 + 0.4**2
    expected = explore.delta_theory(tanh, sigma_w, 4, sigma_b)
    for l in range(3):
        step = np.sqrt(meanfield.chi_at(tanh, q, sigma_w))
        np.testing.assert_allclose(expected[l], step * expected[l + 1])
        q = meanfield.length_map(tanh, q, sigma_w, sigma_b)
    assert expected[-1] == 1


@pytest.mark.parametrize("name", ["depth_and_scale", "distributions"])
def test_theory_and_sentence_agree_with_what_is_drawn(name: str, request: pytest.FixtureRequest):
    made: Interactive = request.getfixturevalue(name)
    assert worst_theory(made) < 0.5
    assert worst_sentence(made) < 0.25  # 比の中央値と、中央値の比の違い
    for at in np.ndindex(made.states):
        verdict = words.verdict(ratio_in(made.readout[at]))
        assert made.readout[at].startswith(f"判定：{verdict}。")


def test_histograms_count_every_value_or_say_how_many_are_left_out(distributions: Interactive):
    for panel in distributions.panels[:5]:
        inside = panel.series[0].y.sum(axis=-1)
        for at in np.ndindex(distributions.states):
            note = np.asarray(panel.notes)[at]
            left_out = float(re.sub(r"\D", "", note) or 0)
            assert left_out == pytest.approx(100 * (1 - inside[at]), abs=0.51)
    assert (distributions.panels[4].series[0].y[0].max(axis=-1)[[0, 2]] > 0.3).all()


def test_the_verdict_uses_the_threshold_of_diagnose():
    limit = Thresholds().gradient
    assert words.verdict(0.9 * limit) == "消失"
    assert words.verdict(1.1 * limit) == "良好"
    assert words.verdict(1.1 / limit) == "爆発"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: explore.depth_and_scale({"": relu}, {"0": 0.0}, rng=rng()), "stds には正の"),
        (lambda: explore.depth_and_scale({"": relu}, STDS, rng=rng(), depths=[0]), "depth"),
        (lambda: explore.distributions({"": relu}, [-1.0], rng=rng()), "stds には正の"),
        (lambda: explore.distributions({"": relu}, [1.0], rng=rng(), depth=1), "depth には 2 以上"),
    ],
)
def test_bad_input_is_explained_in_japanese(make: Callable[[], Interactive], message: str):
    with pytest.raises(ValueError, match=message):
        make()
