"""集団を走らせる: 独立な乱数列での繰り返しと、キャッシュに収まる塊への切り分け。

seed ごとに自分の乱数列 (`numpy.random.Generator.spawn`) をもち、集団を塊に分けるときは、
どの塊も同じ乱数列を初めから引き直します。だから、いくつに分けても、スレッドでもプロセスでも
ほかの計算機でも、同じ計算機の種類なら数値は 1 ビットも変わりません。
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from vgbook._checks import check_callable, check_count
from vgbook._jobs import Run, cpus, run_jobs
from vgbook.initializers import Initializer

CACHE = 64 * 2**20
"""1 つの塊が使うメモリーの目安 [バイト]。大きいほど、塊ごとに乱数列を引き直す手間が減り、
キャッシュからあふれると配列の読み書きが遅くなります。どこで折り合うかは計算機によるので、
呼ぶときに ``chunk`` で変えられます。"""


def over_seeds(
    run: Callable[[np.random.Generator], Any],
    *,
    rng: np.random.Generator,
    seeds: int,
    executor: Executor | None = None,
) -> Any:
    """独立な乱数列で実験を繰り返し、結果を seed の軸に積み重ねる。

    Parameters
    ----------
    run : callable
        乱数生成器を受け取り、配列または配列の NamedTuple を返す実験。
    rng : numpy.random.Generator
        親の乱数生成器。
    seeds : int
        繰り返しの数 (1 以上)。
    executor : concurrent.futures.Executor, optional
        実験を走らせる場所。省略すると、このプロセスのスレッドを CPU の数だけ使います。

    Returns
    -------
    ``run`` の結果と同じ構造で、どの配列も先頭に長さ ``seeds`` の軸をもちます。

    Raises
    ------
    ValueError
        ``seeds`` が正の整数でないとき、Dask のクラスターに計算する場所がないとき。
    TypeError
        ``rng`` が Generator でないとき。
    RuntimeError
        ``executor`` が閉じているとき、計算していたプロセスが途中で終わったとき。

    Examples
    --------
    >>> def mean_of_100(rng):
    ...     return rng.standard_normal(100).mean()
    >>> over_seeds(mean_of_100, rng=np.random.default_rng(0), seeds=10).shape
    (10,)
    """
    check_callable("run", run)
    return _run_all(partial(_whole, run), [slice(0, 1)], 0, rng, seeds, executor)


def over_members(
    run: Run,
    init: Initializer,
    *,
    rng: np.random.Generator,
    seeds: int,
    nbytes: int,
    chunk: int | None = None,
    executor: Executor | None = None,
) -> Any:
    """`over_seeds` に加えて、``init`` の集団を塊に分けて走らせる。

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
        1 つの塊に入れる、先頭の軸の長さ。省略すると、塊が `CACHE` の大きさになり、
        どの CPU にも同じだけの塊が回るように選びます。

    Returns
    -------
    ``run`` の結果と同じ構造で、先頭に seed の軸をもち、集団の軸は元どおりにつながっています。
    集団の軸の場所は、結果の ``axes`` の ``...`` が示します。``axes`` がなければ seed の次です。

    Raises
    ------
    MemoryError
        塊に必要なメモリーが足りないとき。計算を始める前に、必要なバイト数を伝えます。
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
    members = init.ensemble[0] if _splits(init) else 1
    nbytes *= math.prod(getattr(init, "ensemble", ())) // members
    check_count("seeds", seeds)
    if chunk is None:
        chunk = _chunk(members, nbytes, seeds)
    chunk = min(check_count("chunk", chunk), members)
    parts = [slice(start, min(start + chunk, members)) for start in range(0, members, chunk)]
    return _run_all(run, parts, chunk * nbytes, rng, seeds, executor)


