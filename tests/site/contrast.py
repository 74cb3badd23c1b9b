"""字と下地の明るさの比 (WCAG 1.4.3)。同じ見え方の字は、まとめて 1 度だけ調べる。

axe の color-contrast と同じものを見つけることは、test_browser_pages.py が axe と比べて確かめる。
axe は 1 つの要素ごとに箱の重なりを組み立てるので、長い頁では、ほかの規則のすべてより長くかかる。
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from playwright.sync_api import Page

LOOKS = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
BRIGHTNESS = np.array([0.2126, 0.7152, 0.0722])
COLOR = re.compile(r"rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)")
WHITE = np.array([255.0, 255.0, 255.0, 1.0])  # 紙の色
Layer = tuple[str, list[tuple[int, float]]]
"""重なる色と、それをまとめて透かす組の、外側から並べた (番号, 濃さ)。"""


def paint(color: str) -> np.ndarray:
    """``rgb(…)`` か ``rgba(…)`` の色に、濃さを掛けたもの。最後の数が濃さ。

    >>> paint("rgba(0, 200, 0, 0.5)").tolist()
    [0.0, 100.0, 0.0, 0.5]
    """
    found = COLOR.fullmatch(color)
    assert found, f"読めない色: {color}"
    *rgb, alpha = (float(part or 1) for part in found.groups())
    return alpha * np.array([*rgb, 1.0])


def seen(layers: list[Layer]) -> np.ndarray:
    """下から順に重ねた色。組の中を重ねてから、まとめて透かして、下の色に重ねる。

    >>> seen([("rgb(0, 0, 0)", []), ("rgb(200, 0, 0)", [(1, 0.5)])]).tolist()
    [100.0, 0.0, 0.0]
    """
    open_: list[tuple[tuple[int, float] | None, np.ndarray]] = [(None, WHITE)]
    for color, groups in [*layers, ("rgba(0, 0, 0, 0)", [])]:
        chain = [None, *map(tuple, groups)]
        while [group for group, _ in open_] != chain[: len(open_)]:
            (group, above), (outer, under) = open_.pop(), open_.pop()
            above = above * group[1]
            open_.append((outer, above + (1 - above[3]) * under))
        open_ += [(group, np.zeros(4)) for group in chain[len(open_) :]]
        group, under = open_.pop()
        above = paint(color)
        open_.append((group, above + (1 - above[3]) * under))
    return open_[0][1][:3]


def luminance(rgb: np.ndarray) -> float:
    """相対輝度 (WCAG 2 の定義)。黒は 0、白は 1。"""
    c = rgb / 255
    return float(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ BRIGHTNESS)


def ratio(ink: Layer, grounds: list[Layer]) -> float:
    """字の色と、上から順に並べた下地の色の、明るさの比。1 から 21。

    >>> round(ratio(("rgb(119, 119, 119)", []), [("rgb(255, 255, 255)", [])]), 2)
    4.48
    """
    below = grounds[::-1]
    low, high = sorted(map(luminance, (seen(below), seen([*below, ink]))))
    return (high + 0.05) / (low + 0.05)


def wanted(size: str, weight: str) -> float:
    """要る比。大きな字 (18 ポイント、太字なら 14 ポイントから) は 3、ほかは 4.5。

    >>> wanted("24px", "400"), wanted("18.67px", "700"), wanted("18px", "700")
    (3.0, 3.0, 4.5)
    """
    pixels = float(size.removesuffix("px"))
    large = pixels >= 24 or (pixels > 18.66 and float(weight) >= 700)
    return 3.0 if large else 4.5


def faint(page: "Page") -> list[str]:
    """いまの見え方で、薄くて読めない字。読み上げるだけの字は、調べない。"""
    found = page.evaluate(LOOKS)
    assert len(found["covered"]) < sum(len(texts) for _, texts in found["looks"])
    return [
        f"color-contrast: {text} ({ink}、下は {grounds})"
        for (size, weight, ink, grounds), texts in found["looks"]
        if ratio(ink, grounds) < wanted(size, weight)
        for text in texts
    ]
