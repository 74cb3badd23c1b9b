"""章のはじめに触る図のうち、ユニット 1 個や層 1 つのもの: 傾き、死んだユニット、和の広がり。

見せるのは物の動きで、その章の予想の答えではありません。値も文も、ここで計算します。
"""

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, check_count, check_numbers
from vgbook.activations import Activation, relu
from vgbook.book.interactive import Interactive
from vgbook.book.panels import Control, Drag, Panel, Series, bars, line, smooth
from vgbook.book.words import sentences
from vgbook.initializers import he, normal

WIDE = (300, 200)


def slope(activation: Activation, name: str, z: ArrayLike, *, start: int = 0) -> Interactive:
    """φ(z) の曲線の上で点を動かし、値と傾きを見る図。

    Parameters
    ----------
    activation : Activation
        活性化関数。
    name : str
        図の題に書く名前。
    z : array_like, shape (Z,)
        つまみで選べるプレ活性。
    start : int
        はじめに選ぶ番号。

    Examples
    --------
    >>> from vgbook.activations import sigmoid
    >>> print(slope(sigmoid, "シグモイド関数", [-2, 0, 2], start=1).readout[2])
    z = 2：出力は 0.881、傾きは 0.105 で、この曲線でいちばん急な所の 42 % です。
    """
    z = np.asarray(check_numbers("z", z), float)
    value, rate = activation(z), activation.derivative(z)
    fine = np.linspace(z.min(), z.max(), 121)
    steepest = activation.derivative(fine).max()
    tangent = z[:, None] + np.array([-1.5, 1.5])
    touching = value[:, None] + rate[:, None] * (tangent - z[:, None])

    def readout(i: int) -> str:
        return (
            f"z = {z[i]:.3g}：出力は {value[i]:.3f}、傾きは {rate[i]:.3f} で、"
            f"この曲線でいちばん急な所の {100 * rate[i] / steepest:.0f} % です。"
        ).replace("-", "−")

    def panel(title: str, curve: Array, here: Array, series: int, *more: Series) -> Panel:
        drawn = [
            smooth(line(title, curve, series)),
            *more,
            line("選んだ点", here[:, None], 5, x=z[:, None]),
        ]
        return Panel(title, fine, drawn, "z", "", drag=(Drag("x", 0, z),), size=WIDE)

    along = smooth(line("接線", touching, 1, x=tangent))
    panels = [
        panel("出力 φ(z)", activation(fine), value, 0, along),
        panel("傾き φ′(z)", activation.derivative(fine), rate, 1),
    ]
    control = Control("z (図の上も動かせます)", [f"{v:.3g}".replace("-", "−") for v in z], start)
    title = f"{name}の値と傾き"
    return Interactive("touch-slope", title, [control], panels, sentences(readout, z.shape))


def dead_units(
    x: Array, biases: ArrayLike, *, rng: np.random.Generator, units: int = 100, start: int = 0
) -> Interactive:
    """He の初期値の層にバイアスを足し、z の分布と、どの標本にも 0 を返すユニットの割合を見る図。

    Parameters
    ----------
    x : ndarray, shape (samples, features)
        層に入れる標本。
    biases : array_like, shape (B,)
        つまみで選べる、全ユニットに共通のバイアス。
    rng : numpy.random.Generator
        乱数生成器。
    units, start : int
        ユニットの数と、はじめに選ぶ番号。

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> touch = dead_units(rng.standard_normal((50, 20)), [0.0, -99.0], rng=rng)
    >>> print(touch.readout[1])
    バイアス −99：z > 0 になる割合は 0 %、どの標本でも z ≤ 0 のユニットは 100 % です。
    """
    bias = np.asarray(check_numbers("biases", biases), float)
    z = x @ he()(x.shape[1], check_count("units", units), rng=rng)
    shifted = z + bias[:, None, None]
    active = (shifted > 0).mean(axis=(-2, -1))
    dead = (shifted <= 0).all(axis=-2).mean(axis=-1)
    low, high = np.quantile(shifted, [0.001, 0.999])
    edges = np.linspace(np.floor(low), np.ceil(high), 33)
    share = np.array([np.histogram(one, edges)[0] / one.size for one in shifted])

    def readout(i: int) -> str:
        return (
            f"バイアス {bias[i]:.3g}：z > 0 になる割合は {100 * active[i]:.0f} %、"
            f"どの標本でも z ≤ 0 のユニットは {100 * dead[i]:.0f} % です。"
        ).replace("-", "−")

    here = line("選んだバイアス", dead[:, None], 5, x=bias[:, None])
    panels = [
        Panel("z の分布", edges, [bars("割合", share)], "z", "割合", size=WIDE),
        Panel(
            "いつも 0 のユニット",
            bias,
            [line("割合", dead, 1), here],
            "バイアス",
            "割合",
            ylimits=(-0.03, 1.03),
            drag=(Drag("x", 0, bias),),
            size=WIDE,
        ),
    ]
    control = Control("バイアス", [f"{b:.3g}".replace("-", "−") for b in bias], start)
    title = "バイアスと、いつも 0 を返すユニット"
    return Interactive("touch-dead", title, [control], panels, sentences(readout, bias.shape))


