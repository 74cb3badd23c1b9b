"""計算グラフ: 値と勾配が流れる丸と矢印の図。"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vgbook._edge import Array
from vgbook.book.looks import COLORS


def computation_graph(
    ax: Any,
    nodes: Mapping[str, tuple[float, float]],
    edges: Sequence[tuple[str, str, float, float]],
) -> None:
    """計算グラフを描く。辺ごとに、順伝播の値を青の実線、逆伝播の値を朱の破線で書く。

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        描く軸。
    nodes : mapping of str to (float, float)
        丸の中に書く文字と、その位置 (隣との間隔は 1 ほど)。
    edges : sequence of (str, str, float, float)
        (始点, 終点, 順伝播の値, 逆伝播の値)。

    Examples
    --------
    >>> from vgbook.book.looks import figure
    >>> fig, ax = figure()
    >>> computation_graph(ax, {"t": (0, 0), "z": (1, 0)}, [("t", "z", 3.0, 6.0)])
    >>> [text.get_text() for text in ax.texts if text.get_text()]
    ['3', '6', 't', 'z']
    """
    from matplotlib.patches import Circle

    radius = 0.2
    for start, end, forward, backward in edges:
        tail, head = np.array(nodes[start], float), np.array(nodes[end], float)
        along = (head - tail) / np.linalg.norm(head - tail)
        left = np.array([-along[1], along[0]])
        tail, head = tail + 1.2 * radius * along, head - 1.2 * radius * along
        _signal(ax, tail, head, left, forward, COLORS["h"], "-")
        _signal(ax, head, tail, -left, backward, COLORS["delta"], "--")
    for label, center in nodes.items():
        ax.add_patch(Circle(center, radius, fill=False, lw=1.4))
        ax.text(*center, label, ha="center", va="center")
    ax.set_aspect("equal")
    ax.axis("off")
    ax.autoscale_view()


def _signal(
    ax: Any, tail: Array, head: Array, side: Array, value: float, color: str, dash: str
) -> None:
    """辺の片側 ``side`` に寄せた矢印と、その値。"""
    style = {"arrowstyle": "->", "color": color, "lw": 1.8, "ls": dash, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", head + 0.05 * side, tail + 0.05 * side, arrowprops=style)
    # 斜めの辺では、文字の端を矢印の側にそろえる。中央でそろえると、長い数が矢印に重なる
    slanted = abs(side[0]) > 0.3
    place = (tail + head) / 2 + (0.16 if slanted else 0.2) * side
    anchor = ("left" if side[0] > 0 else "right") if slanted else "center"
    ax.text(*place, f"{value:.4g}".replace("-", "−"), color=color, ha=anchor, va="center")
