"""誤差逆伝播法の章の検算。"""

import mpmath
import numpy as np

from checks.engine import check
from checks.engine.draws import gradient, normal
from checks.engine.networks import network, slope, tanh

OVER = {"n": range(2), "i": range(3), "j": range(2), "k": range(4), "l": range(1, 3)}


def affine(rng):
    x, W, b, weight = normal(rng, 2, 3), normal(rng, 3, 2), normal(rng, 2), normal(rng, 2, 2)

    def loss(z):
        return (weight * z + z**3 / 3).sum()

    z = x @ W + b
    return {
        "x": x,
        "W": W,
        "b": b,
        "z": z,
        r"\delta": gradient(loss, z),
        r"\pd{L}{z}": gradient(loss, z),
        r"\pd{L}{W}": gradient(lambda W: loss(x @ W + b), W),
        r"\pd{L}{b}": gradient(lambda b: loss(x @ W + b), b),
        r"\pd{L}{x}": gradient(lambda x: loss(x @ W + b), x),
        r"\pd{z}{W}": gradient(lambda W: x @ W + b, W),
        r"\pd{z}{b}": gradient(lambda b: x @ W + b, b),
        r"\pd{z}{x}": gradient(lambda x: x @ W + b, x),
    }


@check("eq-backprop-affine", "高精度", points=3, over=OVER, free="n j")
@check("eq-backprop-dw", "高精度", points=3, over=OVER, free="i j")
@check("eq-backprop-db", "高精度", points=3, over=OVER, free="j")
@check("eq-backprop-dx", "高精度", points=3, over=OVER, free="n i")
@check("eq-backprop-affine-back", "高精度", points=3, over=OVER)
def affine_layer(rng):
    """アフィン変換 1 つ。損失は z の 3 次式、微分はすべて数値微分。"""
    return affine(rng)


@check("eq-backprop-activate", "高精度", points=3, over=OVER, free="n j")
def activation(rng):
    """φ は tanh。∂L/∂z は、φ を通した損失の数値微分。"""
    z, weight = normal(rng, 2, 2), normal(rng, 2, 2)

    def loss(h):
        return (weight * h + h**3 / 3).sum()

    return {
        "z": z,
        r"\varphi'": slope(tanh),
        r"\pd{L}{z}": gradient(lambda z: loss(tanh(z)), z),
        r"\pd{L}{h}": gradient(loss, tanh(z)),
    }


@check("eq-backprop-forward", "高精度", points=3, over=OVER, free="l")
@check("eq-backprop-delta", "高精度", points=3, over=OVER, free="l")
@check("eq-backprop-weight", "高精度", points=3, over=OVER, free="l")
def layers(rng):
    """tanh の 3 層。δ と ∂L/∂W は、その層の z や W を動かした数値微分。"""
    return network(rng)


@check("eq-backprop-start", "高精度", points=3, over=OVER, free="n k")
def cross_entropy(rng):
    """標本 2 つ、クラス 4 つ。L は −log p の平均、微分は数値微分。"""
    y, t = normal(rng, 2, 4), rng.integers(4, size=2).tolist()

    def softmax(y):
        powers = np.frompyfunc(mpmath.exp, 1, 1)(y)
        return powers / powers.sum(axis=1, keepdims=True)

    def loss(y):
        return -sum(mpmath.log(p[at]) for p, at in zip(softmax(y), t, strict=True)) / 2

    return {
        "y": y,
        "t": t,
        "N": 2,
        "L": loss(y),
        "p": softmax(y),
        r"\pd{L}{y}": gradient(loss, y),
    }


@check("eq-backprop-logistic", "高精度", points=10)
def logistic(rng):
    """正解は 0 か 1。微分は、シグモイド関数と損失を通した数値微分。"""
    y, t = mpmath.mpf(rng.uniform(-5, 5)), int(rng.integers(2))

    def loss(y):
        p = 1 / (1 + mpmath.exp(-y))
        return -mpmath.log(p if t else 1 - p)

    return {
        "y": y,
        "t": t,
        "p": 1 / (1 + mpmath.exp(-y)),
        "L": loss(y),
        r"\pd{L}{y}": mpmath.diff(loss, y),
    }
