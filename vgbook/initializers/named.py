"""名前のある初期値: 一定値、正規分布、Xavier、He、直交行列。"""

import math

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, Shape, as_real, check_numbers
from vgbook.initializers.initializer import Initializer
from vgbook.initializers.noise import fan_average, fan_in, gaussian, haar, one, ones, uniform


def _scale(name: str, value: ArrayLike) -> Array | float:
    """標準偏差の倍率として使える値 (0 以上) かを確かめる。"""
    return check_numbers(name, value, least=0)


def constant(value: ArrayLike, copies: Shape = ()) -> Initializer:
    """すべての重みを同じ値にする。

    ``value=0`` が「ゼロ初期化」です。対称性が破れないことを見るために使います。

    Parameters
    ----------
    value : array_like, shape (...)
        重みの値。
    copies : tuple of int
        先頭に加える軸。

    Returns
    -------
    Initializer

    Raises
    ------
    TypeError
        ``copies`` がタプルでもリストでもないとき。
    ValueError
        ``value`` が有限の実数でないとき、``copies`` の要素が正の整数でないとき。

    Examples
    --------
    >>> constant(0.5)(2, 3, rng=np.random.default_rng(0))
    array([[0.5, 0.5, 0.5],
           [0.5, 0.5, 0.5]])
    """
    return Initializer("constant", ones, one, check_numbers("value", value), copies)


def normal(std: ArrayLike, copies: Shape = ()) -> Initializer:
    """層の幅によらない標準偏差 ``std`` の正規分布。

    Parameters
    ----------
    std : array_like, shape (...)
        標準偏差 (0 以上)。分散ではありません。
    copies : tuple of int
        先頭に加える軸。

    Returns
    -------
    Initializer

    Raises
    ------
    TypeError
        ``copies`` がタプルでもリストでもないとき。
    ValueError
        ``std`` が 0 以上の有限な実数でないとき、``copies`` の要素が正の整数でないとき。

    Examples
    --------
    >>> normal(0.01)(1000, 1000, rng=np.random.default_rng(0)).std().round(4)
    np.float64(0.01)
    """
    return Initializer("normal", gaussian, one, _scale("std", std), copies)


def xavier(gain: ArrayLike = 1.0, copies: Shape = ()) -> Initializer:
    r"""Xavier の初期値 (前の層のユニットの数だけを見る簡略形)。

    .. math:: W_{ij} \sim \mathcal N\!\left(0,\ \frac{\mathrm{gain}^2}{n_\mathrm{in}}\right)

    標準正規乱数を :math:`\sqrt{n_\mathrm{in}}` で割った値です。LeCun の初期値
    (LeCun et al., 1998, Efficient BackProp, 式 16) と同じ式なので、`lecun` は別名です。

    Parameters
    ----------
    gain : array_like, shape (...)
        標準偏差に掛ける数 (0 以上)。
    copies : tuple of int
        先頭に加える軸。

    Returns
    -------
    Initializer

    Raises
    ------
    TypeError
        ``copies`` がタプルでもリストでもないとき。
    ValueError
        ``gain`` が 0 以上の有限な実数でないとき、``copies`` の要素が正の整数でないとき。

    See Also
    --------
    glorot : 論文の形 2/(n_in + n_out)。

    Examples
    --------
    >>> xavier()(100, 100, rng=np.random.default_rng(0)).std().round(3)
    np.float64(0.1)
    """
    return Initializer("xavier", gaussian, fan_in, _scale("gain", gain), copies)


lecun = xavier


def glorot(gain: ArrayLike = 1.0, copies: Shape = ()) -> Initializer:
    r"""Glorot の初期値 (Xavier の初期値の、論文の形) の正規分布版。

    .. math:: \mathrm{Var}[W_{ij}] = \mathrm{gain}^2\,\frac{2}{n_\mathrm{in}+n_\mathrm{out}}

    出典: Glorot and Bengio (2010), 式 12。順伝播の条件と逆伝播の条件の妥協です。

    Parameters
    ----------
    gain : array_like, shape (...)
        標準偏差に掛ける数 (0 以上)。
    copies : tuple of int
        先頭に加える軸。

    Returns
    -------
    Initializer

    Raises
    ------
    TypeError
        ``copies`` がタプルでもリストでもないとき。
    ValueError
        ``gain`` が 0 以上の有限な実数でないとき、``copies`` の要素が正の整数でないとき。

    Examples
    --------
    >>> glorot()(784, 100, rng=np.random.default_rng(0)).std().round(4)
    np.float64(0.0476)
    """
    return Initializer("glorot", gaussian, fan_average, _scale("gain", gain), copies)


