r"""求積の点と重み、そして検査をしない平均です。

ガウス・エルミート求積は、折れ目のある ReLU や、大きな q で階段のようになる tanh では、必要な
精度で求まりません。そこで、数直線を小区間に分け、区間ごとにガウス・ルジャンドル求積を使います。
区間の端は折れ目に置き、幅は原点と折れ目に近づくほど 3 分の 1 ずつ狭めます。
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, as_array, elementwise
from vgbook.activations import Activation

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_OUTER_EDGES = np.array([1.0, 2.5, 4.0, 6.0, 8.0, 10.0])
CLOSEST_TO_ZERO = 1e-170  # 2 乗すれば 0 になる。q = 0 を q → +0 の極限として扱うための尺度


def raw_mean(
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
    >>> raw_mean(np.square, 4.0).round(12)
    np.float64(4.0)
    """
    q = variances(q)
    scale = np.maximum(np.sqrt(q.ravel()), CLOSEST_TO_ZERO)
    blocks = np.array_split(scale, q.size * parts // 1000 + 1)  # 求積点の配列を小さく保つ
    with np.errstate(over="ignore", under="ignore"):  # 大きすぎる平均は inf
        means = [_mean(f, block, kinks, parts) for block in blocks]
    value = np.concatenate(means).reshape(q.shape)
    return np.where(np.isnan(q), np.nan, value)[()]  # NaN を 0 に変える f もある


def variances(q: ArrayLike) -> Array:
    """``q`` が 0 以上の実数 (``inf`` と NaN も可) の配列であることを確かめて返します。

    Raises
    ------
    ValueError
        ``q`` が 0 以上の実数でないとき。

    Examples
    --------
    >>> variances([1, 4])
    array([1., 4.])
    """
    array = as_array("q", q)
    if array.dtype.kind not in "iuf" or np.any(array < 0):
        raise ValueError(f"q には 0 以上の実数を渡してください。受け取った値: {q!r}")
    return array.astype(float)


def _mean(f: Callable[[Array], Array], scale: Array, kinks: Sequence[float], parts: int) -> Array:
    centers = np.array([0.0, *(k for k in kinks if k != 0)])
    z, w = normal_rule(centers / scale[:, np.newaxis] if len(centers) > 1 else centers, parts=parts)
    with np.errstate(invalid="ignore"):
        points = scale[:, np.newaxis] * z  # 重み 0 の点 z = 0 では、∞·0 になることがある
    values = elementwise("f", f, points)
    if np.isinf(scale).any():
        values = np.where(w > 0, values, 0.0)  # 幅 0 の区間の重み 0 と、f = ∞ の積を作らない
    with np.errstate(invalid="ignore"):  # ∞ − ∞ は NaN
        return np.asarray(np.vecdot(w, values))


def broadcast_shape(**arrays: Array) -> tuple[int, ...]:
    """名前を付けて渡した配列を互いにそろえた (broadcast した) 形を返します。

    Raises
    ------
    ValueError
        形がそろわないとき。

    Examples
    --------
    >>> broadcast_shape(q=np.ones((2, 1)), c=np.ones(3))
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


def normal_rule(centers: Array, finest: float = 1e-9, parts: int = 1) -> tuple[Array, Array]:
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


def raw_mean_square(activation: Activation, q: ArrayLike) -> Array:
    """E φ(u)², u ~ N(0, q) を、精度を検査せずに返します。

    Examples
    --------
    >>> from vgbook import relu
    >>> raw_mean_square(relu, [1.0, 4.0]).round(9)
    array([0.5, 2. ])
    """
    return raw_mean(lambda u: activation(u) ** 2, q, kinks=activation.kinks)


def raw_slope_square(activation: Activation, q: ArrayLike) -> Array:
    """E φ′(u)², u ~ N(0, q) を、精度を検査せずに返します。

    Examples
    --------
    >>> from vgbook import relu
    >>> raw_slope_square(relu, [1.0, 4.0]).round(9)
    array([0.5, 0.5])
    """
    return raw_mean(lambda u: activation.derivative(u) ** 2, q, kinks=activation.kinks)
