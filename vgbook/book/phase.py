"""本の動かせる図のうち、平均場の相図。"""

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, check_numbers
from vgbook.activations import tanh
from vgbook.book.explore import delta_theory
from vgbook.book.interactive import Interactive
from vgbook.book.panels import PAIR, Control, Drag, Panel, line, measured, theory
from vgbook.book.words import LAYER, median_ratio, sentences, times
from vgbook.ensemble.seeds import over_seeds
from vgbook.initializers import xavier
from vgbook.network import mlp
from vgbook.signals import per_layer, rms, signals
from vgbook.theory import meanfield


def phase_diagram(
    sigma_w2: ArrayLike,
    sigma_b2: ArrayLike,
    *,
    rng: np.random.Generator,
    start: tuple[int, int] = (0, 0),
    depth: int = 20,
    width: int = 100,
    seeds: int = 5,
) -> Interactive:
    """tanh の (σ_w², σ_b²) を選び、相図での位置、q と相関と δ の移り方を見る図。

    Parameters
    ----------
    sigma_w2, sigma_b2 : array_like, shape (W,), (B,)
        選べる、重みとバイアスの分散。
    rng : numpy.random.Generator
        乱数生成器。
    start : tuple of int
        はじめに選ぶ番号。
    depth, width, seeds : int
        層の数、各層の幅、繰り返しの数。

    Returns
    -------
    Interactive

    Raises
    ------
    ValueError
        分散が 0 以上でないとき。層の数などが正の整数でないとき。

    Examples
    --------
    >>> touch = phase_diagram([0.5, 3.0], [0.0, 0.1], rng=np.random.default_rng(0))
    >>> [text.split("。")[0] for text in touch.readout[:, 1]]
    ['χ₁ = 0.393 で、秩序です', 'χ₁ = 1.18 で、カオスです']
    """
    sw2 = np.asarray(check_numbers("sigma_w2", sigma_w2, least=0), float)
    sb2 = np.asarray(check_numbers("sigma_b2", sigma_b2, least=0), float)
    sw, sb = np.broadcast_arrays(np.sqrt(sw2)[:, None], np.sqrt(sb2))
    walk = over_seeds(partial(_walk, sw, sb, depth, width), rng=rng, seeds=seeds)
    q, c = _walk_theory(sw, sb, depth)
    delta = walk.delta / walk.delta[..., -1:]
    expected = delta_theory(tanh, sw, depth, sb)
    chi, limit = meanfield.chi(tanh, sw, sb), meanfield.fixed_point(tanh, sw, sb)
    same = meanfield.fixed_correlation(tanh, sw, sb)

    def readout(i: int, j: int) -> str:
        at = (i, j)
        agree = f"2 つの入力の相関は {same[at]:.2f}" if limit[at] > 0 else "信号は 0"
        rate = abs(np.log(chi[at]))
        reach = f"{1 / rate:.1f} 層" if rate > 1e-3 else "1000 層以上"
        ratio = times(median_ratio(delta, at, 0, depth - 1))
        return (
            f"χ₁ = {chi[at]:.3g} で、{phase_of(chi[at])}。q は {limit[at]:.2g} に、{agree} に"
            f"近づきます。勾配の深さの尺度 ξ は {reach}です。第 1 層の δ は第 {depth} 層の "
            f"{ratio} (理論は {times(expected[at][0])}) です。"
        )

    x = np.arange(1, depth + 1)
    panel = partial(Panel, x=x, xlabel=LAYER, xticks=(1, 5, 10, 15, 20), size=PAIR)
    panels = [
        _diagram(sw2, sb2),
        panel("信号の大きさ", series=[measured("q", walk.q), theory(q)], ylabel="q", ylog=True),
        panel("2 つの入力の相関", series=[measured("c", walk.c, 2), theory(c)], ylabel="相関"),
        panel(
            "勾配 δ",
            series=[measured("δ", delta, 1), theory(expected)],
            ylabel=f"RMS (第 {depth} 層を 1 とする)",
            ylog=True,
        ),
    ]
    controls = [
        Control("重みの分散", [f"{v:.3g}" for v in sw2], start[0]),
        Control("バイアスの分散", [f"{v:.3g}" for v in sb2], start[1]),
    ]
    title = "相図の 1 点と、層を進む信号・さかのぼる勾配"
    return Interactive("touch-phase", title, controls, panels, sentences(readout, sw.shape))


def _diagram(sw2: Array, sb2: Array) -> Panel:
    """臨界線と、選んだ点。指した位置に近い分散を選べる。"""
    edge = np.linspace(0.0, sb2.max() ** 0.5, 21) ** 2
    critical = theory(edge, "臨界線", x=meanfield.critical_sigma_w(tanh, np.sqrt(edge)) ** 2)
    x, y = np.broadcast_arrays(sw2[:, None, None], sb2[:, None])
    return Panel(
        "相図",
        edge,
        [critical, line("選んだ点", y, 3, x=x)],
        "重みの分散",
        "バイアスの分散",
        drag=(Drag("x", 0, sw2), Drag("y", 1, sb2)),
        size=PAIR,
    )


class Walk(NamedTuple):
    """層ごとの信号。どれも (..., depth) です。"""

    q: Array
    """プレ活性の二乗平均。"""
    c: Array
    """2 つの入力の相関。"""
    delta: Array
    """δ の RMS。"""


def _walk(sw: Array, sb: Array, depth: int, width: int, rng: np.random.Generator) -> Walk:
    """互いに直交する入力を、tanh のネットワークに流す。"""
    network = mlp([width] * (depth + 1), tanh, xavier(gain=sw), rng=rng)
    for affine in network.affines:
        affine.params["b"] += sb[..., None, None] * rng.standard_normal((1, width))
    inputs = 10
    x = np.linalg.qr(rng.standard_normal((width, inputs)))[0].T * np.sqrt(width)
    s = signals(network, x, rng.standard_normal((inputs, width)))
    gram = per_layer(lambda z: z @ z.swapaxes(-1, -2) / width, s.z)
    q = np.trace(gram, axis1=-3, axis2=-2) / inputs
    pairs = inputs * (inputs - 1)
    return Walk(q, (gram.sum(axis=(-3, -2)) - inputs * q) / pairs / q, per_layer(rms, s.delta))


def _walk_theory(sw: Array, sb: Array, depth: int) -> tuple[Array, Array]:
    """互いに直交する入力の、層ごとの q と c の予測。形は (..., depth)。"""
    q = [sw**2 + sb**2]
    c = [sb**2 / q[0]]
    for _ in range(depth - 1):
        c.append(meanfield.correlation_map(tanh, np.minimum(c[-1], 1.0), sw, sb, q=q[-1]))
        q.append(meanfield.length_map(tanh, q[-1], sw, sb))
    return np.stack(q, axis=-1), np.stack(c, axis=-1)


def phase_of(chi: float) -> str:
    """χ₁ の値が決める相と、勾配の行方。

    Examples
    --------
    >>> phase_of(0.9), phase_of(1.1)
    ('秩序です。勾配は消えます', 'カオスです。勾配は爆発します')
    >>> phase_of(1.0)
    '臨界です。勾配は指数的には変わりません'
    """
    if abs(chi - 1) < 0.01:
        return "臨界です。勾配は指数的には変わりません"
    return "秩序です。勾配は消えます" if chi < 1 else "カオスです。勾配は爆発します"
