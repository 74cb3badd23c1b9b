"""標準正規分布の期待値: SymPy の積分と、格子の上の数値積分。"""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy

from checks.engine.draws import Array

U = sympy.Symbol("u", positive=True)
DENSITY = sympy.exp(-(U**2) / 2) / sympy.sqrt(2 * sympy.pi)
Z = sympy.Symbol("Z", real=True)


def symbolic_mean(v: Any) -> Any:
    """``Z`` の式の平均。正の側と負の側に分けて積分するので、0 で折れていてもよい。"""
    both = sympy.expand((v.subs(Z, U) + v.subs(Z, -U)) * DENSITY)
    return sympy.integrate(both, (U, 0, sympy.oo))


SYMBOLIC_MEANS: dict[str, Callable[[Any], Any]] = {
    r"\E": symbolic_mean,
    r"\Var": lambda v: symbolic_mean((v - symbolic_mean(v)) ** 2),
}


def grid(dimension: int = 1) -> tuple[list[Array], dict[str, Callable[[Any], Any]]]:
    r"""独立な標準正規変数の値を並べた配列と、その上の ``\E`` と ``\Var``。

    各軸は [−12, 0] と [0, 12] のガウス・ルジャンドル求積。0 で折れる関数も正確に積分する。
    """
    nodes, weights = np.polynomial.legendre.leggauss(80)
    x = np.concatenate([6 * nodes - 6, 6 * nodes + 6])
    w = np.tile(6 * weights, 2) * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    points = [axis.ravel() for axis in np.meshgrid(*[x] * dimension)]
    total = np.prod([axis.ravel() for axis in np.meshgrid(*[w] * dimension)], axis=0)

    def mean(v: Any) -> float:
        return float((v * total).sum())

    return points, {r"\E": mean, r"\Var": lambda v: mean((v - mean(v)) ** 2)}
