"""He の初期値の章の検算。"""

import mpmath
import numpy as np
import sympy
from scipy.special import polygamma, psi
from scipy.stats import binom

from checks.engine import check
from checks.engine.draws import chances, from_one, normal
from checks.engine.gauss import SYMBOLIC_MEANS, U, Z, grid, symbolic_mean
from checks.engine.networks import network, relu

Q, N_IN, V = sympy.symbols("q n_in V", positive=True)


@check("eq-he-affine", "全数", points=3, over={"j": (0, 1)}, free="j")
def affine(rng):
    """h の平均は 0 でなく、h どうしは独立でない。h と重みの 2⁸ 通りを数える。"""
    draws, averages = chances(rng, W=(3, 2), base=(2,))
    a, b = draws["base"]
    h = np.stack([a + 1, b - a / 2, a * b])
    z = (h[:, None] * draws["W"]).sum(axis=0)
    return {"h": h, "W": draws["W"], "z": z, r"n_\mathrm{in}": 3, **averages}


@check("eq-he-half", "記号")
def half(rng):
    """p は、分散 q の正規分布の密度。期待値と積分は SymPy が求めたもの。"""
    z = sympy.Symbol("z", real=True)

    def density(x):
        return sympy.exp(-(x**2) / (2 * Q)) / sympy.sqrt(2 * sympy.pi * Q)

    def mean(v):
        both = (v.subs(z, U) + v.subs(z, -U)) * density(U)
        return sympy.integrate(both, (U, 0, sympy.oo))

    return {"z": z, "p": density, r"\relu": lambda x: sympy.Max(0, x), r"\E": mean}


@check("eq-he-forward", "全数", points=3)
def forward(rng):
    """前の層の z は、どれも ±a を半分ずつ取る。z と重みの 2⁹ 通りを数える。"""
    draws, averages = chances(rng, fair=("z",), W=(3, 2), z=(3,))
    h = np.maximum(draws["z"], 0)
    return {
        "z_l": draws["z"],
        "z_{l+1}": (h[:, None] * draws["W"]).sum(axis=0),
        "W": draws["W"],
        r"n_\mathrm{in}": 3,
        **averages,
    }


def solved(factor):
    """標準偏差の 2 乗を V として、「n_in × V × factor = 1」を SymPy で解いたもの。"""
    (value,) = sympy.solve(sympy.Eq(N_IN * V * factor, 1), V)
    return {
        "W": V,
        r"\Var": lambda W: W.subs(V, value),
        r"\mathrm{std}": sympy.sqrt(value),
        r"n_\mathrm{in}": N_IN,
    }


@check("eq-he", "記号")
def he(rng):
    """倍率の 1/2 は、ReLU の二乗平均を SymPy で積分したもの。"""
    return solved(symbolic_mean(sympy.Max(0, Z) ** 2))


@check("eq-he-leaky", "記号")
def leaky(rng):
    """倍率は、傾き a の Leaky ReLU の二乗平均を SymPy で積分したもの。"""
    a = sympy.Symbol("a", real=True)
    phi = sympy.Piecewise((Z, Z > 0), (a * Z, True))
    return {**solved(symbolic_mean(phi**2)), "a": a}


@check("eq-he-backward", "全数", points=3)
def backward(rng):
    """φ′ は 0 か 1 を半分ずつ取る。δ どうしは独立でない。2⁸ 通りを数える。"""
    draws, averages = chances(rng, fair=("z",), W=(2, 2), base=(2,), z=(2,))
    a, b = draws["base"]
    above = np.stack([a, b + a / 2])
    slope = (draws["z"] > 0).astype(int)
    return {
        r"\delta_l": slope * (above * draws["W"]).sum(axis=1),
        r"\delta_{l+1}": above,
        "z_l": slope,
        r"\varphi'": lambda z: z,
        "W": draws["W"],
        r"n_\mathrm{out}": 2,
        **averages,
    }


