"""結果: 仕事ごとの結果を、種の軸に積み、集団の軸でつなぐ。"""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from vgbook._edge import Array, as_array
from vgbook.ensemble.jobs import Run, run_jobs


def run_all(
    run: Run,
    parts: Sequence[slice],
    nbytes: int,
    rng: np.random.Generator,
    seeds: int,
    executor: Executor | None,
) -> Any:
    """すべての (seed, チャンク) を走らせ、結果をつなぐ。"""
    results = run_jobs(run, parts, nbytes, rng, seeds, executor)
    chunks = [_stack(results[i :: len(parts)]) for i in range(len(parts))]
    return chunks[0] if len(chunks) == 1 else _concatenate(chunks)


def _stack(results: Sequence[Any]) -> Any:
    """同じ構造の結果を、新しい先頭の軸 (seed) に積み重ねる。"""
    first = results[0]
    if isinstance(first, tuple):
        return _rebuild(first, [_stack(field) for field in zip(*results, strict=True)])
    arrays = [_as_result(result) for result in results]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise ValueError(
            f"run の返す配列の形は、どの seed でも同じでなければなりません。受け取った形: {shapes}"
        )
    return np.stack(arrays)


def _as_result(result: object) -> Array:
    """実験の結果が数の配列であることを確かめる。辞書や文字列は、黙って箱に入れずに断る。"""
    array = as_array("run の結果", result)
    if array.dtype.kind not in "biufc":
        raise TypeError(
            "run は、数の配列か、その tuple (NamedTuple) を返さなければなりません。"
            f"受け取った型: {type(result).__name__}"
        )
    return array


def _concatenate(chunks: Sequence[Any], axes: Sequence[Any] = ("seed", ...)) -> Any:
    """チャンクごとの結果を、集団の軸 ``...`` でつなぐ。集団の軸がないものは、どれも同じ。"""
    first = chunks[0]
    if isinstance(first, tuple):
        names = getattr(first, "_fields", range(len(first)))
        named = getattr(first, "axes", {})
        fields = zip(names, zip(*chunks, strict=True), strict=True)
        return _rebuild(first, [_concatenate(f, named.get(name, axes)) for name, f in fields])
    return np.concatenate(chunks, axis=axes.index(...)) if ... in axes else first


def _rebuild(example: tuple[Any, ...], fields: Sequence[Any]) -> Any:
    return example._make(fields) if hasattr(example, "_make") else tuple(fields)
