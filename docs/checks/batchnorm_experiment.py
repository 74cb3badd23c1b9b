"""バッチ正規化の実験の章の検算。"""

import mpmath
import numpy as np

from checks.engine import check
from checks.engine.draws import gradient, normal, number

sqrt = np.frompyfunc(mpmath.sqrt, 1, 1)


def standardized(z):
    """ε のないバッチ正規化。"""
    centered = z - z.mean(axis=0)
    return centered / sqrt((centered**2).mean(axis=0))


@check("eq-bnx-scale", "高精度", points=3)
@check("eq-bnx-rate", "高精度", points=3)
def scaled(rng):
    """4 標本、2 入力、2 ユニット、ε = 0。微分は、損失 (出力の 3 次式) の数値微分。"""
    x, W, weight = normal(rng, 4, 2), normal(rng, 2, 2), normal(rng, 4, 2)
    a = number(rng, 0.2, 3)

    def loss(W):
        h = standardized(x @ W)
        return (weight * h + h**3 / 3).sum()

    return {
        "x": x,
        "W": W,
        "a": a,
        r"\eta": number(rng, 0, 1),
        r"\operatorname{BN}": standardized,
        r"\pd{L}{W}": gradient(loss, W),
        r"\pd{L}{(aW)}": gradient(loss, a * W),
        r"\norm": lambda v: mpmath.sqrt((v**2).sum()),
    }
