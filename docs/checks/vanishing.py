"""勾配消失とは何かの章の検算。"""

import mpmath
import numpy as np

import vgbook as vg
from checks.engine import check
from checks.engine.draws import chances, from_one, normal, number
from checks.engine.networks import network


@check("eq-vanishing-rms", "高精度", points=3, over={"n": range(4), "i": range(3)})
def root_mean_square(rng):
    """4 標本、3 ユニット。"""
    return {r"\delta": {1: normal(rng, 4, 3)}, "N": 4, "n_l": 3, "l": 1}


@check(
    "eq-vanishing-jacobian", "高精度", points=2, over={"l": (1,)}, free="l",
    without=(r"&\;\;\vdots \\",),
)  # fmt: skip
def jacobians(rng):
    """tanh の 4 層、標本 1 つ。l = 1。δ は数値微分で求め、「⋯」は残りの行列の積。"""
    names = network(rng, widths=(2, 3, 2, 3, 2), batch=1)
    W, delta = names["W"], names[r"\delta"]
    D = {l: np.diag(names[r"\varphi'"](z[0])) for l, z in names["z"].items()}
    product = delta[4] @ W[4].T @ D[3] @ W[3].T @ D[2] @ W[2].T @ D[1]
    return {
        **names,
        "D": D,
        r"\delta_L\,(W_L\T D_{L-1})\cdots(W_{l+1}\T D_l)": product,
    }


@check("eq-vanishing-bound", "数値", points=20, within=1e-12, over={"l": (1, 2, 3)}, free="l")
def bound(rng):
    """シグモイド関数、幅 5 の 4 層、標本 1 つ。δ は `vg.signals` の値。"""
    net = vg.mlp([5] * 5, vg.sigmoid, vg.normal(float(rng.uniform(0.5, 3))), rng=rng)
    s = vg.signals(net, rng.standard_normal((1, 5)), rng.standard_normal((1, 5)))
    W = [layer.params["W"] for layer in net.affines]
    return {
        "W": dict(enumerate(W, start=1)),
        r"\delta": dict(enumerate(s.delta, start=1)),
        "L": 4,
        r"\norm": lambda x: np.linalg.norm(x, 2),
        r"\abs{\varphi'}": 0.25,
        r"\max": float,
    }


@check("eq-vanishing-component", "高精度", points=3, over={"l": (1,), "i": (1, 2, 3)}, free="l i")
def component(rng):
    """tanh の 3 層、標本 1 つ。W は第 l+1 層の重み。δ は数値微分。"""
    names = network(rng, batch=1)
    rows = {name: {l: from_one(v[0]) for l, v in names[name].items()} for name in ("z", r"\delta")}
    return {**names, **rows, "W": from_one(names["W"][2]), "n": 2}


@check(
    "eq-vanishing-sum", "全数", points=3,
    over={"i": (0,), "j": range(3), "k": range(3)}, free="i",
)  # fmt: skip
@check("eq-vanishing-chi", "全数", points=3)
def mean_square(rng):
    """3 ユニットから 1 ユニットへ。δ どうしは独立でない。重みと δ の 2¹⁰ 通りをすべて数える。"""
    draws, averages = chances(rng, W=(1, 3), base=(3,), slope=(1,))
    W, slope, b = draws["W"], draws["slope"], draws["base"]
    delta = np.stack([b[0], b[1] + b[0] / 2, b[2] * b[0]])
    return {
        "W": W,
        r"\delta": delta,
        r"\delta_{l+1}": delta,
        r"\delta_l": slope[0] * (delta * W[0]).sum(axis=0),
        r"\varphi'": lambda z: slope[0],
        "z": 0,
        "n": 3,
        "s": abs(W.min()) * 2,  # 偏った 2 点分布 (-a と 4a) の標準偏差は 2a
        **averages,
    }


@check("eq-vanishing-scalar", "高精度", points=5, over={"l": range(1, 6)}, free="l")
def scalar(rng):
    """シグモイド関数の 5 層。左辺の微分は、5 層を通した関数の数値微分。"""
    w, b, x = (number(rng) for _ in range(3))

    def sigmoid(z):
        return 1 / (1 + mpmath.exp(-z))

    def outputs(x):
        h = [x]
        for _ in range(5):
            h.append(sigmoid(w * h[-1] + b))
        return h

    h = outputs(x)
    return {
        "w": w,
        "b": b,
        "h": h,
        "z": {l: mpmath.log(h[l] / (1 - h[l])) for l in range(1, 6)},
        "L": 5,
        r"\varphi": sigmoid,
        r"\varphi'": lambda z: mpmath.diff(sigmoid, z),
        r"\frac{\d h_L}{\d h_0}": mpmath.diff(lambda x: outputs(x)[5], x),
    }
