"""ReLU とその仲間の章の検算。"""

import mpmath
import sympy

import vgbook as vg
from checks.engine import check
from checks.engine.draws import chances, precise
from checks.engine.gauss import SYMBOLIC_MEANS, Z
from checks.engine.networks import dead_share, network, relu


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


@check("eq-relu-euler", "高精度", points=2, over={"l": (1, 2)}, free="l")
def euler(rng):
    """バイアスのない ReLU の 3 層。∂L/∂W と δ は数値微分。"""
    return network(rng, relu, bias=False)


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
        "n": lambda at: sympy.diff(phi, z).subs(z, at),
        **{r"\varphi" + "'" * k: lambda at, k=k: sympy.diff(z * phi, z, k) for k in range(3)},
    }


@check("eq-relu-leaky-moments", "記号")
def leaky(rng):
    """期待値は、標準正規分布の密度を掛けた積分を SymPy で求めたもの。"""
    a = sympy.Symbol("a", real=True)
    phi = sympy.Piecewise((Z, Z > 0), (a * Z, True))
    return {"a": a, r"\varphi": phi, r"\varphi'": sympy.diff(phi, Z), **SYMBOLIC_MEANS}
