"""図 (SVG) を、見た目を変えずに軽くする。

Matplotlib は座標を小数 6 桁で書き、文字の形も図ごとに持つ。座標を目に見えない桁で丸め、隣の点との差
(相対座標) で書くと、圧縮した大きさが 3 割から 5 割減る。

丸めてから差をとるので、点が多くても誤差は積もらない。
"""

from __future__ import annotations

import base64
import io
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx

GLYPH_UNIT = 16  # 文字の形は 1/64 pt 刻み (10 pt の字で 1/640)。16 個をまとめても 0.025 pt
PLACES = 2  # 図の座標。0.01 pt は 1/75 ピクセル
TOKEN = re.compile(r"[MLQCz]|-?[\d.]+(?:e-?\d+)?")
PATH = re.compile(r'(<path[^>]*? d=")([^"]*)(")')
GLYPH = re.compile(r'(<path id="[^"]*" )d="([^"]*)" transform="scale\(0\.015625\)"')
NUMBER = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")
PNG = re.compile(r"(data:image/png;base64,)([^\"]*)")
NOISE = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->|<\?xml.*?\?>|<!DOCTYPE[^>]*>", re.DOTALL)


@cache  # 図の中では、同じ差が何度も現れる
def number(value: float, places: int = PLACES) -> str:
    """短い書き方。

    >>> number(0.5), number(-0.001), number(12.0)
    ('.5', '0', '12')
    """
    text = f"{value:.{places}f}".rstrip("0").rstrip(".") if places else str(round(value))
    return "0" if text in ("-0", "") else re.sub(r"^(-?)0\.", r"\1.", text)


def join(numbers: list[str]) -> str:
    """数の間の空白を、負号や 2 つ目の小数点が代わりをするところでは省く。"""
    text = numbers[0]
    for before, after in pairwise(numbers):
        joined = after[0] == "-" or (after[0] == "." and "." in before)
        text += after if joined else f" {after}"
    return text


def shorten(path: str, *, unit: float = 1.0, places: int = PLACES) -> str:
    """M L Q C z だけの絶対座標の経路を、``unit`` で割って丸め、相対座標にする。

    >>> shorten("M 10 20 L 11.004 20 L 12 21.5 z")
    'm10 20l1 0 1 1.5z'
    """
    tokens, out = TOKEN.findall(path), []
    step = 10.0**-places
    here = start = (0, 0)  # 丸めた座標 (step の何倍か)
    command, i = "", 0
    while i < len(tokens):
        if tokens[i] == "z":
            out.append("z")
            here, command, i = start, "z", i + 1
            continue
        new, i = (tokens[i], i + 1) if tokens[i].isalpha() else (command, i)
        pairs = {"M": 1, "L": 1, "Q": 2, "C": 3}[new]
        values = [round(float(t) / unit / step) for t in tokens[i : i + 2 * pairs]]
        i += 2 * pairs
        moves = [number((v - here[k % 2]) * step, places) for k, v in enumerate(values)]
        if new == command and new != "M":
            joined = moves[0][0] == "-"
            out.append(join(moves) if joined else f" {join(moves)}")
        else:
            out.append(new.lower() + join(moves))
        here, command = (values[-2], values[-1]), new
        start = here if new == "M" else start
    return "".join(out)


def shrink_png(data: str) -> str:
    """画像にした図 (半透明の線を重ねたものなど) を 256 色にする。小さくならなければ元のまま。"""
    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")
    image.quantize(256, method=Image.Quantize.FASTOCTREE).save(buffer, "png", optimize=True)
    small = base64.b64encode(buffer.getvalue()).decode()
    return min(small, data, key=len)


def slim(svg: str) -> str:
    """1 つの図を軽くする。"""
    svg = NOISE.sub("", svg)
    svg = PNG.sub(lambda m: m[1] + shrink_png(re.sub(r"\s", "", m[2])), svg)
    size, places = f"scale({GLYPH_UNIT / 64:g})", 0
    svg = GLYPH.sub(
        lambda m: f'{m[1]}d="{shorten(m[2], unit=GLYPH_UNIT, places=places)}" transform="{size}"',
        svg,
    )
    svg = PATH.sub(lambda m: m[1] + (shorten(m[2]) if "M" in m[2] else m[2]) + m[3], svg)
    svg = NUMBER.sub(lambda m: number(float(m[0]), 3), svg)
    return re.sub(r"\s*\n\s*", " ", svg).replace("> <", "><").strip()


def slim_images(app: Sphinx, doctree: nodes.document) -> None:
    """セルが描いた図を、頁を読んだときに 1 度だけ軽くする。

    書くときに直すと、頁を読んだ後に図が変わったことになり、次の組みが同じ頁をまた読む。
    """
    for node in doctree.findall(nodes.image):
        path = Path(app.srcdir, node["uri"])
        if path.suffix == ".svg" and path.is_file() and "jupyter_execute" in path.parts:
            svg = path.read_text(encoding="utf-8")
            if svg.startswith("<?xml"):  # 軽くしたものは <svg で始まる
                draft = path.with_suffix(f".{app.env.docname.replace('/', '-')}")
                draft.write_text(slim(svg), encoding="utf-8")
                draft.replace(path)


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", slim_images, priority=900)  # 図の場所が決まってから
