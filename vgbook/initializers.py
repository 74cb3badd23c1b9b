"""重みの初期値。

初期値を「標準偏差 1 の行列 × 標準偏差」と書きます。違いは行列の引き方と標準偏差の決め方なので、
1 つの値 `Initializer` に、引き方 `draw` と標準偏差の式 `std` を並べて持たせます。
ネットワークの集団 (アンサンブル) の軸は、ここで重みに付きます。
`gain` に配列を渡すか `copies` を指定すると、重みの先頭に軸が増えます。
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import (
    Array,
    Shape,
    as_real,
    came,
    check_callable,
    check_count,
    check_numbers,
    check_rng,
    check_shape,
    check_slice,
    check_text,
)


# 標準偏差の式: どの式も (n_in, n_out) → 標準偏差
def _one(n_in: int, n_out: int) -> float:
    return 1.0


def _fan_in(n_in: int, n_out: int) -> float:
    return 1.0 / math.sqrt(n_in)


def _fan_average(n_in: int, n_out: int) -> float:
    return math.sqrt(2.0 / (n_in + n_out))


# 乱数の引き方: どれも平均 0・分散 1 の要素をもつ行列 (直交行列だけは QᵀQ = 1)
def _ones(rng: np.random.Generator, shape: Shape) -> Array:
    return np.ones(shape)


def _gaussian(rng: np.random.Generator, shape: Shape) -> Array:
    return rng.standard_normal(shape)


def _uniform(rng: np.random.Generator, shape: Shape) -> Array:
    return rng.uniform(-math.sqrt(3.0), math.sqrt(3.0), shape)


def _haar(rng: np.random.Generator, shape: Shape) -> Array:
    n_in, n_out = shape[-2:]
    tall = rng.standard_normal((*shape[:-2], max(n_in, n_out), min(n_in, n_out)))
    q, r = np.linalg.qr(tall)
    # QR 分解の符号の任意性を消さないと、Q は直交群の上で一様にならない
    q *= np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
    haar: Array = q if n_in >= n_out else q.mT
    return haar


@dataclass(frozen=True, repr=False)
class Initializer:
    """重みの初期値の決め方を表す値。

    Parameters
    ----------
    name : str
        図や表に出す名前。
    draw : callable
        ``(rng, shape)`` から標準偏差 1 の行列を作る関数。
    std : callable
        ``(n_in, n_out)`` から標準偏差を返す関数。
    gain : array_like
        標準偏差に掛ける数。配列なら、その形が重みの先頭の軸になります。
    copies : tuple of int
        同じ ``gain`` で引く組の数。どの ``gain`` にも同じ乱数を使います。

    Raises
    ------
    TypeError
        ``name`` が文字列でないとき、``draw`` か ``std`` が関数でないとき、``copies`` がタプルで
        ないとき。
    ValueError
        ``gain`` が有限な実数でないとき、``copies`` の要素が正の整数でないとき。

    See Also
    --------
    normal, xavier, glorot, he, orthogonal

    Examples
    --------
    >>> init = normal([1.0, 0.01], copies=(3,))
    >>> W = init(100, 50, rng=np.random.default_rng(0))
    >>> W.shape
    (2, 3, 100, 50)
    >>> bool(np.allclose(W[1], 0.01 * W[0]))
    True
    """

    name: str
    draw: Callable[[np.random.Generator, Shape], Array]
    std: Callable[[int, int], Any]
    gain: Any = 1.0
    copies: Shape = ()

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_callable("draw", self.draw)
        check_callable("std", self.std)
        check_numbers("gain", self.gain)
        check_shape("copies", self.copies)

    def __repr__(self) -> str:
        copies = f", copies={self.copies}" if self.copies else ""
        return f"Initializer({self.name!r}, gain={self.gain!r}{copies})"

    def __call__(self, n_in: int, n_out: int, *, rng: np.random.Generator) -> Array:
        """重み W を引く。

        Parameters
        ----------
        n_in, n_out : int
            前の層と次の層のユニットの数 (1 以上)。
        rng : numpy.random.Generator
            乱数生成器。

        Returns
        -------
        ndarray, shape (*gain.shape, *copies, n_in, n_out)

        Raises
        ------
        ValueError
            ``n_in`` か ``n_out`` が正の整数でないとき、重みが大きすぎて表せないとき。
        TypeError
            ``rng`` が Generator でないとき。

        Examples
        --------
        >>> he()(100, 100, rng=np.random.default_rng(0)).std().round(3)
        np.float64(0.141)
        """
        check_count("n_in", n_in)
        check_count("n_out", n_out)
        check_rng(rng)
        scale = self._scale(n_in, n_out)
        noise = self.draw(rng, (*self.copies, n_in, n_out))
        with np.errstate(over="ignore"):
            W: Array = scale.reshape(*scale.shape, *(1,) * noise.ndim) * noise
        if not np.isfinite(W).all():
            raise ValueError(
                "重みが有限な数になりません。gain か std を小さくしてください。"
                f"受け取った標準偏差の最大値: {np.max(scale):.3g}"
            )
        return W

    def _scale(self, n_in: int, n_out: int) -> Array:
        return np.asarray(self.gain * self.std(n_in, n_out))

    @property
    def ensemble(self) -> Shape:
        """集団の軸の形 ``(*gain.shape, *copies)``。"""
        return (*self._scale(1, 1).shape, *self.copies)

    def members(self, part: slice) -> "Initializer":
        """``gain`` の先頭の軸から一部を取り出す。同じ乱数列を渡せば、同じ重みになる。

        Parameters
        ----------
        part : slice
            取り出す範囲。``gain`` が 1 つの数なら、何も取り除きません。

        Returns
        -------
        Initializer

        Raises
        ------
        TypeError
            ``part`` が slice でないとき。

        Examples
        --------
        >>> init = normal([1.0, 0.1, 0.01])
        >>> rest = init.members(slice(1, None))
        >>> rest.ensemble
        (2,)
        >>> W, W_rest = (i(3, 2, rng=np.random.default_rng(0)) for i in (init, rest))
        >>> bool(np.all(W[1:] == W_rest))
        True
        """
        check_slice("part", part)
        if self._scale(1, 1).ndim == 0:
            return self
        return replace(self, std=partial(_std_of_part, self, part), gain=1.0)


def _std_of_part(init: Initializer, part: slice, n_in: int, n_out: int) -> Array:
    return init._scale(n_in, n_out)[part]


def check_init(name: str, value: object) -> None:
    """``value`` が Initializer か、層ごとに使い分ける Initializer の列であることを確かめる。"""
    inits = value if isinstance(value, list | tuple) else [value]
    if not inits or not all(isinstance(init, Initializer) for init in inits):
        raise TypeError(
            f"{name} には Initializer (he() など) か、その列を渡してください。"
            f"{came(value, Initializer)}"
        )


def _spread(name: str, value: ArrayLike) -> Array | float:
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
        ``copies`` が正の整数のタプルでないとき。
    ValueError
        ``value`` が有限の実数でないとき。

    Examples
    --------
    >>> constant(0.5)(2, 3, rng=np.random.default_rng(0))
    array([[0.5, 0.5, 0.5],
           [0.5, 0.5, 0.5]])
    """
    return Initializer("constant", _ones, _one, check_numbers("value", value), copies)


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
        ``copies`` が正の整数のタプルでないとき。
    ValueError
        ``std`` が負か NaN のとき。

    Examples
    --------
    >>> normal(0.01)(1000, 1000, rng=np.random.default_rng(0)).std().round(4)
    np.float64(0.01)
    """
    return Initializer("normal", _gaussian, _one, _spread("std", std), copies)


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
        ``copies`` が正の整数のタプルでないとき。
    ValueError
        ``gain`` が負か NaN のとき。

    See Also
    --------
    glorot : 論文の形 2/(n_in + n_out)。

    Examples
    --------
    >>> xavier()(100, 100, rng=np.random.default_rng(0)).std().round(3)
    np.float64(0.1)
    """
    return Initializer("xavier", _gaussian, _fan_in, _spread("gain", gain), copies)


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
        ``copies`` が正の整数のタプルでないとき。
    ValueError
        ``gain`` が負か NaN のとき。

    Examples
    --------
    >>> glorot()(784, 100, rng=np.random.default_rng(0)).std().round(4)
    np.float64(0.0476)
    """
    return Initializer("glorot", _gaussian, _fan_average, _spread("gain", gain), copies)


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
        ``copies`` が正の整数のタプルでないとき。
    ValueError
        ``gain`` が負か NaN のとき。

    Examples
    --------
    >>> W = glorot_uniform()(784, 100, rng=np.random.default_rng(0))
    >>> bool(abs(W).max() <= np.sqrt(6 / 884))
    True
    """
    return Initializer("glorot_uniform", _uniform, _fan_average, _spread("gain", gain), copies)


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
        ``copies`` が正の整数のタプルでないとき。
    ValueError
        ``slope`` が有限の実数でないとき、``gain`` が負か NaN のとき。

    Examples
    --------
    >>> he()(200, 100, rng=np.random.default_rng(0)).std().round(2)
    np.float64(0.1)
    """
    if math.isnan(as_real(slope)):
        raise ValueError(f"slope には有限の実数を渡してください。受け取った値: {slope!r}")
    with np.errstate(over="ignore"):  # あふれた gain は、Initializer が断る
        scale = math.sqrt(2.0) / math.hypot(1.0, slope) * _spread("gain", gain)
    return Initializer("he", _gaussian, _fan_in, scale, copies)


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
        ``copies`` が正の整数のタプルでないとき。
    ValueError
        ``gain`` が負か NaN のとき。

    Examples
    --------
    >>> W = orthogonal(2.0)(4, 4, rng=np.random.default_rng(0))
    >>> np.linalg.svd(W, compute_uv=False).round(6)
    array([2., 2., 2., 2.])
    """
    return Initializer("orthogonal", _haar, _one, _spread("gain", gain), copies)


