"""平均場の写像: 閉じた式、論文の値、写像の素朴な反復と比べる。"""

import numpy as np
import pytest
from closed_forms import erf

from vgbook.activations import (
    Activation,
    elu,
    gelu,
    relu,
    selu,
    sigmoid,
    silu,
    softplus,
    step,
    tanh,
)
from vgbook.meanfield import (
    chi,
    correlation_map,
    critical_sigma_w,
    depth_scales,
    fixed_correlation,
    fixed_point,
    length_map,
)

pytestmark = pytest.mark.usefixtures("no_floating_point_warnings")


@pytest.mark.parametrize("activation", [tanh, sigmoid, relu, gelu, silu, elu(), softplus], ids=repr)
def test_fixed_point_is_where_plain_iteration_ends(activation):
    sigma_w, sigma_b = np.array([0.3, 0.8, 1.25, 1.4])[:, np.newaxis], np.array([0.1, 0.3])
    q = np.ones((4, 2))
    with np.errstate(over="ignore"):
        for _ in range(3000):
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


def test_fixed_point_beyond_the_search_range_is_not_a_number():
    assert np.isnan(fixed_point(relu, np.sqrt(2 * (1 - 1e-9)), 1e4))


def test_your_own_activation_in_closed_form():
    """φ = exp(-z²) では E φ² = 1/√(1+4q) なので、q* √(1 + 4q*) = σ_w²。"""
    bump = Activation("bump", lambda z: np.exp(-z * z), lambda z: -2 * z * np.exp(-z * z))
    sigma_w = np.array([0.5, 1.0, 3.0])
    q = fixed_point(bump, sigma_w)
    np.testing.assert_allclose(q * np.sqrt(1 + 4 * q), sigma_w**2, rtol=1e-12)


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
