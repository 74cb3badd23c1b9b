"""繰り返し: 独立な乱数列で同じ実験を行い、ばらつきを残す。

seed ごとに自分の乱数列 (`numpy.random.Generator.spawn`) をもつので、
並列に走らせても数値は同じです。
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import numpy as np

from vgbook._checks import check_callable, check_count, check_rng


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
        実験を走らせる場所。省略すると、このプロセスのスレッドを使います。

    Returns
    -------
    ``run`` の結果と同じ構造で、どの配列も先頭に長さ ``seeds`` の軸をもちます。

    Raises
    ------
    ValueError
        ``seeds`` が正の整数でないとき。
    TypeError
        ``rng`` が Generator でないとき。

    Examples
    --------
    >>> def mean_of_100(rng):
    ...     return rng.standard_normal(100).mean()
    >>> over_seeds(mean_of_100, rng=np.random.default_rng(0), seeds=10).shape
    (10,)
    """
    from threadpoolctl import threadpool_limits
    from tqdm import tqdm

    check_callable("run", run)
    check_count("seeds", seeds)
    if executor is not None and not isinstance(executor, Executor):
        raise TypeError(
            "executor には concurrent.futures.Executor を渡してください。"
            f"受け取った値: {executor!r}"
        )
    check_rng(rng)
    children = rng.spawn(seeds)
    # 小さな行列積では BLAS の中の並列化は遅くなるだけなので、並列は seed の単位でとる
    with threadpool_limits(limits=1):
        if executor is None:
            with ThreadPoolExecutor() as threads:
                running = threads.map(run, children)
                results = list(tqdm(running, "seed", seeds, delay=1.0, disable=None))
        else:
            results = list(executor.map(run, children))
    return _pile(results)


def _pile(results: Sequence[Any]) -> Any:
    first = results[0]
    if isinstance(first, tuple):
        parts = [_pile(part) for part in zip(*results, strict=True)]
        return first._make(parts) if hasattr(first, "_make") else tuple(parts)
    return np.stack(results)
