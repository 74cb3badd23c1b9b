"""勾配の検算: 正しい逆伝播に合格し、壊した逆伝播に必ず落ちる。"""

import numpy as np
import pytest

from vgbook.activations import Activation, gelu, identity, relu, sigmoid, tanh
from vgbook.clinic.gradcheck import Check, check_gradients
from vgbook.clinic.numerical import numerical_gradient
from vgbook.initializers import he, normal, xavier
from vgbook.layers.affine import Activate, Affine
from vgbook.layers.normalization import BatchNorm, LayerNorm
from vgbook.network import Network, mlp
from vgbook.training.losses import mean_squared_error, softmax_cross_entropy


def rng(seed=0):
    return np.random.default_rng(seed)


X, LABELS = rng(1).standard_normal((6, 4)), np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("norm", [None, BatchNorm, LayerNorm])
@pytest.mark.parametrize("activation", [tanh, sigmoid, relu], ids=repr)
def test_the_package_passes(norm, activation):
    network = mlp([4, 5, 5, 3], activation, xavier(), rng=rng(), norm=norm)
    checks = check_gradients(network, X, LABELS)
    assert len(checks) == sum(len(layer.params) for layer in network) + 1
    assert all(check.ok() for check in checks)
    assert sum(check.checked for check in checks) > 60


def test_batch_norm_passes_in_inference_mode_too():
    network = mlp([4, 5, 3], tanh, xavier(), rng=rng(), norm=BatchNorm)
    network.forward(X)
    with network.inference():
        assert all(check.ok() for check in check_gradients(network, X[:1], LABELS[:1]))


def test_an_ensemble_is_checked_member_by_member():
    network = mlp([4, 5, 3], tanh, xavier(gain=[0.5, 2.0]), rng=rng())
    checks = check_gradients(network, X, LABELS)
    assert checks[0].checked == 2 * 4 * 5
    assert all(check.ok() for check in checks)
    network[0].backward = lambda dy: dy @ network[0].params["W"].mT  # dW を残さない壊れた層
    with pytest.raises(RuntimeError, match="勾配"):
        check_gradients(network, X, LABELS)


class ForgetfulBatchNorm(BatchNorm):
    """平均の経路を忘れた逆伝播。"""

    def backward(self, dy):
        right = super().backward(dy)
        return right + self.params["gamma"] * self.inv_std * dy.mean(axis=-2, keepdims=True)


class DetachedVariance(BatchNorm):
    """分散を定数とみなした逆伝播。"""

    def backward(self, dy):
        super().backward(dy)
        return self.params["gamma"] * self.inv_std * (dy - dy.mean(axis=-2, keepdims=True))


class UnsummedBias(Affine):
    """バイアスの勾配を平均にしてしまった逆伝播。"""

    def backward(self, dy):
        dx = super().backward(dy)
        self.grads["b"] = dy.mean(axis=-2, keepdims=True)
        return dx


@pytest.mark.parametrize("broken", [ForgetfulBatchNorm, DetachedVariance])
def test_a_broken_batch_norm_fails(broken):
    network = mlp([4, 5, 3], tanh, xavier(), rng=rng(), norm=broken)
    verdicts = {check.name: check.ok() for check in check_gradients(network, X, LABELS)}
    assert not verdicts["0 Affine.W"]
    assert not verdicts["x"]
    assert verdicts["3 Affine.W"]  # 壊れた層より出力側は正しい


def test_a_broken_bias_and_a_broken_derivative_fail():
    network = Network([UnsummedBias(he()(4, 3, rng=rng()))])
    verdicts = {check.name: check.ok() for check in check_gradients(network, X, LABELS)}
    assert verdicts == {"0 UnsummedBias.W": True, "0 UnsummedBias.b": False, "x": True}
    wrong = Activation("wrong", np.tanh, lambda z: 1 - np.tanh(z))
    network = mlp([4, 5, 3], wrong, xavier(), rng=rng())
    assert not all(check.ok() for check in check_gradients(network, X, LABELS))


def test_a_batch_of_one_is_refused_because_it_would_pass_anything():
    broken = mlp([4, 5, 3], tanh, xavier(), rng=rng(), norm=ForgetfulBatchNorm)
    with pytest.raises(ValueError, match="大きさ 1 のバッチでは検算できません"):
        check_gradients(broken, X[:1], LABELS[:1])


