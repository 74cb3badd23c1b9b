"""章のはじめに触る図のうち、層や時刻を進むもの: 分布、円の像、q の写像、残差、RNN。

見せるのは物の動きで、その章の予想の答えではありません。値も文も、ここで計算します。
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, check_count, check_numbers
from vgbook.activations import Activation, relu
from vgbook.book.interactive import Interactive
from vgbook.book.panels import PAIR, Control, Panel, bars, line, measured, smooth
from vgbook.book.words import LAYER, sentences, times
from vgbook.experiments.flow import activation_distribution
from vgbook.initializers import Initializer, he, normal
from vgbook.layers import Activate, Affine, Residual
from vgbook.network import Network
from vgbook.signals import rms, trace
from vgbook.theory import meanfield


def widening(
    activation: Activation,
    stds: ArrayLike,
    *,
    rng: np.random.Generator,
    shown: Sequence[int] = (1, 5, 10, 20),
    width: int = 100,
    start: int = 0,
) -> Interactive:
    """標準偏差を選び、出力の分布が層ごとに広がるか狭まるかを見る図。

    Parameters
    ----------
    activation : Activation
        全層の活性化関数。
    stds : array_like, shape (S,)
        つまみで選べる、重みの標準偏差。
    rng : numpy.random.Generator
        乱数生成器。
    shown : sequence of int
        描く層の番号 (1 から)。最後の番号が、層の数です。
    width, start : int
        層の幅と、はじめに選ぶ番号。

    Examples
    --------
    >>> from vgbook.activations import identity
    >>> touch = widening(identity, [0.05, 0.15], rng=np.random.default_rng(0), shown=[1, 5])
    >>> [panel.title for panel in touch.panels]
    ['第 1 層', '第 5 層']
    """
    std = np.asarray(check_numbers("stds", stds, least=0), float)
    run = activation_distribution(
        activation, normal(std), rng=rng, depth=shown[-1], width=width, samples=50
    )
    layers = [run.h[number - 1] for number in shown]
    edges = np.linspace(-3, 3, 32)
    sizes = np.array([rms(h) for h in layers])

    def readout(j: int) -> str:
        ratio = sizes[-1, j] / sizes[0, j]
        return f"第 {shown[-1]} 層の出力の大きさは、第 {shown[0]} 層の {times(ratio)}です。"

    panels = [
        Panel(
            f"第 {number} 層",
            edges,
            [bars("出力", np.array([np.histogram(v, edges)[0] / v.size for v in h]))],
            "出力",
            "割合",
            ylimits=(0.0, 0.5),
            xticks=(-2, 0, 2),
            notes=[_outside(v, edges) for v in h],
            size=(140, 170),
        )
        for number, h in zip(shown, layers, strict=True)
    ]
    control = Control(f"重みの標準偏差 (幅 {width})", [f"{s:.3g}" for s in std], start)
    title = "層を進む出力の分布"
    return Interactive("touch-widening", title, [control], panels, sentences(readout, std.shape))


def circle(
    inits: Mapping[str, Initializer], depths: Sequence[int], *, rng: np.random.Generator
) -> Interactive:
    """長さ 1 のベクトルの円が、行列を掛けるたびにどんな楕円になるかを見る図。

    Parameters
    ----------
    inits : mapping
        選択肢に書く名前と、2 行 2 列の行列を引く初期値。
    depths : sequence of int
        つまみで選べる、掛ける行列の数。
    rng : numpy.random.Generator
        乱数生成器。

    Examples
    --------
    >>> from vgbook.initializers import orthogonal
    >>> inits = {"正規分布": normal(1.0), "直交": orthogonal()}
    >>> print(circle(inits, [1, 9], rng=np.random.default_rng(0)).readout[1, 1])
    9 個の積：いちばん伸びる向きは 1 倍、いちばん縮む向きは 1 倍です。
    """
    angle = np.linspace(0, 2 * np.pi, 61)
    around = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    images, lengths = [], []
    for init in inits.values():
        product, seen = np.eye(2), []
        for _ in range(max(depths)):
            product = product @ init(2, 2, rng=rng)
            seen.append(product)
        chosen = np.array([seen[depth - 1] for depth in depths])
        images.append(around @ chosen)
        lengths.append(np.linalg.svd(chosen, compute_uv=False))
    image, length = np.array(images), np.array(lengths)
    image = image / length[..., :1, None]  # いちばん長い向きを 1 とする

    def readout(i: int, j: int) -> str:
        long, short = length[i, j]
        return (
            f"{depths[j]} 個の積：いちばん伸びる向きは {times(long)}、"
            f"いちばん縮む向きは {times(short)}です。"
        )

    drawn = line("像", image[..., 1], "直交", x=image[..., 0])
    limits = (-1.1, 1.1)
    panel = Panel(
        "円の像 (長い向きを 1 とする)", angle, [drawn], "成分 1", "成分 2",
        xlimits=limits, ylimits=limits, size=(300, 300),
    )  # fmt: skip
    controls = [
        Control("行列", list(inits), slider=False),
        Control("掛ける数", [f"{depth}" for depth in depths], 0),
    ]
    states = (len(inits), len(depths))
    return Interactive(
        "touch-circle", "行列の積と円の像", controls, [panel], sentences(readout, states)
    )


def cobweb(
    activation: Activation, sigma_w2: ArrayLike, *, sigma_b2: float = 0.05, start: int = 0
) -> Interactive:
    """プレ活性の二乗平均 q を、次の層の q へ送る写像と、その上をたどる点を見る図。

    Parameters
    ----------
    activation : Activation
        活性化関数。
    sigma_w2 : array_like, shape (W,)
        つまみで選べる、重みの分散。
    sigma_b2 : float
        バイアスの分散。
    start : int
        はじめに選ぶ番号。

    Examples
    --------
    >>> from vgbook.activations import tanh
    >>> print(cobweb(tanh, [0.5, 2.0]).readout[0])
    q は 3.00 から始まり、12 層で 0.09 になります。
    """
    variance = np.asarray(check_numbers("sigma_w2", sigma_w2, least=0), float)
    sw, sb, first, steps = np.sqrt(variance), np.sqrt(sigma_b2), 3.0, 12
    q = np.linspace(0, first, 61)
    following = meanfield.length_map(activation, q, sw[:, None], sb)
    path = [np.full(len(sw), first)]
    for _ in range(steps):
        path.append(meanfield.length_map(activation, path[-1], sw, sb))
    walk = np.stack(path, axis=-1)
    corners = np.repeat(walk, 2, axis=-1)

    def readout(i: int) -> str:
        return f"q は {first:.2f} から始まり、{steps} 層で {walk[i, -1]:.2f} になります。"

    steady = smooth(line("q が変わらない線", q, 5, x=q))
    panels = [
        Panel("次の層の q", q, [smooth(line("写像", following, 0)), steady,
              smooth(line("たどる道", corners[:, 1:-1], 1, x=corners[:, :-2]))], "q", "次の q",
              size=PAIR),
        Panel("層ごとの q", np.arange(steps + 1), [line("q", walk, 1)], "層", "q", size=PAIR),
    ]  # fmt: skip
    control = Control("重みの分散", [f"{v:.3g}" for v in variance], start)
    title = "信号の大きさ q の、層ごとの移り方"
    return Interactive("touch-cobweb", title, [control], panels, sentences(readout, variance.shape))


def backward_sizes(
    choices: Mapping[str, Callable[[np.random.Generator], Array]],
    *,
    rng: np.random.Generator,
    name: str,
    title: str,
    control: str,
    xlabel: str = LAYER,
    seeds: int = 5,
    start: int = 0,
) -> Interactive:
    """さかのぼる勾配の大きさを、条件を選んで見る図。最後の点を 1 とします。

    Parameters
    ----------
    choices : mapping
        選択肢に書く名前と、乱数から δ の大きさの列を返す関数。長さは、どれも同じです。
    rng : numpy.random.Generator
        乱数生成器。選択肢ごとに同じ種の列を使います。
    name, title, control, xlabel : str
        図の名前 (英字)、題、つまみの名前、横軸の名前。
    seeds, start : int
        繰り返しの数と、はじめに選ぶ番号。

    Examples
    --------
    >>> shrink = {f"{r}": lambda _, r=r: r ** np.arange(9, -1, -1.0) for r in (0.5, 2.0)}
    >>> touch = backward_sizes(
    ...     shrink, rng=np.random.default_rng(0), name="touch", title="例", control="倍率"
    ... )
    >>> print(touch.readout[0])
    端まで届く勾配は、0.00195 倍です。
    """
    check_count("seeds", seeds)
    streams = rng.bit_generator.seed_seq.spawn(seeds)  # type: ignore[attr-defined]
    sizes = np.array(
        [[make(np.random.default_rng(s)) for make in choices.values()] for s in streams]
    )
    sizes = sizes / sizes[..., -1:]

    def readout(i: int) -> str:
        return f"端まで届く勾配は、{times(np.median(sizes[:, i, 0]))}です。"

    x = np.arange(1, sizes.shape[-1] + 1)
    panels = [
        Panel("勾配の大きさ", x, [measured("δ", sizes, "δ")], xlabel, "RMS (比)", ylog=True,
              size=(600, 210)),
    ]  # fmt: skip
    controls = [Control(control, list(choices), start)]
    return Interactive(name, title, controls, panels, sentences(readout, (len(choices),)))


def residual_choices(
    scales: Sequence[float], *, depth: int = 50, width: int = 100, samples: int = 50
) -> Mapping[str, Callable[[np.random.Generator], Array]]:
    """ReLU と He の初期値の深いネットワークの、ブロックごとの勾配の RMS を返す関数の辞書。

    はじめの 1 つは残差接続のないネットワーク、残りは枝に α を掛けた残差接続のものです。

    Parameters
    ----------
    scales : sequence of float
        残差の枝に掛ける数 α。
    depth, width, samples : int
        ブロックの数、幅、標本数。

    Examples
    --------
    >>> choices = residual_choices([0.5], depth=3, width=4, samples=2)
    >>> {name: make(np.random.default_rng(0)).shape for name, make in choices.items()}
    {'残差接続なし': (3,), 'α = 0.5': (3,)}
    """

    def measure(scale: float | None, rng: np.random.Generator) -> Array:
        branches: list[list[Any]] = [
            [Activate(relu), Affine(he()(width, width, rng=rng))] for _ in range(depth)
        ]
        layers: list[Any] = (
            [layer for branch in branches for layer in branch]
            if scale is None
            else [Residual(branch, scale) for branch in branches]
        )
        x, d_output = rng.standard_normal((2, samples, width))
        _, deltas = trace(Network(layers), x, d_output)
        ends = deltas[1::2] if scale is None else deltas  # ブロックの終わりでの勾配
        return np.array([rms(delta) for delta in ends])

    named = {f"α = {scale:g}": partial(measure, scale) for scale in scales}
    return {"残差接続なし": partial(measure, None)} | named


def _outside(values: Array, edges: Array) -> str:
    percent = 100 * np.mean((values < edges[0]) | (values > edges[-1]))
    return f"範囲外 {percent:.0f} %" if percent >= 0.5 else ""
