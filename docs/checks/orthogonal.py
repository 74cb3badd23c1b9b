"""直交初期化とその先の章の検算。"""

import mpmath
import numpy as np

from checks.engine import check
from checks.engine.draws import chances, gradient, normal, precise
from checks.engine.networks import network


def identity(z):
    return z


@check("eq-orth-jacobian", "高精度", points=3)
def jacobian(rng):
    """線形の 3 層、標本 1 つ。J と δ は数値微分。「⋯」は残りの行列の積。"""
    names = network(rng, identity, batch=1, bias=False)
    W, x, loss = names["W"], names["h"][0], names["loss"]

    def output(x):
        return x @ W[1] @ W[2] @ W[3]

    return {
        "J": gradient(lambda row: output(row[None])[0], x[0]).T,
        r"W_1 W_2 \cdots W_L": W[1] @ W[2] @ W[3],
        r"\delta_0": gradient(lambda x: loss(output(x)), x),
        r"\delta_L": names[r"\delta"][3],
    }


@check("eq-orth-mean", "高精度", points=3, over={"i": range(3)})
def mean(rng):
    """幅 3。δ_L の成分は ±a を半分ずつ取り、長さは変わらない。s は J の特異値。"""
    draws, averages = chances(rng, fair=("delta",), delta=(3,))
    J, delta = normal(rng, 3, 3), precise(draws["delta"])
    return {
        r"\delta_0": J @ delta,
        r"\delta_L": delta,
        r"\norm": lambda v: np.frompyfunc(mpmath.sqrt, 1, 1)((v**2).sum(axis=0)),
        "n": 3,
        "s": list(mpmath.svd_r(mpmath.matrix(J.tolist()), compute_uv=False)),
        **averages,
    }


@check("eq-orth-max", "数値", within=0.15)
def largest(rng):
    """L = 5、幅 300 の正規乱数の行列の積の、最大の特異値。

    「→」は幅が、「≈」は L が有限なので、どちらも 15 % 以内とする。
    """
    n, L = 300, 5
    product = np.linalg.multi_dot([rng.standard_normal((n, n)) / np.sqrt(n) for _ in range(L)])

    def close(a, b):
        return abs(a / b - 1) < 0.15

    return {
        "s_1": float(np.linalg.norm(product, 2)),
        "L": L,
        r"\to": close,
        r"\approx": close,
    }


@check("eq-orth-isometry", "高精度", points=3)
def isometry(rng):
    """幅 3 の 3 層。W は正規乱数の QR 分解の Q。「⋯」は残りの行列の積。"""
    W = {}
    for l in (1, 2, 3):
        q, _ = mpmath.qr(mpmath.matrix(normal(rng, 3, 3).tolist()))
        W[l] = np.array(q.tolist(), dtype=object).reshape(3, 3)
    J = W[1] @ W[2] @ W[3]
    outer = W[3].T @ W[2].T @ W[2] @ W[3]
    return {
        "J": J,
        r"W_L\T \cdots W_2\T\,(W_1\T W_1)\,W_2 \cdots W_L": W[3].T
        @ W[2].T
        @ (W[1].T @ W[1])
        @ W[2]
        @ W[3],
        r"W_L\T \cdots W_2\T\,W_2 \cdots W_L": outer,
        r"\dots": W[3].T @ W[3],
        "I": precise(np.eye(3)),
    }
