"""動かせる図を、ページのスクリプトに渡す値にする: 辞書と、有効数字に丸めた数のリスト。"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, as_array
from vgbook.book.panels import Drag, Panel, Series

DIGITS = 3  # 有効数字。画面の 1 画素より十分に細かい


def panel_spec(panel: Panel, states: tuple[int, ...]) -> dict[str, Any]:
    """ページのスクリプトへ渡す、軸 1 つの値。``states`` は、つまみの選択肢の数。

    Examples
    --------
    >>> from vgbook.book.panels import line
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
        spec["notes"] = texts("notes", panel.notes, states).tolist()
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


def texts(name: str, found: ArrayLike, states: tuple[int, ...]) -> Array:
    """``found`` が、つまみの組み合わせごとの文であることを確かめる。

    Examples
    --------
    >>> texts("readout", ["1 倍", "2 倍"], (2,)).tolist()
    ['1 倍', '2 倍']
    """
    array = as_array(name, found)
    if array.dtype.kind not in "UO" or array.shape != states:
        raise ValueError(
            f"{name} には、つまみの組み合わせごとの文を形 {states} で渡してください。"
            f"受け取った形: {array.shape}"
        )
    return array
