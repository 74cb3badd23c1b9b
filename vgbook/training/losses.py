"""損失関数: 損失と、出力での勾配を一度に返す。

逆伝播の出発点になる ∂L/∂y を、損失と同じ場所で計算します。割るのはバッチの大きさだけです。
集団の要素ごとに 1 つの損失が残ります。
"""

import numpy as np

from vgbook._edge import Array, as_array, as_float, check_labels


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
        ``labels`` が整数でないとき。
    ValueError
        ``labels`` の長さや範囲が ``logits`` と合わないとき。

    Examples
    --------
    >>> loss, d = softmax_cross_entropy(np.zeros((1, 10)), np.array([3]))
    >>> loss.round(4), d[0, 2:4]
    (np.float64(2.3026), array([ 0.1, -0.9]))
    """
    logits = as_array("logits", logits)
    size, classes = logits.shape[-2:] if logits.ndim >= 2 else (0, 0)
    if size == 0 or classes == 0 or logits.dtype.kind not in "iuf":
        raise ValueError(
            f"logits には空でない (..., 標本数, クラス数) の実数の配列を渡してください。"
            f"受け取った形と dtype: {logits.shape}, {logits.dtype}"
        )
    logits = as_float(logits)
    labels = check_labels("labels", labels, size=size, classes=classes)
    rows = np.arange(size)
    with np.errstate(invalid="ignore"):  # inf − inf は NaN。発散した要素の印として残す
        shifted = logits - logits.max(axis=-1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=-1, keepdims=True)
    loss = (np.log(total[..., 0]) - shifted[..., rows, labels]).mean(axis=-1)
    p /= total
    p[..., rows, labels] -= 1
    p /= size
    return loss, p


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
    ValueError
        ``y`` と ``t`` の標本数か次元が違うとき。

    Examples
    --------
    >>> mean_squared_error(np.array([[3.0, 0.0]]), np.array([[1.0, 0.0]]))
    (np.float64(2.0), array([[2., 0.]]))
    """
    y, t = as_array("y", y), as_array("t", t)
    # t に y にない集団の軸があると、勾配の形が y と合わなくなる
    if y.ndim < 2 or y.size == 0 or t.shape not in (y.shape, y.shape[-2:]):
        raise ValueError(
            f"y と t の (標本数, 次元) は同じで空でなく、t に余分な軸がないようにしてください。"
            f"受け取った形: {y.shape} と {t.shape}"
        )
    if y.dtype.kind not in "iuf" or t.dtype.kind not in "iuf":
        raise TypeError(
            f"y と t には実数の配列を渡してください。受け取った dtype: {y.dtype} と {t.dtype}"
        )
    diff = as_float(y) - as_float(t)
    size = y.shape[-2]
    return np.square(diff).sum(axis=(-2, -1)) / (2 * size), diff / size
