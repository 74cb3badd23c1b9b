"""検算に使う値: 60 桁の乱数、数値微分、場合を数え尽くせる確率変数。"""

import itertools
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

Array = np.ndarray
STEP = mpmath.mpf(10) ** -20  # 60 桁で計算するので、中心差分の誤差は 40 桁目から


def number(rng: np.random.Generator, low: float = -2.0, high: float = 2.0) -> Any:
    """一様乱数 1 つ。"""
    return mpmath.mpf(rng.uniform(low, high))


def normal(rng: np.random.Generator, *shape: int) -> Array:
    """標準正規乱数の配列。"""
    return precise(rng.standard_normal(shape))


def precise(values: Any) -> Array:
    return np.vectorize(mpmath.mpf, otypes=[object])(values)


def gradient(f: Callable[[Array], Any], at: Array) -> Array:
    """``f`` の中心差分。``f`` がスカラーなら形は ``at`` と同じ、配列ならその形が前に付く。"""
    slopes = []
    for i in np.ndindex(at.shape):
        ahead, behind = at.copy(), at.copy()
        ahead[i] += STEP
        behind[i] -= STEP
        slopes.append((f(ahead) - f(behind)) / (2 * STEP))
    first = np.asarray(slopes[0], dtype=object)
    return np.stack(slopes, axis=-1).reshape(*first.shape, *at.shape)


def chances(rng: np.random.Generator, **shapes: tuple[int, ...]) -> tuple[dict[str, Array], dict]:
    r"""互いに独立な、2 つの値だけを取る確率変数の配列と、期待値 ``\E`` と分散 ``\Var``。

    どの変数も平均 0 で、左右に偏っている (確率 2/3 で −a、1/3 で 2a)。分散は 2a²。
    配列の最後の軸には、すべての場合の値が並ぶ。a は配列ごとに無作為に選ぶ。
    """
    sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    count = sum(sizes.values())
    cases = np.array(list(itertools.product((-1, 2), repeat=count)), dtype=object).T
    weights = np.prod(np.where(cases == -1, Fraction(2, 3), Fraction(1, 3)), axis=0)
    found, start = {}, 0
    for name, shape in shapes.items():
        scale = Fraction(int(rng.integers(1, 9)), 4)
        found[name] = (cases[start : start + sizes[name]] * scale).reshape(*shape, -1)
        start += sizes[name]
    return found, averages(weights)


def averages(weights: Array) -> Mapping[str, Callable[[Any], Any]]:
    """最後の軸の重み付き平均と分散。"""

    def mean(x: Any) -> Any:
        return (np.asarray(x, dtype=weights.dtype) * weights).sum()

    return {r"\E": mean, r"\Var": lambda x: mean(x * x) - mean(x) ** 2}
