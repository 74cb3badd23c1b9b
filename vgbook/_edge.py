"""公開関数の入り口で使う検査。

層は検査をしません。検査は `mlp`、`fit`、実験、データの入り口で 1 度だけ行い、
引数の名前・期待・受け取った値を日本語で伝えます。
"""

import math
import numbers
import operator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


def check_count(name: str, value: object, *, least: int = 1) -> int:
    """``value`` が ``least`` 以上の整数であることを確かめて int で返す。"""
    try:
        count = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        count = None
    if count is None or isinstance(value, bool) or count < least:
        raise ValueError(f"{name} には {least} 以上の整数を渡してください。受け取った値: {value!r}")
    return count


def check_shape(name: str, shape: object) -> tuple[int, ...]:
    """``shape`` が正の整数のタプルかリストであることを確かめてタプルで返す。"""
    if not isinstance(shape, tuple | list):
        raise TypeError(f"{name} には正の整数のタプルを渡してください。受け取った値: {shape!r}")
    return tuple(check_count(f"{name} の各要素", n) for n in shape)


def check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """``dtype`` が float32 か float64 であることを確かめる。"""
    for accepted in (np.float32, np.float64):
        if np.dtype(accepted) == dtype:
            return np.dtype(accepted)
    raise ValueError(f"dtype には float32 か float64 を渡してください。受け取った値: {dtype!r}")


def check_callable(name: str, value: object) -> None:
    """``value`` が呼び出せることを確かめる。"""
    if not callable(value):
        raise TypeError(f"{name} には関数を渡してください。受け取った値: {value!r}")


def as_array(name: str, value: object) -> Array:
    """``value`` を配列にする。長さのそろわないリストは断る。"""
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{name} には長さのそろった配列を渡してください。受け取った値: {value!r}"
        ) from None


def check_rng(rng: object) -> None:
    """``rng`` が numpy.random.Generator であることを確かめる。"""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            "rng には numpy.random.Generator (np.random.default_rng(0) など) を"
            f"渡してください。受け取った値: {rng!r}"
        )


def check_positive(name: str, value: object, *, many: bool = False) -> None:
    """``value`` が正の有限な実数、``many`` ならその配列であることを確かめる。"""
    array = as_array(name, value)
    if array.dtype.kind not in "iuf" or array.size == 0 or (array.ndim and not many):
        raise ValueError(f"{name} には正の実数を渡してください。受け取った値: {value!r}")
    if not np.all(np.isfinite(array) & (array > 0)):
        raise ValueError(f"{name} には正の有限な実数を渡してください。受け取った値: {value!r}")


def check_fraction(name: str, value: object) -> None:
    """``value`` が 0 以上 1 未満の実数であることを確かめる。"""
    if not (isinstance(value, int | float | np.number) and 0 <= value < 1):
        raise ValueError(
            f"{name} には 0 以上 1 未満の実数を渡してください。受け取った値: {value!r}"
        )


def check_numbers(name: str, value: object, *, least: float = -math.inf) -> Array | float:
    """``value`` が ``least`` 以上の有限な実数か、その配列であることを確かめる。"""
    array = as_array(name, value)
    fine = array.dtype.kind in "iuf" and array.size > 0
    if not (fine and np.all(np.isfinite(array) & (array >= least))):
        bound = f" {least:g} 以上の" if math.isfinite(least) else ""
        raise ValueError(f"{name} には{bound}有限な実数を渡してください。受け取った値: {value!r}")
    return array if array.ndim else float(array)


def as_real(value: object) -> float:
    """``value`` が有限な実数なら float、そうでなければ NaN。真偽値は数に入れない。"""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return math.nan
    try:
        number = float(value)
    except OverflowError:  # 大きすぎる整数
        return math.nan
    return number if math.isfinite(number) else math.nan


def check_number(name: str, value: object, *, least: float = -math.inf) -> float:
    """``value`` が ``least`` 以上の有限な、1 つの実数であることを確かめる。"""
    number = check_numbers(name, value, least=least)
    if not isinstance(number, float):
        raise ValueError(f"{name} には 1 つの実数を渡してください。受け取った値: {value!r}")
    return number


def as_float(array: Array) -> Array:
    """整数の配列を float64 にする。小さな整数の型では、引き算があふれて回り込むため。"""
    return array if array.dtype.kind == "f" else array.astype(float)


def check_data(name: str, x: object, *, width: int | None = None) -> Array:
    """``x`` が空でなく有限な実数の行列 (..., 標本数, 特徴数) であることを確かめる。"""
    array = as_array(name, x)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} には実数の配列を渡してください。受け取った dtype: {array.dtype}")
    if array.ndim < 2 or array.size == 0:
        raise ValueError(
            f"{name} には空でない (..., 標本数, 特徴数) の配列を渡してください。"
            f"受け取った形: {array.shape}"
        )
    if width is not None and array.shape[-1] != width:
        raise ValueError(
            f"{name} の特徴数は {width} でなければなりません。受け取った形: {array.shape}"
        )
    if not np.all(np.isfinite(array)):
        bad = int(np.size(array) - np.count_nonzero(np.isfinite(array)))
        raise ValueError(f"{name} に有限でない値 (NaN または inf) が {bad} 個あります。")
    return as_float(array)


def check_labels(name: str, labels: object, *, size: int, classes: float = math.inf) -> Array:
    """``labels`` が 0 以上 ``classes`` 未満の整数を ``size`` 個もつことを確かめる。"""
    array = as_array(name, labels)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} には整数の配列を渡してください。受け取った dtype: {array.dtype}")
    if array.shape != (size,):
        raise ValueError(
            f"{name} の形は ({size},) でなければなりません。受け取った形: {array.shape}"
        )
    if size and (array.min() < 0 or array.max() >= classes):
        raise ValueError(
            f"{name} には 0 以上{f' {classes} 未満' if classes < math.inf else ''}の整数を"
            "渡してください。"
            f"受け取った範囲: {array.min()} 〜 {array.max()}"
        )
    return array
