"""講義ノートのページの検算。"""

import mpmath
import numpy as np
import sympy
from sympy import diff, exp

import vgbook as vg
from checks.engine import check
from checks.engine.draws import chances, number
from checks.engine.networks import network

X, Y, T = sympy.symbols("x y t", real=True)
U = sympy.Symbol("u", positive=True)


@check("eq-notes-delta", "高精度", points=3, over={"l": range(1, 3)}, free="l")
def layers(rng):
    """tanh の 3 層。δ と ∂L/∂W は、その層の z や W を動かした数値微分。"""
    return network(rng)


@check("eq-notes-sigmoid", "高精度", points=20)
def sigmoid(rng):
    """左辺はパッケージの式と同じ安定な形、導関数は数値微分。"""

    def stable(x):
        e = mpmath.exp(-abs(x))
        return (1 if x >= 0 else e) / (1 + e)

    return {
        "x": number(rng, -10, 10),
        r"\sigma": stable,
        r"\sigma'": lambda x: mpmath.diff(stable, x),
    }


@check("eq-notes-chi", "全数", points=3)
def mean_square(rng):
    """3 ユニットから 1 ユニットへ。重み、δ、傾きのすべての場合を数えた平均。"""
    draws, averages = chances(rng, W=(3,), base=(2,), slope=(1,))
    W, slope, b = draws["W"], draws["slope"], draws["base"]
    delta = np.stack([b[0], b[1], b[0] * b[1] / (abs(b[0].min()) * 2)])
    return {
        r"\delta_{l+1}": delta[0],
        r"\delta_l": slope[0] * (delta * W).sum(axis=0),
        r"\varphi'": lambda z: slope[0],
        "z": 0,
        "n": 3,
        "s": abs(W.min()) * 2,  # 偏った 2 点分布 (-a と 4a) の標準偏差は 2a
        **averages,
    }


@check("eq-notes-relu", "数値", points=20, within=1e-15)
def relu(rng):
    """左辺は、パッケージの `vg.relu` の値と導関数。"""
    return {"z": float(rng.normal()), r"\varphi": vg.relu, r"\varphi'": vg.relu.derivative}


def initializer(rng, init):
    """左辺は、パッケージが同じ種から作る重み。分散は、パッケージの標準偏差の二乗。"""
    seed, n_in, n_out = int(rng.integers(2**32)), 4, 3
    return {
        "W": init(n_in, n_out, rng=np.random.default_rng(seed)),
        "r": np.random.default_rng(seed).standard_normal((n_in, n_out)),
        r"n_{\text{in}}": n_in,
        r"\Var": lambda W: float(init.gain * init.std(n_in, n_out)) ** 2,
    }


OVER = {"i": range(4), "j": range(3)}


@check("eq-notes-xavier", "数値", points=3, within=1e-14, over=OVER, free="i j")
def xavier(rng):
    """左辺は `vg.xavier()` の重み。r は、同じ種の標準正規乱数。"""
    return initializer(rng, vg.xavier())


@check("eq-notes-he", "数値", points=3, within=1e-14, over=OVER, free="i j")
def he(rng):
    """左辺は `vg.he()` の重み。r は、同じ種の標準正規乱数。"""
    return initializer(rng, vg.he())


@check("eq-notes-bn", "数値", points=3, within=1e-12, over={"n": range(5)}, free="n")
def batch_norm(rng):
    """パッケージの `BatchNorm` の出力。5 標本、1 ユニット。"""
    layer = vg.BatchNorm(1, eps=0.1)
    gamma, beta = rng.standard_normal(2)
    layer.params = {"gamma": np.array([[gamma]]), "beta": np.array([[beta]])}
    x = rng.standard_normal((5, 1))
    y = layer.forward(x)[:, 0]
    return {
        "x": x[:, 0],
        r"\mu": float(x.mean()),
        "v": float(x.var()),
        r"\varepsilon": 0.1,
        r"\hat x": layer.x_hat[:, 0],
        r"\gamma": gamma,
        r"\beta": beta,
        "y": y,
        "N": 5,
    }


@check("eq-notes-p10", "記号")
def p10(rng):
    """x と y のすべての実数について。微分は SymPy が求めたもの。"""
    t = X + Y
    return {
        "x": X,
        "y": Y,
        "t": t,
        r"\frac{\d z}{\d t}": diff(T**2, T).subs(T, t),
        r"\pd{t}{x}": diff(t, X),
        r"\pd{z}{x}": diff(t**2, X),
    }


@check("eq-notes-p18", "記号")
def p18(rng):
    """x のすべての実数について。微分は SymPy が求めたもの。"""
    y = 1 / (1 + exp(-X))
    return {
        "x": X,
        "u": 1 + exp(-X),
        "y": y,
        r"\frac{\d u}{\d x}": diff(1 + exp(-X), X),
        r"\frac{\d y}{\d u}": diff(1 / U, U).subs(U, 1 + exp(-X)),
        r"\frac{\d y}{\d x}": diff(y, X),
    }
