"""バッチ正規化の計算の章の検算。"""

import mpmath
import numpy as np

import vgbook as vg
from checks.engine import check
from checks.engine.draws import gradient, normal, number

EPS = mpmath.mpf("0.1")  # 大きめにとり、ε を書き落とした式が通らないようにする
OVER = {"n": range(5), "m": range(5)}


@check("eq-bn-forward", "数値", points=3, within=1e-12, over=OVER, free="n")
def package(rng):
    """パッケージの `BatchNorm` の出力。5 標本、1 ユニット。"""
    layer = vg.BatchNorm(1, eps=0.1)
    gamma, beta = rng.standard_normal(2)
    layer.params = {"gamma": np.array([[gamma]]), "beta": np.array([[beta]])}
    x = rng.standard_normal((5, 1))
    y = layer.forward(x)[:, 0]
    return {
        "x": x[:, 0],
        r"\mu": float(x.mean()),
        "c": x[:, 0] - x.mean(),
        "v": float(x.var()),
        r"\varepsilon": 0.1,
        "s": float(layer.inv_std[0, 0]),
        r"\hat x": layer.x_hat[:, 0],
        r"\gamma": gamma,
        r"\beta": beta,
        "y": y,
        "N": 5,
    }


def inverse_std(c):
    return 1 / mpmath.sqrt((c**2).mean() + EPS)


@check("eq-bn-params", "高精度", points=3, over=OVER, free="n")
@check("eq-bn-path", "高精度", points=3, over=OVER, free="n")
@check("eq-bn-c", "高精度", points=3, over=OVER, free="n")
@check("eq-bn-x", "高精度", points=3, over=OVER, free="n")
@check("eq-bn-backward", "高精度", points=3, over=OVER, free="n")
def backward(rng):
    """5 標本、1 ユニット、ε は 0.1。微分はすべて、損失 (y の 3 次式) の数値微分。"""
    x, weight = normal(rng, 5), normal(rng, 5)
    gamma, beta = number(rng), number(rng)
    c = x - x.mean()
    v, s = (c**2).mean(), inverse_std(c)
    x_hat = s * c

    def loss(y):
        return (weight * y + y**3 / 3).sum()

    return {
        "N": 5,
        "c": c,
        "v": v,
        "s": s,
        r"\varepsilon": EPS,
        r"\hat x": x_hat,
        r"\gamma": gamma,
        r"\overline": lambda values: values.mean(),
        r"\delta": gradient(loss, gamma * x_hat + beta),
        r"\hat\delta": gradient(lambda h: loss(gamma * h + beta), x_hat),
        r"\pd{L}{\hat x}": gradient(lambda h: loss(gamma * h + beta), x_hat),
        r"\pd{L}{\beta}": mpmath.diff(lambda b: loss(gamma * x_hat + b), beta),
        r"\pd{L}{\gamma}": mpmath.diff(lambda g: loss(g * x_hat + beta), gamma),
        r"\pd{L}{s}": mpmath.diff(lambda s: loss(gamma * s * c + beta), s),
        r"\frac{\d s}{\d v}": mpmath.diff(lambda v: 1 / mpmath.sqrt(v + EPS), v),
        r"\pd{v}{c}": gradient(lambda c: (c**2).mean(), c),
        r"\pd{L}{c}": gradient(lambda c: loss(gamma * inverse_std(c) * c + beta), c),
        r"\pd{L}{x}": gradient(
            lambda x: loss(gamma * inverse_std(x - x.mean()) * (x - x.mean()) + beta), x
        ),
    }


@check("eq-bn-running", "数値", points=3, within=1e-12)
def running(rng):
    """「←」の先は、パッケージの `BatchNorm` に 1 つのミニバッチを通した後の移動平均。"""
    momentum, before = (float(v) for v in rng.uniform(0.1, 0.9, 2))
    layer = vg.BatchNorm(1, momentum=momentum)
    layer.running_mean[:] = before
    x = rng.standard_normal((5, 1))
    layer.forward(x)
    after = float(layer.running_mean[0, 0])
    return {
        r"\text{running}": before,
        r"\text{batch}": float(x.mean()),
        "m": momentum,
        "after": {r"\text{running}": after},
    }


@check("eq-bn-fold", "高精度", points=3)
def fold(rng):
    """入力 3、ユニット 1。W′ と b′ は、合わせた計算の傾きと切片を数値微分で求めたもの。"""
    x, W = normal(rng, 1, 3), normal(rng, 3, 1)
    b, gamma, beta, mu = (number(rng) for _ in range(4))
    v = number(rng, 0.5, 2)

    def combined(x):
        return gamma * ((x @ W)[0, 0] + b - mu) / mpmath.sqrt(v + EPS) + beta

    return {
        "x": x,
        "W": W,
        "b": b,
        r"\gamma": gamma,
        r"\beta": beta,
        r"\mu": mu,
        "v": v,
        r"\varepsilon": EPS,
        "W'": gradient(combined, x).T,
        "b'": combined(0 * x),
    }