def glorot_uniform(gain: ArrayLike = 1.0, copies: Shape = ()) -> Initializer:
    r"""Glorot の初期値の一様分布版。

    .. math:: W_{ij} \sim U\!\left[-a, a\right],\quad
              a = \mathrm{gain}\,\frac{\sqrt 6}{\sqrt{n_\mathrm{in}+n_\mathrm{out}}}

    分散は `glorot` と同じです。出典: Glorot and Bengio (2010), 式 16。

    Parameters
    ----------
    gain : array_like, shape (...)
        標準偏差に掛ける数 (0 以上)。
    copies : tuple of int
        先頭に加える軸。

    Returns
    -------
    Initializer

    Raises
    ------
    TypeError
        ``copies`` がタプルでもリストでもないとき。
    ValueError
        ``gain`` が 0 以上の有限な実数でないとき、``copies`` の要素が正の整数でないとき。

    Examples
    --------
    >>> W = glorot_uniform()(784, 100, rng=np.random.default_rng(0))
    >>> bool(abs(W).max() <= np.sqrt(6 / 884))
    True
    """
    return Initializer("glorot_uniform", uniform, fan_average, _scale("gain", gain), copies)


def he(*, slope: float = 0.0, gain: ArrayLike = 1.0, copies: Shape = ()) -> Initializer:
    r"""He の初期値。

    .. math:: W_{ij} \sim \mathcal N\!\left(0,\
              \frac{2\,\mathrm{gain}^2}{(1+\mathrm{slope}^2)\,n_\mathrm{in}}\right)

    ReLU は対称な入力の二乗平均を半分にするので、2 倍して補います。``slope`` は
    Leaky ReLU の負側の傾きです。``xavier(2.0)`` の 2 は ``gain`` なので、取り違えないように、引数は
    どれも名前を付けて渡します。出典: He et al. (2015), 式 10 と式 15。

    Parameters
    ----------
    slope : float
        Leaky ReLU の負側の傾き。ReLU なら 0。
    gain : array_like, shape (...)
        標準偏差に掛ける数 (0 以上)。
    copies : tuple of int
        先頭に加える軸。

    Returns
    -------
    Initializer

    Raises
    ------
    TypeError
        ``copies`` がタプルでもリストでもないとき。
    ValueError
        ``slope`` が有限の実数でないとき、``gain`` が 0 以上の有限な実数でないとき、``copies`` の
        要素が正の整数でないとき。

    Examples
    --------
    >>> he()(200, 100, rng=np.random.default_rng(0)).std().round(2)
    np.float64(0.1)
    """
    if math.isnan(as_real(slope)):
        raise ValueError(f"slope には有限の実数を渡してください。受け取った値: {slope!r}")
    with np.errstate(over="ignore"):  # あふれた gain は、Initializer が断る
        scale = math.sqrt(2.0) / math.hypot(1.0, slope) * _scale("gain", gain)
    return Initializer("he", gaussian, fan_in, scale, copies)


def orthogonal(gain: ArrayLike = 1.0, copies: Shape = ()) -> Initializer:
    r"""直交行列の初期値。

    正方行列なら :math:`W^\top W = \mathrm{gain}^2 I` で、特異値がすべて ``gain`` にそろいます。
    長方形なら短い側の方向だけが直交します。出典: Saxe et al. (2014), 3 節。

    Parameters
    ----------
    gain : array_like, shape (...)
        特異値 (0 以上)。
    copies : tuple of int
        先頭に加える軸。

    Returns
    -------
    Initializer

    Raises
    ------
    TypeError
        ``copies`` がタプルでもリストでもないとき。
    ValueError
        ``gain`` が 0 以上の有限な実数でないとき、``copies`` の要素が正の整数でないとき。

    Examples
    --------
    >>> W = orthogonal(2.0)(4, 4, rng=np.random.default_rng(0))
    >>> np.linalg.svd(W, compute_uv=False).round(6)
    array([2., 2., 2., 2.])
    """
    return Initializer("orthogonal", haar, one, _scale("gain", gain), copies)
