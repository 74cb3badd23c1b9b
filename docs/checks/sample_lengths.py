"""倍率の式が外れるときの章の検算。"""

import sympy

from checks.engine import check
from checks.engine.gauss import SYMBOLIC_MEANS, Z


@check("eq-length-factor", "記号")
def length(rng):
    """λ は、標本の大きさ q が 1 のときの V(q) / V(1) の微分。φ は 0 で折れた 3 次式。"""
    q = sympy.Symbol("q", positive=True)
    mean = SYMBOLIC_MEANS[r"\E"]
    phi = Z**2 - Z + sympy.Piecewise((Z**3 + Z, Z > 0), (0, True))
    variance = mean((phi.subs(Z, sympy.sqrt(q) * Z) - mean(phi)) ** 2)
    return {
        r"\lambda": (sympy.diff(variance, q) / variance).subs(q, 1),
        r"\varphi": phi,
        r"\varphi'": sympy.diff(phi, Z),
        "Z": Z,
        **SYMBOLIC_MEANS,
    }
