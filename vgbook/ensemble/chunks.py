"""チャンク: 集団を、使うメモリーの大きさを目安に切り分けて走らせる。"""

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from vgbook._edge import (
    check_callable,
    check_count,
    check_dtype,
    check_positive,
    check_shape,
    check_slice,
)
from vgbook.ensemble.jobs import Run, cpus
from vgbook.ensemble.results import run_all
from vgbook.initializers.initializer import Initializer, check_init, common_ensemble

CHUNK_BYTES = 128 * 2**20
"""1 つのチャンクが使うメモリーの目安 [バイト]。大きいほど、チャンクごとに乱数列を引き直す手間が
減ります。大きすぎると、配列がキャッシュからあふれて読み書きが遅くなります。どこで折り合うかは
計算機によるので、呼ぶときに ``chunk`` で変えられます。"""


def over_members(
    run: Run,
    init: Initializer | Sequence[Initializer],
    *,
    rng: np.random.Generator,
    seeds: int,
    nbytes: int,
    chunk: int | None = None,
    executor: Executor | None = None,
) -> Any:
    """`over_seeds` に加えて、``init`` の集団をチャンクに分けて走らせる。

    Parameters
    ----------
    run : callable
        ``run(rng, part)``。``take(init, part)`` の集団での結果を返す実験。
    init : Initializer
        集団の軸をもつ初期値。``gain`` の先頭の軸で分けます。``gain`` が 1 つの数のときと、
        層ごとに分けた初期値の列のときは分けません。
    rng, seeds, executor
        `over_seeds` と同じ。
    nbytes : int
        1 つのネットワークの計算が使うバイト数 (`footprint`)。
    chunk : int, optional
        1 つのチャンクに入れる、先頭の軸の長さ。省略すると、チャンクが約 `CHUNK_BYTES` の
        大きさになり、どの CPU にも同じだけのチャンクが回るように選びます。

    Returns
    -------
    ``run`` の結果と同じ構造で、先頭に seed の軸をもち、集団の軸は元どおりにつながっています。
    集団の軸の場所は、結果の ``axes`` の ``...`` が示します。``axes`` がなければ seed の次です。

    Raises
    ------
    MemoryError
        チャンクに必要なメモリーが足りないとき。計算を始める前に、必要なバイト数を伝えます。
    ValueError, TypeError, RuntimeError
        `over_seeds` と同じ。``chunk`` が正の整数でないとき。

    Examples
    --------
    >>> from vgbook.initializers import normal
    >>> init = normal([1.0, 0.1, 0.01])
    >>> def std(rng, part):
    ...     return take(init, part)(50, 50, rng=rng).std(axis=(-2, -1))
    >>> rng = np.random.default_rng(0)
    >>> over_members(std, init, rng=rng, seeds=4, nbytes=20_000, chunk=2).shape
    (4, 3)
    """
    check_callable("run", run)
    check_init("init", init)
    check_count("nbytes", nbytes, least=0)
    inits = [init] if isinstance(init, Initializer) else init
    members = inits[0].ensemble[0] if _splits(init) else 1
    nbytes *= math.prod(common_ensemble([each.ensemble for each in inits])) // members
    check_count("seeds", seeds)
    if chunk is None:
        chunk = chunk_size(members, nbytes, seeds)
    chunk = min(check_count("chunk", chunk), members)
    parts = [slice(start, min(start + chunk, members)) for start in range(0, members, chunk)]
    return run_all(run, parts, chunk * nbytes, rng, seeds, executor)


def chunk_size(members: int, nbytes: int, seeds: int) -> int:
    """チャンクの大きさ。チャンクの数は、seed を掛けると CPU の数の倍数になるように増やす。"""
    parts = -(-members // max(1, round(CHUNK_BYTES / max(1, nbytes))))
    step = cpus() // math.gcd(cpus(), seeds)
    parts = -(-parts // step) * step
    return -(-members // min(parts, members))


def take(init: Any, part: slice) -> Any:
    """チャンク ``part`` の初期値。層ごとに分けた列には切り分ける軸がないので、そのまま返します。

    Raises
    ------
    TypeError
        ``init`` が Initializer でも、その列でもないとき、``part`` が slice でないとき。

    Examples
    --------
    >>> from vgbook.initializers import normal
    >>> take(normal([1.0, 0.1, 0.01]), slice(0, 2)).ensemble
    (2,)
    """
    check_init("init", init)
    check_slice("part", part)
    return init.members(part) if _splits(init) else init


def take_rates(lr: ArrayLike, init: Any, part: slice) -> ArrayLike:
    """チャンク ``part`` の学習率。``lr`` が集団の形の配列でなければ、そのまま返します。

    Raises
    ------
    TypeError, ValueError
        `take` と同じ。``lr`` が正の有限な実数でないとき、形が集団の軸にそろわないとき。

    Examples
    --------
    >>> from vgbook.initializers import normal
    >>> take_rates(np.array([0.1, 0.2, 0.3]), normal([1.0, 0.1, 0.01]), slice(1, 3))
    array([0.2, 0.3])
    """
    check_positive("lr", lr, many=True)
    check_init("init", init)
    check_slice("part", part)
    if not _splits(init) or np.ndim(lr) != len(init.ensemble):
        return lr
    try:
        return np.broadcast_to(lr, init.ensemble)[part]
    except ValueError:
        raise ValueError(
            f"lr の形は、init の集団の軸 {init.ensemble} にそろえてください。"
            f"受け取った形: {np.shape(lr)}"
        ) from None


def _splits(init: Any) -> bool:
    """切り分けられる軸 (``gain`` の先頭の軸) をもつか。"""
    return isinstance(init, Initializer) and len(init.ensemble) > len(init.copies)


def footprint(widths: Sequence[int], batch: int, dtype: DTypeLike = float) -> int:
    """1 つのネットワークの順伝播・逆伝播・更新が使う、およそのバイト数。

    重みと同じ形の配列を 3 つ (重み、勾配、更新の途中)、信号と同じ形の配列を層ごとに 6 つ
    (順伝播が残すものと、逆伝播の途中) と数えます。

    Raises
    ------
    TypeError, ValueError
        ``widths`` か ``batch`` が正の整数でないとき、``dtype`` が float32 か float64 でないとき。

    Examples
    --------
    >>> footprint([784, 100, 10], batch=100, dtype=np.float32)
    1216800
    """
    widths, dtype = check_shape("widths", widths), check_dtype(dtype)
    check_count("batch", batch)
    weights = sum(n_in * n_out for n_in, n_out in pairwise(widths))
    return np.dtype(dtype).itemsize * (3 * weights + 6 * batch * sum(widths[1:]))