def test_kinks_are_named_and_not_compared():
    W = np.eye(2)
    network = Network([Affine(W), Activate(relu), Affine(np.ones((2, 2)))])
    x = np.array([[0.0, 1.0], [1.0, 2.0]])  # 1 つのプレ活性がちょうど折れ目にある
    checks = {check.name: check for check in check_gradients(network, x, np.array([0, 1]))}
    assert checks["x"].kinks == 1
    assert checks["x"].checked == 3
    assert checks["0 Affine.b"].kinks == 1
    assert checks["0 Affine.W"].kinks == 1
    assert all(check.ok() for check in checks.values())


def test_gradients_below_the_rounding_noise_are_called_blind():
    deep = mlp([4, *[5] * 12, 3], sigmoid, xavier(gain=0.1), rng=rng())
    first, *_, last = check_gradients(deep, X, LABELS)[:-1]
    assert first.blind
    assert not last.blind


@pytest.mark.parametrize(("checked", "blind"), [(0, True), (1, False), (2, False)])
def test_a_check_of_nothing_is_blind_and_a_check_of_one_is_not(checked, blind):
    assert Check("W", error=0.0, scale=1.0, noise=0.1, checked=checked, kinks=0).blind is blind


def test_a_gradient_as_small_as_the_noise_is_blind():
    assert Check("W", error=0.0, scale=0.1, noise=0.1, checked=1, kinks=0).blind


def test_float32_needs_a_larger_step():
    network = mlp([4, 5, 3], tanh, xavier(), rng=rng(), dtype=np.float32)
    x = X.astype(np.float32)
    fine, coarse = (check_gradients(network, x, LABELS, h=h)[0] for h in (1e-5, 1e-2))
    assert fine.noise > 100 * coarse.noise
    assert coarse.relative < fine.relative


def test_float32_weights_are_judged_by_their_own_rounding():
    network = mlp([4, 5, 3], tanh, xavier(), rng=rng(), dtype=np.float32)
    assert X.dtype == np.float64
    assert all(check.ok() for check in check_gradients(network, X, LABELS, h=1e-3))


def test_the_point_is_restored_when_the_function_fails():
    a = np.array([1.0, 2.0])

    def fails(a):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        numerical_gradient(fails, a)
    np.testing.assert_array_equal(a, [1.0, 2.0])


def test_the_network_is_left_as_it_was():
    network = mlp([4, 5, 3], tanh, xavier(), rng=rng(), norm=BatchNorm)
    network.forward(X)
    kept = {id(a): a.copy() for layer in network for a in layer.params.values()}
    mean = network[1].running_mean.copy()
    check_gradients(network, X, LABELS)
    for layer in network:
        for a in layer.params.values():
            np.testing.assert_array_equal(a, kept[id(a)])
    np.testing.assert_array_equal(network[1].running_mean, mean)


def test_other_losses_can_be_checked():
    network = mlp([4, 5, 3], tanh, xavier(), rng=rng())
    t = rng(3).standard_normal((6, 3))
    checks = check_gradients(network, X, t, loss=mean_squared_error)
    assert all(check.ok() for check in checks)


def test_numerical_gradient_of_known_functions():
    a = rng().standard_normal((3, 4))
    np.testing.assert_allclose(numerical_gradient(lambda a: np.sum(np.sin(a)), a), np.cos(a), 1e-8)
    many = rng().standard_normal((2, 3, 4))
    grads = numerical_gradient(lambda a: np.sum(a**2, axis=(-2, -1)), many)
    np.testing.assert_allclose(grads, 2 * many, rtol=1e-7)


@pytest.mark.parametrize(
    ("a", "h", "error"),
    [
        (np.array([1, 2]), 1e-5, TypeError),
        ([1.0, 2.0], 1e-5, TypeError),
        (np.array([]), 1e-5, ValueError),
        (np.array([np.nan]), 1e-5, ValueError),
        (np.array([1.0, np.inf]), 1e-5, ValueError),
        (np.array([1.0]), 0.0, ValueError),
        (np.array([1.0]), -1e-5, ValueError),
    ],
)
def test_numerical_gradient_names_bad_arguments(a, h, error):
    with pytest.raises(error, match="渡してください"):
        numerical_gradient(lambda a: a.sum(), a, h)


# ---- どんな形、どんな型、どんな大きさの点でも


