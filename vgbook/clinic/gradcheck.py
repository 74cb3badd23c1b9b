"""勾配の検算: 逆伝播の結果を数値微分と比べる。

数値微分は遅い代わりに、連鎖律を使いません。だから逆伝播の間違いを見つけられます。
見つけられない条件 (折れ目、丸めの雑音、大きさ 1 のバッチ) も、結果に残します。
"""

import copy
from typing import Any, NamedTuple

import numpy as np

from vgbook._edge import Array, check_positive, check_real, check_rows
from vgbook._progress import progress_bar
from vgbook.clinic.differences import (
    Differences,
    Point,
    differences,
    doubt,
    measured_rounding,
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
NEAR = 1e-2
"""粗い型の勾配が、float64 の勾配の最大値の何倍までずれていれば、丸めと見るか。"""


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
    x = check_rows("x", x, width=network.n_in)
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
    dx = _same_twice(network, dy)
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
    """損失と ∂L/∂出力。もう一度測っても同じ損失になることを確かめる。"""
    _check_inputs_kept(network, x)
    value, dy = loss_and_gradient(loss, network.forward(x), labels)
    again, dy = loss_and_gradient(loss, network.forward(x), labels)
    if not np.array_equal(value, again, equal_nan=True):
        raise ValueError(
            "network は、同じ入力で同じ損失にならなければ検算できません。ドロップアウトのような"
            "乱数は、種を決めて引き直すか、止めてください。"
            f"受け取った損失: {value} と {again}"
        )
    return value, dy


def _same_twice(network: Network, dy: Array) -> Array:
    """∂L/∂x。もう一度逆伝播しても同じ勾配になることを確かめる。"""
    dx = np.array(network.backward(dy.copy()))
    first = [(param, np.array(grad)) for param, grad in network.pairs()]
    network.backward(dy.copy())
    for (param, grad), (_, again) in zip(first, network.pairs(), strict=True):
        if not np.array_equal(grad, again, equal_nan=True):
            raise ValueError(
                "network の層の backward は、呼ぶたびに grads を作り直さなければなりません。"
                "PyTorch のように足し込むと、学習の 2 回目から勾配が間違います。"
                f"2 回目に変わった勾配の形: {param.shape}"
            )
    return dx


def _check_inputs_kept(network: Network, x: Array) -> None:
    """どの層も、受け取った配列を書き換えないこと。前の層が逆伝播のために残した値が変わる。"""
    for layer in network:
        kept = x.copy()
        y = layer.forward(x)
        if not np.array_equal(x, kept, equal_nan=True):
            raise ValueError(
                "network の層は、受け取った配列を書き換えずに、新しい配列を返さなければなりません。"
                f"書き換えた層: {layer!r}、受け取った配列の形: {x.shape}"
            )
        x = check_real(f"network の層 {layer!r} の出力", y)


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
