"""種: 独立な乱数列で、同じ実験を繰り返す。"""

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np

from vgbook._edge import check_callable
from vgbook.ensemble.results import run_all


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
        ``run`` が関数でないとき、``rng`` が Generator でないとき、``executor`` が Executor で
        ないとき。
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
    return run_all(partial(_whole, run), [slice(0, 1)], 0, rng, seeds, executor)


def _whole(run: Callable[[np.random.Generator], Any], rng: np.random.Generator, part: slice) -> Any:
    return run(rng)