@check("eq-he-telescope", "記号")
def telescope(rng):
    """4 層。幅は任意の正の数で、Var[W_l] は 2/n_{l−1}。"""
    n = dict(enumerate(sympy.symbols("n1:5", positive=True), start=1))
    return {"n": n, "L": 4, "W": {l: 2 / n[l - 1] for l in (2, 3, 4)}, r"\Var": lambda v: v}


@check("eq-he-scale", "高精度", points=3)
def scaled(rng):
    """バイアスのない ReLU の 3 層。「→」の先は、重みを c 倍したネットワークの数値微分。"""
    seed, c, l = int(rng.integers(2**32)), mpmath.mpf(rng.uniform(0.1, 2)), int(rng.integers(1, 4))

    def names(scale):
        new = np.random.default_rng(seed)
        return network(new, relu, bias=False, scale=scale, curved=False)

    after = names(c)[r"\pd{L}{W}"][l]
    return {
        **names(1),
        "c": c,
        "l": l,
        r"\longrightarrow": lambda a, b: np.max(abs(after - b)) < mpmath.mpf(10) ** -30,
    }


@check("eq-he-euler", "高精度", points=2, free="l",
       over={"l": (1, 2, 3), "i": range(4), "j": range(4), "n": (0, 1), "k": range(4)})  # fmt: skip
def euler(rng):
    """バイアスのない ReLU の 3 層。左辺は a についての数値微分。"""
    names = network(rng, relu, bias=False, widths=(4, 4, 4, 4))
    y, loss = names["z"][3], names["loss"]
    return {
        **names,
        "y": y,
        r"\pd{L}{y}": names[r"\delta"][3],
        r"\frac{\d}{\d a}L(ay)\Big|_{a=1}": mpmath.diff(lambda a: loss(a * y), 1),
    }


@check("eq-he-ratio", "高精度", points=3)
def ratio(rng):
    """幅 4。g は、z を標準偏差で割ったもの。"""
    h, W = normal(rng, 4), normal(rng, 4, 4) * mpmath.sqrt(mpmath.mpf(2) / 4)
    z, size = h @ W, mpmath.sqrt((h**2).sum())
    return {
        "X": (relu(z) ** 2).sum() / size**2,
        "h": h,
        "z": z,
        "n": 4,
        r"\norm": lambda v: mpmath.sqrt((v**2).sum()),
        r"\relu": relu,
        "g": from_one(z / (mpmath.sqrt(mpmath.mpf(2) / 4) * size)),
    }


@check("eq-he-moments", "数値", within=1e-10)
def moments(rng):
    """n = 2。2 つの正規変数の格子の上の数値積分。"""
    (first, second), averages = grid(2)
    X = np.maximum(first, 0) ** 2 + np.maximum(second, 0) ** 2
    return {"X": X, "g": first, "n": 2, r"\relu": lambda v: np.maximum(v, 0), **averages}


@check("eq-he-log", "数値", within=1e-12)
def log_moments(rng):
    """n = 2000。正の g の数は 2 項分布、その二乗和は χ² 分布。「≈」は 1 % 以内。"""
    n = 2000
    positive = np.arange(1, n + 1)
    chance = binom.pmf(positive, n, 0.5)
    mean = psi(positive / 2) + np.log(4 / n)
    first = (chance * mean).sum()
    second = (chance * (mean**2 + polygamma(1, positive / 2))).sum()
    values = {"X": 5 / n, "log X": second - first**2}
    return {
        "X": "X",
        r"\log": lambda x: f"log {x}",
        r"\E": {"log X": first}.get,
        r"\Var": values.get,
        "n": n,
        r"\approx": lambda a, b: abs(a / b - 1) < 0.01,
    }


@check("eq-he-relu-var", "記号")
def relu_variance(rng):
    """z は標準正規分布。「≈」は、書かれた桁の半分以内。"""
    return {
        "z": Z,
        r"\relu": lambda x: sympy.Max(0, x),
        r"\approx": lambda a, b: abs(a - b) < sympy.Rational(1, 2000),
        **SYMBOLIC_MEANS,
    }
