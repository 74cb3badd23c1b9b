"""結果: 仕事ごとの結果を、種の軸に積み、集団の軸でつなぐ。"""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from vgbook.ensemble.jobs import Run, run_jobs


def run_all(
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
