"""平均場の写像: 閉じた式、論文の値、写像の素朴な反復と比べる。"""

import re
from functools import partial

import mpmath as mp
import numpy as np
import pytest
from activation_table import ACTIVATIONS
from closed_forms import erf

from vgbook.activations import (
    Activation,
    elu,
    gelu,
    identity,
    relu,
    selu,
    sigmoid,
    silu,
    softplus,
    step,
    tanh,
)
from vgbook.theory.fixed_points import follow
from vgbook.theory.meanfield import (
    chi,
    chi_at,
    correlation_map,
    critical_sigma_w,
    depth_scales,
    fixed_correlation,
    fixed_point,
    length_map,
)
from vgbook.theory.trust import resolved

pytestmark = pytest.mark.usefixtures("no_floating_point_warnings")

EVERY = [*ACTIVATIONS, erf]


# ---- 自作の活性化関数。急に変わるのに、kinks を書いていない


def wall(steepness, kinks=()):
    """z = 3 で急に立ち上がる。"""
    return Activation(
        f"wall({steepness:g})",
        lambda z: tanh(steepness * (z - 3)),
        lambda z: steepness * tanh.derivative(steepness * (z - 3)),
        kinks,
    )


def bump(width, kinks=()):
    """直線の上の、z = 1.3 の細い山。"""

    def hill(z):
        return np.exp(-(((z - 1.3) / width) ** 2) / 2)

    return Activation(
        f"bump({width:g})",
        lambda z: z / 2 + hill(z),
        lambda z: 0.5 - (z - 1.3) / width**2 * hill(z),
        kinks,
    )


def capped_relu(kinks):
    return Activation(
        f"relu6{kinks}", lambda z: np.clip(z, 0, 6), lambda z: 1.0 * ((z > 0) & (z < 6)), kinks
    )


sine = Activation("sine", np.sin, np.cos)
wrong_slope = Activation("wrong_slope", np.tanh, lambda z: 1 - np.tanh(z))


@pytest.mark.parametrize("activation", [tanh, sigmoid, relu, gelu, silu, elu(), softplus], ids=repr)
def test_fixed_point_is_where_plain_iteration_ends(activation):
    sigma_w, sigma_b = np.array([0.3, 0.8, 1.25, 1.4])[:, np.newaxis], np.array([0.1, 0.3])
    q = np.ones((4, 2))
    with np.errstate(over="ignore"):
        for _ in range(400):
            q = np.minimum(length_map(activation, q, sigma_w, sigma_b), 1e13)
    got = fixed_point(activation, sigma_w, sigma_b)
    settled = np.abs(length_map(activation, q, sigma_w, sigma_b) - q) < 1e-10 * q
    assert settled.sum() >= 6
    np.testing.assert_allclose(got[settled], q[settled], rtol=1e-7)
    assert not np.any(np.isfinite(got) & (q > 1e12))


def test_fixed_points_of_relu_in_closed_form():
    sigma_w = np.array([0.5, 1.0, 1.4])
    np.testing.assert_allclose(
        fixed_point(relu, sigma_w, 0.3), 0.09 / (1 - sigma_w**2 / 2), rtol=1e-12
    )
    np.testing.assert_array_equal(fixed_point(relu, sigma_w), 0)
    assert fixed_point(relu, np.sqrt(2)) == 1
    assert fixed_point(relu, np.sqrt(2), start=7.0) == 7
    for sigma_w, sigma_b in [(1.5, 0), (1.5, 0.2), (np.sqrt(2), 1e-3), (np.sqrt(2), 1.0)]:
        assert fixed_point(relu, sigma_w, sigma_b) == np.inf
        np.testing.assert_allclose(chi(relu, sigma_w, sigma_b), sigma_w**2 / 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("growth", "start", "end"),
    [
        (lambda q: (q - 0.95) * (q - 0.995), 0.99, 0.95),
        (lambda q: -(q - 0.95) * (q - 0.995), 0.99, 0.995),
        (lambda q: 9.5e11 - q, 1e12, 9.5e11),
    ],
    ids=["下へ", "上へ", "探す範囲の端から"],
)
def test_the_fixed_point_ahead_is_found_though_another_lies_just_behind(growth, start, end):
    q = follow(lambda q: q + 0.1 * growth(q), np.array(1.0), np.array(0.0), start)
    np.testing.assert_allclose(q, end, rtol=1e-9)


def test_fixed_point_beyond_the_search_range_is_not_a_number():
    assert np.isnan(fixed_point(relu, np.sqrt(2 * (1 - 1e-9)), 1e4))


