"""Xavier の初期値の章の検算。"""

from fractions import Fraction

import numpy as np
import sympy
from scipy.integrate import quad
from scipy.stats import norm

from checks.engine import check
from checks.engine.draws import chances
from checks.engine.gauss import grid

OVER = {"i": range(3), "k": range(3), "j": range(2)}
N_IN, N_OUT, V = sympy.symbols("n_in n_out V", positive=True)


def equal_spread(a, b):
    """平均 0 で分散が等しく、独立でない 3 つの確率変数。a と b の標準偏差は等しい。"""
    return np.stack([a, b, a * b / (abs(a.min()) * 2)])


@check("eq-xavier-forward", "全数", points=3, over=OVER, free="j")
def forward(rng):
    """h は平均 0 で分散が等しいが、互いに独立でない。h と重みの 2⁸ 通りを数える。"""
    draws, averages = chances(rng, W=(3, 2), base=(2,))
    h = equal_spread(*draws["base"])
    z = (h[:, None] * draws["W"]).sum(axis=0)
    return {"h": h, "W": draws["W"], "z": z, r"n_\mathrm{in}": 3, **averages}


@check("eq-xavier-mean", "全数", points=3, over=OVER, free="j")
def forward_with_mean(rng):
    """h の平均が 0 でないとき。"""
    draws, averages = chances(rng, W=(3, 2), base=(2,))
    h = equal_spread(*draws["base"]) + Fraction(5, 3)
    z = (h[:, None] * draws["W"]).sum(axis=0)
    return {"h": h, "W": draws["W"], "z": z, r"n_\mathrm{in}": 3, **averages}


@check(
    "eq-xavier-backward", "全数", points=3, free="i",
    over={"i": range(2), "j": range(3), "l": (1,)},
)  # fmt: skip
def backward(rng):
    """δ は平均 0 で分散が等しいが、互いに独立でない。φ(z) = z。"""
    draws, averages = chances(rng, W=(2, 3), base=(2,))
    above = equal_spread(*draws["base"])
    below = (above * draws["W"]).sum(axis=1)
    return {
        r"\delta": {1: below, 2: above},
        "l": 1,
        "W": draws["W"],
        r"n_\mathrm{out}": 3,
        **averages,
    }


def solved(condition):
    """分散 V についての条件を解いた値。"""
    (value,) = sympy.solve(condition, V)
    return {
        "W": V,
        r"\Var": lambda W: W.subs(V, value),
        r"n_\mathrm{in}": N_IN,
        r"n_\mathrm{out}": N_OUT,
    }


@check("eq-xavier-in", "記号")
def keeps_the_signal(rng):
    """順伝播の倍率が 1 になる分散を、SymPy で解いたもの。"""
    return solved(sympy.Eq(N_IN * V, 1))


@check("eq-xavier-out", "記号")
def keeps_the_gradient(rng):
    """逆伝播の倍率が 1 になる分散を、SymPy で解いたもの。"""
    return solved(sympy.Eq(N_OUT * V, 1))


@check("eq-xavier-glorot", "記号")
@check("eq-xavier-uniform", "記号")
def compromise(rng):
    """2 つの条件の和を SymPy で解いたもの。a は、一様分布の分散の積分をそれに等しくした解。"""
    names = solved(sympy.Eq(N_IN * V + N_OUT * V, 2))
    a, w = sympy.symbols("a w", positive=True)
    variance = sympy.integrate(w**2, (w, -a, a)) / (2 * a)
    (edge,) = sympy.solve(sympy.Eq(variance, names[r"\Var"](V)), a)
    return {**names, "a": edge}


@check("eq-xavier-tanh", "数値", points=5, within=1e-9)
def small_tanh(rng):
    """q は 0.001 から 0.01 まで。「≈」の誤差は、次の項の大きさ 17q³/3 の 1 割増し以下。"""
    q = float(rng.uniform(0.001, 0.01))
    (nodes,), averages = grid()
    square = quad(lambda z: np.tanh(z) ** 2 * norm.pdf(z, scale=np.sqrt(q)), -2, 2)[0]
    return {
        "q'": square,
        "q": q,
        "z": np.sqrt(q) * nodes,
        r"\approx": lambda a, b: abs(a - b) < 1.1 * 17 / 3 * q**3,
        **averages,
    }
