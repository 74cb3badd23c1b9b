"""勾配の検算: 逆伝播の結果を数値微分と比べる。

数値微分は遅い代わりに、連鎖律を使いません。だから逆伝播の間違いを見つけられます。
見つけられない条件 (折れ目、丸めの雑音、大きさ 1 のバッチ) も、結果に残します。
"""

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import byte_bounds

from vgbook._edge import (
    Array,
    as_array,
    check_callable,
    check_data,
    check_positive,
    check_real,
)
from vgbook._progress import progress_bar
from vgbook.clinic.differences import (
    Differences,
    Point,
    differences,
    doubt,
    measured_rounding,
    shaken,
    steps_of,
)
from vgbook.layers.affine import Activate
from vgbook.layers.normalization import BatchNorm
from vgbook.network import Network, check_network
from vgbook.training.losses import (
    Loss,
    check_loss,
    loss_and_gradient,
    softmax_cross_entropy,
)

ROUNDING_STEPS = 10
"""順伝播 1 回で積もる丸め誤差を、計算機イプシロンの何個分と見るか。"""
TRUNCATION = 1e-3
"""刻みを半分にしたとき、勾配が自分の何倍より変われば、切り捨てが大きいと見るか。"""
NEAR = 1e-2
"""粗い型の勾配が、float64 の勾配の最大値の何倍までずれていれば、丸めと見るか。"""


def numerical_gradient(f: Callable[[Array], Any], a: Array, h: float | None = None) -> Array:
    r"""中心差分による数値微分。

    .. math:: \frac{\partial f}{\partial a_i} \approx
              \frac{f(a + h e_i) - f(a - h e_i)}{2h}

    誤差は、切り捨てが :math:`O(h^2)`、丸めが :math:`O(\epsilon |f| / h)` です。

    Parameters
    ----------
    f : callable
        ``a`` から 1 つの数を返す関数。``a`` が集団の配列 (..., m, n) なら、要素ごとの値 (...) を
        返してもかまいません。要素の値は、自分の (m, n) だけで決まるものとします。
    a : ndarray
        微分する点。どんな形でもかまいません。計算の間だけ書き換え、終わると元に戻します。
    h : float, optional
        刻み幅 (正)。省略すると、``a`` の型と値の大きさに合わせます (float64 の 1 以下の値なら
        1e-5、float32 なら 1e-2)。

    Returns
    -------
    ndarray
        ``a`` と同じ形の勾配。

    Raises
    ------
    ValueError
        ``a`` が空か有限でないか書き込み禁止のとき、``h`` が正でないか丸めで消えるとき、``f`` の値の
        形が違うとき。
    TypeError
        ``a`` が浮動小数点数の配列でないとき、``f`` が関数でないか実数を返さないとき。

    Warns
    -----
    RuntimeWarning
        ``h`` が ``a`` の丸めの 100 倍より小さいか、省いた ``h`` が ``f`` の変わり方に対して
        大きすぎて、勾配の桁が出ないとき。

    Examples
    --------
    >>> a = np.array([1.0, 2.0, 3.0])
    >>> numerical_gradient(lambda a: np.sum(a**2), a).round(6)
    array([2., 4., 6.])
    """
    check_callable("f", f)
    if h is not None:
        check_positive("h", h)
    if not isinstance(a, np.ndarray) or a.dtype.kind != "f":
        raise TypeError(f"a には浮動小数点数の配列を渡してください。受け取った値: {a!r}")
    point = as_array("a", a)
    low, high = byte_bounds(a)
    overlaps = high - low < a.nbytes  # sliding_window_view のように、要素が場所を分け合う
    if a.size == 0 or not np.all(np.isfinite(a)) or not a.flags.writeable or overlaps:
        raise ValueError(
            "a には空でなく有限で、要素を 1 つずつ書き換えられる配列を渡してください。"
            f"受け取った値: {a!r}"
        )
    steps = steps_of(point, h, a.dtype)
    _check_steps(point, steps)
    kept = a.copy()
    value = check_real("f の値", f(a))
    _check_function(f, a, kept, value)
    if value.size != 1 and value.shape != point.shape[:-2]:
        raise ValueError(
            "f は 1 つの数か、集団の要素ごとの値を返さなければなりません。"
            f"a の形は {point.shape}、受け取った値の形: {value.shape}"
        )
    members = 0 if value.size == 1 else value.ndim
    gradient, moved = np.empty_like(point), False
    with progress_bar(math.prod(point.shape[members:]), "数値微分") as bar:
        for at, plus, minus, width in shaken(lambda: f(a), point, steps, members):
            change = np.subtract(plus, minus)
            gradient[at] = (change if members else change.reshape(width.shape)) / width
            moved = moved or not (np.array_equal(plus, minus) and np.array_equal(plus, value))
            bar.update()
    if members:
        _check_independence(f, a, point, steps, value)
    _warn_of_rounding(point, steps, value, gradient, moved)
    if h is None:
        _warn_of_truncation(f, a, point, steps, gradient)
    return gradient