def test_your_own_activation_in_closed_form():
    """φ = exp(-z²) では E φ² = 1/√(1+4q) なので、q* √(1 + 4q*) = σ_w²。"""
    bump = Activation("bump", lambda z: np.exp(-z * z), lambda z: -2 * z * np.exp(-z * z))
    sigma_w = np.array([0.5, 1.0, 3.0])
    q = fixed_point(bump, sigma_w)
    np.testing.assert_allclose(q * np.sqrt(1 + 4 * q), sigma_w**2, rtol=1e-12)


@pytest.mark.parametrize(
    ("activation", "sigma_w", "sigma_b"),
    [
        (wall(50), 4.0, 0.3),
        (wall(50), 1.5, 0.0),
        (wall(5e6), 1.5, 0.0),  # 求積点の間に隠れた立ち上がり
        (sine, 20.0, 0.0),
        (capped_relu((0.0,)), 1.2, 0.0),
        (capped_relu((0.0,)), 2.0, 0.3),
        (bump(0.1), 1.8, 0.5),
        (bump(1e-3), 1.5, 0.3),
        (wrong_slope, 1.5, 0.3),
    ],
    ids=str,
)
def test_an_average_that_does_not_converge_is_reported(activation, sigma_w, sigma_b):
    for function in (fixed_point, chi, fixed_correlation, partial(correlation_map, c=0.5)):
        with pytest.warns(RuntimeWarning, match=r"数値積分の桁が出ない.*kinks"):
            value = function(activation, sigma_w=sigma_w, sigma_b=sigma_b)
        assert np.isnan(value)
    with pytest.warns(RuntimeWarning, match=r"数値積分の桁が出ない"):
        assert np.all(np.isnan(depth_scales(activation, sigma_w, sigma_b)))
    for function in (length_map, chi_at, partial(correlation_map, c=0.5, sigma_w=sigma_w)):
        q = {"q": 1.1 * sigma_w**2}
        args = {} if isinstance(function, partial) else {"sigma_w": sigma_w}
        with pytest.warns(RuntimeWarning, match=re.escape(repr(activation))):
            assert np.isnan(function(activation, **q, **args))


def test_only_the_members_that_do_not_converge_are_lost():
    with pytest.warns(RuntimeWarning, match="q = 200 "):
        got = chi(sine, [2.0, 20.0])
    assert np.isnan(got[1])
    assert got[0] == chi(sine, 2.0)
    q = fixed_point(sine, 2.0)  # E cos² = (1 + e^{-2q}) / 2
    np.testing.assert_allclose(got[0], 2 * (1 + np.exp(-2 * q)), rtol=1e-12)
    with pytest.warns(RuntimeWarning, match="数値積分の桁が出ない"):
        assert np.isnan(critical_sigma_w(bump(0.01), 0.6))


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(4.0, 0.3), (1.5, 0.0)])
def test_declared_kinks_mend_the_average(sigma_w, sigma_b):
    activation = wall(50, kinks=(3.0,))
    q = fixed_point(activation, sigma_w, sigma_b)
    with mp.workdps(20):
        s = mp.sqrt(mp.mpf(float(q)))
        edges = [-12 * s, 0, *(3 + mp.mpf(k) / 50 for k in range(-30, 31, 6)), 12 * s]

        def exact(f):
            return float(mp.quad(lambda u: f(50 * (u - 3)) * mp.npdf(u / s) / s, edges))

        square, slope = exact(lambda z: mp.tanh(z) ** 2), exact(lambda z: 2500 * mp.sech(z) ** 4)
    np.testing.assert_allclose(q, sigma_w**2 * square + sigma_b**2, rtol=1e-9)
    np.testing.assert_allclose(chi(activation, sigma_w, sigma_b), sigma_w**2 * slope, rtol=1e-9)


def test_a_kinked_activation_with_its_kinks_raises_no_alarm():
    sigma_w = np.array([0.1, 0.9, 1.2, 5.0, 20.0])
    assert np.all(np.isfinite(chi(capped_relu((0.0, 6.0)), sigma_w, 0.3)))
    # z = 3 は標準偏差の 10 倍より遠く、χ は 0 とみなせる
    assert chi(wall(50, kinks=(3.0,)), 0.05, 0.1) == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("activation", EVERY, ids=repr)
