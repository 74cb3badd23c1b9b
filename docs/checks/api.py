"""パッケージの docstring の式の検算。どれも、パッケージの計算した値と比べる。"""

import numpy as np

import vgbook as vg
from checks.engine import check
from checks.engine.gauss import grid
from checks.engine.numbers import near
from vgbook.layers import affine as layers
from vgbook.layers.normalization import BatchNorm, LayerNorm
from vgbook.layers.recurrent import Recurrent
from vgbook.layers.residual import Residual
from vgbook.theory import meanfield
from vgbook.training import losses, optimizers


def close(a, b):
    return near(a, b, 1e-10)


@check("vgbook.layers.affine.Affine", "数値", points=3, within=1e-12)
def affine(rng):
    """3 標本、2 入力、4 出力。"""
    layer = layers.Affine(rng.standard_normal((2, 4)), rng.standard_normal((1, 4)))
    x, delta = rng.standard_normal((3, 2)), rng.standard_normal((3, 4))
    return {
        "x": x,
        "W": layer.params["W"],
        "b": layer.params["b"],
        "z": layer.forward(x),
        r"\delta": delta,
        r"\pd{L}{x}": layer.backward(delta),
        r"\pd{L}{W}": layer.grads["W"],
        r"\pd{L}{b}": layer.grads["b"],
        r"\sum_{\text{バッチ}} \delta": delta.sum(axis=0, keepdims=True),
    }


@check("vgbook.layers.affine.Activate", "数値", points=3, within=1e-12)
def activate(rng):
    """φ は tanh。φ′ は 1/cosh²。"""
    layer = layers.Activate(vg.tanh)
    z, upper = rng.standard_normal((2, 3, 2))
    return {
        "z": z,
        "h": layer.forward(z),
        r"\varphi": np.tanh,
        r"\varphi'": lambda z: 1 / np.cosh(z) ** 2,
        r"\pd{L}{h}": upper,
        r"\pd{L}{z}": layer.backward(upper),
    }


@check(
    "vgbook.training.losses.softmax_cross_entropy", "数値", points=3, within=1e-12,
    over={"n": range(3), "k": range(4)}, free="n k",
)  # fmt: skip
def cross_entropy(rng):
    """3 標本、4 クラス。"""
    y, t = rng.standard_normal((3, 4)), rng.integers(4, size=3)
    L, dy = losses.softmax_cross_entropy(y, t)
    p = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
    return {
        "L": float(L),
        "N": 3,
        "y": y,
        "t": t.tolist(),
        "p": p,
        r"\mathbb 1": 1,
        r"\pd{L}{y}": dy,
    }


@check(
    "vgbook.training.losses.sigmoid_cross_entropy",
    "数値",
    points=3,
    within=1e-12,
    over={"n": range(3)},
    free="n",
)
def sigmoid_entropy(rng):
    """3 標本。"""
    y, t = rng.standard_normal(3), rng.integers(2, size=3)
    L, dy = losses.sigmoid_cross_entropy(y[:, None], t)
    return {
        "L": float(L),
        "N": 3,
        "y": y,
        "t": t.astype(float),
        "s": 2.0 * t - 1,
        r"\sigma": lambda z: 1 / (1 + np.exp(-z)),
        r"\pd{L}{y}": dy[:, 0],
    }


@check(
    "vgbook.training.losses.mean_squared_error",
    "数値",
    points=3,
    within=1e-12,
    over={"n": range(3)},
)
def squared_error(rng):
    """3 標本、2 次元。"""
    y, t = rng.standard_normal((2, 3, 2))
    L, dy = losses.mean_squared_error(y, t)
    return {"L": float(L), "N": 3, "y": y, "t": t, r"\norm": np.linalg.norm, r"\pd{L}{y}": dy}


def normalized(layer, rng):
    """1 つの平均と分散でそろえる 5 つの値。BN なら 5 標本、LN なら 5 ユニット。"""
    batch = isinstance(layer, BatchNorm)
    gamma, beta = rng.standard_normal((2, 1 if batch else 5))
    layer.params = {"gamma": gamma[None], "beta": beta[None]}
    x, delta = rng.standard_normal((2, 5))
    shape = (5, 1) if batch else (1, 5)
    return {
        "x": x,
        r"\mu": x.mean(),
        r"\mu_B": x.mean(),
        r"\sigma": x.std(),
        r"\sigma_B": x.std(),
        r"\varepsilon": layer.eps,
        r"\gamma": gamma,
        r"\beta": beta,
        "y": layer.forward(x.reshape(shape)).ravel(),
        r"\hat x": layer.x_hat.ravel(),
        r"\delta": delta,
        r"\overline": np.mean,
        r"\pd{L}{x}": layer.backward(delta.reshape(shape)).ravel(),
    }


@check("vgbook.layers.normalization.BatchNorm", "数値", points=3, within=1e-10)
@check("vgbook.layers.normalization.BatchNorm-2", "数値", points=3, within=1e-10)
def batch_norm(rng):
    """5 標本、1 ユニット、ε は 0.1。"""
    return normalized(BatchNorm(1, eps=0.1), rng)


