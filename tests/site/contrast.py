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
WHITE = np.full(3, 255.0)  # 紙の色


def over(ground: np.ndarray, color: str, opacity: float = 1.0) -> np.ndarray:
    """``ground`` の上に、``rgb(…)`` か ``rgba(…)`` の色を重ねた色。

    >>> over(WHITE, "rgba(0, 0, 0, 0.6)").tolist()
    [102.0, 102.0, 102.0]
    """
    found = COLOR.fullmatch(color)
    assert found, f"読めない色: {color}"
    *rgb, alpha = (float(part or 1) for part in found.groups())
    share = alpha * opacity
    return share * np.array(rgb) + (1 - share) * ground


def luminance(rgb: np.ndarray) -> float:
    """相対輝度 (WCAG 2 の定義)。黒は 0、白は 1。"""
    c = rgb / 255
    return float(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ BRIGHTNESS)


def ratio(ink: str, opacity: float, grounds: list[str]) -> float:
    """字の色と、上から順に並べた下地の色の、明るさの比。1 から 21。

    >>> round(ratio("rgb(119, 119, 119)", 1.0, ["rgb(255, 255, 255)"]), 2)
    4.48
    """
    ground = WHITE
    for color in reversed(grounds):
        ground = over(ground, color)
    low, high = sorted(map(luminance, (ground, over(ground, ink, opacity))))
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
        f"color-contrast: {text} ({ink} × {opacity:.2f}、下は {grounds})"
        for (ink, size, weight, opacity, grounds), texts in found["looks"]
        if ratio(ink, opacity, grounds) < wanted(size, weight)
        for text in texts
    ]