def test_the_activations_of_the_package_never_raise_an_alarm(activation):
    """filterwarnings = error なので、警告が出れば赤くなる。"""
    sigma_w = np.array([1e-3, 0.1, 1.0, 1.4, 2.0, 10.0, 100.0])
    sigma_b = np.array([[0.0], [0.1], [3.0], [100.0]])
    q = fixed_point(activation, sigma_w, sigma_b)
    assert np.all(np.isfinite(chi(activation, sigma_w, sigma_b)[~np.isnan(q)]))
    assert np.all(resolved(activation, np.geomspace(1e-12, 1e12, 481)))


def test_saturating_activations_at_huge_weights_are_not_infinite():
    """真の q* は 10²⁰ ほど。探す範囲の外なので NaN。"""
    for activation in (tanh, sigmoid, erf, step):
        for sigma_w in (1e7, 1e10, 1e13, 1e90):
            assert np.isnan(fixed_point(activation, sigma_w)), (activation, sigma_w)
            assert np.isnan(chi(activation, sigma_w))
    assert fixed_point(tanh, 1e5) == pytest.approx(1e10, rel=1e-4)
    for activation in (relu, identity, elu(), gelu, softplus):
        assert fixed_point(activation, 1e10) == np.inf
        assert np.isfinite(chi(activation, 1e10))


# ---- mpmath による、独立した求積と求根


DEFINITIONS = {
    tanh: (mp.tanh, lambda z: mp.sech(z) ** 2),
    sigmoid: (lambda z: 1 / (1 + mp.exp(-z)), lambda z: mp.sech(z / 2) ** 2 / 4),
    gelu: (lambda z: z * mp.ncdf(z), lambda z: mp.ncdf(z) + z * mp.npdf(z)),
    erf: (mp.erf, lambda z: 2 / mp.sqrt(mp.pi) * mp.exp(-z * z)),
}


def trapezoid(points):
    """標準正規分布の台形則。解析的な関数なら、刻みを狭めると誤差が指数関数的に減る。"""
    z = mp.linspace(-7.5, 7.5, points)
    return [(x, (z[1] - z[0]) * mp.npdf(x)) for x in z]


def mean(f, q, rule):
    s = mp.sqrt(q)
    return mp.fsum(w * f(s * z) for z, w in rule)


def pair(f, q, c, rule):
    """2 次元の格子での E f(u₁) f(u₂)。パッケージと違い、u₂ = c u₁ + √(1 - c²) v と分ける。"""
    rest = mp.sqrt(1 - c * c)

    def given(u):
        return mp.fsum(w * f(c * u + rest * mp.sqrt(q) * y) for y, w in rule)

    return mean(lambda u: f(u) * given(u), q, rule)


@pytest.mark.parametrize(
    ("activation", "sigma_w", "sigma_b"),
    [(tanh, 1.6, 0.3), (tanh, 2.5, 0.1), (erf, 1.5, 0.2), (sigmoid, 3.0, 0.5), (gelu, 1.2, 0.4)],
    ids=str,
)
def test_fixed_points_and_depth_scales_agree_with_mpmath(activation, sigma_w, sigma_b):
    f, df = DEFINITIONS[activation]
    c = float(fixed_correlation(activation, sigma_w, sigma_b))
    with mp.workdps(16):
        sw2, sb2 = mp.mpf(sigma_w) ** 2, mp.mpf(sigma_b) ** 2
        fine, coarse = trapezoid(301), trapezoid(91)
        q = mp.findroot(
            lambda q: sw2 * mean(lambda u: f(u) ** 2, q, fine) + sb2 - q,
            (sb2, sw2 + sb2),
            solver="anderson",
        )
        chi_1 = chi_c = sw2 * mean(lambda u: df(u) ** 2, q, fine)
        exact_c = mp.mpf(1)
        if chi_1 > 1:  # 写像の上で c からニュートン法を 1 歩進める。c が不動点なら動かない
            chi_c = sw2 * pair(df, q, mp.mpf(c), coarse)
            exact_c = c + ((sw2 * pair(f, q, mp.mpf(c), coarse) + sb2) / q - c) / (1 - chi_c)
        expected = [float(x) for x in (q, chi_1, exact_c, -1 / mp.log(chi_c))]
    assert (c < 0.99) == (chi_1 > 1)
    got = [function(activation, sigma_w, sigma_b) for function in (fixed_point, chi)]
    scale = depth_scales(activation, sigma_w, sigma_b).correlation
    np.testing.assert_allclose([*got, c, scale], expected, rtol=1e-9)


