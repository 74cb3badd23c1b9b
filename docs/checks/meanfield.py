"""平均場と相図の章の検算。"""

import mpmath
import numpy as np

import vgbook as vg
from checks.engine import check
from checks.engine.draws import chances
from checks.engine.gauss import grid
from vgbook.theory import meanfield


def tanh_slope(z):
    return 1 / np.cosh(z) ** 2


@check("eq-mf-length", "全数", points=2, free="j", over={"i": range(4), "j": (0,), "l": (1,)})
def length(rng):
    """幅 4。φ(z) は z に定数を足したもの。z、重み、バイアスの 2⁹ 通りを数える。"""
    draws, averages = chances(rng, z=(4,), W=(4, 1), b=(1,))
    z, W = draws["z"], draws["W"]
    sd = abs(z.min()) * 2  # 偏った 2 点分布 (−a と 4a) の標準偏差は 2a

    def phi(z):
        return z + 1

    a = (phi(z)[:, None] * W).sum(axis=0) + draws["b"]
    return {
        "q_{l+1}": averages[r"\E"](a[0] ** 2),
        "l": 1,
        "z": {1: z},
        "W": W,
        "b": draws["b"],
        r"\varphi": phi,
        r"\sigma_w": 2 * abs(W.min()) * 2,
        r"\sigma_b": abs(draws["b"].min()) * 2,
        "q_l": sd**2,
        r"\sqrt": lambda q: {sd**2: sd}[q],
        "Z": z[0] / sd,
        **averages,
    }


@check("eq-mf-chi", "数値", points=3, within=1e-9)
def chi(rng):
    """φ は tanh。左辺は、パッケージの `meanfield.chi` の値。"""
    sigma_w, sigma_b = float(rng.uniform(0.8, 2)), float(rng.uniform(0.1, 0.5))
    (nodes,), averages = grid()
    return {
        r"\chi_1": float(meanfield.chi(vg.tanh, sigma_w, sigma_b)),
        "q^*": float(meanfield.fixed_point(vg.tanh, sigma_w, sigma_b)),
        r"\sigma_w": sigma_w,
        "Z": nodes,
        r"\varphi'": tanh_slope,
        **averages,
    }


@check("eq-mf-correlation", "数値", points=3, within=1e-8)
@check("eq-mf-slope", "数値", points=3, within=1e-6)
def correlation(rng):
    """φ は tanh。左辺は、パッケージの `meanfield.correlation_map` と、その数値微分。"""
    sigma_w, sigma_b = float(rng.uniform(1, 2)), float(rng.uniform(0.1, 0.5))
    c = float(rng.uniform(-0.5, 0.9))
    q = float(meanfield.fixed_point(vg.tanh, sigma_w, sigma_b))
    (first, second), averages = grid(2)

    def step(c):
        return float(meanfield.correlation_map(vg.tanh, c, sigma_w, sigma_b))

    def pair(c):
        return np.sqrt(q) * first, np.sqrt(q) * (c * first + np.sqrt(1 - c**2) * second)

    def slope(c):
        u, v = pair(c)
        return sigma_w**2 * averages[r"\E"](tanh_slope(u) * tanh_slope(v))

    return {
        "c_{l+1}": step(c),
        r"\pd{c_{l+1}}{c_l}": (step(c + 1e-5) - step(c - 1e-5)) / 2e-5,
        "q^*": q,
        "u": dict(enumerate(pair(c), start=1)),
        r"\sigma_w": sigma_w,
        r"\sigma_b": sigma_b,
        r"\varphi": np.tanh,
        r"\varphi'": tanh_slope,
        r"\chi_1": float(meanfield.chi(vg.tanh, sigma_w, sigma_b)),
        r"\to": lambda at_c, limit: abs(slope(1 - 1e-6) - limit) < 1e-4,
        **averages,
    }


def kernel(c):
    """E[ReLU(u₁) ReLU(u₂)]。2 次元の正規分布を極座標で積分する。"""
    theta = mpmath.acos(c)
    low, high = theta - mpmath.pi / 2, mpmath.pi / 2  # 両方が正になる向き
    return mpmath.quad(lambda a: mpmath.cos(a) * mpmath.cos(a - theta), [low, high]) / mpmath.pi


@check("eq-mf-both", "高精度", points=3)
@check("eq-mf-kernel", "高精度", points=3)
def relu_kernel(rng):
    """J は、2 次元の正規分布での期待値の数値積分。J′ は、その数値微分。"""
    theta = mpmath.mpf(rng.uniform(0.2, 2.8))

    def inside(t):
        return -(mpmath.pi - t) * mpmath.cos(t)

    by_parts = inside(mpmath.pi) - inside(theta) - mpmath.quad(mpmath.cos, [theta, mpmath.pi])
    bracket = r"\bigl[-(\pi-t)\cos t\bigr]_\theta^\pi - \int_\theta^\pi \cos t\,\d t"
    return {
        "J": kernel(mpmath.cos(theta)),
        "J'": lambda c: mpmath.diff(kernel, c),
        "c": mpmath.cos(theta),
        r"\theta": theta,
        rf"\frac{{1}}{{2\pi}}\Bigl({bracket}\Bigr)": by_parts / (2 * mpmath.pi),
    }