@pytest.mark.parametrize(
    "shape", [(3,), (2, 3), (2, 2, 2), (3, 1, 2, 2), (2, 2, 2, 2, 2), (1, 1, 1)]
)
def test_a_scalar_function_of_an_array_of_any_shape(shape):
    a = rng().standard_normal(shape)
    np.testing.assert_allclose(numerical_gradient(lambda a: np.sum(a**2), a), 2 * a, rtol=1e-7)
    np.testing.assert_allclose(numerical_gradient(lambda a: np.sum(a**2, keepdims=True), a), 2 * a)


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3)])
def test_a_function_that_mixes_the_members_is_refused(shape):
    """値の形がたまたま集団の形に合っても、要素ごとの値でなければ、間違った勾配になる。"""
    a = rng().standard_normal(shape)
    with pytest.raises(ValueError, match="f "):
        numerical_gradient(lambda a: a.sum(axis=tuple(range(a.ndim - 1)))[: len(a)], a)


@pytest.mark.parametrize(
    ("a", "rtol"),
    [
        (np.array([1, 2, 3], np.float16), 0.05),
        (np.array([1, 2, 3], np.float32), 1e-3),
        (np.array([1000, 2000], np.float32), 1e-3),
        (np.array([1e12, -2e12]), 1e-6),
        (np.array([1.0, 1e6], np.longdouble), 1e-6),
        (np.array([1.0, 2e3], ">f8"), 1e-6),
    ],
)
def test_the_default_step_survives_the_rounding_of_the_point(a, rtol):
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(numerical_gradient(np.sum, a), 1.0, rtol=rtol)


@pytest.mark.parametrize(
    ("a", "h"),
    [
        (np.ones(3, np.float16), 1e-5),
        (np.ones(3, np.float32), 1e-8),
        (np.array([1e3, 2e3], np.float32), 1e-5),
        (np.array([1e12]), 1e-5),
        (np.array([0.0, 1.0]), 1e-17),
    ],
)
def test_a_step_that_vanishes_is_refused_instead_of_giving_0(a, h):
    with pytest.raises(ValueError, match="丸めで消えます"):
        numerical_gradient(np.sum, a, h)


@pytest.mark.parametrize(
    ("a", "h"), [(np.array([100.0], np.float32), 1e-5), (np.array([1e11]), 1e-4)]
)
def test_a_step_that_almost_vanishes_is_told(a, h):
    with pytest.warns(RuntimeWarning, match="100 倍より小さい"):
        numerical_gradient(np.sum, a, h)


def test_a_gradient_below_the_rounding_of_the_value_is_told():
    with pytest.warns(RuntimeWarning, match="f の値の丸め"):
        numerical_gradient(np.sum, np.array([1e-300, 1e300]))


def test_an_array_that_cannot_be_moved_is_refused():
    a = np.ones(3)
    a.flags.writeable = False
    with pytest.raises(ValueError, match="書き換えられる"):
        numerical_gradient(np.sum, a)


# ---- 標準化していない入力


def table(r):
    return np.c_[r.normal(35, 10, 20), r.normal(5e6, 1e6, 20), r.normal(2000, 10, 20)]


@pytest.mark.parametrize("scale", [1e-6, 255.0, 1e4])
@pytest.mark.parametrize("norm", [None, BatchNorm, LayerNorm])
def test_a_right_backward_is_not_accused_for_the_scale_of_the_input(scale, norm):
    network = mlp([4, 5, 3], tanh, xavier(), rng=rng(), norm=norm)
    checks = check_gradients(network, scale * X, LABELS)
    assert [check.name for check in checks if not check.ok() and not check.blind] == []


def test_columns_of_very_different_sizes_are_judged():
    r = rng()
    network = mlp([3, 8, 2], tanh, normal(1e-7), rng=r)
    checks = check_gradients(network, table(r), r.integers(0, 2, 20))
    assert [check.name for check in checks if not check.ok() and not check.blind] == []
    assert not checks[0].blind


@pytest.mark.parametrize("scale", [1e-3, 1.0, 255.0])
@pytest.mark.parametrize("broken", [ForgetfulBatchNorm, DetachedVariance])
def test_a_wrong_backward_is_still_found_at_that_scale(scale, broken):
    network = mlp([4, 5, 3], tanh, xavier(), rng=rng(), norm=broken)
    first = check_gradients(network, scale * X, LABELS)[0]
    assert not first.ok()
    assert first.relative > 1e-3


