"""動かせる図: つまみの組み合わせごとに計算しておいた値を、ページの中で選んで見る図にします。

値も読み取りの文も、ここへ渡す前に Python で計算しておきます。はじめの絵は組むときに描きます
(`vgbook.book.drawing`)。ページのスクリプト (``docs/_ext/vg/figures/figures.js``) は、つまみの位置に
あたる値を選んで描き直します。

配列の形は (つまみ 1 の選択肢の数, つまみ 2 の選択肢の数, ..., 点の数) です。
大きさ 1 の軸は、そのつまみによらないことを表し、点の数だけの配列は、どのつまみにもよりません。
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, as_array, check_count
from vgbook.book import controls as parts
from vgbook.book.drawing import panel as draw_panel
from vgbook.book.plotting import COLORS, look

DIGITS = 3  # 有効数字。画面の 1 画素より十分に細かい
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


class Interactive:
    """動かせる図。セルの最後に置くと、ページの中で動きます。

    Parameters
    ----------
    name : str
        ページの中で 1 つしかない、英字の名前。
    title : str
        何を動かす図か。見出しにも、読み上げにも使います。
    controls : sequence of Control
        つまみ。
    panels : sequence of Panel
        軸。
    readout : array_like of str, shape (つまみ 1, つまみ 2, ...)
        つまみの組み合わせごとの、読み取りの文。

    Raises
    ------
    ValueError
        つまみの選択肢や始まりの位置が正しくないとき。配列の形がつまみに合わないとき。

    Examples
    --------
    >>> panel = Panel("2 倍", [1, 2], [line("y", [[1, 2], [2, 4]])], "x", "y")
    >>> Interactive("touch", "傾き", [Control("傾き", ["1", "2"])], [panel], ["1 倍", "2 倍"])
    <動かせる図: 傾き>
    """

    def __init__(
        self,
        name: str,
        title: str,
        controls: Sequence[Control],
        panels: Sequence[Panel],
        readout: ArrayLike,
    ) -> None:
        for control in controls:
            size = check_count(f"「{control.name}」の選択肢の数", len(control.options), least=2)
            if check_count(f"「{control.name}」の始まり", control.start, least=0) >= size:
                raise ValueError(
                    f"「{control.name}」の始まりには {size} 未満の整数を渡してください。"
                    f"受け取った値: {control.start}"
                )
        self.name, self.title, self.controls, self.panels = name, title, controls, panels
        self.states = tuple(len(control.options) for control in controls)
        self.readout = _texts("readout", readout, self.states)
        self.spec = {
            "controls": [vars(control) for control in controls],
            "panels": [panel_spec(panel, self.states) for panel in panels],
            "readout": self.readout.tolist(),
        }

    def __repr__(self) -> str:
        return f"<動かせる図: {self.title}>"

    def _repr_html_(self) -> str:
        data = json.dumps(self.spec, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        state, specs = [control.start for control in self.controls], self.spec["panels"]
        controls = "".join(
            (parts.slider if control.slider else parts.choice)(
                vars(control), f"{self.name}-control-{i}"
            )
            for i, control in enumerate(self.controls)
        )
        drawn = "".join(draw_panel(spec, state, f"{self.name}-readout") for spec in specs)
        return parts.figure(
            self.name,
            self.title,
            "vg-figure",
            controls,
            [self.readout[tuple(state)], max(self.readout.flat, key=len)],
            f'{parts.legend(specs)}<div class="vg-panels">{drawn}</div>',
            data,
        )


def _texts(name: str, texts: ArrayLike, states: tuple[int, ...]) -> Array:
    array = as_array(name, texts)
    if array.dtype.kind not in "UO" or array.shape != states:
        raise ValueError(
            f"{name} には、つまみの組み合わせごとの文を形 {states} で渡してください。"
            f"受け取った形: {array.shape}"
        )
    return array


def panel_spec(panel: Panel, states: tuple[int, ...]) -> dict[str, Any]:
    """ページのスクリプトへ渡す、軸 1 つの値。``states`` は、つまみの選択肢の数。

    Examples
    --------
    >>> panel_spec(Panel("図", [1, 2], [line("y", [3, 4])], "x", "y"), ())["title"]
    '図'
    """
    series = [_series(one, np.asarray(panel.x, float), states) for one in panel.series]
    ys = [a for one in panel.series for a in (one.y, one.low, one.high) if a is not None]
    xs = [np.asarray(panel.x if one.x is None else one.x, float) for one in panel.series]
    bar = any(one.bar for one in panel.series)
    spec: dict[str, Any] = {
        "title": panel.title,
        "series": series,
        "width": panel.size[0],
        "height": panel.size[1],
        "drag": [_drag(one, states) for one in panel.drag],
        "x": _axis(panel.xlabel, panel.xlog, panel.xlimits, xs, margin=0.0 if bar else 0.03),
        "y": _axis(panel.ylabel, panel.ylog, panel.ylimits, ys, margin=0.05, zero=bar),
    }
    if panel.xticks:
        spec["x"]["ticks"] = _numbers(np.asarray(panel.xticks, float))
    if panel.notes is not None:
        spec["notes"] = _texts("notes", panel.notes, states).tolist()
    return spec


def _series(one: Series, x: Array, states: tuple[int, ...]) -> dict[str, Any]:
    spec: dict[str, Any] = {"label": one.label, "color": one.color, "bar": one.bar}
    spec |= {"marker": one.marker, "dash": one.dash}
    x = x if one.x is None else one.x
    points = x.shape[-1] - one.bar
    for name, values in (("y", one.y), ("low", one.low), ("high", one.high)):
        if values is not None:
            _check_shape(f"「{one.label}」の {name}", values, states, points)
            spec[name] = _numbers(values)
    _check_shape(f"「{one.label}」の x", x, states, x.shape[-1])
    return spec | {"x": _numbers(x)}


def _drag(drag: Drag, states: tuple[int, ...]) -> dict[str, Any]:
    positions = np.asarray(drag.positions, float)
    if drag.control >= len(states) or positions.shape != (states[drag.control],):
        raise ValueError(
            f"drag の positions には、{drag.control} 番目のつまみの選択肢ごとの値を渡してください。"
            f"受け取った形: {positions.shape}、つまみの選択肢の数: {states}"
        )
    return {"axis": drag.axis, "control": drag.control, "positions": _numbers(positions)}


def _check_shape(name: str, values: Array, states: tuple[int, ...], points: int) -> None:
    fits = values.ndim == 1 or (
        values.ndim == len(states) + 1
        and all(n in (1, m) for n, m in zip(values.shape, states, strict=False))
    )
    if not fits or values.shape[-1] != points:
        raise ValueError(
            f"{name} の形は {(points,)} か {(*states, points)} でなければなりません。"
            f"受け取った形: {values.shape}"
        )


def _axis(
    label: str,
    log: bool,
    limits: tuple[float, float] | None,
    arrays: Sequence[Array],
    margin: float,
    zero: bool = False,
) -> dict[str, Any]:
    """軸の名前、目盛りの種類、範囲。範囲はつまみを動かしても変えない (動きが比べられるように)。"""
    if limits is None:
        values = np.concatenate([np.ravel(a) for a in arrays])
        values = values[np.isfinite(values) & (values > (0 if log else -np.inf))]
        if not values.size:
            raise ValueError(f"「{label}」の軸に描ける値がありません。")
        ends = np.array([0.0 if zero else values.min(), values.max()])
        ends = np.log10(ends) if log else ends
        pad = margin * (np.ptp(ends) or 1.0)
        ends += [0.0 if zero else -pad, pad]
        limits = tuple(10**ends if log else ends)
    return {"label": label, "log": log, "limits": _numbers(np.asarray(limits, float))}


def _numbers(values: Array) -> Any:
    """有効数字に丸めた数の入れ子のリスト。描けない値 (NaN、inf) は None。"""
    if values.ndim:
        return [_numbers(part) for part in values]
    if not np.isfinite(values):
        return None
    number = float(f"{float(values):.{DIGITS}g}")
    return int(number) if number.is_integer() and abs(number) < 1e6 else number