def _check_function(f: Callable[[Array], Any], a: Array, kept: Array, value: Array) -> None:
    """f が a を書き換えず、同じ a には同じ値を返すこと。"""
    if not np.array_equal(a, kept):
        a[...] = kept
        raise ValueError(
            "f は、渡された a を書き換えずに値を返さなければなりません。a -= 1 のような、その場での"
            f"計算を a = a - 1 に変えてください。受け取った a の形: {a.shape}"
        )
    again = np.asarray(f(a))
    if not np.array_equal(again, value, equal_nan=True):
        raise ValueError(
            "f は、同じ a に同じ値を返さなければなりません。ドロップアウトのような乱数は、種を"
            f"決めて引き直すか、止めてください。受け取った値: {value} と {again}"
        )


def _check_steps(a: Array, steps: Array) -> None:
    ends = [(a + sign * steps).astype(a.dtype) for sign in (1, -1)]
    if np.any(ends[0] == ends[1]):
        raise ValueError(
            f"h が小さすぎて、{a.dtype} の a に足しても丸めで消えます。h を大きくするか、"
            f"a を float64 にしてください。受け取った h: {steps.min():g}、"
            f"|a| の最大値: {np.abs(a).max():g}"
        )


def _warn_of_rounding(a: Array, steps: Array, value: Array, gradient: Array, moved: bool) -> None:
    """刻みか勾配が、a や f の値の丸めに埋もれるなら知らせる。"""
    rounding = np.finfo(a.dtype).eps * np.abs(a).astype(float)
    noise = np.finfo(value.dtype).eps * float(np.abs(value).max()) / float(steps.min())
    top = float(np.abs(gradient).max())
    if np.any(steps < 100 * rounding):
        buried = (
            f"h = {steps.min():g} は {a.dtype} の a の丸め {rounding.max():.1g} の 100 倍より小さい"
        )
    elif 0 < top < noise:
        buried = f"f の値の丸めの雑音 {noise:.1g} が、勾配の最大値 {top:.1g} より大きい"
    elif not moved:
        warnings.warn(
            "a のどの要素を ±h 動かしても f の値がまったく変わらないので、勾配はすべて 0 です。"
            "f が a を使っているか (層は重みの写しをもちます)、変化が f の値の丸め"
            f" {noise * steps.min():.1g} に埋もれていないかを確かめてください。",
            RuntimeWarning,
            stacklevel=3,
        )
        return
    else:
        return
    warnings.warn(
        f"{buried}ので、勾配の桁が出ません。h を大きくするか、a を float64 にして、値の大きさを"
        "そろえてください。",
        RuntimeWarning,
        stacklevel=3,
    )


