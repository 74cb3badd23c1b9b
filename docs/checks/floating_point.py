"""シグモイド関数の数値計算の章の検算。"""

import mpmath

from checks.engine import check
from checks.engine.draws import number


def sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


@check("eq-float-stable", "高精度", points=20)
def stable(rng):
    """x は −40 から 40 まで。e は exp(−|x|)、導関数は数値微分。"""
    x = number(rng, -40, 40)
    return {
        "x": x,
        r"\sigma": sigmoid,
        r"\sigma'": lambda x: mpmath.diff(sigmoid, x),
        "e": mpmath.exp(-abs(x)),
    }
