"""平均場: mpmath と閉じた式と文献の値に対して、桁まで確かめる。"""

import mpmath as mp
import numpy as np
import pytest

from vgbook import activations as act
from vgbook import meanfield as mf
from vgbook.flow import gradient_flow
from vgbook.initializers import normal
from vgbook.quadrature import gaussian_mean, pair_mean

FUNCTIONS = {
    "sigmoid": (act.sigmoid, lambda z: 1 / (1 + mp.exp(-z))),
    "tanh": (act.tanh, mp.tanh),
    "relu": (act.relu, lambda z: z if z > 0 else mp.mpf(0)),
    "leaky_relu": (act.leaky_relu(0.1), lambda z: z if z > 0 else z / 10),
    "elu": (act.elu(1.0), lambda z: z if z > 0 else mp.expm1(z)),
    "gelu": (act.gelu, lambda z: z * mp.ncdf(z)),
    "silu": (act.silu, lambda z: z / (1 + mp.exp(-z))),
    "mish": (act.mish, lambda z: z * mp.tanh(mp.log1p(mp.exp(z)))),
    "softplus": (act.softplus, lambda z: mp.log1p(mp.exp(z))),
}


def exact_mean(f, q):
    """30 桁の数値積分。折れ目と、飽和が始まる場所で区切る。"""
    with mp.workdps(30):
        scale = mp.sqrt(q)
        edges = sorted(
            {-12, -6, -3, -1, 0, 1, 3, 6, 12, *(s * k / scale for k in (1, 5, 40) for s in (1, -1))}
        )
        inside = [e for e in edges if abs(e) <= 12]
        return mp.quad(lambda z: f(scale * z) * mp.npdf(z), inside)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("q", [1e-6, 0.01, 1.0, 30.0, 1e4])
def test_second_moments_agree_with_mpmath_to_ten_digits(name, q):
    ours, reference = FUNCTIONS[name]
    expected = exact_mean(lambda z: reference(z) ** 2, q)
    assert float(mf.moments(ours, q).mean_square) == pytest.approx(float(expected), rel=1e-10)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "gelu", "silu", "mish"])
@pytest.mark.parametrize("q", [1e-6, 1.0, 1e4])
def test_squared_slopes_agree_with_mpmath(name, q):
    ours, reference = FUNCTIONS[name]
    expected = exact_mean(lambda z: mp.diff(reference, z) ** 2, q)
    assert float(mf.moments(ours, q).slope_square) == pytest.approx(float(expected), rel=1e-8)


def test_relu_and_linear_have_closed_forms():
    q = np.geomspace(1e-6, 1e6, 13)
    m = mf.moments(act.relu, q)
    np.testing.assert_allclose(m.mean, np.sqrt(q / (2 * np.pi)), rtol=1e-11)
    np.testing.assert_allclose(m.mean_square, q / 2, rtol=1e-11)
    np.testing.assert_allclose(m.variance, q * (np.pi - 1) / (2 * np.pi), rtol=1e-11)
    np.testing.assert_allclose(m.slope_square, 0.5, rtol=1e-11)
    linear = mf.moments(act.identity, q)
    np.testing.assert_allclose([linear.mean_square, linear.variance], [q, q], rtol=1e-11)


def test_erf_has_closed_forms():
    from scipy.special import erf

    phi = act.Activation("erf", erf, lambda z: 2 / np.sqrt(np.pi) * np.exp(-(z**2)))
    q = np.geomspace(1e-4, 1e4, 9)
    m = mf.moments(phi, q)
    np.testing.assert_allclose(m.mean_square, 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q)), rtol=1e-9)
    np.testing.assert_allclose(m.slope_square, 4 / np.pi / np.sqrt(1 + 4 * q), rtol=1e-9)
    assert mf.critical_sigma_w(phi) ** 2 == pytest.approx(np.pi / 4, rel=1e-8)


def test_relu_pairs_follow_the_arc_cosine_kernel():
    """Cho and Saul (2009) の閉じた式。"""
    c = np.array([-0.99, -0.5, 0.0, 0.3, 0.9, 0.999999])
    expected = (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) / np.pi
    np.testing.assert_allclose(
        mf.correlation_map(act.relu, c, np.sqrt(2), q=1.0), expected, rtol=1e-9
    )
    both = pair_mean(act.relu.derivative, 1.0, c, kinks=act.relu.kinks)
    np.testing.assert_allclose(both, (np.pi - np.arccos(c)) / (2 * np.pi), rtol=1e-9)


# Schoenholz et al. (2017) と同じ設定を 30 桁の積分と根で求めた値
TANH_CRITICAL = {0.0: 1.0, 0.001: 1.18919, 0.01: 1.42421, 0.05: 1.76095, 0.1: 1.98607, 0.5: 2.84317}


