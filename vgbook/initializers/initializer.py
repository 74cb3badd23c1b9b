"""初期値: 引き方と標準偏差の組。ネットワークの集団の軸は、ここで重みに付きます。"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from vgbook._edge import (
    Array,
    Shape,
    came,
    check_callable,
    check_count,
    check_numbers,
    check_rng,
    check_shape,
    check_slice,
    check_text,
)


@dataclass(frozen=True, repr=False, eq=False)
class Initializer:
    """重みの初期値の決め方を表す値。

    Parameters
    ----------
    name : str
        図や表に出す名前。
    draw : callable
        ``(rng, shape)`` から、標準偏差を掛ける前の行列を作る関数。
    std : callable
        ``(n_in, n_out)`` から標準偏差を返す関数。
    gain : array_like
        標準偏差に掛ける数。配列なら、その形が重みの先頭の軸になります。
    copies : tuple of int
        同じ ``gain`` で引く組の数。どの ``gain`` にも同じ乱数を使います。

    Raises
    ------
    TypeError
        ``name`` が文字列でないとき、``draw`` か ``std`` が関数でないとき、``copies`` が
        タプルでもリストでもないとき。
    ValueError
        ``gain`` が有限な実数でないとき、``copies`` の要素が正の整数でないとき。

    See Also
    --------
    normal, xavier, glorot, he, orthogonal

    Examples
    --------
    >>> from vgbook.initializers import normal
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
        >>> from vgbook.initializers import he
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
        >>> from vgbook.initializers import normal
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


def common_ensemble(shapes: Sequence[Shape]) -> Shape:
    """層ごとの集団の軸 ``shapes`` を、互いにそろえた形。"""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(
            f"init の集団の軸は、どの層でもそろえてください。受け取った形: {shapes}"
        ) from None


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
        ``inits`` が Initializer でないとき、``copies`` がタプルでもリストでもないとき。
    ValueError
        ``inits`` が空のとき、乱数の引き方が違うとき、すでに集団の軸をもつとき、``copies`` の要素が
        正の整数でないとき。

    Examples
    --------
    >>> from vgbook.initializers import he, normal, xavier
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
    if any(init.ensemble for init in inits):
        raise ValueError(
            "inits には、集団の軸のない初期値 (gain は 1 つの数、copies は空) を渡してください。"
            f"受け取った集団の軸: {[init.ensemble for init in inits]}"
        )
    names = ", ".join(init.name for init in inits)
    return Initializer(f"stack({names})", inits[0].draw, partial(_each_std, inits), 1.0, copies)


def _each_std(inits: tuple[Initializer, ...], n_in: int, n_out: int) -> Array:
    return np.array([init.gain * init.std(n_in, n_out) for init in inits])