def test_tanh_phases_of_schoenholz_2017():
    sigma_w = np.sqrt([1.5, 2.0, 4.0])
    sigma_b = np.sqrt(0.05)
    np.testing.assert_allclose(
        fixed_point(tanh, sigma_w, sigma_b), [0.41804, 0.72176, 2.19549], atol=6e-6
    )
    np.testing.assert_allclose(chi(tanh, sigma_w, sigma_b), [0.93864, 1.04767, 1.34240], atol=6e-6)
    np.testing.assert_allclose(
        fixed_correlation(tanh, sigma_w, sigma_b), [1, 0.74408, 0.16506], atol=6e-6
    )
    scales = depth_scales(tanh, sigma_w, sigma_b)
    np.testing.assert_allclose(scales.correlation, [15.79, 25.21, 6.98], atol=6e-3)
    assert scales.length[0] == pytest.approx(1.68, abs=5e-3)
    np.testing.assert_allclose(
        scales.gradient, 1 / np.abs(np.log(chi(tanh, sigma_w, sigma_b))), rtol=1e-12
    )


def test_critical_line_of_erf_in_closed_form():
    q = np.array([0.0, 0.05, 0.3, 1.0, 10.0])
    sigma_w2 = np.pi / 4 * np.sqrt(1 + 4 * q)
    sigma_b2 = q - sigma_w2 * 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q))
    got = critical_sigma_w(erf, np.sqrt(sigma_b2))
    np.testing.assert_allclose(got**2, sigma_w2, rtol=1e-7)


@pytest.mark.parametrize("activation", [tanh, sigmoid, erf, elu(), selu], ids=repr)
def test_chi_is_one_on_the_critical_line(activation):
    sigma_b = np.array([0.1, 0.3, 1.0])
    sigma_w = critical_sigma_w(activation, sigma_b)
    np.testing.assert_allclose(chi(activation, sigma_w, sigma_b), 1, rtol=1e-6)
    assert np.all(chi(activation, 0.9 * sigma_w, sigma_b) < 1)


def test_known_critical_points():
    assert critical_sigma_w(relu) ** 2 == pytest.approx(2, rel=1e-12)
    assert critical_sigma_w(tanh) ** 2 == pytest.approx(1, rel=1e-9)
    assert critical_sigma_w(sigmoid) ** 2 == pytest.approx(103.0076, abs=1e-4)
    assert critical_sigma_w(tanh, np.sqrt(0.05)) ** 2 == pytest.approx(1.76095, abs=1e-5)
    # Roberts, Yaida, Hanin (2022): 半安定な臨界点 σ_b² = 0.17292 より下では、安定な臨界線がない
    below, above = critical_sigma_w(gelu, np.sqrt([0.170, 0.176]))
    assert np.isnan(below)
    assert above**2 == pytest.approx(1.98306, abs=5e-3)
    assert np.isnan(critical_sigma_w(relu, 0.1))
    assert np.isnan(critical_sigma_w(step))


def test_the_width_100_sigmoid_of_the_lecture_notes():
    """σ_w² = n·std²。std=1 は臨界に近く、Xavier は消失する。"""
    got = chi(sigmoid, [10.0, 1.0, np.sqrt(2), 0.1])
    np.testing.assert_allclose(got, [0.986, 0.0557, 0.101, 6.24e-4], rtol=5e-3)
    assert chi(tanh, np.sqrt(2)) == pytest.approx(1.1055, abs=5e-5)


def test_relu_correlations_follow_the_arc_cosine_map():
    c = np.array([-1, -0.4, 0, 0.5, 0.99, 1])
    expected = (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) / np.pi
    np.testing.assert_allclose(correlation_map(relu, c, np.sqrt(2)), expected, atol=1e-12)
    np.testing.assert_allclose(correlation_map(relu, c, 1.0, q=5.0), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("activation", "sigma_w", "sigma_b"), [(tanh, 1.6, 0.3), (erf, 1.5, 0.2), (step, 1.0, 0.0)]
)
def test_fixed_correlation_is_where_plain_iteration_ends(activation, sigma_w, sigma_b):
    q, c = fixed_point(activation, sigma_w, sigma_b), 0.5
    for _ in range(300):
        c = correlation_map(activation, c, sigma_w, sigma_b, q=q)
    assert c < 0.999
    np.testing.assert_allclose(fixed_correlation(activation, sigma_w, sigma_b), c, rtol=1e-6)


def test_fixed_correlation_of_an_odd_function_without_bias_is_zero():
    assert fixed_correlation(tanh, 1.5) == 0
    assert np.isnan(fixed_correlation(tanh, 0.9))  # q* = 0 では向きがない


