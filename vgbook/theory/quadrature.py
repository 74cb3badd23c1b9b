r"""正規分布にわたる平均: 平均場の理論が使う数値積分です。

平均場の理論では、あらゆる量が :math:`E[f(\sqrt{q} Z)]`, :math:`Z \sim N(0, 1)` の形になります。
点と重みは `rule` に、精度の検査は `trust` にあります。
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, as_array, check_callable, check_kinks, elementwise
from vgbook.theory.rule import CLOSEST_TO_ZERO, broadcast_shape, normal_rule, raw_mean, variances
from vgbook.theory.trust import converged, only_where


def gaussian_mean(
    f: Callable[[Array], Array], q: ArrayLike = 1.0, *, kinks: Sequence[float] = ()
) -> Array:
    r"""平均 :math:`E[f(\sqrt{q} Z)]`, :math:`Z \sim N(0, 1)` を求めます。

    Parameters
    ----------
    f : callable
        配列を受け取り、同じ形の配列を返す関数。
    q : array_like, shape (...)
        分散。0 以上 (``inf`` も可)。0 は q → +0 の極限を表します。
    kinks : sequence of float
        ``f`` やその導関数が不連続になる点や、急に変わる点。

    Returns
    -------
    ndarray, shape (...)
        平均。このパッケージの活性化関数なら :math:`10^{-12} \leq q \leq 10^{12}` で、相対誤差は
        :math:`10^{-12}` 以下です (``f`` の符号が変わるときは :math:`E|f|` に対する比)。
        小区間を 16 等分した求積と :math:`10^{-9} E|f|` まで一致しない q では NaN です。
        ``kinks`` になく、幅が :math:`\sqrt{q}` の 1000 分の 1 より狭い山や谷は、
        見つからないことがあります。

    Raises
    ------
    TypeError
        ``f`` が関数でないとき、``kinks`` が有限な実数の列でないとき。
    ValueError
        ``q`` が 0 以上の実数でないとき。

    Warns
    -----
    RuntimeWarning
        求まらない q があるとき。

    Examples
    --------
    >>> gaussian_mean(np.square, [0.25, 4.0])
    array([0.25, 4.  ])
    """
    check_callable("f", f)
    check_kinks(kinks)
    value = raw_mean(f, q, kinks=kinks)
    return only_where(converged(f, q, kinks=kinks), value, "f", q)


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
        平均。:func:`gaussian_mean` が求まる ``f`` なら、精度は同じ程度です。
        この関数自身は検査をしません。

    Raises
    ------
    TypeError
        ``f`` が関数でないとき、``kinks`` が有限な実数の列でないとき。
    ValueError
        ``q`` か ``c`` が範囲の外にあるか、2 つの形がそろわないとき。

    Examples
    --------
    >>> np.round(pair_mean(np.sign, 1.0, [-1.0, 0.0, 0.5], kinks=[0.0]), 12)  # (2/π) asin(c)
    array([-1.        ,  0.        ,  0.33333333])
    """
    check_callable("f", f)
    check_kinks(kinks)
    q, correlation = variances(q), as_array("c", c)
    if correlation.dtype.kind not in "iuf" or np.any(np.abs(correlation) > 1):
        raise ValueError(f"c には -1 以上 1 以下の実数を渡してください。受け取った値: {c!r}")
    broadcast_shape(q=q, c=correlation)

    def pair(q: float, c: float) -> float:
        if not np.isfinite(q + c):
            return np.nan
        shared, own = np.sqrt(q * abs(c)), np.sqrt(q * (1 - abs(c)))
        shared, own = np.maximum([shared, own], CLOSEST_TO_ZERO)
        points = np.array([0.0, *(k for k in kinks if k != 0)])
        # 内側の平均は、折れ目を幅 own にならす
        x, wx = normal_rule(points / shared, finest=min(1.0, own) / shared)

        def smoothed(m: Array) -> Array:
            y, wy = normal_rule((points - m[:, np.newaxis]) / own, finest=1 / own)
            return np.asarray(np.vecdot(wy, elementwise("f", f, m[:, np.newaxis] + own * y)))

        m = shared * x
        left = smoothed(m)
        return float(np.sum(wx * left * (left if c >= 0 else smoothed(-m))))

    return np.asarray(np.vectorize(pair, otypes=[float])(q, correlation))[()]
