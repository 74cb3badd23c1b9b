r"""正規分布にわたる平均: 平均場の理論が使う数値積分です。

平均場の理論では、あらゆる量が :math:`E[f(\sqrt{q} Z)]`, :math:`Z \sim N(0, 1)` の形になります。
ガウス・エルミート求積は、折れ目のある ReLU や、大きな q で階段のようになる tanh では桁が出ません。
そこで、数直線を小区間に分け、区間ごとにガウス・ルジャンドル求積を使います。区間の端は折れ目に置き、
幅は原点と折れ目に近づくほど 3 分の 1 ずつ狭めます。

小区間の中で急に変わる関数では、これでも桁が出ません。そこで、小区間を 16 等分した求積と比べ、
一致しなければ警告して NaN を返します。
"""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgbook._edge import Array, as_array

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_OUTER_EDGES = np.array([1.0, 2.5, 4.0, 6.0, 8.0, 10.0])
_CUT = 1.5e-23  # P(|Z| > 10)。求積が見ない裾
_CLOSEST_TO_ZERO = 1e-170  # 2 乗すれば 0 になる。q = 0 を q → +0 の極限として扱うための尺度
_PARTS = 16  # 検査の求積では、小区間をさらに等分する
_AGREEMENT = 1e-9  # 検査の求積と一致したとみなす相対誤差


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
    value = _unchecked_mean(f, q, kinks=kinks)
    return _only_where(_converged(f, q, kinks=kinks), value, "f", q)


def _converged(
    f: Callable[[Array], Array], q: ArrayLike = 1.0, *, kinks: Sequence[float] = ()
) -> NDArray[np.bool_]:
    r"""平均 :math:`E[f(\sqrt{q} Z)]` が、小区間を 16 等分した求積と一致するかを調べます。

    q をはさむ 2 つの目盛り (10 のべきの 10 等分) の両方で、:math:`10^{-9} E|f|` まで一致すれば
    真です。:math:`|Z| > 10` の裾は見ないので、:math:`10^{-23}` ほどの差は問いません。
    q が NaN や ``inf`` のときは真とします。幅が :math:`\sqrt{q}` の 1000 分の 1 より狭く、
    ``kinks`` にない山や谷は、見つからないことがあります。

    Returns
    -------
    ndarray of bool, shape (...)

    Examples
    --------
    >>> _converged(np.cos, [1.0, 1e4])  # √q = 100 では、細かく振動する
    array([ True, False])
    """
    return _at_ticks(lambda ticks: _agrees(f, ticks, kinks=kinks), q)


def _agrees(
    f: Callable[[Array], Array], q: ArrayLike, *, kinks: Sequence[float] = ()
) -> NDArray[np.bool_]:
    """q での平均が、小区間を 16 等分した求積と一致するかを調べます。

    Examples
    --------
    >>> _agrees(np.square, [1.0, 4.0])
    array([ True,  True])
    """
    value, size = (_unchecked_mean(g, q, kinks=kinks) for g in (f, lambda u: np.abs(f(u))))
    finer = _unchecked_mean(f, q, kinks=kinks, parts=_PARTS)
    return np.asarray(np.abs(value - finer) <= _AGREEMENT * size + _CUT)


def _at_ticks(test: Callable[[Array], NDArray[np.bool_]], q: ArrayLike) -> NDArray[np.bool_]:
    """q をはさむ 2 つの目盛り (10 のべきの 10 等分) の両方で、``test`` が真かを調べます。

    q ごとに調べるより、q が多いときに速くなります。q が NaN や ``inf`` のときは真とします。

    Examples
    --------
    >>> _at_ticks(lambda q: q > 1.0, [0.9, 1.1, 1.3, np.inf])
    array([False, False,  True,  True])
    """
    q = _variances(q)
    finite = np.isfinite(q)
    level = np.floor(10 * np.log10(np.clip(np.where(finite, q, 1.0), 1e-30, 1e30)))
    ticks, index = np.unique([level, level + 1], return_inverse=True)
    return np.asarray(test(10 ** (ticks / 10))[index].reshape(2, *q.shape).all(axis=0) | ~finite)


def _only_where(good: NDArray[np.bool_], value: Array, name: str, q: ArrayLike) -> Array:
    """``good`` が偽のところを NaN にして返し、警告します。

    Warns
    -----
    RuntimeWarning
        ``good`` に偽があるとき。

    Examples
    --------
    >>> _only_where(np.array([True, True]), np.array([0.25, 4.0]), "f", [0.25, 4.0])
    array([0.25, 4.  ])
    """
    if not np.all(good):
        first = np.broadcast_to(q, np.shape(good))[~good][0]
        warnings.warn(
            f"{name} の平均は、q = {first:.4g} では数値積分の桁が出ないので、NaN を返します。"
            "折れ目や急に変わる点を kinks に書き、導関数が正しいことも確かめてください。",
            RuntimeWarning,
            stacklevel=3,
        )
    return np.where(good, value, np.nan)[()]


