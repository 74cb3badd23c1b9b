"""検算に使う値: 60 桁の乱数、数値微分、場合を数え尽くせる確率変数。"""

import itertools
from collections.abc import Callable
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


def cubic(rng: np.random.Generator) -> Callable[[Any], Any]:
    """係数が正規乱数の 3 次式。"""
    coefficients = normal(rng, 4).tolist()
    return lambda x: mpmath.polyval(coefficients, x)


def precise(values: Any) -> Array:
    """分数や float の配列を mpf にする。"""

    def one(value: Any) -> Any:
        return mpmath.mpf(value.numerator) / value.denominator

    return np.vectorize(
        lambda v: one(v if isinstance(v, Fraction) else Fraction(v)), otypes=[object]
    )(values)


def from_one(values: Any) -> Any:
    """1 から数える添字で引ける表にする。"""
    if np.ndim(values) == 0:
        return values
    return {i: from_one(v) if np.ndim(v) else v for i, v in enumerate(values, start=1)}


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


SKEWED = ((-1, Fraction(4, 5)), (4, Fraction(1, 5)))  # 平均 0、標準偏差 2
FAIR = ((-2, Fraction(1, 2)), (2, Fraction(1, 2)))


def chances(
    rng: np.random.Generator, *, fair: tuple[str, ...] = (), **shapes: tuple[int, ...]
) -> tuple[dict[str, Array], dict[str, Any]]:
    r"""互いに独立な、2 つの値だけを取る確率変数の配列と、期待値 ``\E`` や分散 ``\Var``。

    どの変数も平均 0 で、``fair`` のほかは左右に偏っている。大きさは配列ごとに無作為に選ぶ。
    配列の最後の軸には、すべての場合の値が並ぶ。
    """
    laws = [
        FAIR if name in fair else SKEWED
        for name, shape in shapes.items()
        for _ in range(int(np.prod(shape)))
    ]
    cases = list(itertools.product(*laws))
    weights = np.array([np.prod([p for _, p in case]) for case in cases], dtype=object)
    values = np.array([[v for v, _ in case] for case in cases], dtype=object).T
    found, start = {}, 0
    for name, shape in shapes.items():
        count = int(np.prod(shape))
        scale = Fraction(int(rng.integers(1, 9)), 4)
        found[name] = (values[start : start + count] * scale).reshape(*shape, -1)
        start += count
    return found, averages(weights)


def averages(weights: Array) -> dict[str, Callable[[Any], Any]]:
    """最後の軸の重み付き平均。ほかの軸 (ユニットなど) でも平均する。"""

    def mean(x: Any) -> Any:
        x = np.asarray(x, dtype=object)
        total = (x * weights).sum()
        return total / (x.size // len(weights)) if x.ndim else total

    return {r"\E": mean, r"\Var": lambda x: mean((x - mean(x)) ** 2)}
