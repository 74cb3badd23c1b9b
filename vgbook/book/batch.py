"""点を動かせる、1 つのユニットのバッチ。動かすたびに、ページの中でバッチ正規化を計算し直します。

はじめの絵は vgbook が描きます。スクリプト (``batch.js``) の絵と同じことを、試験が確かめます。
"""

import json
import math

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, check_numbers
from vgbook.book.controls import figure
from vgbook.book.looks import COLORS
from vgbook.layers import BatchNorm

ROWS = {"x": 34, "y": 104, "dx": 174}
"""上から、入力、出力、入力の勾配の高さ (CSS のピクセル)。"""
ARROW = 40
"""勾配 1 にあたる矢印の長さ (CSS のピクセル)。"""
SIDE = 3
"""図の左右に空ける幅 [%]。"""


class Batch:
    """点を動かせる、1 つのユニットのバッチ。平均、標準偏差、出力、勾配が変わります。

    Parameters
    ----------
    x, dy : array_like, shape (N,)
        はじめの入力と、上から来る勾配。
    limits : tuple of float
        点を動かせる範囲。

    Raises
    ------
    ValueError
        ``x`` と ``dy`` の長さが違うとき。

    Examples
    --------
    >>> Batch([1.0, 2.0, 4.0], [1.0, 0.0, -1.0])
    <点を動かせるバッチ: 3 個の標本>
    """

    def __init__(
        self, x: ArrayLike, dy: ArrayLike, *, limits: tuple[float, float] = (-3.0, 5.0)
    ) -> None:
        self.x = np.asarray(check_numbers("x", x), float)
        self.dy = np.asarray(check_numbers("dy", dy), float)
        if self.x.ndim != 1 or self.x.shape != self.dy.shape:
            raise ValueError(
                "x と dy には、同じ長さの 1 次元の配列を渡してください。"
                f"受け取った形: {self.x.shape} と {self.dy.shape}"
            )
        self.limits = limits

    def __repr__(self) -> str:
        return f"<点を動かせるバッチ: {len(self.x)} 個の標本>"

    def _repr_html_(self) -> str:
        low, high = self.limits
        spec = {"x": self.x.tolist(), "dy": self.dy.tolist(), "rows": ROWS, "arrow": ARROW}
        spec |= {"low": low, "high": high, "step": 0.1, "side": SIDE}
        points = "".join(
            f'<label for="touch-batch-{i}">点 {i + 1}<input id="touch-batch-{i}" type="range" '
            f'min="{low:g}" max="{high:g}" step="0.1" value="{x:g}"></label>'
            for i, x in enumerate(self.x)
        )
        layer = BatchNorm(1)
        y, dx = layer.forward(self.x[:, None])[:, 0], layer.backward(self.dy[:, None])[:, 0]
        mean, spread = self.x.mean(), self.x.std()
        texts = (f"平均 μ = {m:.2f}、標準偏差 σ = {s:.2f}。" for m, s in ((mean, spread), (-9, 9)))
        said, longest = (text.replace("-", "−") for text in texts)
        return figure(
            "touch-batch",
            "点を動かせるバッチ",
            "vg-figure-live vg-figure vg-batch",
            "",
            (said, longest),
            f'<div class="vg-canvas along">{self._picture(mean, spread, y, dx)}</div>'
            f'<div class="vg-points">{points}</div>',
            json.dumps(spec | {"colors": _COLORS}, ensure_ascii=False, separators=(",", ":")),
        )

    def _picture(self, mean: float, spread: float, y: Array, dx: Array) -> str:
        def share(value: float) -> float:
            low, high = self.limits
            return SIDE + (100 - 2 * SIDE) * (value - low) / (high - low)

        def dots(name: str, values: Array) -> str:
            return "".join(
                f'<circle cx="{share(value):.2f}%" cy="{ROWS[name]}" r="7" '
                f'fill="{_COLORS[name]}" data-mark="{name}"/>'
                for value in values
            )

        def edge(name: str, value: float) -> str:
            at, row = f"{share(value):.2f}%", ROWS[name]
            return f'<line class="edge" x1="{at}" x2="{at}" y1="{row - 12}" y2="{row + 12}"/>'

        grid = "".join(
            f'<line class="grid" x1="0" x2="100%" y1="{row}" y2="{row}"/>' for row in ROWS.values()
        )
        names = ("入力 x (帯は μ ± σ)", "出力 y (0 のまわり)", "入力の勾配 (矢印の長さ)")
        texts = "".join(
            f'<text x="2" y="{row - 16}">{name}</text>'
            for name, row in zip(names, ROWS.values(), strict=True)
        )
        band = (
            f'<rect class="band" fill="{_COLORS["x"]}" x="{share(mean - spread):.2f}%" '
            f'width="{share(mean + spread) - share(mean - spread):.2f}%" '
            f'y="{ROWS["x"] - 9}" height="18"/>'
        )
        arrows = "".join(
            f'<svg x="{share(x):.2f}%" y="{ROWS["dx"]}"><path class="line" '
            f'stroke="{_COLORS["dx"]}" d="{arrow(ARROW * d)}"/></svg>'
            for x, d in zip(self.x, dx, strict=True)
        )
        return (
            '<svg height="200" role="img" '
            'aria-label="上から、入力の点、正規化した点、入力の勾配の矢印">'
            f'{grid}{texts}<g class="drawn">{band}{edge("x", mean)}{edge("y", 0.0)}'
            f"{dots('x', self.x)}{dots('y', y)}{arrows}</g></svg>"
        )


_COLORS = {"x": COLORS["h"], "y": COLORS["良好"], "dx": COLORS["delta"]}


def arrow(length: float) -> str:
    """左右に ``length`` だけ進む矢印の線。

    Examples
    --------
    >>> arrow(40.0), arrow(-2.0)
    ('M0 0H40.0m-6.0-4l6.0 4l-6.0 4', 'M0 0H-2.0m2.0-4l-2.0 4l2.0 4')
    """
    tip = math.copysign(min(6.0, abs(length)), length)
    return f"M0 0H{length:.1f}m{-tip:.1f}-4l{tip:.1f} 4l{-tip:.1f} 4"
