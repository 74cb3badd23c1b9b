"""論文の再現の頁の検算。"""

import itertools
from fractions import Fraction

import numpy as np
from checking import check


@check("eq-repro-dead", "全数", points=3)
def dead(rng):
    """幅 2、3 層。重みは ±m で、m はすべて違う。2¹⁰ 通りのうち、出力がすべて 0 の数。"""
    sizes = [Fraction(int(m), 7) for m in rng.permutation(np.arange(5, 95, 9))]
    shapes, dead = [(1, 2), (2, 2), (2, 2)], 0
    for signs in itertools.product((-1, 1), repeat=10):
        flat = [s * m for s, m in zip(signs, sizes, strict=True)]
        h, at = np.array([[Fraction(1)], [Fraction(-1)]]), 0
        for a, b in shapes:
            z = h @ np.array(flat[at : at + a * b]).reshape(a, b)
            h, at = np.maximum(z, Fraction(0)), at + a * b
        dead += not h.any()
    return {
        "P": lambda event: event,
        "N": 2,
        "L": 3,
        r"\text{すべての入力で 0}": Fraction(dead, 2**10),
    }
