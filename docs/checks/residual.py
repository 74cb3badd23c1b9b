"""残差接続とシャタード勾配の章の検算。"""

from fractions import Fraction

import mpmath
import numpy as np

from checks.engine import check
from checks.engine.draws import chances, gradient, normal, number, precise
from checks.engine.networks import tanh
from checks.meanfield import kernel


@check("eq-res-block", "高精度", points=3)
def block(rng):
    """F は tanh の 2 層、幅 3、標本 1 つ。∂F/∂x は [入力, 出力] の並び。微分は数値微分。"""
    x, weight, alpha = normal(rng, 3), normal(rng, 3), number(rng)
    A, B = normal(rng, 3, 3), normal(rng, 3, 3)

    def F(x):
        return tanh(x @ A) @ B

    def loss(y):
        return (weight * y + y**3 / 3).sum()

    y = x + alpha * F(x)
    return {
        "x": x,
        "y": y,
        "F": F,
        r"\alpha": alpha,
        r"\pd{L}{x}": gradient(lambda x: loss(x + alpha * F(x)), x),
        r"\pd{L}{y}": gradient(loss, y),
        r"\pd{F}{x}": gradient(F, x).T,
    }


@check("eq-res-product", "高精度", points=3, over={"l": (1, 2, 3)})
def product(rng):
    """線形の枝の 3 ブロック、幅 2。J は数値微分。右の「⋯」は α² と α³ の項を書き下したもの。"""
    F = dict(enumerate(normal(rng, 3, 2, 2), start=1))
    alpha, eye = number(rng), precise(np.eye(2))

    def output(x):
        for l in (1, 2, 3):
            x = x + alpha * (x @ F[l])
        return x

    first = r"(I + \alpha F_1')(I + \alpha F_2')\cdots(I + \alpha F_L')"
    pairs = F[1] @ F[2] + F[1] @ F[3] + F[2] @ F[3]
    return {
        "J": gradient(output, normal(rng, 2)).T,
        first: (eye + alpha * F[1]) @ (eye + alpha * F[2]) @ (eye + alpha * F[3]),
        "I": eye,
        r"\alpha": alpha,
        "F'": F,
        r"\cdots": alpha**2 * pairs + alpha**3 * F[1] @ F[2] @ F[3],
    }


@check("eq-res-growth", "高精度", points=3)
def growth(rng):
    """幅 2。枝は平均 0 の重み 1 つ。δ どうしは独立でない。2⁶ 通りを数える。"""
    draws, averages = chances(rng, W=(2, 2), base=(2,))
    a, b = precise(draws["base"])
    W, above, alpha = precise(draws["W"]), np.stack([a, b + a / 2]), number(rng)
    return {
        r"\pd{L}{y}": above,
        r"\pd{L}{x}": above + alpha * (above * W).sum(axis=1),
        r"\norm": lambda v: np.frompyfunc(mpmath.sqrt, 1, 1)((v**2).sum(axis=0)),
        r"\alpha": alpha,
        r"\chi": 2 * (2 * abs(W.min())) ** 2,  # n × 分散。偏った 2 点分布の標準偏差は 2a
        **averages,
    }


@check(
    "eq-res-arccos", "高精度", points=3,
    without=(r"\prod_{l=1}^{L} \left(1 - \frac{\theta_l}{\pi}\right), \qquad",),
)  # fmt: skip
def angle(rng):
    """左辺は、2 次元の正規分布での期待値の数値積分。積は定義なので読まない。"""
    theta = mpmath.mpf(rng.uniform(0.2, 2.8))
    return {
        r"\theta_l": theta,
        r"\theta_{l+1}": mpmath.acos(2 * kernel(mpmath.cos(theta))),
    }


@check("eq-res-length", "全数", points=2)
def length(rng):
    """幅 4 の枝。φ(z) は z に定数を足したもの。x と z は同じ大きさで、2⁹ 通りを数える。"""
    draws, averages = chances(rng, x=(1,), z=(4,), W=(4,))
    x, W, alpha = draws["x"][0], draws["W"], Fraction(2, 3)
    sd = abs(x.min()) * 2  # 偏った 2 点分布 (−a と 4a) の標準偏差は 2a
    unit = draws["z"] / (abs(draws["z"].min()) * 2)

    def phi(z):
        return z + 1

    return {
        "q_{l+1}": averages[r"\E"]((x + alpha * (phi(sd * unit) * W).sum(axis=0)) ** 2),
        "q_l": sd**2,
        r"\alpha": alpha,
        r"\sigma_w": 2 * abs(W.min()) * 2,  # √n 倍
        r"\varphi": phi,
        r"\sqrt": lambda q: {sd**2: sd}[q],
        "Z": unit[0],
        **averages,
    }
