"""activations の試験。値と導関数を mpmath・PyTorch・SciPy・数値微分と比べます。"""

import math
import pickle
import warnings

import mpmath as mp
import numpy as np
import pytest
from activation_table import ACTIVATIONS, KINKED, REFERENCE, SELU_ALPHA, SELU_SCALE, SMOOTH
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from peers import torch
from scipy import special

from vgbook.activations import (
    Activation,
    elu,
    gelu,
    gelu_tanh,
    identity,
    leaky_relu,
    mish,
    relu,
    selu,
    sigmoid,
    silu,
    softplus,
    step,
    tanh,
)
from vgbook.layers.affine import Activate, Affine
from vgbook.network import Network

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
every_dtype = pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])


@pytest.fixture(autouse=True)
def no_floating_point_warnings():
    """桁あふれ・無効演算・0 除算は、どの試験でも失敗とします。"""
    with np.errstate(all="raise", under="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def points(largest):
    """裾まで届く点。0 の近く、中ほど、導関数が 0 になる点の近くも含みます。"""
    tail = np.geomspace(1e-6, largest, 30)
    roots = [-0.7517915246935645, -1.2784645427610738, -1.1924000000000001]
    return np.concatenate([tail, -tail, roots])


def assert_accurate(got, exact, sensitivity, ulps):
    """誤差が、最後の桁の数単位と、入力の丸めがもたらす誤差 |z·f′(z)|·eps の和に収まること。"""
    info = np.finfo(got.dtype)
    allowed = ulps * float(info.eps) * (abs(exact) + abs(sensitivity)) + 40 * float(info.tiny)
    assert abs(float(got) - exact) <= allowed, (float(got), mp.nstr(exact, 20))


@every_activation
@pytest.mark.parametrize(("dtype", "largest"), [(np.float64, 700.0), (np.float32, 85.0)])
def test_value_and_derivative_agree_with_mpmath_up_to_the_tails(activation, dtype, largest):
    f = REFERENCE[activation]
    z = points(largest).astype(dtype)
    value, derivative = activation(z), activation.derivative(z)
    for i, x in enumerate(z):
        # 1 - tanh(700) ≈ 10⁻⁶⁰⁸ のような裾でも、桁落ちせずに微分できる桁数
        with mp.workdps(40 + int(abs(x))):
            x = mp.mpf(float(x))
            df, ddf = mp.diff(f, x), mp.diff(f, x, 2)
            assert_accurate(value[i], f(x), x * df, ulps=6)
            assert_accurate(derivative[i], df, x * ddf, ulps=8)


@pytest.mark.parametrize("z", [-700.0, -200.0, -40.0, 40.0, 200.0, 700.0])
def test_tails_do_not_cancel_to_zero(z):
    tail = np.exp(-abs(z))
    np.testing.assert_allclose(sigmoid.derivative(z), tail, rtol=1e-15)
    np.testing.assert_allclose(tanh.derivative(z / 2), 4 * tail, rtol=1e-15)
    if z < 0:
        for activation in (sigmoid, softplus):
            np.testing.assert_allclose(activation(z), tail, rtol=1e-15)
        for activation in (silu, mish):
            np.testing.assert_allclose(activation(z), z * tail, rtol=1e-15)


@every_activation
def test_value_and_derivative_agree_with_torch(activation):
    functional = torch.nn.functional
    functions = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "leaky_relu(0.01)": functional.leaky_relu,
        "leaky_relu(0.3)": lambda t: functional.leaky_relu(t, 0.3),
        "elu(1.0)": functional.elu,
        "elu(0.5)": lambda t: functional.elu(t, 0.5),
        "selu": functional.selu,
        # 既定の threshold=20 は、その先を z そのもので近似する
        "softplus": lambda t: functional.softplus(t, threshold=1000),
        "gelu": functional.gelu,
        "gelu_tanh": lambda t: functional.gelu(t, approximate="tanh"),
        "silu": functional.silu,
        "mish": functional.mish,
    }
    if activation.name not in functions:
        pytest.skip("PyTorch に対応する関数がない")
    z = np.append(np.random.default_rng(0).normal(scale=3, size=1000), 0.0)
    t = torch.tensor(z, requires_grad=True)
    h = functions[activation.name](t)
    h.sum().backward()
    np.testing.assert_allclose(activation(z), h.detach().numpy(), rtol=1e-13, atol=1e-15)
    # PyTorch の gelu_tanh の導関数は 1 + tanh と書かれ、裾で桁落ちする
    atol = 1e-14 if activation is gelu_tanh else 1e-15
    np.testing.assert_allclose(activation.derivative(z), t.grad.numpy(), rtol=1e-12, atol=atol)


