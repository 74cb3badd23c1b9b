"""表紙の図: 棒の高さと文は、測った値のとおりで、最初の図は HTML だけで読める。"""

import json
import re

import numpy as np
import pytest

from vgbook import gradient_flow, normal, relu, sigmoid
from vgbook.book.cover import BOTTOM, DECADES, TOP, Cover, heights

STDS = {"0.1 (Xavier)": 0.1, "0.4": 0.4, "1": 1.0}


@pytest.fixture(scope="module")
def cover() -> Cover:
    return Cover({"シグモイド": sigmoid, "ReLU": relu}, STDS, rng=np.random.default_rng(0))


def drawn(html: str) -> list[tuple[int, int]]:
    """HTML に描いた棒の (上端、高さ)。"""
    return [(int(y), int(h)) for y, h in re.findall(r'<rect [^>]*y="(\d+)" height="(\d+)"', html)]


def test_the_values_are_medians_of_the_gradient_flow(cover: Cover):
    rng = np.random.default_rng(0)
    flow = gradient_flow(sigmoid, normal(np.array([0.1, 0.4, 1])), rng=rng, seeds=5, samples=50)
    expected = np.median(flow.delta / flow.delta[..., -1:], axis=0)
    np.testing.assert_allclose(cover.delta[0], expected, rtol=1e-12)
    assert cover.verdicts == [["消失", "消失", "良好"], ["消失", "爆発", "爆発"]]


def test_one_decade_is_always_the_same_length():
    tops = heights(10.0 ** np.arange(-DECADES, DECADES + 1))
    assert tops[0] == BOTTOM
    assert tops[-1] == TOP
    assert np.ptp(np.diff(tops)) <= 1  # 画素への丸め
    assert (heights(np.array([0.0, 1e-99, 1e99])) == [BOTTOM, BOTTOM, TOP]).all()


def test_the_first_picture_needs_no_script(cover: Cover):
    html = cover._repr_html_()
    spec = json.loads(re.search(r"<script[^>]*>(.*)</script>", html)[1])  # type: ignore[index]
    middle = (TOP + BOTTOM) // 2
    tops = spec["tops"][0][0]
    assert drawn(html) == [(min(top, middle) - 1, abs(top - middle) + 2) for top in tops]
    assert spec["tops"] == heights(cover.delta).tolist()
    assert spec["readout"] == cover.readout
    assert cover.readout[0][0] in html.split("<script")[0]
    assert 'data-verdict="消失"' in html


@pytest.mark.parametrize("wrong", [{"0": 0.0}, {"負": -1.0}])
def test_a_scale_that_is_not_positive_is_refused(wrong: dict[str, float]):
    with pytest.raises(ValueError, match="stds"):
        Cover({"ReLU": relu}, wrong, rng=np.random.default_rng(0))
