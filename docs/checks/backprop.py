"""誤差逆伝播法の章の検算。"""

import mpmath
import numpy as np
import sympy

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


@check("eq-backprop-central", "記号", over={r"\pm": (1, -1)}, free=r"\pm")
def central_difference(rng):
    """f は 3 次式で、展開は 3 次で終わる。「⋯」は 0。"""
    a, h, v = sympy.symbols("a h v")
    f = sympy.Poly(sympy.symbols("c:4"), v).as_expr()
    slopes = {"f" + "'" * order: sympy.diff(f, v, order).subs(v, a) for order in range(4)}
    return {"a": a, "h": h, **slopes, "f(": lambda at: f.subs(v, at), r"\cdots": sympy.Integer(0)}


@check("eq-backprop-best-h", "記号")
def best_step(rng):
    """h は、誤差の見積もりの微分を 0 とした方程式を SymPy で解いたもの。"""
    third, f, eps, h = sympy.symbols("f3 f epsilon h", positive=True)
    (best,) = sympy.solve(sympy.diff(third * h**2 / 6 + eps * f / h, h), h)
    return {r"\abs{f'''}": third, r"\abs{f}": f, r"\epsilon": eps, "h": best}
