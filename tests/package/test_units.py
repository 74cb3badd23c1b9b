"""ユニット 1 個や層 1 つの動かせる図: 描いた値と文は、別の方法で求めた値と合う。"""

import re

import numpy as np
import pytest

from vgbook import he, relu, sigmoid
from vgbook.book import units


def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?[\d.]+", text.replace("−", "-"))]


def test_the_tangent_touches_the_curve_with_its_numerical_slope():
    z = np.array([-3.0, 0.0, 1.5])
    touch = units.slope(sigmoid, "シグモイド関数", z)
    curve, tangent, here = touch.panels[0].series
    np.testing.assert_allclose(here.y[:, 0], 1 / (1 + np.exp(-z)))
    rise, run = np.diff(tangent.y)[:, 0], np.diff(tangent.x)[:, 0]
    numeric = (sigmoid(z + 1e-6) - sigmoid(z - 1e-6)) / 2e-6
    np.testing.assert_allclose(rise / run, numeric, rtol=1e-8)
    np.testing.assert_allclose(tangent.y.mean(axis=-1), here.y[:, 0])
    assert [numbers(text)[0] for text in touch.readout] == z.tolist()
    assert curve.marker == ""


def test_a_dead_unit_is_one_that_pytorch_never_lets_fire():
    torch = pytest.importorskip("torch")
    x, biases = np.random.default_rng(1).standard_normal((40, 10)), [-2.0, -1.0, 0.0]
    touch = units.dead_units(x, biases, rng=np.random.default_rng(0), units=30)
    W = he()(10, 30, rng=np.random.default_rng(0))
    for bias, text, share in zip(biases, touch.readout, touch.panels[1].series[0].y, strict=True):
        h = torch.relu(torch.tensor(x @ W + bias))
        dead = float((h == 0).all(dim=0).double().mean())
        assert share == dead
        assert numbers(text)[-1] == pytest.approx(100 * dead, abs=0.5)
        assert numbers(text)[2] == pytest.approx(100 * float((h > 0).double().mean()), abs=0.5)
    assert touch.panels[0].series[0].y.sum(axis=-1) == pytest.approx(1, abs=0.01)


def test_a_sum_of_n_products_spreads_like_the_root_of_n():
    counts = [1, 4, 25, 100]
    touch = units.sums(counts, rng=np.random.default_rng(0))
    spread = [numbers(text)[1] for text in touch.readout]
    np.testing.assert_allclose(spread, np.sqrt(counts), rtol=0.06)


def test_relu_moves_the_negative_half_to_zero_and_nothing_else():
    touch = units.halves([0.5, 1.0, 2.0], rng=np.random.default_rng(0))
    before, after = (panel.series[0].y for panel in touch.panels)
    positive = touch.panels[0].x[:-1] >= 0.2  # 0 を含む区間は除く
    np.testing.assert_allclose(after[:, positive], before[:, positive])
    assert relu(-1.0) == 0
    assert all(numbers(text)[1] == pytest.approx(50, abs=2) for text in touch.readout)