@pytest.mark.parametrize("activation", [relu, leaky_relu(0.01), elu(), selu], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_sign_of_zero_is_that_of_torch(activation, dtype):
    """長さを変えるのは、NumPy がまとめて計算する分と余りの分を、どちらも見るため。"""
    for size in (1, 3, 17):
        for zero in (0.0, -0.0):
            z = np.full(size, zero, dtype)
            assert np.all(np.signbit(activation(z)) == np.signbit(z))
            assert not np.any(np.signbit(relu.derivative(z)))


@every_dtype
@every_activation
def test_the_largest_numbers_and_infinities_give_limits_without_warnings(activation, dtype):
    largest = np.finfo(dtype).max
    z = np.array([largest, -largest, np.inf, -np.inf], dtype)
    with np.errstate(all="raise"):
        value, slope = activation(z), activation.derivative(z)
    assert not np.isnan(value).any()
    assert not np.isnan(slope).any()
    assert np.all(np.abs(slope) < 2)


def test_values_agree_with_scipy():
    z = np.linspace(-600, 600, 2401)
    np.testing.assert_allclose(sigmoid(z), special.expit(z), rtol=1e-15)
    np.testing.assert_allclose(
        sigmoid.derivative(z), special.expit(z) * special.expit(-z), rtol=2e-15
    )
    np.testing.assert_allclose(softplus(z), -special.log_expit(-z), rtol=2e-15)
    z = np.linspace(-35, 35, 1401)
    np.testing.assert_allclose(gelu(z), z * special.ndtr(z), rtol=1e-12)


def test_the_float32_tail_of_gelu_keeps_every_digit():
    """z² 倍に拡大されるはずの z の丸めが、入らないこと。"""
    z = np.linspace(-12, 12, 2401).astype(np.float32)
    np.testing.assert_allclose(gelu(z), gelu(z.astype(float)), rtol=4e-7)
    z = z[np.abs(z + 0.7517915) > 0.1]  # 導関数の根の近くでは、2 つの項が打ち消し合う
    np.testing.assert_allclose(gelu.derivative(z), gelu.derivative(z.astype(float)), rtol=1e-6)


@every_activation
def test_derivative_agrees_with_central_difference(activation):
    h = 1e-5
    z = np.linspace(-6, 6, 1201)
    z = z[[min((abs(x - k) for k in activation.kinks), default=1.0) > 2 * h for x in z]]
    numerical = (activation(z + h) - activation(z - h)) / (2 * h)
    np.testing.assert_allclose(activation.derivative(z), numerical, rtol=1e-8, atol=1e-9)


@every_activation
@every_dtype
def test_dtype_and_shape_are_kept_and_the_input_is_left_alone(activation, dtype):
    z = np.linspace(-12, 12, 24, dtype=dtype).reshape(2, 3, 4).swapaxes(0, 2)
    before = z.copy()
    for function in (activation, activation.derivative, activation.f, activation.df):
        y = function(z)
        assert y.dtype == dtype
        assert y.shape == z.shape
        assert not np.shares_memory(y, z)
        np.testing.assert_array_equal(z, before)
        np.testing.assert_array_equal(y, function(z.copy()))
        assert function(z[:0]).shape == (0, 3, 2)


@every_activation
@pytest.mark.parametrize("z", [3, True, 3.0, [1, -2], np.arange(3, dtype=np.uint8), np.float64(1)])
def test_integers_and_python_numbers_become_float64(activation, z):
    for function in (activation, activation.derivative):
        y = function(z)
        assert y.dtype == np.float64
        np.testing.assert_array_equal(y, function(np.asarray(z, dtype=np.float64)))


# 名前: φ(-∞), φ(∞), φ′(-∞), φ′(∞)
LIMITS = {
    step: (0, 1, 0, 0),
    identity: (-np.inf, np.inf, 1, 1),
    sigmoid: (0, 1, 0, 0),
    tanh: (-1, 1, 0, 0),
    relu: (0, np.inf, 0, 1),
    leaky_relu(0.25): (-np.inf, np.inf, 0.25, 1),
    elu(0.5): (-0.5, np.inf, 0, 1),
    selu: (float(-SELU_ALPHA * SELU_SCALE), np.inf, 0, float(SELU_SCALE)),
    softplus: (0, np.inf, 0, 1),
    gelu: (0, np.inf, 0, 1),
    gelu_tanh: (0, np.inf, 0, 1),
    silu: (0, np.inf, 0, 1),
    mish: (0, np.inf, 0, 1),
}


@every_dtype
@pytest.mark.parametrize("activation", LIMITS, ids=repr)
def test_limits_at_infinity(activation, dtype):
    low, high, d_low, d_high = np.array(LIMITS[activation]).astype(dtype)
    ends = np.array([-np.inf, np.inf], dtype)
    np.testing.assert_allclose(activation(ends), [low, high], rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(
        activation.derivative(ends), [d_low, d_high], rtol=2 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize("activation", LIMITS, ids=repr)
def test_limits_are_reached_at_large_arguments(activation):
    low, high, d_low, d_high = LIMITS[activation]
    for z, limit, d_limit in [(-1000.0, low, d_low), (1000.0, high, d_high)]:
        if np.isfinite(limit):
            assert activation(z) == pytest.approx(limit, rel=1e-15)
        assert activation.derivative(z) == pytest.approx(d_limit, rel=1e-15)
        assert activation.derivative(z * 1e297) == pytest.approx(d_limit, rel=1e-15)
    assert activation(1e300) == pytest.approx(min(high, 1e300), rel=0.06)  # SELU だけ 1.05 倍


@every_activation
@given(
    z=st.sampled_from([16, 32, 64]).flatmap(
        lambda bits: hnp.arrays(
            f"float{bits}",
            hnp.array_shapes(min_dims=0, min_side=0, max_dims=3),
            elements=st.floats(width=bits).filter(
                # SELU は 1.05 倍するので、表せる最大の数では本当に桁あふれする
                lambda x: not np.finfo(f"float{bits}").max / 2 < abs(x) < np.inf
            ),
        )
    )
)
def test_nan_stays_nan_and_nothing_else_becomes_nan(activation, z):
    before = z.copy()
    for function in (activation, activation.derivative):
        y = function(z)
        assert y.dtype == z.dtype
        assert np.shape(y) == z.shape
        np.testing.assert_array_equal(np.isnan(y), np.isnan(z))
    np.testing.assert_array_equal(z, before)


def test_slope_at_a_kink_is_the_slope_of_the_left_side():
    for zero in (0.0, -0.0):
        assert relu.derivative(zero) == 0
        assert step(zero) == 0
        assert leaky_relu(0.2).derivative(zero) == 0.2
        assert elu(0.5).derivative(zero) == 0.5


@pytest.mark.parametrize("activation", KINKED, ids=repr)
def test_kinks_are_where_the_function_or_a_derivative_jumps(activation):
    h = 1e-4
    for kink in activation.kinks:
        left, right = kink + h * np.array([[-3, -2, -1], [1, 2, 3]])
        value = activation(right)[0] - activation(left)[-1]
        slopes = activation.derivative(left), activation.derivative(right)
        slope = slopes[1][0] - slopes[0][-1]
        curvature = np.diff(slopes[1])[0] - np.diff(slopes[0])[-1]
        assert max(abs(value), abs(slope), abs(curvature) / h) > 0.1


@pytest.mark.parametrize("activation", SMOOTH, ids=repr)
def test_smooth_activations_have_no_kink(activation):
    assert activation.kinks == ()
    z = np.array([-2e-3, -1e-3, 0, 1e-3, 2e-3])
    third = np.diff(activation.derivative(z), n=2) / 1e-6
    assert np.ptp(third) < 0.01  # 2 階の差分商が連続


def test_well_known_extrema():
    z = np.linspace(-6, 6, 120_001)
    np.testing.assert_allclose(sigmoid.derivative(z).max(), 0.25)
    assert tanh.derivative(z).max() == 1
    for activation, low, steepest in [
        (gelu, -0.169971, 1.128904),
        (silu, -0.278465, 1.099839),
        (mish, -0.308843, 1.088498),
    ]:
        np.testing.assert_allclose(activation(z).min(), low, atol=1e-6)
        np.testing.assert_allclose(activation.derivative(z).max(), steepest, atol=1e-6)


@every_activation
def test_pickling_keeps_everything(activation):
    copy = pickle.loads(pickle.dumps(activation))
    z = np.linspace(-3, 3, 61)
    assert copy == activation
    assert hash(copy) == hash(activation)
    np.testing.assert_array_equal(copy(z), activation(z))
    np.testing.assert_array_equal(copy.derivative(z), activation.derivative(z))


def test_activations_are_equal_when_their_parameters_are():
    assert leaky_relu(0.1) == leaky_relu(0.1) != leaky_relu(0.2)
    assert elu(0.5) == elu(0.5) != elu(0.25)
    assert Activation("relu", np.abs, np.sign) != relu  # 名前だけでは等しくならない


def test_names_are_unique_and_shown():
    assert len({repr(activation) for activation in ACTIVATIONS}) == len(ACTIVATIONS)
    assert repr(relu) == "relu"
    assert repr(leaky_relu(0.3)) == "leaky_relu(0.3)"


def test_activations_are_frozen():
    with pytest.raises(AttributeError):
        relu.name = "other"


def test_your_own_activation_needs_only_two_functions():
    square = Activation("square", np.square, lambda z: 2 * z)
    assert square(3) == 9
    assert square.derivative(3) == 6


def test_leaky_relu_with_slope_zero_is_relu():
    assert leaky_relu(0) is relu


@pytest.mark.parametrize("slope", [np.float64(0.1), np.float32(0.125), 1])
def test_parameters_do_not_change_the_dtype(slope):
    z = np.array([-1, 1], np.float32)
    for activation in (leaky_relu(slope), elu(slope)):
        assert activation(z).dtype == activation.derivative(z).dtype == np.float32


@pytest.mark.parametrize("z", [1j, [1, 2j], "0.5", None, [None, 1.0], [[1], [2, 3]], b"1"])
def test_input_that_is_not_real_is_an_error(z):
    for function in (relu, relu.derivative):
        with pytest.raises((TypeError, ValueError), match=r"z には.*渡してください。受け取った"):
            function(z)


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf, -np.inf, 1.5])
def test_slope_out_of_range_is_an_error(bad):
    with pytest.raises(ValueError, match=r"slope には 0 以上 1 以下の実数を.*受け取った値: "):
        leaky_relu(bad)


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_alpha_out_of_range_is_an_error(bad):
    with pytest.raises(ValueError, match=r"alpha には 0 以上の有限な実数を.*受け取った値: "):
        elu(bad)


@pytest.mark.parametrize("bad", ["0.1", None, 1j, [0.1]])
def test_parameter_that_is_not_a_number_is_an_error(bad):
    with pytest.raises(TypeError, match="slope には"):
        leaky_relu(bad)
    with pytest.raises(TypeError, match="alpha には"):
        elu(bad)


def scalar_tanh(z):
    return math.tanh(z)


def in_place_relu(z):
    z[z < 0] = 0
    return z


def branching_relu(z):
    return z if z > 0 else 0 * z


WRONG = {
    "スカラーの関数": scalar_tanh,
    "if": branching_relu,
    "その場で書き換える": in_place_relu,
    "その場で足す": lambda z: np.add(z, 1, out=z),
    "Python の数": lambda z: 1.0,
    "平均": np.mean,
    "1 次元": np.ravel,
    "余分な軸": lambda z: z[None],
    "None": lambda z: None,
    "リスト": lambda z: z.tolist(),
    "複素数": lambda z: z + 0j,
    "文字列": lambda z: z.astype(str),
    "引数が足りない": lambda: 1.0,
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("which", ["f", "df"])
def test_a_function_of_ones_own_that_is_no_elementwise_array_function_is_refused(which, wrong):
    mine = Activation("mine", **{"f": np.tanh, "df": np.ones_like, which: wrong})
    network = Network([Affine(np.eye(3)), Activate(mine)])
    x = np.array([[-1.0, 0.5, 2.0], [3.0, -2.0, 1.0]])
    with pytest.raises(TypeError, match=rf"活性化関数 mine の {which} は.*受け取った値"):
        network.backward(network.forward(x))
    np.testing.assert_array_equal(x[0], [-1.0, 0.5, 2.0])


@every_dtype
def test_a_function_of_ones_own_may_return_its_input_or_another_type_of_number(dtype):
    """どちらもよくある書き方で、意味は 1 つしかない。型は入力に合わせる。"""
    mine = Activation("mine", lambda z: z, lambda z: np.where(z > 0, 1.0, 0.0))
    truth = Activation("truth", lambda z: (z > 0).astype(int), lambda z: z > 0)
    z = np.array([-1.0, 2.0], dtype)
    for activation in (mine, truth):
        for y in (activation(z), activation.derivative(z)):
            assert y.dtype == dtype
            assert not np.may_share_memory(y, z)
            y += 1
    np.testing.assert_array_equal(z, [-1, 2])