@check("vgbook.layers.normalization.LayerNorm", "数値", points=3, within=1e-10)
def layer_norm(rng):
    """1 標本、5 ユニット、ε は 0.1。"""
    return normalized(LayerNorm(5, eps=0.1), rng)


def updates(optimizer, rng, **states):
    """2 回更新し、2 回目の前後の値を返す。``states`` は、式の字から、状態の名前へ。"""
    W = rng.standard_normal((2, 3))
    network = vg.Network([layers.Affine(W.copy())])

    def values():
        found = {"W": network[0].params["W"].copy()}
        return found | {
            name: getattr(optimizer, state).of(network)[0].copy() for name, state in states.items()
        }

    for _ in range(2):
        gradient = rng.standard_normal((2, 3))
        network[0].grads = {"W": gradient, "b": np.zeros((1, 3))}
        before = values()
        optimizer.step(network)
    return {**before, "g": gradient, r"\eta": optimizer.lr, "after": values()}


@check("vgbook.training.optimizers.SGD", "数値", points=3, within=1e-12)
def sgd(rng):
    """「←」の左は更新の前、右は後の値。"""
    return updates(optimizers.SGD(0.3), rng)


@check("vgbook.training.optimizers.Momentum", "数値", points=3, within=1e-12)
def momentum(rng):
    """2 回目の更新。"""
    return {**updates(optimizers.Momentum(0.3, momentum=0.7), rng, v="v"), r"\mu": 0.7}


@check("vgbook.training.optimizers.Nesterov", "数値", points=3, within=1e-12)
def nesterov(rng):
    """2 回目の更新。"""
    return {**updates(optimizers.Nesterov(0.3, momentum=0.7), rng, v="v"), r"\mu": 0.7}


@check("vgbook.training.optimizers.AdaGrad", "数値", points=3, within=1e-12)
def adagrad(rng):
    """2 回目の更新。ε は 0.1。"""
    return {**updates(optimizers.AdaGrad(0.3, eps=0.1), rng, s="s"), r"\varepsilon": 0.1}


@check("vgbook.training.optimizers.RMSProp", "数値", points=3, within=1e-12)
def rmsprop(rng):
    """2 回目の更新。ε は 0.1。"""
    names = updates(optimizers.RMSProp(0.3, alpha=0.6, eps=0.1), rng, s="s")
    return {**names, r"\alpha": 0.6, r"\varepsilon": 0.1}


@check("vgbook.training.optimizers.Adam", "数値", points=3, within=1e-12)
def adam(rng):
    """2 回目の更新 (t = 2)。ε は 0.1。"""
    names = updates(optimizers.Adam(0.3, betas=(0.6, 0.8), eps=0.1), rng, m="m", s="s")
    return {**names, r"\beta_1": 0.6, r"\beta_2": 0.8, "t": 2, r"\varepsilon": 0.1}


@check("vgbook.training.optimizers.AdamW", "数値", points=3, within=1e-12)
def adamw(rng):
    """2 回目の更新 (t = 2)。ε は 0.1。"""
    optimizer = optimizers.AdamW(0.3, betas=(0.6, 0.8), eps=0.1, weight_decay=0.7)
    names = updates(optimizer, rng, m="m", s="s") | {r"\lambda": 0.7, "t": 2}
    return {**names, r"\beta_1": 0.6, r"\beta_2": 0.8, r"\varepsilon": 0.1}


@check("vgbook.training.clipping.Clip", "数値", points=6, within=1e-12)
def clip(rng):
    """「←」の右は、学習率 1 の SGD が動かした量。"""
    g = rng.standard_normal((2, 3))
    network = vg.Network([layers.Affine(np.zeros((2, 3)))])
    network[0].grads = {"W": g.copy(), "b": np.zeros((1, 3))}
    theta = float(rng.uniform(0.5, 5))
    vg.Clip(vg.SGD(1.0), theta).step(network)
    return {
        "g": g,
        r"\theta": theta,
        r"\min": min,
        r"\norm": np.linalg.norm,
        "after": {"g": -network[0].params["W"]},
    }


@check("vgbook.clinic.numerical.numerical_gradient", "数値", points=3, over={"i": range(3)},
       free="i", within=1e-6)  # fmt: skip
def central_difference(rng):
    """左辺は `vg.numerical_gradient` の値。h は 10⁻⁵。「≈」は相対誤差 10⁻⁶ 以内。"""
    a, weight = rng.standard_normal((2, 3))

    def f(a):
        return np.sin(weight @ a)

    return {
        "a": a,
        "f": f,
        "h": 1e-5,
        "e": np.eye(3),
        r"\pd{f}{a}": vg.numerical_gradient(f, a),
        r"\approx": lambda a, b: near(a, b, 1e-6),
    }


def gaussian(init, **names):
    """「~」の左はパッケージの分散、右は式の分散。"""
    return {
        "W_{ij}": float(init.std(7, 5) * init.gain) ** 2,
        r"n_\mathrm{in}": 7,
        r"n_\mathrm{out}": 5,
        r"\mathcal N": lambda mean, variance: variance if mean == 0 else np.nan,
        r"\mathrm{Var}": float,
        r"\sim": close,
        **names,
    }


