"""活性化関数を通した正規分布の平均: mpmath と閉じた式と比べる。"""

import mpmath as mp
import numpy as np
import pytest
from activation_table import ACTIVATIONS, REFERENCE
from closed_forms import erf

from vgbook.activations import (
    Activation,
    elu,
    gelu,
    identity,
    leaky_relu,
    relu,
    selu,
    sigmoid,
    silu,
    step,
    tanh,
)
from vgbook.theory.moments import (
    bn_explosion,
    gain,
    ln_factor,
    mean_square,
    moments,
    slope_square,
)
from vgbook.theory.trust import resolved

pytestmark = pytest.mark.usefixtures("no_floating_point_warnings")

CLOSED = {step, identity, leaky_relu(0.01), leaky_relu(0.3), elu(0.5)}  # 閉じた式などで別に確かめる
INTEGRATED = [activation for activation in ACTIVATIONS if activation not in CLOSED]


def exact_mean(f, q, kinks=()):
    """mpmath による E f(√q Z)。u = √q Z の尺度で細かく分けて積分する。"""
    s = mp.sqrt(mp.mpf(q))
    ladder = [s * k for k in (0.5, 1, 2, 4, 8, 12)] + [mp.mpf(k) for k in (1, 3, 8, 20, 50)]
    edges = {sign * min(x, 12 * s) for sign in (-1, 0, 1) for x in ladder}
    edges = sorted(edges | {mp.mpf(k) for k in kinks if abs(k) < 12 * s})
    return mp.quad(lambda u: f(u) * mp.npdf(u / s) / s, edges)


@pytest.mark.parametrize("q", [1e-6, 0.3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("activation", INTEGRATED, ids=repr)
def test_moments_agree_with_mpmath(activation, q):
    phi, kinks = REFERENCE[activation], activation.kinks
    with mp.workdps(20):
        mean = exact_mean(phi, q, kinks)
        square = exact_mean(lambda u: phi(u) ** 2, q, kinks)
        center = phi(mp.mpf(0))
        variance = exact_mean(lambda u: (phi(u) - center) ** 2, q, kinks) - (mean - center) ** 2
        expected = [float(x) for x in (mean, square, variance)]
    got = moments(activation, q)
    np.testing.assert_allclose(got[:3], expected, rtol=1e-10, atol=1e-14 * np.sqrt(q))


@pytest.mark.parametrize("q", [1e-6, 1.0, 1e4])
def test_slope_squares_agree_with_mpmath(q):
    derivatives = {
        sigmoid: lambda z: mp.sech(z / 2) ** 2 / 4,
        tanh: lambda z: mp.sech(z) ** 2,
        silu: lambda z: (1 + z * mp.exp(-z) / (1 + mp.exp(-z))) / (1 + mp.exp(-z)),
        gelu: lambda z: mp.ncdf(z) + z * mp.npdf(z),
        elu(0.5): lambda z: mp.mpf(1) if z > 0 else mp.exp(z) / 2,
    }
    for activation, derivative in derivatives.items():
        with mp.workdps(20):
            expected = float(exact_mean(lambda u, d=derivative: d(u) ** 2, q))
        np.testing.assert_allclose(moments(activation, q).slope_square, expected, rtol=1e-10)


@pytest.mark.parametrize("q", [0.0, 1e-12, 1e-6, 1.0, 1e4, 1e12])
def test_moments_agree_with_closed_forms(q):
    close = {"rtol": 1e-12, "atol": 1e-160}
    m = moments(relu, q)
    np.testing.assert_allclose(m.mean, np.sqrt(q / (2 * np.pi)), **close)
    np.testing.assert_allclose(m.mean_square, q / 2, **close)
    np.testing.assert_allclose(m.variance, q * (np.pi - 1) / (2 * np.pi), **close)
    np.testing.assert_allclose(m.slope_square, 0.5, **close)
    m = moments(leaky_relu(0.1), q)
    np.testing.assert_allclose([m.mean_square, m.slope_square], [0.505 * q, 0.505], **close)
    np.testing.assert_allclose(moments(identity, q)[1:], [q, q, 1.0], **close)
    m = moments(erf, q)
    np.testing.assert_allclose(
        m.mean_square, 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q)), rtol=1e-8 if q > 1e8 else 1e-12
    )
    np.testing.assert_allclose(m.slope_square, 4 / np.pi / np.sqrt(1 + 4 * q), rtol=1e-12)


