"""層や時刻を進む動かせる図: 描いた値と文は、理論や別の計算と合う。"""

import numpy as np
import pytest

from vgbook import identity, orthogonal, tanh, xavier
from vgbook.book import walks


def test_a_linear_network_widens_by_the_root_of_n_times_std_a_layer():
    stds, shown = np.array([0.08, 0.1, 0.12]), (1, 11)
    touch = walks.widening(identity, stds, rng=np.random.default_rng(0), shown=shown)
    first, last = (panel.series[0].y for panel in touch.panels)
    assert first.sum(axis=-1) == pytest.approx(1, abs=0.02)
    middle = np.abs(touch.panels[0].x[:-1]) < 0.5
    narrow, _, wide = last[:, middle].sum(axis=-1)
    assert narrow > 0.95 > 0.3 > wide
    text = touch.readout[0].split("第 1 層の ")[1].split(" 倍")[0]
    assert np.log(float(text)) == pytest.approx(10 * np.log(0.8), abs=0.5)


def test_the_image_of_the_circle_is_the_product_of_the_drawn_matrices():
    inits = {"正規分布": xavier(), "直交": orthogonal()}
    touch = walks.circle(inits, [1, 3], rng=np.random.default_rng(0))
    rng, product = np.random.default_rng(0), np.eye(2)
    for _ in range(3):
        product = product @ xavier()(2, 2, rng=rng)
    (drawn,) = touch.panels[0].series
    radius = np.hypot(drawn.x, drawn.y)
    long, short = np.linalg.svd(product, compute_uv=False)
    np.testing.assert_allclose(radius[0, 1].max(), 1, rtol=0.01)
    assert radius[0, 1].min() == pytest.approx(short / long, rel=0.05, abs=0.005)
    np.testing.assert_allclose(radius[1], 1)


def test_the_walk_of_q_agrees_with_a_wide_network():
    touch = walks.cobweb(tanh, [0.5, 2.0])
    rng = np.random.default_rng(0)
    for q, sigma_w2 in zip(touch.panels[1].series[0].y, (0.5, 2.0), strict=True):
        z = np.sqrt(3.0) * rng.standard_normal((1000, 20))
        for expected in q[1:4]:
            W = np.sqrt(sigma_w2 / 1000) * rng.standard_normal((1000, 1000))
            z = W @ np.tanh(z) + np.sqrt(0.05) * rng.standard_normal((1000, 1))
            assert np.square(z).mean() == pytest.approx(expected, rel=0.1)


def test_a_residual_block_multiplies_the_squared_gradient_by_one_plus_alpha_squared():
    choices = walks.residual_choices([0.5], depth=20)
    touch = walks.backward_sizes(
        choices, rng=np.random.default_rng(0), name="t", title="t", control="c", seeds=20
    )
    plain, residual = touch.panels[0].series[0].y
    assert np.log(residual[0]) == pytest.approx(19 / 2 * np.log(1.25), abs=0.15)
    assert 0.3 < plain[0] < 3
    assert plain[-1] == residual[-1] == 1