def stack(*inits: Initializer, copies: Shape = ()) -> Initializer:
    """いくつかの初期値を、集団の軸に並べて 1 つにする。

    どの初期値にも同じ乱数を使うので、違いは標準偏差だけになります。

    Parameters
    ----------
    *inits : Initializer
        並べる初期値 (``gain`` は 1 つの数)。引き方 ``draw`` はすべて同じにします。
    copies : tuple of int
        さらに加える軸。

    Returns
    -------
    Initializer

    Raises
    ------
    TypeError
        ``inits`` が Initializer でないとき、``copies`` が正の整数のタプルでないとき。
    ValueError
        ``inits`` が空のとき、乱数の引き方が違うとき、すでに集団の軸をもつとき。

    Examples
    --------
    >>> W = stack(normal(0.01), xavier(), he())(100, 50, rng=np.random.default_rng(0))
    >>> W.shape, W.std(axis=(1, 2)).round(2)
    ((3, 100, 50), array([0.01, 0.1 , 0.14]))
    """
    if not all(isinstance(init, Initializer) for init in inits):
        raise TypeError(
            f"inits には Initializer (he() など) を渡してください。受け取った値: {inits!r}"
        )
    if not inits or any(init.draw is not inits[0].draw for init in inits):
        raise ValueError(
            "inits には、乱数の引き方が同じ初期値を 1 つ以上渡してください。"
            f"受け取った初期値: {[init.name for init in inits]}"
        )
    if any(init.copies or np.ndim(init.gain) for init in inits):
        raise ValueError(
            "inits の初期値は gain を 1 つの数にし、copies は空にしてください。受け取った形: "
            f"{[(np.shape(init.gain), init.copies) for init in inits]}"
        )
    names = ", ".join(init.name for init in inits)
    return Initializer(f"stack({names})", inits[0].draw, partial(_each_std, inits), 1.0, copies)


def _each_std(inits: tuple[Initializer, ...], n_in: int, n_out: int) -> Array:
    return np.array([init.gain * init.std(n_in, n_out) for init in inits])
