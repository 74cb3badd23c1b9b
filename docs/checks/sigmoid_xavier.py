"""シグモイドと Xavier の章の検算。"""

import numpy as np

import vgbook as vg
from checks.engine import check
from checks.engine.gauss import grid
from vgbook.theory import meanfield


@check(
    "eq-sigmoid-xavier-chi", "数値", points=3, within=1e-9, without=(r",\qquad z_l\sim N(0, q_l)",)
)
def chi(rng):
    """φ は tanh。左辺は、パッケージの `meanfield.chi_at` の値。"""
    std, q = (float(v) for v in rng.uniform(0.1, 2, 2))
    (nodes,), averages = grid()
    return {
        r"\chi_l": float(meanfield.chi_at(vg.tanh, q, std * np.sqrt(7))),
        "n": 7,
        r"\mathrm{std}": std,
        "z_l": np.sqrt(q) * nodes,
        r"\varphi'": lambda z: 1 / np.cosh(z) ** 2,
        **averages,
    }
