"""ページを人に渡すときの絵 (Open Graph): 題と、その章のはじめの図。

どの章も同じ枠に、章の番号、題、本の名前、図を置く。図のない章では、表紙の図と同じ、層をさかのぼるほど
低くなる棒を置く。図の SVG は resvg で画像にする。題と図が同じなら、前に描いたものを使う。
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("matplotlib-fontja", "pillow", "resvg-py")  # 字、画像、図を描くもの
SIZE = (1200, 630)
PAPER, INK, SIGNAL, GRADIENT = "#ffffff", "#1c2733", "#0072b2", "#c04f00"  # tokens.css と同じ
EDGE, COLUMN = 64, 460  # 余白と、題の幅
PLACE = (EDGE + COLUMN + 40, 60, 1200 - EDGE, 570)  # 図を置く所
LAYERS, SHRINK = 20, 0.8  # 表紙の図と同じ 20 層
COLORS = 48
NOT_FIRST = "、。ー々っゃゅょッャュョァィゥェォ」』)・"


@dataclass(frozen=True)
class Poster:
    """1 枚の絵に書くもの。"""

    title: str
    above: str
    """題の上の 1 行 (第 3 章)。"""
    below: str
    """下の端の 1 行 (本の名前)。"""
    figure: str = ""
    """章のはじめの図の SVG。"""

    def key(self) -> str:
        """同じ絵になるものの名札。描き方か、描くものの版を変えると変わる。"""
        drawn = repr((astuple(self), [version(name) for name in LIBRARIES]))
        return hashlib.sha256(drawn.encode() + Path(__file__).read_bytes()).hexdigest()

    def write(self, path: Path, kept: Path) -> None:
        """``path`` に書く。``kept`` のフォルダーに、描いたものを残す。"""
        made = kept / f"{self.key()}.png"
        if not made.exists():
            kept.mkdir(parents=True, exist_ok=True)
            made.write_bytes(draw(self))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.read_bytes())


def wrapped(text: str, font: Any, width: float) -> Iterator[str]:
    """``width`` に収まる行。行の頭に置けない字は、前の行に残す。"""
    line = ""
    for letter in text:
        if line and font.getlength(line + letter) > width and letter not in NOT_FIRST:
            yield line.strip()
            line = ""
        line += letter
    yield line.strip()


def balanced(text: str, font: Any, width: int) -> list[str]:
    """行の数を増やさずに、いちばん狭くした行。最後の行だけが短くならない。"""
    lines = list(wrapped(text, font, width))
    for narrow in range(width // 2, width, 10):
        found = list(wrapped(text, font, narrow))
        if len(found) == len(lines):
            return found
    return lines


def draw(poster: Poster) -> bytes:
    """PNG。"""
    import matplotlib_fontja
    from PIL import Image, ImageDraw, ImageFont

    font = Path(matplotlib_fontja.__file__).with_name("fonts") / "ipaexg.ttf"
    small, large = (ImageFont.truetype(str(font), size) for size in (32, 56))
    image = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, 14, SIZE[1]), fill=SIGNAL)
    pen.text((EDGE, 66), poster.above, INK, small)
    for i, line in enumerate(balanced(poster.title, large, COLUMN)):
        pen.text((EDGE, 126 + 78 * i), line, INK, large)
    pen.text((EDGE, SIZE[1] - 100), poster.below, SIGNAL, small)
    if poster.figure:
        figure = rasterized(poster.figure)
        left, top, right, bottom = PLACE
        corner = (left + right - figure.width) // 2, (top + bottom - figure.height) // 2
        image.paste(figure, corner, figure)
    else:
        bars(pen)
    written = io.BytesIO()
    image.quantize(COLORS).save(written, "png", optimize=True)
    return written.getvalue()


def bars(pen: Any) -> None:
    """層をさかのぼるほど低くなる棒。"""
    left, top, right, bottom = PLACE
    step = (right - left) / LAYERS
    for layer in range(LAYERS):
        tall = max(3, (bottom - top) * SHRINK ** (LAYERS - 1 - layer))
        at = left + layer * step
        pen.rectangle((at, bottom - tall, at + 0.6 * step, bottom), fill=GRADIENT)


def rasterized(svg: str) -> Any:
    """図を置く所に、縦横の比を保って収まる画像。"""
    import resvg_py
    from PIL import Image

    left, top, right, bottom = PLACE
    # 幅から決めて、背が高すぎれば高さから決め直す。字は経路で書いてあるので、書体は要らない
    sizes: tuple[tuple[int | None, int | None], ...] = ((right - left, None), (None, bottom - top))
    for width, height in sizes:
        made = resvg_py.svg_to_bytes(
            svg_string=svg, dpi=96, skip_system_fonts=True, width=width, height=height
        )
        image = Image.open(io.BytesIO(bytes(made)))
        if image.height <= bottom - top:
            break
    return image
