"""ReLU とその仲間の章の検算。"""

import mpmath
import numpy as np
import sympy

import vgbook as vg
from checks.engine import check
from checks.engine.draws import chances, gradient, normal, number, precise
from checks.engine.gauss import SYMBOLIC_MEANS, Z, grid
from checks.engine.networks import dead_share
from vgbook.theory import moments
from vgbook.theory.meanfield import length_map


@check("eq-relu", "数値", points=20, within=1e-15)
def package(rng):
    """左辺は、パッケージの `vg.relu` の値と導関数。"""
    return {
        "z": float(rng.normal()),
        r"\varphi": vg.relu,
        r"\varphi'": vg.relu.derivative,
    }


@check("eq-relu-factor", "高精度", points=2)
def factor(rng):
    """4 ユニットから 1 ユニットへ。δ、重み、z の符号の 2⁹ 通りをすべて数えた平均。"""
    draws, averages = chances(rng, fair=("z",), W=(4,), delta=(4,), z=(1,))
    W, delta, z = (precise(draws[name]) for name in ("W", "delta", "z"))
    return {
        r"\delta_l": (z[0] > 0) * (delta * W).sum(axis=0),
        r"\delta_{l+1}": delta,
        r"\RMS": lambda x: mpmath.sqrt(averages[r"\E"](x**2)),
        r"\mathrm{std}": abs(W.min()) * 2,  # 偏った 2 点分布 (-a と 4a) の標準偏差は 2a
        "n": 4,
    }


@check("eq-relu-dead", "全数")
def dead(rng):
    """幅 2、3 層。重みの符号の 2¹⁰ 通りで、出力が 0 になる数を数える。"""
    return {
        "P": lambda event: event,
        "N": 2,
        "L": 3,
        r"\text{出力がすべて 0}": dead_share(rng, 1),
    }


@check("eq-relu-gelu", "記号")
def gelu(rng):
    """z のすべての実数について。Φ は erf で表し、微分は SymPy が求めたもの。"""
    z = sympy.Symbol("z", real=True)
    phi = (1 + sympy.erf(z / sympy.sqrt(2))) / 2
    return {
        "z": z,
        r"\Phi": lambda at: phi.subs(z, at),
        r"\Phi'": lambda at: sympy.diff(phi, z).subs(z, at),
        **{r"\varphi" + "'" * k: lambda at, k=k: sympy.diff(z * phi, z, k) for k in range(3)},
    }


@check("eq-relu-leaky-moments", "記号")
def leaky(rng):
    """期待値は、標準正規分布の密度を掛けた積分を SymPy で求めたもの。"""
    a = sympy.Symbol("a", real=True)
    phi = sympy.Piecewise((Z, Z > 0), (a * Z, True))
    return {"a": a, r"\varphi": phi, r"\varphi'": sympy.diff(phi, Z), **SYMBOLIC_MEANS}


@check("eq-relu-prelu", "高精度", points=3, over={"n": range(2), "i": range(3)})
def prelu(rng):
    """2 標本、3 ユニット。損失は h の 3 次式、微分は数値微分。"""
    a, z, weight = number(rng, 0, 1), normal(rng, 2, 3), normal(rng, 2, 3)

    def phi(a):
        return np.maximum(z, 0) + a * np.minimum(z, 0)

    def loss(h):
        return (weight * h + h**3 / 3).sum()

    return {
        "z": z,
        r"\min": min,
        r"\pd{L}{a}": mpmath.diff(lambda a: loss(phi(a)), a),
        r"\pd{L}{h}": gradient(loss, phi(a)),
    }


@check("eq-relu-length-slope", "数値", within=1e-7)
def length_slope(rng):
    """φ は GELU。左辺は、利得をかけた長さの写像 `meanfield.length_map` の中心差分。"""
    (z,), averages = grid()
    gain, step = float(moments.gain(vg.gelu)), 1e-4
    ahead, behind = (float(length_map(vg.gelu, 1 + d, gain)) for d in (step, -step))
    return {
        "V'": lambda q: (ahead - behind) / (2 * step),
        "z": z,
        r"\varphi": vg.gelu,
        r"\varphi'": vg.gelu.derivative,
        **averages,
    }
