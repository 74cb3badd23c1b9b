"""He の初期値の章の検算。"""

import mpmath
import numpy as np
import sympy

from checks.engine import check
from checks.engine.draws import chances
from checks.engine.gauss import U, Z, symbolic_mean
from checks.engine.networks import network, relu

Q, N_IN, V = sympy.symbols("q n_in V", positive=True)


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