def test_depth_scales_predict_how_fast_the_maps_converge():
    sigma_w, sigma_b = 1.6, 0.3
    q, c = fixed_point(tanh, sigma_w, sigma_b), fixed_correlation(tanh, sigma_w, sigma_b)
    scales = depth_scales(tanh, sigma_w, sigma_b)
    nudged = length_map(tanh, q + 1e-5, sigma_w, sigma_b) - q
    np.testing.assert_allclose(nudged / 1e-5, np.exp(-1 / scales.length), rtol=1e-4)
    nudged = correlation_map(tanh, c + 1e-5, sigma_w, sigma_b) - c
    np.testing.assert_allclose(nudged / 1e-5, np.exp(-1 / scales.correlation), rtol=1e-4)


def test_depth_scales_at_the_edges():
    assert depth_scales(relu, np.sqrt(2)) == (np.inf, np.inf, np.inf)
    length, correlation, gradient = depth_scales(step, 1.0, 0.3)
    assert np.isnan(length)
    assert np.isnan(correlation)
    assert gradient == 0


def test_everything_broadcasts():
    sigma_w, sigma_b = np.array([[0.9], [1.7]]), np.array([0.1, 0.2, 0.3])
    for function in (fixed_point, chi, fixed_correlation):
        grid = function(tanh, sigma_w, sigma_b)
        assert grid.shape == (2, 3)
        np.testing.assert_allclose(grid[1, 2], function(tanh, 1.7, 0.3), rtol=1e-9)
    assert all(scale.shape == (2, 3) for scale in depth_scales(tanh, sigma_w, sigma_b))


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, [1.0, -0.1]])
def test_bad_scales_are_errors(bad):
    with pytest.raises(ValueError, match="sigma_w には 0 以上の有限な実数を"):
        fixed_point(tanh, bad)
    with pytest.raises(ValueError, match="sigma_b には 0 以上の有限な実数を"):
        critical_sigma_w(tanh, bad)


def test_other_bad_arguments_are_errors():
    with pytest.raises(ValueError, match="c には -1 以上 1 以下"):
        correlation_map(tanh, 1.1, 1.0, 0.1)
    with pytest.raises(ValueError, match="start には正の有限な"):
        fixed_point(tanh, 1.0, start=0.0)
    with pytest.raises(TypeError, match="activation には Activation"):
        fixed_point(np.tanh, 1.0)


@pytest.mark.parametrize("bad", [None, "1", 1j, [[1.0], [1.0, 2.0]], [], 1e160, -1.0])
def test_scales_that_are_no_reasonable_numbers_are_named(bad):
    for function in (fixed_point, chi, length_map, fixed_correlation, depth_scales):
        for name in ("sigma_w", "sigma_b"):
            args = {"activation": tanh, "sigma_w": 1.0, "sigma_b": 0.1, name: bad}
            args |= {"q": 1.0} if function is length_map else {}
            with pytest.raises(ValueError, match=rf"{name} には.*受け取った値"):
                function(**args)
    with pytest.raises(ValueError, match=r"sigma_w には.*受け取った値"):
        chi_at(tanh, 1.0, bad)


@pytest.mark.parametrize("bad", [None, "1", [1.0], 0.0, -1.0, np.inf, 1e160])
def test_a_start_that_is_no_positive_number_is_named(bad):
    with pytest.raises(ValueError, match=r"start には.*受け取った値"):
        fixed_point(tanh, 1.0, start=bad)


def test_shapes_that_do_not_broadcast_are_named():
    two, three = np.ones(2), np.ones(3)
    for function in (fixed_point, chi, fixed_correlation, depth_scales):
        with pytest.raises(ValueError, match=r"sigma_w と sigma_b には.*\(2,\), \(3,\)"):
            function(tanh, two, three)
    with pytest.raises(ValueError, match=r"sigma_w と sigma_b と q には互いにそろう"):
        length_map(tanh, two, three)
    with pytest.raises(ValueError, match=r"と q には互いにそろう"):
        chi_at(tanh, two, three)
    with pytest.raises(ValueError, match=r"と c には互いにそろう"):
        correlation_map(tanh, two, three, q=1.0)


def test_the_largest_scales_do_not_overflow():
    assert fixed_point(relu, 1e100) == np.inf
    assert chi(relu, 1e100) == pytest.approx(5e199)
    assert np.isnan(fixed_point(tanh, 1e100))
    assert np.isnan(fixed_point(tanh, 1.0, 1e100))