def test_factors_of_normalised_networks():
    np.testing.assert_allclose(bn_explosion(relu), np.pi / (np.pi - 1), rtol=1e-13)
    np.testing.assert_allclose(bn_explosion(identity), 1, rtol=1e-13)
    np.testing.assert_allclose(ln_factor(relu), 1, rtol=1e-13)
    erf_square = 2 / np.pi * np.arcsin(2 / 3)
    for factor in (bn_explosion, ln_factor):
        np.testing.assert_allclose(factor(erf), 4 / np.pi / np.sqrt(5) / erf_square, rtol=1e-13)
    with mp.workdps(20):
        square = exact_mean(lambda z: mp.sech(z / 2) ** 4 / 16, 1)
        second = exact_mean(lambda z: (1 / (1 + mp.exp(-z))) ** 2, 1)
        np.testing.assert_allclose(ln_factor(sigmoid), float(square / second), rtol=1e-12)
        np.testing.assert_allclose(
            bn_explosion(sigmoid), float(square / (second - mp.mpf(1) / 4)), rtol=1e-12
        )


def test_a_jump_leaves_the_explosion_undefined():
    """跳ぶ φ では、ポアンカレの不等式が成り立たない。"""
    assert np.isnan(bn_explosion(step))
    assert np.isfinite([bn_explosion(phi) for phi in (relu, leaky_relu(0.5), selu)]).all()


def test_the_variance_is_one_unless_another_is_given():
    assert mean_square(identity) == pytest.approx(1, rel=1e-14)
    assert slope_square(tanh) == slope_square(tanh, 1.0)


@pytest.mark.parametrize("q", [0.0, -1.0, np.inf, np.nan, [1.0, 0.0]])
def test_gain_is_defined_for_signals_of_a_positive_size(q):
    with pytest.raises(ValueError, match="q には正の"):
        gain(relu, q)


def test_gain_keeps_the_signal_size():
    np.testing.assert_allclose(gain(relu, [0.1, 1, 10]), np.sqrt(2), rtol=1e-13)
    np.testing.assert_allclose(gain(leaky_relu(0.2)), np.sqrt(2 / 1.04), rtol=1e-13)
    assert gain(selu) == pytest.approx(1, abs=1e-9)  # Klambauer ほか (2017) の定義
    for activation in (tanh, gelu, silu, sigmoid):
        kept = gain(activation, 3.0) ** 2 * mean_square(activation, 3.0)
        np.testing.assert_allclose(kept, 3.0, rtol=1e-13)


@pytest.mark.parametrize("activation", [*REFERENCE, step, identity, leaky_relu(0.3)], ids=repr)
def test_the_mean_square_never_decreases(activation):
    """meanfield.fixed_point の前提。"""
    square = mean_square(activation, np.geomspace(1e-8, 1e8, 1601))
    assert np.all(np.diff(square) >= -1e-12 * square[1:])


@pytest.mark.parametrize(
    "activation",
    [
        Activation("wave", lambda z: np.sin(90 * z), lambda z: 90 * np.cos(90 * z)),
        Activation("forgotten_kink", lambda z: np.abs(z - 1), lambda z: np.sign(z - 1)),
        Activation("forgotten_jump", lambda z: np.sign(z - 1), lambda z: 0 * z),
        Activation("wrong_slope", np.tanh, lambda z: 1 - np.tanh(z)),
    ],
    ids=repr,
)
def test_averages_that_do_not_converge_are_reported(activation):
    for function in (mean_square, slope_square, gain, bn_explosion, ln_factor):
        with pytest.warns(RuntimeWarning, match=f"{activation!r} の平均は.*数値積分の桁が出ない"):
            assert np.isnan(function(activation))
    with pytest.warns(RuntimeWarning, match="NaN を返します"):
        assert np.all(np.isnan(moments(activation)))


def test_a_declared_jump_is_no_alarm():
    jump = Activation("jump", lambda z: np.sign(z - 1), lambda z: 0 * z, kinks=(1.0,))
    q = np.geomspace(1e-3, 1e6, 91)
    assert np.all(resolved(jump, q))
    np.testing.assert_allclose(mean_square(jump, q), 1, rtol=1e-12)


def test_what_happens_beyond_ten_standard_deviations_is_no_alarm():
    """z = 3 は、q < 0.09 なら標準偏差の 10 倍より遠い。"""
    stairs = Activation(
        "stairs",
        lambda z: sigmoid(100 * (z - 3)),
        lambda z: 100 * sigmoid.derivative(100 * (z - 3)),
    )
    corner = Activation("corner", lambda z: relu(z - 3), lambda z: relu.derivative(z - 3))
    for activation in (stairs, corner):
        q = np.geomspace(1e-4, 0.07, 200)
        np.testing.assert_allclose(slope_square(activation, q), 0, atol=1e-20)
        assert not resolved(activation, 1.0)


def test_an_activation_that_cannot_be_a_key_is_checked_all_the_same():
    listed = Activation("listed", np.abs, np.sign, kinks=[0.0])
    forgotten = Activation("forgotten", lambda z: np.abs(z - 1), lambda z: np.sign(z - 1), [])
    np.testing.assert_array_equal([resolved(listed), resolved(forgotten)], [True, False])


def test_bad_arguments_are_errors():
    for function in (moments, mean_square, slope_square, bn_explosion, ln_factor):
        with pytest.raises(TypeError, match="activation には Activation"):
            function(np.tanh)