def _warn_of_truncation(
    f: Callable[[Array], Any], a: Array, point: Array, steps: Array, gradient: Array
) -> None:
    """いちばん大きな勾配を半分の刻みで測り直し、刻みが大きすぎるなら知らせる。"""
    at = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)  # NaN があれば、そこ
    kept, step, ends = point[at], float(steps[at]) / 2, []
    try:
        for sign in (1, -1):
            point[at] = kept + sign * step
            values = np.asarray(f(a), float)
            ends.append(values.item() if values.size == 1 else values[at[: values.ndim]])
    finally:
        point[at] = kept
    found = float(gradient[at])
    gap = abs((ends[0] - ends[1]) / (2 * step) - found)
    noise = 10 * float(np.finfo(a.dtype).eps) * abs(ends[0]) / step
    if not gap <= TRUNCATION * abs(found) + noise:
        warnings.warn(
            f"刻み h = {2 * step:g} を半分にすると、勾配の最大値 {found:.3g} が {gap:.1g} 変わり"
            "ます。h が大きすぎるか、f が a のそばで滑らかでないか、有限でありません。h を"
            "小さくして、勾配が変わらなくなることを確かめてください。",
            RuntimeWarning,
            stacklevel=3,
        )


def _check_independence(
    f: Callable[[Array], Any], a: Array, point: Array, steps: Array, value: Array
) -> None:
    """集団の 1 番目の要素だけを動かしたとき、ほかの要素の値が変わらないこと。"""
    first = (0,) * value.ndim
    kept = point[first].copy()
    point[first] += steps[first].astype(point.dtype)
    try:
        moved = np.not_equal(np.asarray(f(a)), value)
    finally:
        point[first] = kept
    moved[first] = False
    if moved.any():
        raise ValueError(
            "f の値は、集団の要素ごとに、自分の配列だけで決まらなければなりません。配列の全体から"
            f" 1 つの数を求めるなら、その数だけを返してください。受け取った値の形: {value.shape}"
        )


class Check(NamedTuple):
    """1 つの配列の検算の結果。"""

    name: str
    """``"3 Affine.W"`` のように、層の番号と配列の名前。入力は ``"x"``。"""
    error: float
    """逆伝播と数値微分の差の最大値。"""
    scale: float
    """勾配の大きさの最大値。"""
    noise: float
    """数値微分の誤差の見積もり。丸めの ``10 ε |L| / h`` に、刻みを変えて分かった切り捨てを足す。"""
    checked: int
    """比べた要素の数。"""
    kinks: int
    """活性化関数の折れ目をまたぐか、刻みが丸めで消えるので、比べなかった要素の数。"""

    @property
    def relative(self) -> float:
        """相対誤差 error / scale。勾配が 0 なら 0。"""
        return self.error / self.scale if self.scale else 0.0

    @property
    def blind(self) -> bool:
        """勾配が数値微分の誤差に埋もれていて、合っているとも違うとも言えないか。"""
        return self.checked == 0 or self.scale <= self.noise

    def ok(self, tolerance: float = 1e-6) -> bool:
        """差が ``tolerance × scale + noise`` 以下か。"""
        return self.error <= tolerance * self.scale + self.noise


