"""損失関数: 損失と、出力での勾配を一度に返す。

逆伝播の出発点になる ∂L/∂y を、損失と同じ場所で計算します。割るのはバッチの大きさだけです。
集団の要素ごとに 1 つの損失が残ります。
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from vgbook._edge import Array, check_callable, check_labels, check_real, signal
from vgbook.activations import sigmoid, softplus

Loss: TypeAlias = Callable[[Array, Any], tuple[Any, Array]]
"""``(出力, 正解)`` から ``(損失, ∂L/∂出力)`` を返す関数。"""


def check_loss(loss: object) -> None:
    """``loss`` が NumPy の配列を受け取る損失関数であることを確かめる。"""
    check_callable("loss", loss)
    if str(getattr(loss, "__module__", "")).partition(".")[0] == "torch":
        raise TypeError(
            "loss には softmax_cross_entropy のように (損失, ∂L/∂出力) を返す関数を渡してください。"
            f"PyTorch の損失は、PyTorch のモデルでだけ使えます。受け取った値: {loss!r}"
        )


def loss_and_gradient(loss: Loss, y: Array, labels: Any) -> tuple[Any, Array]:
    """``loss`` を呼び、集団の要素ごとの損失と、出力と同じ形の勾配の組であることを確かめる。

    Examples
    --------
    >>> loss_and_gradient(lambda y, labels: 0.5, np.zeros((1, 2)), None)
    Traceback (most recent call last):
        ...
    TypeError: loss は (損失, ∂L/∂出力) の組を返さなければなりません。受け取った値: 0.5
    """
    found = loss(y, labels)
    if not isinstance(found, tuple) or len(found) != 2:
        raise TypeError(
            f"loss は (損失, ∂L/∂出力) の組を返さなければなりません。受け取った値: {found!r}"
        )
    value, dy = found
    if np.shape(value) != y.shape[:-2] or np.shape(dy) != y.shape:
        raise ValueError(
            f"loss の返す ∂L/∂出力 の形は {y.shape}、損失の形は {y.shape[:-2]} (1 つのネットワーク"
            "なら 1 つの数) でなければなりません。"
            f"受け取った形: {np.shape(dy)} と {np.shape(value)}"
        )
    if np.asarray(value).dtype.kind not in "iuf":
        raise TypeError(f"loss の返す損失は、実数でなければなりません。受け取った値: {value!r}")
    return value, dy


@np.errstate(over="ignore", invalid="ignore", under="ignore")
def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array]:
    r"""ソフトマックス関数と交差エントロピー誤差。

    .. math:: L = \frac1N\sum_{n}\left(\log\sum_k e^{y_{nk}} - y_{n,t_n}\right),
              \qquad \frac{\partial L}{\partial y_{nk}} = \frac{p_{nk}-\mathbb 1[k=t_n]}{N}

    最大値を引いてから指数をとるので、大きな値でもあふれません。``log(p + 1e-7)`` のような
    ずらしも要りません。

    Parameters
    ----------
    logits : ndarray, shape (..., N, K)
        出力層の値。
    labels : ndarray of int, shape (N,)
        正解のクラス (0 以上 K 未満)。集団の全員が共有します。

    Returns
    -------
    loss : ndarray, shape (...)
        バッチで平均した損失 [nat]。NaN か +∞ の出力をもつ要素は NaN。−∞ の出力は確率 0 です。
    d_logits : ndarray, shape (..., N, K)
        ∂L/∂logits。

    Raises
    ------
    TypeError
        ``logits`` が実数でないとき、``labels`` が整数でないとき。
    ValueError
        ``logits`` のクラス数が 2 より少ないとき、``labels`` の長さや範囲が合わないとき。

    Examples
    --------
    >>> loss, d = softmax_cross_entropy(np.zeros((1, 10)), np.array([3]))
    >>> loss.round(4), d[0, 2:4]
    (np.float64(2.3026), array([ 0.1, -0.9]))
    """
    logits, size = _check_logits(logits)
    classes = logits.shape[-1]
    if classes < 2:
        raise ValueError(
            "logits のクラス数は 2 以上にしてください。出力が 1 つなら、確率がいつも 1 になって"
            "何も学びません。2 クラスを 1 つの出力で分けるには sigmoid_cross_entropy を使います。"
            f"受け取った形: {logits.shape}"
        )
    labels = check_labels("labels", labels, size=size, classes=classes)
    rows = np.arange(size)
    shifted = logits - logits.max(axis=-1, keepdims=True)  # inf − inf は NaN。発散した要素の印
    p = np.exp(shifted)
    # 最大の 1 を除いた和 rest を先に作る。log(1 + rest) と書くと、小さな rest が丸めで消える
    peak = shifted == 0
    rest = np.where(peak, 0, p).sum(axis=-1, keepdims=True)
    rest += peak.sum(axis=-1, keepdims=True, dtype=p.dtype) - 1
    loss = (np.log1p(rest[..., 0]) - shifted[..., rows, labels]).mean(axis=-1)
    p /= 1 + rest
    # 正解での勾配 p − 1 も、ほかのクラスの確率の和から作れば丸めで消えない
    p[..., rows, labels] = 0
    p[..., rows, labels] = -p.sum(axis=-1)
    p /= size
    return loss, p


@np.errstate(over="ignore", invalid="ignore", under="ignore")
def sigmoid_cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array]:
    r"""シグモイド関数と、2 クラスの交差エントロピー誤差 (ロジスティック損失)。

    .. math:: L = \frac1N\sum_{n}\log\left(1 + e^{-s_n y_n}\right), \qquad
              \frac{\partial L}{\partial y_n} = -\frac{s_n}{N}\,\sigma(-s_n y_n), \qquad
              s_n = 2t_n - 1

    クラス 1 の確率を σ(y) とみなします。:math:`-t\log\sigma(y) - (1-t)\log(1-\sigma(y))` を
    1 つの式にまとめた形なので、大きな y でもあふれず、0 に近い損失も丸めで消えません。
    PyTorch の ``BCEWithLogitsLoss`` と同じ値です。

    Parameters
    ----------
    logits : ndarray, shape (..., N, 1)
        出力層の値 y。
    labels : ndarray of int, shape (N,)
        正解のクラス t (0 か 1)。集団の全員が共有します。

    Returns
    -------
    loss : ndarray, shape (...)
        バッチで平均した損失 [nat]。NaN の出力をもつ要素は NaN。
    d_logits : ndarray, shape (..., N, 1)
        ∂L/∂logits。

    Raises
    ------
    TypeError
        ``logits`` が実数でないとき、``labels`` が整数でないとき。
    ValueError
        ``logits`` の形が (..., N, 1) でないとき、``labels`` の長さや範囲が合わないとき。

    Examples
    --------
    >>> loss, d = sigmoid_cross_entropy(np.array([[0.0], [40.0]]), np.array([1, 1]))
    >>> loss.round(4), d.ravel().round(4)
    (np.float64(0.3466), array([-0.25, -0.  ]))
    """
    logits, size = _check_logits(logits)
    if logits.shape[-1] != 1:
        raise ValueError(
            "logits の形は (..., 標本数, 1) でなければなりません。出力が 2 つ以上なら"
            f" softmax_cross_entropy を使います。受け取った形: {logits.shape}"
        )
    labels = check_labels("labels", labels, size=size, classes=2)
    sign = (2 * labels[:, None] - 1).astype(logits.dtype)
    wrong = -sign * logits  # 正なら、誤った側にいる
    loss = softplus(wrong)[..., 0].mean(axis=-1)
    return loss, -sign * sigmoid(wrong) / size


def _check_logits(logits: object) -> tuple[Array, int]:
    """出力層の値と標本数。NaN と inf は、発散した要素の印として通す。"""
    array = signal("logits", logits)
    if array.size == 0:
        raise ValueError(f"logits には空でない配列を渡してください。受け取った形: {array.shape}")
    return array, array.shape[-2]


@np.errstate(over="ignore", invalid="ignore", under="ignore")
def mean_squared_error(y: Array, t: Array) -> tuple[Array, Array]:
    r"""平均二乗誤差。

    .. math:: L = \frac1{2N}\sum_n \lVert y_n - t_n\rVert^2,
              \qquad \frac{\partial L}{\partial y} = \frac{y-t}{N}

    出力の次元では割りません (PyTorch の ``MSELoss`` は要素数で割り、1/2 を付けません)。

    Parameters
    ----------
    y : ndarray, shape (..., N, K)
        出力。
    t : ndarray, shape (N, K)
        目標。

    Returns
    -------
    loss : ndarray, shape (...)
        損失。
    dy : ndarray, shape (..., N, K)
        ∂L/∂y。

    Raises
    ------
    TypeError
        ``y`` か ``t`` が実数でないとき。
    ValueError
        ``y`` と ``t`` の標本数か次元が違うとき。

    Examples
    --------
    >>> mean_squared_error(np.array([[3.0, 0.0]]), np.array([[1.0, 0.0]]))
    (np.float64(2.0), array([[2., 0.]]))
    """
    y, t = signal("y", y), check_real("t", t)
    # t に y にない集団の軸があると、勾配の形が y と合わなくなる
    if y.size == 0 or t.shape not in (y.shape, y.shape[-2:]):
        raise ValueError(
            f"y と t の (標本数, 次元) は同じで空でなく、t に余分な軸がないようにしてください。"
            f"受け取った形: {y.shape} と {t.shape}"
        )
    size = y.shape[-2]
    diff = y - t
    return np.square(diff).sum(axis=(-2, -1)) / (2 * size), diff / size