def test_a_given_step_is_kept_and_its_truncation_is_told():
    """刻みを指定したら変えない。切り捨てが大きければ「合格」でも「間違い」でもなく、雑音が大きい。"""
    network = mlp([4, 5, 3], tanh, xavier(), rng=rng())
    fine, coarse = (check_gradients(network, X, LABELS, h=h)[0] for h in (1e-5, 0.3))
    assert coarse.error > 1e3 * fine.error
    assert coarse.noise > 0.5 * coarse.error
    assert fine.ok()
    assert coarse.ok()


# ---- 自作の層と関数


class Bank:
    """3 次元の重みをもつ層。"""

    def __init__(self):
        self.params, self.grads = {"k": rng().standard_normal((2, 2, 3))}, {}

    def forward(self, x):
        self.x = x
        return x * self.params["k"].sum()

    def backward(self, dy):
        self.grads = {"k": np.full((2, 2, 3), (dy * self.x).sum())}
        return dy * self.params["k"].sum()


class Vector(Bank):
    """1 次元の重みをもつ層。"""

    def __init__(self):
        self.params, self.grads = {"k": rng().standard_normal(4)}, {}

    def forward(self, x):
        self.x = x
        return x * self.params["k"]

    def backward(self, dy):
        self.grads = {"k": (dy * self.x).sum(axis=0)}
        return dy * self.params["k"]


class Gate(Vector):
    """0 次元の重みをもつ層。"""

    def __init__(self):
        self.params, self.grads = {"k": np.array(0.7)}, {}

    def backward(self, dy):
        self.grads = {"k": (dy * self.x).sum()}
        return dy * self.params["k"]


def behind(layer):
    return Network([layer, Affine(rng().standard_normal((4, 3)))])


@pytest.mark.parametrize("layer", [Bank, Vector, Gate])
def test_weights_of_any_dimension_are_checked(layer):
    checks = check_gradients(behind(layer()), X, LABELS)
    assert all(check.ok() and not check.blind for check in checks)


class Dropout(Bank):
    def __init__(self):
        self.params, self.grads, self.rng = {}, {}, rng()

    def forward(self, x):
        self.mask = self.rng.random(x.shape) > 0.5
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


class Overwriting(Bank):
    def __init__(self):
        self.params, self.grads = {}, {}

    def forward(self, x):
        x *= 2
        return x


class Accumulating(Bank):
    """PyTorch のように、勾配を足し込む層。1 回目だけは合う。"""

    def backward(self, dy):
        before = self.grads.get("k", 0.0)
        dx = super().backward(dy)
        self.grads["k"] = self.grads["k"] + before
        return dx