@np.errstate(under="ignore")
def check_gradients(
    network: Network,
    x: Array,
    labels: Array,
    *,
    loss: Loss = softmax_cross_entropy,
    h: float | None = None,
) -> list[Check]:
    """すべての重みと入力 x について、逆伝播を数値微分と比べる。

    Parameters
    ----------
    network : Network
        検算するネットワーク (集団でもよい)。書き換えません。
    x : ndarray, shape (N, n_in)
        入力。バッチ正規化を含むなら N は 2 以上。
    labels : ndarray
        ``loss`` に渡す正解。
    loss : callable
        ``(出力, 正解)`` から ``(損失, ∂L/∂出力)`` を返す関数。
    h : float, optional
        数値微分の刻み幅 (正)。省略すると、型に合わせて選び (float64 なら 1e-5、float32 なら 1e-2)、
        大きな値では値に比例させます。差があるときは、刻みを細かくして、数値微分の切り捨てなのか
        逆伝播の間違いなのかを見分けます。float32 では、重みと入力を float64 に変えても確かめます。
        指定すると刻みは変えず、半分の刻みとの差から切り捨てを見積もります。

    Returns
    -------
    list of Check
        層の順。最後が入力 x です。

    Raises
    ------
    TypeError
        ``network`` が Network でないとき、``x`` が実数でないとき、``loss`` が関数でないとき。
    ValueError
        ``h`` が正でないとき、``x`` が空・有限でない・形が合わないとき、バッチ正規化に大きさ 1 の
        バッチを渡したとき。

    Examples
    --------
    >>> from vgbook.activations import tanh
    >>> from vgbook.initializers import xavier
    >>> from vgbook.network import mlp
    >>> rng = np.random.default_rng(0)
    >>> network = mlp([3, 4, 2], tanh, xavier(), rng=rng)
    >>> checks = check_gradients(network, rng.standard_normal((5, 3)), np.array([0, 1, 1, 0, 1]))
    >>> [check.name for check in checks]
    ['0 Affine.W', '0 Affine.b', '2 Affine.W', '2 Affine.b', 'x']
    >>> all(check.ok() for check in checks)
    True
    """
    check_network(network)
    check_loss(loss)
    if h is not None:
        check_positive("h", h)
    x = check_data("x", x, width=network.n_in)
    if x.ndim != 2:
        raise ValueError(f"x の形は (標本数, 特徴数) です。受け取った形: {x.shape}")
    if len(x) == 1 and any(
        isinstance(layer, BatchNorm) and layer.training for layer in network.leaves()
    ):
        raise ValueError(
            "バッチ正規化を含むネットワークは、大きさ 1 のバッチでは検算できません。出力が "
            "β だけで決まり、どの勾配も 0 になるので、間違った逆伝播でも合格してしまいます。"
            f"2 標本以上を渡してください。受け取った形: {x.shape}"
        )
    network = copy.deepcopy(network)
    # 集団なら入力も要素ごとに持たせる。要素ごとの ∂L/∂x が欲しいから
    x = np.array(np.broadcast_to(x, (*network.ensemble, *x.shape)))
    found = _check_arrays(network, x, labels, loss, h)
    if h is None and _coarsest(network, x) != np.float64 and any(_accused(c) for c, _ in found):
        precise = _check_arrays(_widened(network), x.astype(float), labels, loss, h)
        return [_settled(*rough, *fine) for rough, fine in zip(found, precise, strict=True)]
    return [check for check, _ in found]


def _check_arrays(
    network: Network, x: Array, labels: Any, loss: Loss, h: float | None
) -> list[tuple[Check, Array]]:
    """どの配列についても、検算の結果と、逆伝播の勾配。"""
    value, dy = _repeatable(network, x, labels, loss)
    dx = network.backward(dy)
    list(network.pairs())  # 勾配を残し忘れた層や、形の違う勾配を断る
    dtype = _coarsest(network, x)
    rounding = ROUNDING_STEPS * float(np.finfo(dtype).eps * np.max(np.abs(value)))

    def loss_and_sides() -> tuple[Any, Array]:
        value, _ = loss(network.forward(x), labels)
        return value, _sides(network)

    arrays = [
        (f"{i} {type(layer).__name__}.{name}", param, layer.grads[name])
        for i, layer in enumerate(network)
        for name, param in layer.params.items()
    ]
    # 数値微分の順伝播は grads を変えないが、逆伝播の結果は先に写しておく
    arrays = [(name, param, np.array(grad)) for name, param, grad in [*arrays, ("x", x, dx)]]
    members, found = len(network.ensemble), []
    with progress_bar(sum(param.size for _, param, _ in arrays), "検算") as bar:
        for name, param, grad in arrays:
            point = Point(param, steps_of(param, h, dtype), members, loss_and_sides)
            found.append((_compare(name, point, grad, rounding, h), grad))
            bar.update(param.size)
    return found


def _coarsest(network: Network, x: Array) -> np.dtype[Any]:
    """最も粗い型。その丸めが効く。float32 の重みを float64 の入力で検算することもある。"""
    params = [param for layer in network for param in layer.params.values()]
    dtype: np.dtype[Any] = max(
        (a.dtype for a in (x, *params)), key=lambda dtype: np.finfo(dtype).eps
    )
    return dtype


