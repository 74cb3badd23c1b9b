"""ゼロ初期化と対称性の章の検算。"""

import mpmath
import numpy as np

from checks.engine import check
from checks.engine.draws import gradient, normal, precise
from checks.engine.networks import network, relu

SQUARE = {"widths": (2, 2, 2, 2), "batch": 2}


@check("eq-zero-relu", "高精度", points=2, over={"l": (1, 2), "n": (0, 1)}, free="l")
def all_zero(rng):
    """重みが 0 の ReLU の 3 層の、隠れ層。微分は数値微分。幅をそろえ、0 は零行列とみる。"""
    return network(rng, relu, bias=False, scale=0, **SQUARE)


@check("eq-zero-entropy", "高精度", points=5, over={"k": range(4)})
@check("eq-zero-gibbs", "高精度", points=5, over={"k": range(4)})
def entropy(rng):
    """4 クラスの個数を無作為に選ぶ。L は、1 個ずつの −log p の平均。"""
    counts = rng.integers(1, 9, 4)
    powers = np.frompyfunc(mpmath.exp, 1, 1)(normal(rng, 4))
    p, N = powers / powers.sum(), int(counts.sum())
    labels = np.repeat(np.arange(4), counts)
    return {
        "L": -sum(mpmath.log(p[k]) for k in labels) / N,
        r"\pi": precise(counts) / N,
        "p": p,
    }


@check("eq-zero-symmetry", "高精度", points=2, over={"l": (2,)}, free="l")
def constant(rng):
    """重みがすべて c の tanh の 3 層。∂L/∂W と δ は数値微分。「すべて同じ」も確かめる。"""
    names = network(rng, bias=False, same=True, **SQUARE)
    first, middle, last = (names[r"\pd{L}{W}"][l] for l in (1, 2, 3))
    for a, b in ((first[:, 0], first[:, 1]), (middle[0], middle[:, 1]), (last[0], last[1])):
        assert max(abs(a - b)) < mpmath.mpf(10) ** -30
    return {**names, "x": names["h"][0]}


@check("eq-zero-balanced", "高精度", over={"n": range(64), "k": range(8)}, free="k")
def balanced(rng):
    """8 クラスに 8 枚ずつ。左辺は、一様な出力での損失の数値微分。"""
    labels = np.repeat(np.arange(8), 8).tolist()

    def loss(b):
        total = mpmath.log(sum(mpmath.exp(v) for v in b))
        return sum(total - b[t] for t in labels) / 64

    return {
        r"\pd{L}{b}": {1: gradient(loss, precise(np.zeros(8)))},
        "L": 1,
        "N": 64,
        "t": labels,
        r"\mathbb 1": 1,
    }