@check("vgbook.initializers.xavier", "数値", within=1e-12)
def xavier(rng):
    """入力 7、出力 5、gain は 1.5。"""
    return gaussian(vg.xavier(1.5), **{r"\mathrm{gain}": 1.5})


@check("vgbook.initializers.glorot", "数値", within=1e-12)
def glorot(rng):
    """入力 7、出力 5、gain は 1.5。"""
    return gaussian(vg.glorot(1.5), **{r"\mathrm{gain}": 1.5})


@check("vgbook.initializers.glorot_uniform", "数値", within=1e-12)
def glorot_uniform(rng):
    """入力 7、出力 5、gain は 1.5。一様分布の分散は a²/3。"""
    init = vg.glorot_uniform(1.5)
    edge = float(np.sqrt(3) * init.std(7, 5) * init.gain)
    names = {r"\mathrm{gain}": 1.5, "a": edge, r"U\left[-a, a\right]": edge**2 / 3}
    return gaussian(init, **names)


@check("vgbook.initializers.he", "数値", within=1e-12)
def he(rng):
    """入力 7、出力 5、gain は 1.5、傾きは 0.2。"""
    return gaussian(vg.he(slope=0.2, gain=1.5), **{r"\mathrm{gain}": 1.5, r"\mathrm{slope}": 0.2})


@check("vgbook.theory.meanfield", "数値", points=2, within=1e-8)
def maps(rng):
    """φ は tanh。「↦」の右が、パッケージの `length_map` と `correlation_map` の値と等しい。"""
    sigma_w, sigma_b = float(rng.uniform(1, 2)), float(rng.uniform(0.1, 0.5))
    fixed = float(meanfield.fixed_point(vg.tanh, sigma_w, sigma_b))
    q, c = float(rng.uniform(0.2, 2)), float(rng.uniform(-0.5, 0.9))
    (first, second), averages = grid(2)
    mapped = {
        q: meanfield.length_map(vg.tanh, q, sigma_w, sigma_b),
        c: meanfield.correlation_map(vg.tanh, c, sigma_w, sigma_b),
    }
    return {
        "q": q,
        "c": c,
        "q^*": fixed,
        "Z": first,
        "u_1": np.sqrt(fixed) * first,
        "u_2": np.sqrt(fixed) * (c * first + np.sqrt(1 - c**2) * second),
        r"\sigma_w": sigma_w,
        r"\sigma_b": sigma_b,
        r"\varphi": np.tanh,
        "E": averages[r"\E"],
        r"\mapsto": lambda start, b: near(mapped[start], b, 1e-8),
    }


@check(
    "vgbook.layers.recurrent.Recurrent",
    "数値",
    points=2,
    within=1e-12,
    over={"t": (1, 2)},
    free="t",
)
@check(
    "vgbook.layers.recurrent.Recurrent-2",
    "数値",
    points=2,
    within=1e-12,
    over={"t": (1, 2)},
    free="t",
)
def recurrent(rng):
    """tanh の 3 時刻、2 標本、幅 3。"""
    Wx, Wh, b = (rng.standard_normal(shape) for shape in ((2, 3), (3, 3), (1, 3)))
    layer = Recurrent(Wx, Wh, vg.tanh, b)
    x, upper = rng.standard_normal((3, 2, 2)), rng.standard_normal((3, 2, 3))
    h = layer.forward(x)
    layer.backward(upper)
    return {
        "x": dict(enumerate(x, start=1)),
        "h": {0: np.zeros((2, 3)), **dict(enumerate(h, start=1))},
        "z": dict(enumerate(layer.z, start=1)),
        "W_x": layer.params["Wx"],
        "W_h": layer.params["Wh"],
        "b": layer.params["b"],
        r"\varphi": np.tanh,
        r"\varphi'": lambda z: 1 / np.cosh(z) ** 2,
        r"\delta": dict(enumerate(layer.delta, start=1)),
        r"\pd{L}{h}": dict(enumerate(upper, start=1)),
    }


@check("vgbook.layers.residual.Residual", "数値", points=3, within=1e-9)
def residual(rng):
    """枝はアフィン変換と tanh、幅 3、標本 1 つ。∂F/∂x は [出力, 入力] の並び、δ は列ベクトル。"""
    W, x, delta = rng.standard_normal((3, 3)), rng.standard_normal(3), rng.standard_normal(3)
    block = Residual([layers.Affine(W), layers.Activate(vg.tanh)], scale=0.7)
    slope = 1 / np.cosh(x @ W) ** 2
    return {
        "x": x,
        "y": block.forward(x[None])[0],
        "F": lambda x: np.tanh(x @ W),
        r"\alpha": 0.7,
        r"\delta": delta,
        r"\pd{L}{x}": block.backward(delta[None])[0],
        r"\pd{F}{x}": (W * slope).T,
    }