@pytest.mark.parametrize(
    ("layer", "word"),
    [(Dropout, "乱数"), (Overwriting, "書き換え"), (Accumulating, "作り直さなければ")],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_layer_that_cannot_be_checked_is_not_called_wrong(layer, word, place):
    network = mlp([4, 5, 3], tanh, xavier(), rng=rng())
    network.layers.insert(place, layer())
    with pytest.raises(ValueError, match=word):
        check_gradients(network, X, LABELS)


class Silent(Bank):
    def __init__(self):
        self.params, self.grads = {}, {}

    def forward(self, x):
        """``return`` を書き忘れた層。"""


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_layer_that_returns_nothing_is_named(place):
    network = mlp([4, 5, 3], tanh, xavier(), rng=rng())
    network.layers.insert(place, Silent())
    with pytest.raises(TypeError, match=r"層 .*Silent.* の出力 には実数の配列"):
        check_gradients(network, X, LABELS)


def test_a_layer_in_the_middle_that_overwrites_what_it_receives_is_named():
    """書き換えるのは、前の層の出力。ネットワークの入力は変わらない。"""
    first = Affine(rng().standard_normal((4, 4)))
    with pytest.raises(ValueError, match=r"書き換えた層: .*Overwriting"):
        check_gradients(Network([first, *behind(Overwriting())]), X, LABELS)


@pytest.mark.parametrize(
    ("activation", "norm", "loss", "scale"),
    [
        (relu, LayerNorm, softmax_cross_entropy, 1),
        (sigmoid, BatchNorm, mean_squared_error, 1),
        (gelu, LayerNorm, mean_squared_error, 1e-3),
        (tanh, None, softmax_cross_entropy, 1e3),
        (sigmoid, None, softmax_cross_entropy, 1e3),
    ],
)
def test_a_right_float32_network_is_not_called_wrong(activation, norm, loss, scale):
    r = rng()
    x, labels = r.normal(size=(30, 4))[:6] * scale, r.integers(0, 3, 30)[:6]
    network = mlp([4, 6, 6, 3], activation, xavier(), rng=rng(), norm=norm, dtype=np.float32)
    t = labels if loss is softmax_cross_entropy else np.eye(3)[labels] * scale
    checks = check_gradients(network, x.astype(np.float32), t, loss=loss)
    assert [check for check in checks if not check.ok()] == []


@pytest.mark.parametrize(
    ("norm", "loss", "seeds"),
    [
        (BatchNorm, softmax_cross_entropy, (24, 25, 34)),
        (LayerNorm, mean_squared_error, range(6)),
    ],
)
def test_two_small_float32_samples_are_not_called_wrong(norm, loss, seeds):
    """2 標本の BN は、float32 の刻みより小さな範囲で符号が変わる。"""
    for seed in seeds:
        network = mlp([3, 4, 4, 2], identity, xavier(), rng=rng(seed), norm=norm, dtype="float32")
        x = (1e-3 * rng(seed + 9).standard_normal((2, 3))).astype("float32")
        targets = rng(seed).standard_normal((2, 2)).astype("float32")
        labels = targets if loss is mean_squared_error else np.array([0, 1])
        checks = check_gradients(network, x, labels, loss=loss)
        assert all(check.ok() or check.blind for check in checks)


class RightOnlyInDouble(Affine):
    """float32 のときだけ間違う逆伝播。"""

    def backward(self, dy):
        return super().backward(dy) * (1.5 if dy.dtype == np.float32 else 1.0)


@pytest.mark.parametrize("broken", [ForgetfulBatchNorm, RightOnlyInDouble])
def test_a_wrong_float32_backward_is_still_found(broken):
    network = mlp([4, 5, 5, 3], tanh, xavier(), rng=rng(), norm=BatchNorm, dtype="float32")
    i = 1 if broken is ForgetfulBatchNorm else 3
    layer = broken(5, dtype="float32") if i == 1 else broken(network[i].params["W"])
    network = Network([*network.layers[:i], layer, *network.layers[i + 1 :]])
    checks = check_gradients(network, X.astype("float32"), LABELS)
    assert not all(check.ok() for check in checks)


def test_a_function_that_changes_its_point_is_refused():
    a = np.array([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="書き換えず"):
        numerical_gradient(lambda a: np.sum(np.subtract(a, a.max(), out=a) ** 2), a)
    np.testing.assert_array_equal(a, [1.0, 2.0, 3.0])


def test_a_function_of_chance_is_refused():
    r = rng()
    with pytest.raises(ValueError, match="乱数"):
        numerical_gradient(lambda a: np.sum(a) + r.normal(), np.ones(3))


@pytest.mark.parametrize(
    "f",
    [lambda a: np.float32(1e4 + a.sum()), lambda a: 1e12 + a.sum(), lambda a: np.sum(X**2)],
    ids=["float32 の値の丸め", "大きな値の丸め", "a を使わない"],
)
def test_a_function_that_does_not_move_is_told(f):
    with pytest.warns(RuntimeWarning, match="まったく変わらない"):
        assert not numerical_gradient(f, np.ones(3)).any()


@pytest.mark.parametrize(
    ("f", "at"),
    [
        (lambda a: np.sum(1 / a), 1e-4),
        (lambda a: np.sum(np.sin(1e6 * a)), 1.0),
        (lambda a: np.sum(np.where(a > 0, np.log(np.abs(a)), np.nan)), 1e-7),
        (lambda a: np.floor(10 * a.sum()), 1.0),
    ],
    ids=["1/a", "速い波", "定義域の端", "段"],
)
def test_a_default_step_too_large_for_the_function_is_told(f, at):
    with pytest.warns(RuntimeWarning, match="刻み h = 1e-05 を半分にすると"):
        numerical_gradient(f, np.full(3, at))


def test_an_array_whose_elements_share_their_place_is_refused():
    a = np.lib.stride_tricks.sliding_window_view(np.ones(4), 2, writeable=True)
    with pytest.raises(ValueError, match="要素を 1 つずつ書き換えられる配列"):
        numerical_gradient(lambda a: np.sum(a**2), a)


def test_a_gradient_that_is_exactly_0_agrees_with_a_difference_that_is_exactly_0():
    assert Check("x", error=0.0, scale=0.0, noise=0.0, checked=1, kinks=0).ok()