def sums(counts: ArrayLike, *, rng: np.random.Generator, draws: int = 4000) -> Interactive:
    """標準正規の入力 n 個に、標準偏差 1 の重みを掛けて足した z の分布が、n とともに広がる図。

    Parameters
    ----------
    counts : array_like, shape (C,)
        つまみで選べる、前の層のノードの数 n。
    rng : numpy.random.Generator
        乱数生成器。
    draws : int
        z を引く回数。

    Examples
    --------
    >>> sums([1, 100], rng=np.random.default_rng(0)).readout[1].split("：")[0]
    'ノード 100 個'
    """
    n = [check_count("counts", int(count)) for count in np.ravel(counts)]
    z = np.array(
        [
            (rng.standard_normal((draws, k)) * normal(1.0)(k, draws, rng=rng).T).sum(axis=-1)
            for k in n
        ]
    )
    spread = z.std(axis=-1)
    edges = np.linspace(-3, 3, 41) * spread.max()
    share = np.array([np.histogram(one, edges)[0] / draws for one in z])

    def readout(i: int) -> str:
        return f"ノード {n[i]} 個：z の標準偏差は {spread[i]:.1f} です。"

    panels = [Panel("和 z の分布", edges, [bars("割合", share)], "z", "割合", size=(600, 200))]
    control = Control("前の層のノードの数", [f"{k}" for k in n], 0)
    title = "ノードの数と、和の広がり"
    return Interactive("touch-sums", title, [control], panels, sentences(readout, (len(n),)))


def halves(stds: ArrayLike, *, rng: np.random.Generator, draws: int = 4000) -> Interactive:
    """正規分布の z が ReLU を通る前と後の、分布を見る図。

    Parameters
    ----------
    stds : array_like, shape (S,)
        つまみで選べる、z の標準偏差。
    rng : numpy.random.Generator
        乱数生成器。
    draws : int
        z を引く回数。

    Examples
    --------
    >>> print(halves([1.0, 2.0], rng=np.random.default_rng(0)).readout[0])
    z の標準偏差 1：51 % が 0 になり、正の値はそのまま残ります。
    """
    std = np.asarray(check_numbers("stds", stds, least=0), float)
    z = std[:, None] * rng.standard_normal(draws)
    h = relu(z)
    edges = np.linspace(-3, 3, 31) * std.max()
    before, after = (np.array([np.histogram(v, edges)[0] / draws for v in a]) for a in (z, h))

    def readout(i: int) -> str:
        zero = (h[i] == 0).mean()
        return (
            f"z の標準偏差 {std[i]:.3g}：{100 * zero:.0f} % が 0 になり、正の値はそのまま残ります。"
        )

    panels = [
        Panel("ReLU の前 z", edges, [bars("z", before)], "z", "割合", size=WIDE),
        Panel("ReLU の後 h", edges, [bars("h", after)], "h", "割合", size=WIDE),
    ]
    control = Control("z の標準偏差", [f"{s:.3g}" for s in std], len(std) // 2)
    return Interactive(
        "touch-halves", "ReLU の前と後", [control], panels, sentences(readout, std.shape)
    )