@pytest.mark.parametrize(("sigma_b2", "expected"), TANH_CRITICAL.items())
def test_the_critical_line_of_tanh(sigma_b2, expected):
    sigma_w = mf.critical_sigma_w(act.tanh, np.sqrt(sigma_b2))
    assert float(sigma_w) ** 2 == pytest.approx(expected, abs=6e-6)
    if sigma_b2:
        assert float(mf.chi(act.tanh, sigma_w, np.sqrt(sigma_b2))) == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize(
    ("sigma_w2", "q", "chi", "c", "xi_c"),
    [
        (1.5, 0.41804, 0.93864, 1.0, 15.79),
        (2.0, 0.72176, 1.04767, 0.74408, 25.21),
        (4.0, 2.19549, 1.34240, 0.16506, 6.98),
    ],
)
def test_fixed_points_and_depth_scales_of_tanh(sigma_w2, q, chi, c, xi_c):
    scales = np.sqrt(sigma_w2), np.sqrt(0.05)
    assert float(mf.fixed_point(act.tanh, *scales)) == pytest.approx(q, abs=6e-6)
    assert float(mf.chi(act.tanh, *scales)) == pytest.approx(chi, abs=6e-6)
    assert float(mf.fixed_correlation(act.tanh, *scales)) == pytest.approx(c, abs=6e-6)
    depth = mf.depth_scales(act.tanh, *scales)
    assert float(depth.correlation) == pytest.approx(xi_c, abs=6e-3)
    assert float(depth.gradient) == pytest.approx(1 / abs(np.log(chi)), rel=1e-3)


def test_sigmoid_at_width_100():
    """std = 1 はほぼ臨界、Xavier は消失。臨界点は std = 1.0149。"""
    np.testing.assert_allclose(
        mf.chi(act.sigmoid, 10 * np.array([1.0, 0.1, 0.01])), [0.986, 0.0557, 6.24e-4], rtol=2e-3
    )
    assert float(mf.critical_sigma_w(act.sigmoid)) / 10 == pytest.approx(1.0149, abs=1e-4)


def test_he_is_critical_for_relu_and_every_q_stays():
    assert float(mf.critical_sigma_w(act.relu)) ** 2 == pytest.approx(2, rel=1e-9)
    q = np.array([1e-3, 1.0, 1e3])
    np.testing.assert_allclose(mf.length_map(act.relu, q, np.sqrt(2)), q, rtol=1e-11)
    np.testing.assert_array_equal(mf.fixed_point(act.relu, [1.0, 2.0]), [0.0, np.inf])


def test_normalization_factors():
    assert float(mf.bn_explosion(act.relu)) == pytest.approx(np.pi / (np.pi - 1), rel=1e-10)
    assert float(mf.ln_factor(act.relu)) == pytest.approx(1, rel=1e-10)
    assert float(mf.bn_explosion(act.identity)) == pytest.approx(1, rel=1e-10)
    assert float(mf.bn_explosion(act.tanh)) == pytest.approx(float(mf.ln_factor(act.tanh)))
    for phi in (act.sigmoid, act.gelu, act.silu, act.mish, act.softplus):
        assert mf.bn_explosion(phi) > 1  # ポアンカレの不等式


@pytest.mark.parametrize(
    ("name", "gain"), [("tanh", 1.59254), ("gelu", 1.53353), ("silu", 1.67653), ("mish", 1.48685)]
)
def test_gains_keep_the_length(name, gain):
    phi, _ = FUNCTIONS[name]
    assert float(mf.gain(phi)) == pytest.approx(gain, abs=6e-6)
    assert float(mf.length_map(phi, 1.0, mf.gain(phi))) == pytest.approx(1, rel=1e-10)


def test_arrays_broadcast_over_both_scales():
    sw, sb = np.linspace(0.5, 2, 4)[:, None], np.linspace(0, 0.5, 3)
    table = mf.chi(act.tanh, sw, sb)
    assert table.shape == (4, 3)
    assert table[2, 1] == pytest.approx(float(mf.chi(act.tanh, sw[2, 0], sb[1])))


def test_what_has_no_answer_is_nan_or_infinite_never_a_number():
    assert mf.fixed_point(act.relu, 2.0) == np.inf
    assert np.isnan(mf.fixed_correlation(act.relu, 2.0))
    assert np.isnan(mf.correlation_map(act.tanh, 0.5, 1.0, q=0.0))


@pytest.mark.parametrize("activation", [act.tanh, act.relu, act.sigmoid], ids=repr)
def test_the_theory_predicts_the_measured_gradient(activation):
    std = 0.15
    flow = gradient_flow(
        activation, normal(std), rng=np.random.default_rng(0), depth=20, width=300, seeds=4
    )
    factor = np.exp(np.log(flow.delta[:, 4] / flow.delta[:, 14]).mean() / 10)
    chi = float(mf.chi(activation, std * np.sqrt(300)))
    assert factor == pytest.approx(np.sqrt(chi), rel=0.04)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="q には 0 以上"):
        gaussian_mean(np.tanh, -1.0)
    with pytest.raises(ValueError, match="c には"):
        mf.correlation_map(act.tanh, 1.5, 1.0)
    for bad in (-1.0, np.nan):
        with pytest.raises(ValueError, match="sigma_w"):
            mf.chi(act.tanh, bad)
