"""シグモイド関数の章の検算。"""

import mpmath
import sympy
from sympy import diff, exp

import vgbook as vg
from checks.engine import check
from checks.engine.draws import gradient, normal, number

X = sympy.Symbol("x", real=True)
U = sympy.Symbol("u", positive=True)


def sigmoid(x):
    return 1 / (1 + exp(-x))


def precise_sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


@check("eq-sigmoid", "数値", points=20, within=1e-15)
def package(rng):
    """左辺は、パッケージの `vg.sigmoid` の値。"""
    return {"x": float(rng.uniform(-30, 30)), r"\sigma": vg.sigmoid}


@check("eq-sigmoid-symmetry", "記号")
@check("eq-sigmoid-parts", "記号")
@check("eq-sigmoid-chain", "記号")
@check("eq-sigmoid-left", "記号")
@check("eq-sigmoid-derivative", "記号")
@check("eq-sigmoid-second", "記号")
@check("eq-sigmoid-tanh", "記号")
def symbolic(rng):
    """x のすべての実数について。微分は SymPy が求めたもの。"""
    return {
        "x": X,
        "u": 1 + exp(-X),
        "y": sigmoid(X),
        r"\sigma": sigmoid,
        r"\sigma'": lambda x: diff(sigmoid(X), X).subs(X, x),
        r"\sigma''": lambda x: diff(sigmoid(X), X, 2).subs(X, x),
        r"\frac{\d u}{\d x}": diff(1 + exp(-X), X),
        r"\frac{\d y}{\d u}": diff(1 / U, U).subs(U, 1 + exp(-X)),
        r"\frac{\d y}{\d x}": diff(sigmoid(X), X),
        r"\frac{\d}{\d x}": lambda f: diff(f, X),
    }


@check("eq-sigmoid-square", "記号")
def square(rng):
    """y のすべての実数について。"""
    return {"y": sympy.Symbol("y", real=True)}


def precise(rng):
    return {
        "x": number(rng, -40, 40),
        r"\sigma": precise_sigmoid,
        r"\sigma'": lambda x: mpmath.diff(precise_sigmoid, x),
    }


@check("eq-sigmoid-tail", "高精度", points=50)
def tail(rng):
    """x は −40 から 40 まで。導関数は数値微分。"""
    return precise(rng)


@check("eq-sigmoid-window-y", "高精度", points=200)
def inside(rng):
    """w は 4 から 12 まで。3 つの条件の真偽が一致する。"""
    return {
        "w": number(rng, 4, 12),
        "z": number(rng, -3, 3),
        r"\sigma": precise_sigmoid,
        r"\sigma'": lambda z: mpmath.diff(precise_sigmoid, z),
    }


@check("eq-sigmoid-window", "高精度", points=10)
def window(rng):
    """左辺は、倍率が 1 になる入力を方程式の数値解で求め、その間隔を測ったもの。"""
    w, b = number(rng, 4.5, 30), number(rng)
    steep = float(mpmath.log(w))  # 解は 0 と log w の間にある
    edge = mpmath.findroot(
        lambda z: w * mpmath.diff(precise_sigmoid, z) - 1, (0.01, steep + 1), solver="anderson"
    )
    right, left = ((z - b) / w for z in (edge, -edge))
    return {r"\Delta a": right - left, "w": w, "r": mpmath.sqrt(1 - 4 / w)}


@check("eq-sigmoid-zigzag", "高精度", points=3, over={"i": range(3), "j": range(2)}, free="i j")
def one_sample(rng):
    """標本 1 つ、3 ユニットから 2 ユニットへ。左辺は、z の 3 次式の損失の数値微分。"""
    h, W, weight = normal(rng, 3), normal(rng, 3, 2), normal(rng, 2)

    def loss(z):
        return (weight * z + z**3 / 3).sum()

    return {
        "h": h,
        r"\delta": gradient(loss, h @ W),
        r"\pd{L}{W}": gradient(lambda W: loss(h @ W), W),
    }
