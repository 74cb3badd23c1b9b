"""連鎖律と計算グラフの章の検算。"""

import mpmath
import sympy

from checks.engine import check
from checks.engine.draws import cubic, normal, number

X, Y, T = sympy.symbols("x y t", real=True)


def sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


@check("eq-chain-rule-local", "高精度", points=5)
@check("eq-chain-rule-increment", "高精度", points=5)
@check("eq-chain-rule-product", "高精度", points=5)
def one_path(rng):
    """f と g は無作為に選んだ 3 次式。微分は数値微分、余り r と s は微分から決まる。"""
    f, g = cubic(rng), cubic(rng)
    x, step = number(rng), number(rng)
    f_slope, g_slope = (lambda v, f=f: mpmath.diff(f, v) for f in (f, g))
    return {
        "f": f,
        "g": g,
        "f'": f_slope,
        "g'": g_slope,
        "x": x,
        "t": g(x),
        r"\varepsilon": step,
        r"\kappa": g(x + step) - g(x),
        "r": lambda e: (g(x + e) - g(x)) / e - g_slope(x),
        "s": lambda e: (f(g(x) + e) - f(g(x))) / e - f_slope(g(x)),
        r"\frac{\d z}{\d x}": mpmath.diff(lambda x: f(g(x)), x),
        r"\frac{\d z}{\d t}": f_slope(g(x)),
        r"\frac{\d t}{\d x}": g_slope(x),
    }


@check("eq-chain-rule-p10", "記号")
def p10(rng):
    """x と y のすべての実数について。微分は SymPy が求めたもの。"""
    t = X + Y
    return {
        "x": X,
        "y": Y,
        "t": t,
        r"\frac{\d z}{\d t}": sympy.diff(T**2, T).subs(T, t),
        r"\pd{t}{x}": sympy.diff(t, X),
        r"\pd{z}{x}": sympy.diff(t**2, X),
    }


@check("eq-chain-rule-sum", "高精度", points=5)
def two_paths(rng):
    """f(u, v) = a sin(uv) + bu²v。u と v は 3 次式。微分はすべて数値微分。"""
    a, b = normal(rng, 2)
    u, v = cubic(rng), cubic(rng)
    x = number(rng)

    def f(u, v):
        return a * mpmath.sin(u * v) + b * u**2 * v

    return {
        r"\frac{\d z}{\d x}": mpmath.diff(lambda x: f(u(x), v(x)), x),
        r"\pd{f}{u}": mpmath.diff(f, (u(x), v(x)), (1, 0)),
        r"\pd{f}{v}": mpmath.diff(f, (u(x), v(x)), (0, 1)),
        r"\frac{\d u}{\d x}": mpmath.diff(u, x),
        r"\frac{\d v}{\d x}": mpmath.diff(v, x),
    }


@check("eq-chain-rule-total", "記号")
def total(rng):
    """y = 2x。左辺は (3x)² の微分、右辺の偏微分は y を止めた微分。"""
    z, y = (X + Y) ** 2, 2 * X
    return {
        "t": X + y,
        r"\frac{\d z}{\d x}": sympy.diff(z.subs(Y, y), X),
        r"\pd{z}{x}": sympy.diff(z, X).subs(Y, y),
        r"\pd{z}{y}": sympy.diff(z, Y).subs(Y, y),
        r"\frac{\d y}{\d x}": sympy.diff(y, X),
    }


@check("eq-chain-rule-sigmoids", "高精度", points=10)
def ten_sigmoids(rng):
    """k は 0 から 9 まで。左辺は、第 k 段より先を通した数値微分。「⋯」は残りの段の積。"""
    k, h = int(rng.integers(10)), [number(rng)]

    def onward(v, steps):
        for _ in range(steps):
            v = sigmoid(v)
        return v

    for _ in range(10):
        h.append(sigmoid(h[-1]))
    slopes = [mpmath.diff(sigmoid, v) for v in h[k:10]]
    return {
        r"\pd{h_{10}}{h_k}": mpmath.diff(lambda v: onward(v, 10 - k), h[k]),
        r"\sigma'(h_9)\,\sigma'(h_8) \cdots \sigma'(h_k)": mpmath.fprod(slopes),
    }
