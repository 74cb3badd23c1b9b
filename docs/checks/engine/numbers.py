"""検算の種類ごとの数: 作り方、関数、等しさ。

記号     SymPy の式。差が 0 に簡約されれば等しい (証明)
高精度   mpmath の 60 桁。無作為に選んだ点で、相対誤差が 10⁻³⁰ 以下なら等しい
全数     分数。有限個の場合をすべて数えた期待値が、厳密に一致すれば等しい
数値     float64。数値積分、極限、乱数の実験。許す誤差は検算ごとに書く
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy

mpmath.mp.dps = 60
TOLERANCE = mpmath.mpf(10) ** -30


def first_that_holds(branches: list[tuple[Any, Any]]) -> Any:
    """場合分けの、当てはまる枝の値。"""
    for value, holds in branches:
        if holds:
            return value
    raise ArithmeticError("どの場合にも当てはまりません")


def quadrature(f: Callable[[Any], Any], low: Any, high: Any) -> Any:
    return mpmath.quad(f, [low, high])


@dataclass(frozen=True)
class Numbers:
    """1 つの種類の数。``same`` は値の組が等しいか、``at_most`` は小さいか等しいか。"""

    number: Callable[[Any], Any]
    same: Callable[[Any, Any, float], bool]
    at_most: Callable[[Any, Any, float], bool]
    types: tuple[type, ...]
    functions: dict[str, Callable[..., Any]]
    constants: dict[str, Any] = field(default_factory=dict)
    integral: Callable[..., Any] = quadrature
    choose: Callable[[list[tuple[Any, Any]]], Any] = first_that_holds


def everywhere(f: Callable[..., Any]) -> Callable[..., Any]:
    """配列なら要素ごとに。"""
    spread = np.frompyfunc(f, 1, 1)
    return lambda x: spread(x) if isinstance(x, np.ndarray) else f(x)


def rms(x: Any) -> Any:
    total = (np.asarray(x, dtype=object) ** 2).sum()
    return total / np.size(x)


# ---- 記号 ----------------------------------------------------------------
def identical(a: Any, b: Any, within: float) -> bool:
    difference = sympy.sympify(a) - sympy.sympify(b)
    if isinstance(difference, sympy.MatrixBase):
        return sympy.simplify(difference).is_zero_matrix is True
    return any(sympy.simplify(form) == 0 for form in (difference, difference.rewrite(sympy.exp)))


def never_less(a: Any, b: Any, within: float) -> bool:
    return sympy.simplify(sympy.sympify(b) - sympy.sympify(a)).is_nonnegative is True


def symbolic_integral(f: Callable[[Any], Any], low: Any, high: Any) -> Any:
    x = sympy.Dummy("x", real=True)
    return sympy.integrate(f(x), (x, low, high))


SYMBOLIC = Numbers(
    number=lambda text: sympy.Rational(str(text)),
    same=identical,
    at_most=never_less,
    types=(sympy.Basic, sympy.MatrixBase, int),
    functions={
        r"\sqrt": sympy.sqrt, r"\log": sympy.log, r"\exp": sympy.exp, r"\sin": sympy.sin,
        r"\cos": sympy.cos, r"\tanh": sympy.tanh, r"\abs": sympy.Abs, r"\max": sympy.Max,
    },
    constants={"e": sympy.E, r"\pi": sympy.pi, r"\infty": sympy.oo},
    integral=symbolic_integral,
    choose=lambda branches: sympy.Piecewise(*branches),
)  # fmt: skip


# ---- 数値 ----------------------------------------------------------------
def near(a: Any, b: Any, within: Any) -> bool:
    """相対誤差。値が 0 のまわりなら、``within`` の千分の 1 の絶対誤差。"""
    return all(abs(x - y) <= within * max(abs(x), abs(y)) + within / 1000 for x, y in pairs(a, b))


def not_above(a: Any, b: Any, within: Any) -> bool:
    return all(x <= y + within * abs(y) for x, y in pairs(a, b))


def pairs(a: Any, b: Any) -> Any:
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape and a.size > 1 and b.size > 1:
        raise AssertionError(f"形が違います: {a.shape} と {b.shape}")
    return zip(*(x.ravel() for x in np.broadcast_arrays(a, b)), strict=True)


PRECISE = Numbers(
    number=lambda text: mpmath.mpf(str(text)),
    same=lambda a, b, within: near(a, b, TOLERANCE),
    at_most=lambda a, b, within: not_above(a, b, TOLERANCE),
    types=(mpmath.mpf, int),
    functions={
        r"\sqrt": everywhere(mpmath.sqrt), r"\log": everywhere(mpmath.log),
        r"\exp": everywhere(mpmath.exp), r"\sin": everywhere(mpmath.sin),
        r"\cos": everywhere(mpmath.cos), r"\tanh": everywhere(mpmath.tanh),
        r"\abs": abs, r"\max": max,
        r"\RMS": lambda x: mpmath.sqrt(rms(x)),
    },
    constants={"e": mpmath.e + 0, r"\pi": mpmath.pi + 0},
)  # fmt: skip

EXACT = Numbers(
    number=lambda text: Fraction(str(text)),
    same=lambda a, b, within: all(x == y for x, y in pairs(a, b)),
    at_most=lambda a, b, within: all(x <= y for x, y in pairs(a, b)),
    types=(Fraction, int),
    functions={r"\abs": abs, r"\max": max},
)

FLOAT = Numbers(
    number=float,
    same=near,
    at_most=not_above,
    types=(float, np.floating, int),
    functions={
        r"\sqrt": np.sqrt, r"\log": np.log, r"\exp": np.exp, r"\sin": np.sin, r"\cos": np.cos,
        r"\tanh": np.tanh, r"\abs": abs, r"\max": np.maximum,
        r"\RMS": lambda x: np.sqrt(np.mean(np.square(x))),
    },
    constants={"e": np.e, r"\pi": np.pi},
)  # fmt: skip

KINDS = {"記号": SYMBOLIC, "高精度": PRECISE, "全数": EXACT, "数値": FLOAT}
