"""分散の伝わり方の章の検算。"""

from fractions import Fraction

import mpmath
import numpy as np
import sympy
from scipy.integrate import quad
from scipy.stats import norm

import vgbook as vg
from checks.engine import check
from checks.engine.draws import chances, from_one, normal, precise
from checks.engine.gauss import SYMBOLIC_MEANS, Z, grid
from checks.engine.networks import network
from checks.engine.numbers import TOLERANCE, near
from vgbook.theory import meanfield

OVER = {"i": range(3), "k": range(3), "j": range(2)}
RELU_NAMES = {
    "q": sympy.Symbol("q", positive=True),
    "Z": Z,
    r"\relu": lambda x: sympy.Max(0, x),
    **SYMBOLIC_MEANS,
}


def spread(W):
    """偏った 2 点分布 (−a と 4a) の標準偏差は 2a。"""
    return abs(W.min()) * 2


@check("eq-variance-conditional", "全数", points=3, over=OVER, free="j")
def given_h(rng):
    """h は 3 つの分数に固定し、重みの 2⁶ 通りを数える。"""
    draws, averages = chances(rng, W=(3, 2))
    h = np.array([Fraction(int(v), 3) for v in rng.integers(-9, 10, 3)])
    return {
        "h": h,
        "W": draws["W"],
        "z": (h[:, None, None] * draws["W"]).sum(axis=0),
        r"\sigma": spread(draws["W"]),
        r"\E\mid h": averages[r"\E"],
        **averages,
    }


def dependent_inputs(rng):
    """平均が 0 でなく、互いに独立でもない h と、独立な重み。"""
    draws, averages = chances(rng, W=(3, 2), base=(2,))
    a, b = draws["base"]
    h = np.stack([a + 1, b - a / 2, a * b + Fraction(1, 3)])
    z = (h[:, None] * draws["W"]).sum(axis=0)
    return {"h": h, "W": draws["W"], "z": z, "n_\\mathrm{in}": 3, **averages}


@check("eq-variance-forward", "全数", points=3)
def forward(rng):
    """h の平均は 0 でなく、h どうしは独立でない。h と重みの 2⁸ 通りを数える。"""
    names = dependent_inputs(rng)
    return {**names, r"\sigma": spread(names["W"])}


@check("eq-variance-activation", "数値", points=3, within=1e-9, without=(r", \qquad Z\sim N(0,1)",))
def activation(rng):
    """φ は tanh。左辺は z ~ N(0, q) の密度を掛けた数値積分、右辺は Z の数値積分。"""
    q = float(rng.uniform(0.1, 4))
    (nodes,), averages = grid()
    square = quad(lambda z: np.tanh(z) ** 2 * norm.pdf(z, scale=np.sqrt(q)), -np.inf, np.inf)[0]
    return {r"\E[h'^2]": square, "q": q, "Z": nodes, r"\varphi": np.tanh, **averages}


@check("eq-variance-recursion", "数値", points=3, within=1e-9)
def recursion(rng):
    """φ は tanh。左辺は、パッケージの `meanfield.length_map` の値。"""
    q, sigma = (float(v) for v in rng.uniform(0.1, 1, 2))
    (nodes,), averages = grid()
    return {
        "q_{l+1}": float(meanfield.length_map(vg.tanh, q, sigma * np.sqrt(5))),
        "q_l": q,
        "n_l": 5,
        r"\sigma": sigma,
        "Z": nodes,
        r"\varphi": np.tanh,
        **averages,
    }


@check("eq-variance-relu-var", "記号")
def relu(rng):
    """q のすべての正の数について。期待値は SymPy の積分。"""
    return RELU_NAMES


@check("eq-variance-delta", "高精度", points=3, over={"i": (1, 2, 3)}, free="i")
def component(rng):
    """tanh の 3 層の第 1 層、標本 1 つ。δ は数値微分。"""
    names = network(rng, batch=1)
    return {
        **names,
        "z": from_one(names["z"][1][0]),
        r"\delta": from_one(names[r"\delta"][1][0]),
        r"\delta'": from_one(names[r"\delta"][2][0]),
        "W'": from_one(names["W"][2]),
        r"n_\mathrm{out}": 2,
    }


def backward_draws(rng):
    """3 ユニットから 1 ユニットへ。上から来る δ どうしは独立でない。"""
    draws, averages = chances(rng, W=(1, 3), base=(3,), slope=(1,))
    a, b, c = draws["base"]
    above = np.stack([a, b + a / 2, c * a])
    below = draws["slope"] * (above * draws["W"][0]).sum(axis=0)
    return draws["W"], draws["slope"], above, below, averages


@check("eq-variance-backward", "全数", points=3, over={**OVER, "i": (0,), "j": range(3)}, free="i")
def backward(rng):
    """δ、重み、φ′ の 2⁷ 通りを数える。"""
    W, slope, above, below, averages = backward_draws(rng)
    return {
        "W'": W,
        "z": slope,
        r"\varphi'": lambda z: z,
        r"\delta": below,
        r"\delta'": above,
        r"\sigma": spread(W),
        r"n_\mathrm{out}": 3,
        **averages,
    }


@check("eq-variance-factor", "高精度", points=3)
def factor(rng):
    """δ、重み、φ′ の 2⁷ 通りを数えた平均の、平方根。"""
    W, slope, above, below, averages = backward_draws(rng)
    return {
        r"\RMS": lambda x: mpmath.sqrt(averages[r"\E"](x**2)),
        r"\delta_l": precise(below),
        r"\delta_{l+1}": precise(above),
        r"\varphi'": lambda z: z,
        "z_l": precise(slope),
        "n": 3,
        r"\sigma": precise(spread(W))[()],
        **averages,
    }


@check("eq-variance-dw", "高精度", points=3)
def weight_gradient(rng):
    """標本どうしが無相関なら、左右は等しい。h と δ の 2⁶ 通りを数える。"""
    draws, averages = chances(rng, h=(2, 2), delta=(2, 1))
    h, delta = precise(draws["h"]), precise(draws["delta"])
    return {
        r"\pd{L}{W_l}": (h[:, :, None] * delta[:, None]).sum(axis=0),
        r"\RMS": lambda x: mpmath.sqrt(averages[r"\E"](x**2)),
        "N": 2,
        "h_{l-1}": h,
        r"\delta_l": delta,
        r"\approx": lambda a, b: near(a, b, TOLERANCE),
    }


@check("eq-variance-second-moment", "全数", points=3)
def second_moment(rng):
    """平均が 0 でない、ある h。分散は、平均との差の二乗の平均として数える。"""
    names = dependent_inputs(rng)
    return {**names, "h": names["h"][2]}


@check("eq-variance-decomposition", "高精度", points=3, over={"s": range(4), "j": range(3)})
def decomposition(rng):
    """4 標本、3 ユニットの、無作為に選んだ値。"""
    h = normal(rng, 4, 3)
    return {"h": h, r"\bar h": h.mean(), r"\bar h_": h.mean(axis=0), "N": 4, "n": 3}
