"""層正規化と勾配の倍率の章の検算。"""

import mpmath
import numpy as np
import sympy

from checks.engine import check
from checks.engine.draws import chances, gradient, normal, precise
from checks.engine.gauss import SYMBOLIC_MEANS, Z

EPS = mpmath.mpf("0.1")


@check("eq-ln-backward", "高精度", points=3, over={"j": range(4)}, free="j")
def backward(rng):
    """1 標本、4 ユニット、ε は 0.1。微分は、損失 (y の 3 次式) の数値微分。"""
    x, gamma, beta, weight = (normal(rng, 4) for _ in range(4))

    def x_hat(x):
        c = x - x.mean()
        return c / mpmath.sqrt((c**2).mean() + EPS)

    def loss(y):
        return (weight * y + y**3 / 3).sum()

    return {
        "v": ((x - x.mean()) ** 2).mean(),
        r"\varepsilon": EPS,
        r"\hat x": x_hat(x),
        r"\gamma": gamma,
        r"\delta": gradient(loss, gamma * x_hat(x) + beta),
        r"\hat\delta": gradient(lambda h: loss(gamma * h + beta), x_hat(x)),
        r"\pd{L}{x}": gradient(lambda x: loss(gamma * x_hat(x) + beta), x),
        r"\overline": lambda values: values.mean(),
    }


@check("eq-ln-var", "高精度", points=2)
def variances(rng):
    """幅 4。φ の平均は 0 でない。BN は標本、LN は重みについての分散を先にとる。"""
    draws, over_h = chances(rng, h=(4,))
    weights, over_w = chances(rng, W=(4,))
    h, W = precise(draws["h"]) + mpmath.mpf(rng.uniform(1, 2)), precise(weights["W"])
    a = W.T @ h  # 重みの場合 × 標本の場合
    batch = np.array([over_h[r"\Var"](row) for row in a])
    layer = np.array([over_w[r"\Var"](column) for column in a.T])
    return {
        r"v_{\text{BN}}": over_w[r"\E"](batch),
        r"v_{\text{LN}}": over_h[r"\E"](layer),
        r"\sigma_w": 2 * abs(W.min()) * 2,  # √n 倍。偏った 2 点分布の標準偏差は 2a
        r"\varphi": h,
        **over_h,
    }


@check("eq-ln-factor", "記号", without=(r"\text{BN}:\quad", r"\text{LN}:\quad"))
def factor(rng):
    """期待値と分散は、任意の正の数とみる。"""
    return {
        r"\sigma_w": sympy.Symbol("sigma_w", positive=True),
        r"\varphi": sympy.Symbol("phi"),
        r"\varphi'": sympy.Symbol("slope"),
        r"\E": sympy.Function("E", positive=True),
        r"\Var": sympy.Function("Var", positive=True),
    }


@check("eq-ln-relu", "記号")
def relu(rng):
    """期待値は SymPy の積分。"""
    phi = sympy.Piecewise((Z, Z > 0), (0, True))
    return {r"\varphi": phi, r"\varphi'": sympy.diff(phi, Z), **SYMBOLIC_MEANS}
