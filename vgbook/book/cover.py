"""表紙の図: 重みの標準偏差と活性化関数を選び、20 層をさかのぼる勾配の大きさを、層ごとの棒で見ます。

棒の高さも文も、組むときに計算します。はじめの図は HTML に書くので、スクリプトがなくても読めます。
"""

import json
from collections.abc import Mapping
from functools import partial
from html import escape

import numpy as np

from vgbook._edge import Array, check_count, check_positive
from vgbook.activations import Activation
from vgbook.book.looks import COLORS
from vgbook.book.words import times, verdict
from vgbook.experiments.flow import gradient_flow
from vgbook.initializers import normal

WIDTH, HEIGHT = 358, 196
LEFT, RIGHT, TOP, BOTTOM = 54, 350, 10, 172
"""図の大きさと、棒を描く範囲 (電話の画面のピクセル)。"""
DECADES = 12
"""縦軸は 10 の ±DECADES 乗まで。外に出る棒は端で止め、値は文で示します。"""
WORDS = {"消失": "消えます", "良好": "保たれます", "爆発": "爆発します"}


class Cover:
    """活性化関数と標準偏差ごとの、δ の大きさの図。セルの最後に置くと、ページの中で動きます。

    Parameters
    ----------
    activations : mapping
        選択肢に書く名前と、その活性化関数。
    stds : mapping
        つまみに書く名前と、重みの標準偏差。
    rng : numpy.random.Generator
        乱数生成器。
    start : tuple of int
        はじめに選ぶ番号 (活性化関数、標準偏差)。
    depth, width, samples, seeds : int
        層の数、各層の幅、標本数、繰り返しの数。

    Attributes
    ----------
    delta : ndarray, shape (活性化関数, 標準偏差, depth)
        出力側の層を 1 とした、δ の RMS。種にわたる中央値です。

    Raises
    ------
    ValueError
        標準偏差が正でないとき。層の数、幅、標本数、繰り返しの数が正の整数でないとき。

    Examples
    --------
    >>> from vgbook.activations import relu
    >>> rng = np.random.default_rng(0)
    >>> cover = Cover({"ReLU": relu}, {"0.1": 0.1, "0.141 (He)": 0.141}, rng=rng)
    >>> cover.delta.shape, cover.verdicts
    ((1, 2, 20), [['消失', '良好']])
    """

    def __init__(
        self,
        activations: Mapping[str, Activation],
        stds: Mapping[str, float],
        *,
        rng: np.random.Generator,
        start: tuple[int, int] = (0, 0),
        depth: int = 20,
        width: int = 100,
        samples: int = 50,
        seeds: int = 5,
    ) -> None:
        check_count("depth", depth, least=2)
        check_positive("stds", list(stds.values()), many=True)
        init = normal(np.array(list(stds.values()), float))
        measure = partial(
            gradient_flow, rng=rng, depth=depth, width=width, samples=samples, seeds=seeds
        )
        flows = [measure(phi, init).delta for phi in activations.values()]
        self.delta = np.array([np.median(d / d[..., -1:], axis=0) for d in flows])
        self.activations, self.stds, self.start = list(activations), list(stds), start
        self.verdicts = [[verdict(layers[0]) for layers in row] for row in self.delta]
        self.readout = [[self._sentence(i, j) for j in range(len(stds))] for i in range(len(flows))]

    def __repr__(self) -> str:
        return f"<表紙の図: {'、'.join(self.activations)}>"

    def _sentence(self, i: int, j: int) -> str:
        return (
            f"入力側に届く勾配は、出力側の {times(self.delta[i, j, 0])}。"
            f"勾配は{WORDS[self.verdicts[i][j]]}。"
        )

    def _repr_html_(self) -> str:
        i, j = self.start
        tops = heights(self.delta)
        spec = {"tops": tops.tolist(), "verdicts": self.verdicts, "readout": self.readout}
        data = json.dumps(spec | {"stds": self.stds}, ensure_ascii=False, separators=(",", ":"))
        choices = "".join(
            f'<label><input type="radio" name="cover-activation" value="{k}"'
            f"{' checked' if k == i else ''}>{escape(name)}</label>"
            for k, name in enumerate(self.activations)
        )
        return (
            f'<div class="vg-cover" role="group" aria-label="20 層をさかのぼる勾配" '
            f'data-verdict="{self.verdicts[i][j]}">{picture(tops[i, j])}'
            f'<div class="vg-cover-controls"><label for="cover-std">重みの標準偏差 '
            f'<span class="vg-value" aria-hidden="true">{escape(self.stds[j])}</span></label>'
            f'<input id="cover-std" type="range" min="0" max="{len(self.stds) - 1}" value="{j}" '
            f'aria-valuetext="{escape(self.stds[j])}"><fieldset aria-label="活性化関数">'
            f"{choices}</fieldset></div>"
            f'<p class="vg-cover-readout" role="status">{escape(self.readout[i][j])}</p>'
            f'<script type="application/json">{data.replace("<", chr(92) + "u003c")}</script></div>'
        )


def heights(delta: Array) -> Array:
    """δ の比にあたる、図の縦の位置 (上から数えたピクセル)。

    Examples
    --------
    >>> heights(np.array([1e12, 1.0, 1e-12, 1e-30, 0.0])).tolist()
    [10, 91, 172, 172, 172]
    """
    with np.errstate(divide="ignore"):
        decades = np.clip(np.log10(delta), -DECADES, DECADES)
    middle = (TOP + BOTTOM) / 2
    pixels: Array = np.rint(middle - decades / DECADES * (BOTTOM - TOP) / 2).astype(int)
    return pixels


def picture(tops: Array) -> str:
    """棒を並べた SVG。1 倍の線から、上へ伸びれば爆発、下へ伸びれば消失です。

    Examples
    --------
    >>> picture(np.array([172, 91])).count("<rect ")
    2
    """
    middle, step = (TOP + BOTTOM) // 2, (RIGHT - LEFT) / len(tops)
    scale = ((TOP, "10¹² 倍", ""), (middle, "1 倍", " one"), (BOTTOM, "10⁻¹² 倍", ""))
    lines = "".join(
        f'<path class="grid{kind}" stroke="#888" d="M{LEFT} {y}H{RIGHT}"/>'
        f'<text x="{LEFT - 4}" y="{y + 4}">{name}</text>'
        for y, name, kind in scale
    )
    bars = "".join(
        f'<rect x="{LEFT + step * (k + 0.15):.1f}" width="{0.7 * step:.1f}" '
        f'y="{min(top, middle) - 1}" height="{abs(top - middle) + 2}" fill="{COLORS["h"]}"/>'
        for k, top in enumerate(tops)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12" text-anchor="end" role="img" '
        f'aria-label="層ごとの勾配の大きさ。'
        f'左が入力側の第 1 層、右が出力側の第 {len(tops)} 層">{lines}{bars}'
        f'<text class="side" text-anchor="start" x="{LEFT}" y="{HEIGHT - 4}">'
        "第 1 層 (入力側)</text>"
        f'<text x="{RIGHT}" y="{HEIGHT - 4}">第 {len(tops)} 層 (出力側)</text></svg>'
    )
