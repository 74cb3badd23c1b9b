"""動かせる図の部品: つまみ、軸、線。値は、つまみの選択肢ごとの配列です。

配列の形は (つまみ 1 の選択肢の数, つまみ 2 の選択肢の数, ..., 点の数) です。
大きさ 1 の軸は、そのつまみによらないことを表し、点の数だけの配列は、どのつまみにもよりません。
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array
from vgbook.book.looks import COLORS, look

PAIR = (300, 210)
"""広い画面では 2 枚、電話では 1 枚ずつ並ぶ軸の、幅の目安と高さ。"""
DASHES = {"-": "", "--": "7 3", "-.": "7 3 2 3", ":": "2 3"}


@dataclass(frozen=True)
class Control:
    """つまみ。``slider`` なら横に動かすつまみ、そうでなければ選択肢の列です。"""

    name: str
    options: Sequence[str]
    start: int = 0
    slider: bool = True


@dataclass(frozen=True)
class Series:
    """線 1 本 (帯があってもよい) か、棒の列。`line`、`measured`、`theory`、`bars` で作ります。"""

    label: str
    y: Array
    color: str
    marker: str = ""
    dash: str = ""
    low: Array | None = None
    high: Array | None = None
    x: Array | None = None
    bar: bool = False


@dataclass(frozen=True)
class Drag:
    """軸 ``axis`` ("x" か "y") の上で指した値に近い選択肢を、``control`` 番目のつまみで選ぶ。"""

    axis: str
    control: int
    positions: ArrayLike
    """選択肢ごとの、軸の上の値。"""


@dataclass(frozen=True)
class Panel:
    """軸 1 つ。``x`` は点の位置 (棒なら区間の端)、``limits`` は省くと全部の値が入る範囲です。"""

    title: str
    x: ArrayLike
    series: Sequence[Series]
    xlabel: str
    ylabel: str
    xlimits: tuple[float, float] | None = None
    ylimits: tuple[float, float] | None = None
    xlog: bool = False
    ylog: bool = False
    xticks: Sequence[float] = ()
    drag: tuple["Drag", ...] = ()
    """図の上を指やマウスで動かしたときに、位置で選ばれるつまみ。"""
    notes: ArrayLike | None = None
    """つまみの組み合わせごとの、題の下の短い文。形は (つまみ 1, つまみ 2, ...)。"""
    size: tuple[int, int] = (300, 240)
    """幅の目安と高さ (CSS のピクセル)。幅が足りなければ折り返し、余れば広がります。"""


def line(label: str, y: ArrayLike, series: int | str = 0, *, x: ArrayLike | None = None) -> Series:
    """線 1 本。``series`` は `vgbook.book.plotting.look` に渡す番号か言葉。

    ``x`` を渡すと、軸の ``x`` の代わりに使います。

    Examples
    --------
    >>> line("例", [1.0, 2.0]).color
    '#0072B2'
    """
    color, marker, dash = look(series)
    stroke = DASHES[dash] if isinstance(dash, str) else " ".join(f"{2 * n}" for n in dash[1])
    place = None if x is None else np.asarray(x, float)
    return Series(label, np.asarray(y, float), color, marker, stroke, x=place)


def measured(label: str, samples: ArrayLike, series: int | str = 0) -> Series:
    """種にわたる中央値の線と、最小から最大の帯。``samples`` の形は (seeds, ..., 点の数)。

    NaN の種は除きます。全部 NaN の点で、線は途切れます。

    Examples
    --------
    >>> s = measured("例", [[1.0, np.nan], [3.0, np.nan], [8.0, np.nan]])
    >>> s.y, s.low, s.high
    (array([ 3., nan]), array([ 1., nan]), array([ 8., nan]))
    """
    samples = np.asarray(samples, float)
    dead = np.isnan(samples).all(axis=0)
    found = (f(np.where(dead, 0, samples), axis=0) for f in (np.nanmedian, np.nanmin, np.nanmax))
    y, low, high = (np.where(dead, np.nan, values) for values in found)
    return replace(line(label, y, series), low=low, high=high)


def smooth(series: Series) -> Series:
    """印のない実線にする (点の多い曲線のため)。

    Examples
    --------
    >>> smooth(line("例", [1.0, 2.0], 1)).marker
    ''
    """
    return replace(series, marker="", dash="")


def theory(y: ArrayLike, label: str = "理論", *, x: ArrayLike | None = None) -> Series:
    """理論の予測。灰色の破線で、印はありません。

    Examples
    --------
    >>> theory([1.0, 2.0]).label
    '理論'
    """
    return replace(line(label, y, x=x), color=COLORS["theory"], marker="", dash="5 3")


def bars(label: str, y: ArrayLike, series: int | str = 0) -> Series:
    """棒の列。軸の ``x`` には、棒より 1 つ多い区間の端を渡します。

    Examples
    --------
    >>> bars("割合", [0.2, 0.8]).bar
    True
    """
    return replace(line(label, y, series), bar=True)