def _unchecked_mean(
    f: Callable[[Array], Array],
    q: ArrayLike = 1.0,
    *,
    kinks: Sequence[float] = (),
    parts: int = 1,
) -> Array:
    """`gaussian_mean` の値を、精度を検査せずに返します。方程式を解く反復で使います。

    ``parts`` は、小区間をさらに等分する数です。

    Examples
    --------
    >>> _unchecked_mean(np.square, 4.0).round(12)
    np.float64(4.0)
    """
    q = _variances(q)
    scale = np.maximum(np.sqrt(q.ravel()), _CLOSEST_TO_ZERO)
    blocks = np.array_split(scale, q.size * parts // 1000 + 1)  # 求積点の配列を小さく保つ
    with np.errstate(over="ignore", under="ignore"):  # 大きすぎる平均は inf
        means = [_mean(f, block, kinks, parts) for block in blocks]
    value = np.concatenate(means).reshape(q.shape)
    return np.where(np.isnan(q), np.nan, value)[()]  # NaN を 0 に変える f もある


def _variances(q: ArrayLike) -> Array:
    """``q`` が 0 以上の実数 (``inf`` と NaN も可) の配列であることを確かめて返します。

    Raises
    ------
    ValueError
        ``q`` が 0 以上の実数でないとき。

    Examples
    --------
    >>> _variances([1, 4])
    array([1., 4.])
    """
    array = as_array("q", q)
    if array.dtype.kind not in "iuf" or np.any(array < 0):
        raise ValueError(f"q には 0 以上の実数を渡してください。受け取った値: {q!r}")
    return array.astype(float)


def _mean(f: Callable[[Array], Array], scale: Array, kinks: Sequence[float], parts: int) -> Array:
    centers = np.array([0.0, *(k for k in kinks if k != 0)])
    z, w = _normal_rule(
        centers / scale[:, np.newaxis] if len(centers) > 1 else centers, parts=parts
    )
    with np.errstate(invalid="ignore"):
        points = scale[:, np.newaxis] * z  # 重み 0 の点 z = 0 では、∞·0 になることがある
    values = f(points)
    if np.isinf(scale).any():
        values = np.where(w > 0, values, 0.0)  # 幅 0 の区間の重み 0 と、f = ∞ の積を作らない
    with np.errstate(invalid="ignore"):  # ∞ − ∞ は NaN
        return np.asarray(np.vecdot(w, values))


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
    ValueError
        ``q`` か ``c`` が範囲の外にあるか、2 つの形がそろわないとき。

    Examples
    --------
    >>> np.round(pair_mean(np.sign, 1.0, [-1.0, 0.0, 0.5], kinks=[0.0]), 12)  # (2/π) asin(c)
    array([-1.        ,  0.        ,  0.33333333])
    """
    q, correlation = _variances(q), as_array("c", c)
    if correlation.dtype.kind not in "iuf" or np.any(np.abs(correlation) > 1):
        raise ValueError(f"c には -1 以上 1 以下の実数を渡してください。受け取った値: {c!r}")
    _broadcast_shape(q=q, c=correlation)

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

    return np.asarray(np.vectorize(pair, otypes=[float])(q, correlation))[()]


def _broadcast_shape(**arrays: Array) -> tuple[int, ...]:
    """名前を付けて渡した配列を互いにそろえた (broadcast した) 形を返します。

    Raises
    ------
    ValueError
        形がそろわないとき。

    Examples
    --------
    >>> _broadcast_shape(q=np.ones((2, 1)), c=np.ones(3))
    (2, 3)
    """
    shapes = [np.shape(array) for array in arrays.values()]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(
            f"{' と '.join(arrays)} には互いにそろう (broadcast できる) 形の配列を渡してください。"
            f"受け取った形: {', '.join(map(str, shapes))}"
        ) from None


def _normal_rule(centers: Array, finest: float = 1e-9, parts: int = 1) -> tuple[Array, Array]:
    """標準正規分布の求積点と重み (..., 点)。区間を ``centers`` (..., k) に向けて細かくする。"""
    levels = int(np.clip(np.ceil(-np.log(finest) / np.log(3)), 0, 20)) + 1
    ladder = 3.0 ** -np.arange(levels)
    steps = np.concatenate([-ladder, [0.0], ladder])
    inner = (centers[..., np.newaxis] + steps).reshape(*centers.shape[:-1], -1)
    outer = np.broadcast_to([*-_OUTER_EDGES, *_OUTER_EDGES], (*centers.shape[:-1], 12))
    edges = np.sort(np.clip(np.concatenate([inner, outer], axis=-1), -10, 10), axis=-1)
    half = np.diff(edges)[..., np.newaxis] / (2 * parts)
    offsets = (2 * np.arange(parts)[:, np.newaxis] + 1 + _NODES).ravel()
    z = edges[..., :-1, np.newaxis] + half * offsets
    w = half * np.tile(_WEIGHTS, parts) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return z.reshape(*z.shape[:-2], -1), w.reshape(*w.shape[:-2], -1)
