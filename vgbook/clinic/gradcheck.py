"""勾配の検算: 逆伝播の結果を数値微分と比べる。

数値微分は遅い代わりに、連鎖律を使いません。だから逆伝播の間違いを見つけられます。
見つけられない条件 (折れ目、丸めの雑音、大きさ 1 のバッチ) も、結果に残します。
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from vgbook._edge import Array, check_callable, check_data, check_positive
from vgbook.layers.affine import Activate
from vgbook.layers.normalization import BatchNorm
from vgbook.network import Network, check_network
from vgbook.training.losses import softmax_cross_entropy

ROUNDING_STEPS = 10
"""順伝播 1 回で積もる丸め誤差を、計算機イプシロンの何個分と見るか。"""


def _shaken(f: Callable[[], Any], a: Array, h: float) -> Iterator[tuple[Any, Any, Any]]:
    """末尾 2 軸の要素を 1 つずつ ±h だけ動かし、(位置, f(+h), f(−h)) を返す。"""
    for index in np.ndindex(a.shape[-2:]):
        at = (..., *index)
        kept = a[at].copy()
        a[at] = kept + h
        try:
            plus = f()
            a[at] = kept - h
            minus = f()
        finally:
            a[at] = kept
        yield at, plus, minus


def numerical_gradient(f: Callable[[Array], Any], a: Array, h: float = 1e-5) -> Array:
    r"""中心差分による数値微分。

    .. math:: \frac{\partial f}{\partial a_i} \approx
              \frac{f(a + h e_i) - f(a - h e_i)}{2h}

    誤差は、切り捨てが :math:`O(h^2)`、丸めが :math:`O(\epsilon |f| / h)` です。

    Parameters
    ----------
    f : callable
        ``a`` から値を返す関数。集団なら要素ごとの値 (...) を返します。
    a : ndarray, shape (n,) or (..., m, n)
        微分する点。計算の間だけ書き換え、終わると元に戻します。
    h : float
        刻み幅 (正)。

    Returns
    -------
    ndarray
        ``a`` と同じ形の勾配。

    Raises
    ------
    ValueError
        ``a`` が空か有限でないとき、``h`` が正でないとき。
    TypeError
        ``a`` が浮動小数点数の配列でないとき。

    Examples
    --------
    >>> a = np.array([1.0, 2.0, 3.0])
    >>> numerical_gradient(lambda a: np.sum(a**2), a).round(6)
    array([2., 4., 6.])
    """
    check_callable("f", f)
    check_positive("h", h)
    if not isinstance(a, np.ndarray) or a.dtype.kind != "f":
        raise TypeError(f"a には浮動小数点数の配列を渡してください。受け取った値: {a!r}")
    if a.size == 0 or not np.all(np.isfinite(a)):
        raise ValueError(f"a には空でなく有限な配列を渡してください。受け取った値: {a!r}")
    gradient = np.empty_like(a)
    for at, plus, minus in _shaken(lambda: f(a), a, h):
        gradient[at] = (plus - minus) / (2 * h)
    return gradient


class Check(NamedTuple):
    """1 つの配列の検算の結果。"""

    name: str
    """``"3 Affine.W"`` のように、層の番号と配列の名前。入力は ``"x"``。"""
    error: float
    """逆伝播と数値微分の差の最大値。"""
    scale: float
    """勾配の大きさの最大値。"""
    noise: float
    """数値微分に混じる丸めの雑音の見積もり ``10 ε |L| / h``。"""
    checked: int
    """比べた要素の数。"""
    kinks: int
    """活性化関数の折れ目をまたぐので比べなかった要素の数。"""

    @property
    def relative(self) -> float:
        """相対誤差 error / scale。勾配が 0 なら 0。"""
        return self.error / self.scale if self.scale else 0.0

    @property
    def blind(self) -> bool:
        """勾配が雑音に埋もれていて、合っているとも違うとも言えないか。"""
        return self.checked == 0 or self.scale <= self.noise

    def ok(self, tolerance: float = 1e-6) -> bool:
        """差が ``tolerance × scale + noise`` 以下か。"""
        return self.error <= tolerance * self.scale + self.noise


def check_gradients(
    network: Network,
    x: Array,
    labels: Array,
    *,
    loss: Callable[[Array, Array], tuple[Array, Array]] = softmax_cross_entropy,
    h: float = 1e-5,
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
    h : float
        数値微分の刻み幅 (正)。

    Returns
    -------
    list of Check
        層の順。最後が入力 x です。

    Raises
    ------
    ValueError
        ``x`` が空か有限でない・形が合わないとき、バッチ正規化に大きさ 1 のバッチを渡したとき。

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
    check_callable("loss", loss)
    check_positive("h", h)
    x = check_data("x", x, width=network.affines[0].params["W"].shape[-2])
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
    value, dy = loss(network.forward(x), labels)
    dx = network.backward(dy)
    # 粗いほうの型の丸めが効く。float32 の重みを float64 の入力で検算することもある
    params = [param for layer in network for param in layer.params.values()]
    eps = max(np.finfo(a.dtype).eps for a in (x, *params))
    noise = ROUNDING_STEPS * float(eps * np.max(np.abs(value)) / h)

    def loss_and_sides() -> tuple[Any, Array]:
        value, _ = loss(network.forward(x), labels)
        return value, _sides(network)

    arrays = [
        (f"{i} {type(layer).__name__}.{name}", param, layer.grads[name])
        for i, layer in enumerate(network)
        for name, param in layer.params.items()
    ]
    # 数値微分の順伝播は grads を変えないが、逆伝播の結果は先に写しておく
    return [
        _compare(name, param, grad.copy(), loss_and_sides, h, noise)
        for name, param, grad in [*arrays, ("x", x, dx)]
    ]


def _compare(
    name: str, a: Array, grad: Array, f: Callable[[], tuple[Any, Array]], h: float, noise: float
) -> Check:
    numeric, smooth = np.zeros_like(a), np.zeros(a.shape, dtype=bool)
    for at, (plus, sides_plus), (minus, sides_minus) in _shaken(f, a, h):
        numeric[at] = (plus - minus) / (2 * h)
        smooth[at] = np.all(sides_plus == sides_minus, axis=-1)
    difference = np.abs(numeric - grad)[smooth]
    size = np.maximum(np.abs(numeric), np.abs(grad))[smooth]
    checked = int(np.count_nonzero(smooth))
    return Check(
        name=name,
        error=float(difference.max(initial=0.0)),
        scale=float(size.max(initial=0.0)),
        noise=noise,
        checked=checked,
        kinks=a.size - checked,
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
