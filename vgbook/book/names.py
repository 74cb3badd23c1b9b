"""線の名前: 線の右端か、図の上に書きます。線や帯の上には重ねません。"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vgbook._edge import Array


def name_lines(ax: Any) -> None:
    """線の名前を、右端の高さに、その線の色で書く。重なる名前は上下にずらして線で結ぶ。

    軸の範囲を決めてから呼びます。

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        名前 (``label``) のある線を描いた軸。

    Examples
    --------
    >>> from vgbook.book.looks import figure
    >>> fig, ax = figure()
    >>> line = ax.plot([0, 1], [1, 2], label="例")
    >>> name_lines(ax)
    >>> [text.get_text() for text in ax.texts]
    ['例']
    """
    ax.figure.draw_without_rendering()  # 配置を決めてから、字の高さを軸の高さと比べる
    lines, ends = [], []
    for line in ax.get_legend_handles_labels()[0]:
        points = np.column_stack([np.asarray(d, float) for d in line.get_data()])
        shown = np.isfinite(points).all(axis=1)
        at = ax.transAxes.inverted().transform(line.get_transform().transform(points[shown]))
        inside = at[(at[:, 0] <= 1) & np.isfinite(at).all(axis=1)]
        if len(inside):
            lines.append(line)
            ends.append(np.clip(inside[inside[:, 0].argmax()], 0, 1))
    size = ax.figure.dpi / 72 * ax.xaxis.label.get_size()
    heights = _apart([y for _, y in ends], 1.2 * size / ax.get_window_extent().height)
    for line, (x, y), height in zip(lines, ends, heights, strict=True):
        color = line.get_color()
        leader = ax.annotate(
            line.get_label(),
            (x, y),
            (1.04, height),
            xycoords="axes fraction",
            va="center",
            color=color,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": color, "lw": 0.7, "shrinkA": 1, "shrinkB": 3},
        )
        leader.arrow_patch.set_in_layout(False)


def _apart(heights: Sequence[float], gap: float) -> Array:
    """高さを、順を保ったまま ``gap`` 以上離す。できるだけ 0 から 1 に収める。"""
    order = np.argsort(heights, kind="stable")
    steps = gap * np.arange(len(order))
    lowest = np.maximum.accumulate(np.asarray(heights, float)[order] - steps)
    placed = np.minimum(lowest, 1 - steps[-1] if len(steps) else 1) + steps
    if len(placed) and placed[0] < 0 <= 1 - steps[-1]:
        placed = np.maximum(placed, steps)
    result = np.empty(len(order))
    result[order] = placed
    return result


def key(fig: Any) -> None:
    """線の名前を、図の上に並べる。何枚もの軸が同じ線を描くときに使います。

    Parameters
    ----------
    fig : matplotlib.figure.Figure
        名前 (``label``) のある線を描いた図。

    Examples
    --------
    >>> from vgbook.book.looks import figure
    >>> fig, axes = figure(1, 2)
    >>> for ax in axes:
    ...     line = ax.plot([0, 1], [1, 2], label="例")
    >>> key(fig)
    >>> [text.get_text() for text in fig.legends[0].get_texts()]
    ['例']
    """
    lines = [line for ax in fig.axes for line in ax.get_legend_handles_labels()[0]]
    named = {line.get_label(): line for line in lines}
    letters = max(sum(1.0 if ord(c) > 0x2E7F else 0.6 for c in label) for label in named)
    room = 72 * fig.get_figwidth() / (11 * (letters + 4))  # 線の見本と間が 4 文字分
    columns = max(1, min(len(named), int(room)))
    fig.legend(named.values(), named, loc="outside upper left", ncols=columns, columnspacing=1.2)
