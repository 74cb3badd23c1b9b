"""幅が有限なときの揺らぎの章の検算。"""

import mpmath
import numpy as np
from scipy.special import polygamma, psi
from scipy.stats import binom

from checks.engine import check
from checks.engine.draws import from_one, normal
from checks.engine.gauss import grid
from checks.engine.networks import relu


@check("eq-fluctuation-ratio", "高精度", points=3)
def ratio(rng):
    """幅 4。g は、z を標準偏差で割ったもの。"""
    h, W = normal(rng, 4), normal(rng, 4, 4) * mpmath.sqrt(mpmath.mpf(2) / 4)
    z, size = h @ W, mpmath.sqrt((h**2).sum())
    return {
        "X": (relu(z) ** 2).sum() / size**2,
        "h": h,
        "z": z,
        "n": 4,
        r"\norm": lambda v: mpmath.sqrt((v**2).sum()),
        r"\relu": relu,
        "g": from_one(z / (mpmath.sqrt(mpmath.mpf(2) / 4) * size)),
    }


@check("eq-fluctuation-moments", "数値", within=1e-10)
def moments(rng):
    """n = 2。2 つの正規変数の格子の上の数値積分。"""
    (first, second), averages = grid(2)
    X = np.maximum(first, 0) ** 2 + np.maximum(second, 0) ** 2
    return {"X": X, "g": first, "n": 2, r"\relu": lambda v: np.maximum(v, 0), **averages}


@check("eq-fluctuation-log", "数値", within=1e-12)
def log_moments(rng):
    """n = 2000。正の g の数は 2 項分布、その二乗和は χ² 分布。「≈」は 1 % 以内。"""
    n = 2000
    positive = np.arange(1, n + 1)
    chance = binom.pmf(positive, n, 0.5)
    mean = psi(positive / 2) + np.log(4 / n)
    first = (chance * mean).sum()
    second = (chance * (mean**2 + polygamma(1, positive / 2))).sum()
    values = {"X": 5 / n, "log X": second - first**2}
    return {
        "X": "X",
        r"\log": lambda x: f"log {x}",
        r"\E": {"log X": first}.get,
        r"\Var": values.get,
        "n": n,
        r"\approx": lambda a, b: abs(a / b - 1) < 0.01,
    }