def _accused(check: Check) -> bool:
    return not check.ok() and not check.blind


def _widened(network: Network) -> Network:
    """重みを float64 にした写し。丸めの小さい型なら、刻みを細かくできる。"""
    network = copy.deepcopy(network)
    for layer in network.leaves():
        for name, param in layer.params.items():
            layer.params[name] = param.astype(float)
    return network


def _settled(rough: Check, grad: Array, fine: Check, precise: Array) -> Check:
    """粗い型での食い違いが、丸めだけのものなら、その大きさを数値微分の誤差に数える。

    float64 では逆伝播が合っていて、粗い型の勾配もそれに近いときです。
    """
    gap = float(np.abs(grad - precise).max(initial=0.0))
    near = gap <= NEAR * float(np.abs(precise).max(initial=0.0)) + ROUNDING_STEPS * rough.noise
    if _accused(rough) and not _accused(fine) and near:
        return rough._replace(noise=max(rough.noise, rough.error))
    return rough


def _repeatable(network: Network, x: Array, labels: Any, loss: Loss) -> tuple[Any, Array]:
    """損失と ∂L/∂出力。もう一度測っても同じ損失になり、x も変わらないことを確かめる。"""
    kept = x.copy()
    value, dy = loss_and_gradient(loss, network.forward(x), labels)
    if not np.array_equal(x, kept):
        raise ValueError(
            "network の層は、受け取った配列を書き換えずに、新しい配列を返さなければなりません。"
            f"順伝播の後で変わった入力 x の形: {x.shape}"
        )
    again, dy = loss_and_gradient(loss, network.forward(x), labels)
    if not np.array_equal(value, again, equal_nan=True):
        raise ValueError(
            "network は、同じ入力で同じ損失にならなければ検算できません。ドロップアウトのような"
            "乱数は、種を決めて引き直すか、止めてください。"
            f"受け取った損失: {value} と {again}"
        )
    return value, dy


def _compare(name: str, point: Point, grad: Array, rounding: float, h: float | None) -> Check:
    found = [differences(point, 1, rounding)]
    check = _judge(name, grad, found[0], found[0].noise)
    if check.ok():
        return check
    # 差があるときだけ、丸めを測り、刻みを変える。切り捨てなら刻みとともに減り、逆伝播の間違いなら
    # 減らない
    rounding = max(rounding, measured_rounding(point))
    found[0] = found[0]._replace(noise=rounding / float(point.steps.min()))
    while h is None and found[-1].noise * 10 <= check.scale / 10:
        found.append(differences(point, 10 ** len(found), rounding))
    if len(found) == 1:
        found.append(differences(point, 2, rounding))
        return _judge(name, grad, found[0], 2 * doubt(found, 0))
    doubts = [doubt(found, i) for i in range(len(found))]
    best = int(np.argmin(doubts))
    return _judge(name, grad, found[best], doubts[best])


def _judge(name: str, grad: Array, found: Differences, noise: float) -> Check:
    numeric, smooth, _ = found
    checked = int(np.count_nonzero(smooth))
    return Check(
        name=name,
        error=float(np.abs(numeric - grad)[smooth].max(initial=0.0)),
        scale=float(np.maximum(np.abs(numeric), np.abs(grad))[smooth].max(initial=0.0)),
        noise=noise,
        checked=checked,
        kinks=grad.size - checked,
    )


def _sides(network: Network) -> Array:
    """どのプレ活性が折れ目のどちら側にあるか (..., 個数)。±h で変われば、折れ目をまたいでいる。"""
    sides = [
        np.sign(layer.z - kink).reshape(*layer.z.shape[:-2], -1)
        for layer in network.leaves()
        if isinstance(layer, Activate)
        for kink in layer.activation.kinks
    ]
    return np.concatenate(sides, axis=-1) if sides else np.zeros((*network.ensemble, 1))