def _chunk(members: int, nbytes: int, seeds: int) -> int:
    """塊の大きさ。塊の数は、seed を掛けると CPU の数の倍数になるように増やす。"""
    parts = -(-members // max(1, round(CACHE / max(1, nbytes))))
    step = cpus() // math.gcd(cpus(), seeds)
    parts = -(-parts // step) * step
    return -(-members // min(parts, members))


def take(init: Any, part: slice) -> Any:
    """塊 ``part`` の初期値。層ごとに分けた列には切り分ける軸がないので、そのまま返します。

    Examples
    --------
    >>> from vgbook.initializers import normal
    >>> take(normal([1.0, 0.1, 0.01]), slice(0, 2)).ensemble
    (2,)
    """
    return init.members(part) if _splits(init) else init


def take_rates(lr: ArrayLike, init: Any, part: slice) -> ArrayLike:
    """塊 ``part`` の学習率。``lr`` が集団の形の配列でなければ、そのまま返します。

    Examples
    --------
    >>> from vgbook.initializers import normal
    >>> take_rates(np.array([0.1, 0.2, 0.3]), normal([1.0, 0.1, 0.01]), slice(1, 3))
    array([0.2, 0.3])
    """
    if _splits(init) and np.ndim(lr) == len(init.ensemble):
        return np.broadcast_to(lr, init.ensemble)[part]
    return lr


def _splits(init: Any) -> bool:
    """切り分けられる軸 (``gain`` の先頭の軸) をもつか。"""
    return isinstance(init, Initializer) and len(init.ensemble) > len(init.copies)


def footprint(widths: Sequence[int], batch: int, dtype: DTypeLike = float) -> int:
    """1 つのネットワークの順伝播・逆伝播・更新が使う、およそのバイト数。

    重みと同じ形の配列を 3 つ (重み、勾配、更新の途中)、信号と同じ形の配列を層ごとに 6 つ
    (順伝播が残すものと、逆伝播の途中) と数えます。

    Examples
    --------
    >>> footprint([784, 100, 10], batch=100, dtype=np.float32)
    1216800
    """
    weights = sum(n_in * n_out for n_in, n_out in pairwise(widths))
    return np.dtype(dtype).itemsize * (3 * weights + 6 * batch * sum(widths[1:]))


def _run_all(
    run: Run,
    parts: Sequence[slice],
    nbytes: int,
    rng: np.random.Generator,
    seeds: int,
    executor: Executor | None,
) -> Any:
    """すべての (seed, 塊) を走らせ、結果をつなぐ。"""
    results = run_jobs(run, parts, nbytes, rng, seeds, executor)
    chunks = [_stack(results[i :: len(parts)]) for i in range(len(parts))]
    return chunks[0] if len(chunks) == 1 else _concatenate(chunks)


def _whole(run: Callable[[np.random.Generator], Any], rng: np.random.Generator, part: slice) -> Any:
    return run(rng)


def _stack(results: Sequence[Any]) -> Any:
    """同じ構造の結果を、新しい先頭の軸 (seed) に積み重ねる。"""
    first = results[0]
    if isinstance(first, tuple):
        return _rebuild(first, [_stack(field) for field in zip(*results, strict=True)])
    return np.stack(results)


def _concatenate(chunks: Sequence[Any], axes: Sequence[Any] = ("seed", ...)) -> Any:
    """塊ごとの結果を、集団の軸 ``...`` でつなぐ。集団の軸がないものは、どの塊でも同じ。"""
    first = chunks[0]
    if isinstance(first, tuple):
        names = getattr(first, "_fields", range(len(first)))
        named = getattr(first, "axes", {})
        fields = zip(names, zip(*chunks, strict=True), strict=True)
        return _rebuild(first, [_concatenate(f, named.get(name, axes)) for name, f in fields])
    return np.concatenate(chunks, axis=axes.index(...)) if ... in axes else first


def _rebuild(example: tuple[Any, ...], fields: Sequence[Any]) -> Any:
    return example._make(fields) if hasattr(example, "_make") else tuple(fields)
