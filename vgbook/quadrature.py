r"""正規分布にわたる平均: 平均場の理論が使う数値積分です。

平均場の理論では、あらゆる量が :math:`E[f(\sqrt{q} Z)]`, :math:`Z \sim N(0, 1)` の形になります。
ガウス・エルミート求積は、折れ目のある ReLU や、大きな q で階段のようになる tanh では桁が出ません。
そこで、数直線を小区間に分け、区間ごとにガウス・ルジャンドル求積を使います。区間の端は折れ目に置き、
幅は原点と折れ目に近づくほど 3 分の 1 ずつ狭めます。
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from vgbook.activations import Array

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_OUTER_EDGES = np.array([1.0, 2.5, 4.0, 6.0, 8.0, 10.0])  # P(|Z| > 10) = 1.5e-23
_CLOSEST_TO_ZERO = 1e-170  # 2 乗すれば 0 になる。q = 0 を q → +0 の極限として扱うための尺度


def gaussian_mean(
    f: Callable[[Array], Array], q: ArrayLike = 1.0, *, kinks: Sequence[float] = ()
) -> Array:
    r"""平均 :math:`E[f(\sqrt{q} Z)]`, :math:`Z \sim N(0, 1)` を求めます。

    Parameters
    ----------
    f : callable
        配列を受け取り、同じ形の配列を返す関数。原点と ``kinks`` から離れたところでは、
        なだらかなものに限ります (cos のように振動し続ける関数は q が 100 を超えると桁が出ません)。
    q : array_like, shape (...)
        分散。0 以上 (``inf`` も可)。0 は q → +0 の極限を表します。
    kinks : sequence of float
        ``f`` やその導関数が不連続になる点。

    Returns
    -------
    ndarray, shape (...)
        平均。このパッケージの活性化関数なら :math:`10^{-12} \leq q \leq 10^{12}` で、相対誤差は
        :math:`10^{-12}` 以下です (``f`` の符号が変わるときは :math:`E|f|` に対する比)。

    Raises
    ------
    ValueError
        ``q`` が負のとき。

    Examples
    --------
    >>> gaussian_mean(np.square, [0.25, 4.0])
    array([0.25, 4.  ])
    """
    q = np.asarray(q, dtype=float)
    if np.any(q < 0):
        raise ValueError(f"q には 0 以上の実数を渡してください。受け取った値: {q!r}")
    scale = np.maximum(np.sqrt(q.ravel()), _CLOSEST_TO_ZERO)
    blocks = np.array_split(scale, q.size // 1000 + 1)  # 求積点の配列が大きくなりすぎないように
    return np.concatenate([_mean(f, block, kinks) for block in blocks]).reshape(q.shape)[()]


def _mean(f: Callable[[Array], Array], scale: Array, kinks: Sequence[float]) -> Array:
    centers = np.array([0.0, *(k for k in kinks if k != 0)])
    z, w = _normal_rule(centers / scale[:, np.newaxis] if len(centers) > 1 else centers)
    return np.asarray(np.vecdot(w, f(scale[:, np.newaxis] * z)))


def pair_mean(
    f: Callable[[Array], Array], q: ArrayLike, c: ArrayLike, *, kinks: Sequence[float] = ()
) -> Array:
    r"""分散 q、相関 c の正規変数の組にわたる平均 :math:`E[f(u_1) f(u_2)]` を求めます。

    2 つを共通部分とそれぞれの部分に分け、
    :math:`u_i = \sqrt{q|c|} X + \sqrt{q(1-|c|)} Y_i` と書けば、
    :math:`g(m) = E_Y[f(m + \sqrt{q(1-|c|)} Y)]` を使った 1 重の平均の入れ子になります
    (c < 0 なら :math:`u_2` の X の符号を変えます)。

    Parameters
    ----------
    f : callable
        配列を受け取り、同じ形の配列を返す関数。
    q, c : array_like, shape (...)
        分散 (0 以上) と相関 (-1 以上 1 以下)。有限でなければ結果は NaN です。
    kinks : sequence of float
        ``f`` やその導関数が不連続になる点。

    Returns
    -------
    ndarray, shape (...)
        平均。精度は :func:`gaussian_mean` と同じ程度です。

    Raises
    ------
    ValueError
        ``q`` か ``c`` が範囲の外にあるとき。

    Examples
    --------
    >>> np.round(pair_mean(np.sign, 1.0, [-1.0, 0.0, 0.5], kinks=[0.0]), 12)  # (2/π) asin(c)
    array([-1.        ,  0.        ,  0.33333333])
    """
    if np.any(np.less(q, 0)):
        raise ValueError(f"q には 0 以上の実数を渡してください。受け取った値: {q!r}")
    if np.any(np.abs(c) > 1):
        raise ValueError(f"c には -1 以上 1 以下の実数を渡してください。受け取った値: {c!r}")

    def pair(q: float, c: float) -> float:
        if not np.isfinite(q + c):
            return np.nan
        shared, own = np.sqrt(q * abs(c)), np.sqrt(q * (1 - abs(c)))
        shared, own = np.maximum([shared, own], _CLOSEST_TO_ZERO)
        points = np.array([0.0, *(k for k in kinks if k != 0)])
        # 内側の平均は、折れ目を幅 own にならす
        x, wx = _normal_rule(points / shared, finest=min(1.0, own) / shared)

        def smoothed(m: Array) -> Array:
            y, wy = _normal_rule((points - m[:, np.newaxis]) / own, finest=1 / own)
            return np.asarray(np.vecdot(wy, f(m[:, np.newaxis] + own * y)))

        m = shared * x
        left = smoothed(m)
        return float(np.sum(wx * left * (left if c >= 0 else smoothed(-m))))

    return np.asarray(np.vectorize(pair, otypes=[float])(q, c))[()]


def _normal_rule(centers: Array, finest: float = 1e-9) -> tuple[Array, Array]:
    """標準正規分布の求積点と重み (..., 点)。区間を ``centers`` (..., k) に向けて細かくする。"""
    levels = int(np.clip(np.ceil(-np.log(finest) / np.log(3)), 0, 20)) + 1
    ladder = 3.0 ** -np.arange(levels)
    steps = np.concatenate([-ladder, [0.0], ladder])
    inner = (centers[..., np.newaxis] + steps).reshape(*centers.shape[:-1], -1)
    outer = np.broadcast_to([*-_OUTER_EDGES, *_OUTER_EDGES], (*centers.shape[:-1], 12))
    edges = np.sort(np.clip(np.concatenate([inner, outer], axis=-1), -10, 10), axis=-1)
    half = np.diff(edges)[..., np.newaxis] / 2
    z = edges[..., :-1, np.newaxis] + half * (1 + _NODES)
    w = half * _WEIGHTS * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return z.reshape(*z.shape[:-2], -1), w.reshape(*w.shape[:-2], -1)
