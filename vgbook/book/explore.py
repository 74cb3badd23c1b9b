r"""本の動かせる図のうち、深さと初期値、出力の分布の 2 つ (相図は `vgbook.book.phase`)。

測定は種を変えた中央値と範囲で、理論は層ごとの :math:`\chi_l = \sigma_w^2 E[\varphi'(z_l)^2]` の積で
示します。δ の二乗平均は、層 l をさかのぼるたびに :math:`\chi_l` 倍になります。
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, check_count, check_positive
from vgbook.activations import Activation
from vgbook.book.interactive import Interactive
from vgbook.book.panels import Control, Panel, bars, measured, theory
from vgbook.book.words import LAYER, median_ratio, sentences, times, verdict
from vgbook.experiments.flow import activation_distribution, gradient_flow
from vgbook.initializers import normal
from vgbook.theory import meanfield

TRIPLE = (210, 210)  # 広い画面では 3 枚、電話では 1 枚ずつ並ぶ
SMALL = (130, 160)  # 広い画面では 5 枚、電話では 2 枚ずつ並ぶ


def delta_theory(
    activation: Activation, sigma_w: ArrayLike, depth: int, sigma_b: ArrayLike = 0.0
) -> Array:
    r"""入力が標準正規のときの、δ の RMS の予測。最後の層を 1 とする。

    Returns
    -------
    ndarray, shape (..., depth)
        :math:`\sqrt{\chi_l \chi_{l+1} \cdots \chi_{L-1}}`。

    Examples
    --------
    >>> from vgbook.activations import relu
    >>> delta_theory(relu, 1.0, 3)
    array([0.5       , 0.70710678, 1.        ])
    """
    sigma_w, sigma_b = np.broadcast_arrays(np.asarray(sigma_w, float), sigma_b)
    q, factors = sigma_w**2 + sigma_b**2, [np.ones_like(sigma_w)]
    for _ in range(check_count("depth", depth) - 1):
        factors.insert(1, meanfield.chi_at(activation, q, sigma_w))
        q = meanfield.length_map(activation, q, sigma_w, sigma_b)
    return np.sqrt(np.moveaxis(np.cumprod(factors, axis=0)[::-1], 0, -1))


def depth_and_scale(
    activations: Mapping[str, Activation],
    stds: Mapping[str, float],
    *,
    rng: np.random.Generator,
    depths: Sequence[int] = (5, 10, 20),
    width: int = 100,
    samples: int = 20,
    seeds: int = 5,
    start: int = 0,
) -> Interactive:
    """活性化関数・深さ・標準偏差を選び、h・δ・dW の大きさを層ごとに見る図。

    Parameters
    ----------
    activations, stds : mapping
        つまみに書く名前と、その活性化関数、その標準偏差。
    rng : numpy.random.Generator
        乱数生成器。
    depths : sequence of int
        選べる層の数。
    width, samples, seeds : int
        各層の幅、標本数、繰り返しの数。
    start : int
        はじめに見せる標準偏差の番号。その後で尋ねる答えを避けて選びます。

    Returns
    -------
    Interactive

    Raises
    ------
    ValueError
        標準偏差が正でないとき。層の数、幅、標本数、繰り返しの数が正の整数でないとき。

    Examples
    --------
    >>> from vgbook.activations import relu, tanh
    >>> stds, rng = {"0.1": 0.1, "He": 0.02**0.5}, np.random.default_rng(0)
    >>> touch = depth_and_scale({"tanh": tanh, "ReLU": relu}, stds, rng=rng, depths=[5, 10])
    >>> [text.split("。")[0] for text in touch.readout[1, 1]]
    ['判定：良好', '判定：良好']
    """
    check_positive("stds", list(stds.values()), many=True)
    std = np.array(list(stds.values()), float)
    measure = partial(gradient_flow, rng=rng, width=width, samples=samples, seeds=seeds)
    cases = [[(f, depth) for depth in depths] for f in activations.values()]
    flows = [[measure(f, normal(std), depth=depth) for f, depth in row] for row in cases]
    h, delta, dW = (
        _table([[getattr(flow, name) for flow in row] for row in flows])
        for name in ("h", "delta", "dW")
    )
    expected = _table([[delta_theory(f, std * width**0.5, d) for f, d in row] for row in cases])
    last = np.array(depths)[:, None] - 1 + np.zeros(expected.shape[:-1], int)
    end = np.take_along_axis(np.median(delta, axis=0), last[..., None], axis=-1)

    def readout(i: int, j: int, k: int) -> str:
        depth, at = depths[j], (i, j, k)
        ratio = median_ratio(delta, at, 0, depth - 1)
        step, predicted = (r ** (1 / (depth - 1)) for r in (ratio, expected[at][0]))
        return (
            f"判定：{verdict(ratio)}。第 1 層の δ は第 {depth} 層の {times(ratio)} "
            f"(1 層ごとに、測定 {times(step)}、理論 {times(predicted)})、"
            f"dW は {times(median_ratio(dW, at, 0, depth - 1))}です。"
            f"h は第 1 層から第 {depth} 層までに {times(median_ratio(h, at, depth - 1, 0))}です。"
        )

    x, ticks = np.arange(1, max(depths) + 1), (1, *depths)
    panel = partial(Panel, x=x, xlabel=LAYER, ylabel="RMS", ylog=True, xticks=ticks, size=TRIPLE)
    controls = [
        Control("活性化関数", list(activations), slider=False),
        Control("深さ", [f"{depth} 層" for depth in depths], len(depths) - 1, slider=False),
        Control(f"重みの標準偏差 (幅 {width})", list(stds), start),
    ]
    panels = [
        panel("出力 h", series=[measured("h", h, 0)]),
        panel("勾配 δ", series=[measured("δ", delta, 1), theory(end * expected, "δ の理論")]),
        panel("重みの勾配 dW", series=[measured("dW", dW, 2)]),
    ]
    title = "深さ・初期値・活性化関数と、信号の大きさ"
    return Interactive(
        "touch-depth", title, controls, panels, sentences(readout, expected.shape[:-1])
    )


def distributions(
    activations: Mapping[str, Activation],
    stds: ArrayLike,
    *,
    rng: np.random.Generator,
    limits: tuple[float, float] = (-1.0, 1.0),
    start: int = 0,
    depth: int = 5,
    width: int = 100,
    samples: int = 100,
    seeds: int = 5,
) -> Interactive:
    """活性化関数と標準偏差を選び、6.2.2 と 6.2.3 の出力の分布と、δ の大きさを見る図。

    Parameters
    ----------
    activations : mapping
        つまみに書く名前と、その活性化関数。
    stds : array_like, shape (S,)
        重みの標準偏差。
    rng : numpy.random.Generator
        乱数生成器。
    limits : tuple of float
        分布を描く範囲。
    start : int
        はじめに選ぶ標準偏差の番号。
    depth, width, samples, seeds : int
        層の数、各層の幅、標本数、δ の測定の繰り返しの数。

    Returns
    -------
    Interactive

    Raises
    ------
    ValueError
        標準偏差が正でないとき。層の数などが正の整数でないとき。

    Examples
    --------
    >>> from vgbook.activations import sigmoid, tanh
    >>> rng = np.random.default_rng(0)
    >>> touch = distributions({"シグモイド": sigmoid, "tanh": tanh}, [0.01, 0.1, 1.0], rng=rng)
    >>> [panel.title for panel in touch.panels]
    ['第 1 層', '第 2 層', '第 3 層', '第 4 層', '第 5 層', 'δ ÷ 第 5 層の δ']
    """
    check_positive("stds", stds, many=True)
    check_count("depth", depth, least=2)
    std, init, edges = np.asarray(stds, float), normal(stds), np.linspace(*limits, 22)
    once = partial(activation_distribution, rng=rng, depth=depth, width=width, samples=samples)
    repeat = partial(gradient_flow, rng=rng, depth=depth, width=width, samples=samples, seeds=seeds)
    h = [once(f, init).h for f in activations.values()]
    share = np.array([[[_share(v, edges) for v in layer] for layer in one] for one in h])
    delta = np.stack([repeat(f, init).delta for f in activations.values()], axis=1)
    delta = delta / delta[..., -1:]
    expected = np.stack([delta_theory(f, std * width**0.5, depth) for f in activations.values()])

    def readout(i: int, k: int) -> str:
        last, ratio = share[i, -1, k], median_ratio(delta, (i, k), 0, depth - 1)
        return (
            f"判定：{verdict(ratio)}。第 1 層の δ は第 {depth} 層の {times(ratio)} "
            f"(理論は {times(expected[i, k, 0])}) です。"
            f"第 {depth} 層の出力は、いちばん高い棒に {100 * last.max():.0f} % が入ります。"
        )

    def outside(l: int, i: int, k: int) -> str:
        percent = 100 * (1 - share[i, l, k].sum())
        return f"範囲外 {percent:.0f} %" if percent >= 0.5 else ""

    controls = [
        Control("活性化関数", list(activations), slider=False),
        Control(f"重みの標準偏差 (幅 {width})", [f"{s:.2g}" for s in std], start),
    ]
    states, x = expected.shape[:-1], range(1, depth + 1)
    ticks = (limits[0], sum(limits) / 2, limits[1])
    panel = partial(Panel, x=edges, xlabel="出力 h", ylabel="割合", ylimits=(0.0, 1.0), size=SMALL)
    panels = [
        panel(
            f"第 {l + 1} 層",
            series=[bars("出力", share[:, l])],
            xticks=ticks,
            notes=sentences(partial(outside, l), states),
        )
        for l in range(depth)
    ]
    series = [measured("δ", delta, 1), theory(expected, "δ の理論")]
    name = f"δ ÷ 第 {depth} 層の δ"
    panels.append(Panel(name, x, series, LAYER, "RMS", ylog=True, xticks=x, size=SMALL))
    title = "標準偏差と、出力の分布・勾配"
    return Interactive("touch-distributions", title, controls, panels, sentences(readout, states))


def _table(rows: Sequence[Sequence[Array]]) -> Array:
    """(活性化関数, 深さ) の表に並んだ (..., 標準偏差, 層) を、1 つの配列にする。ない層は NaN。"""
    deepest = max(a.shape[-1] for row in rows for a in row)

    def padded(a: Array) -> Array:
        end = [(0, 0)] * (a.ndim - 1) + [(0, deepest - a.shape[-1])]
        return np.pad(a, end, constant_values=np.nan)

    return np.stack([np.stack([padded(a) for a in row], axis=-3) for row in rows], axis=-4)


def _share(values: Array, edges: Array) -> Array:
    return np.histogram(values, edges)[0] / values.size
