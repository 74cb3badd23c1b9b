"""頁が読み込むものを、この本が使う分だけにする: 数式の字と、部品 (sphinx-design) の CSS。

使う字は、数式の CSS に入れる。字だけが後から届くと、行の幅が変わって文章が動く。

どちらも本を組み終えてから、できた頁を 1 度ずつ読んで決める。原稿に新しい記号が増えれば、次の組みで
字も増える。字を切り出すのは遅いので、同じ文字の組なら前のものを使う。
"""

from __future__ import annotations

import base64
import hashlib
import html
import logging
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

logging.getLogger("fontTools").setLevel(logging.WARNING)  # 切り出しの逐一は要らない

# 画素の粗い画面のための指示 (hinting) は、字の 3 割を占める。今の画面では使われない
OPTIONS: dict[str, Any] = {"flavor": "woff2", "layout_features": ["*"], "hinting": False}
KATEX = "_static/vendor/katex"
DESIGN = "_static/sphinx-design.min.css"
# KaTeX が文字ごとに付ける class → 字。ほかの文字は Main
FACES = {
    "mathnormal": "Math-Italic",
    "boldsymbol": "Math-BoldItalic",
    "mathbb": "AMS-Regular",
    "amsrm": "AMS-Regular",
    "mathcal": "Caligraphic-Regular",
    "mathfrak": "Fraktur-Regular",
    "mathscr": "Script-Regular",
    "small-op": "Size1-Regular",
    "large-op": "Size2-Regular",
} | {
    kind + name: face
    for kind in ("math", "text")
    for name, face in {
        "bf": "Main-Bold",
        "it": "Main-Italic",
        "sf": "SansSerif-Regular",
        "tt": "Typewriter-Regular",
    }.items()
}
PIECES = {"Main-Regular", "Size1-Regular", "Size4-Regular"}  # 継ぎ足して伸ばす括弧には class がない
LEAF = re.compile(r'<span(?: class="([^"<>]*)")?[^<>]*>([^<>]+)</span>')
CLASS = re.compile(r'class="([^"]*sd-[^"]*)"')
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")


def faces(classes: str) -> set[str]:
    """1 つの文字を組む字。

    >>> faces("mord mathbb"), faces("delimsizing size2"), faces("mrel")
    ({'AMS-Regular'}, {'Size2-Regular'}, {'Main-Regular'})
    """
    names = classes.split()
    if "delimsizing" in names:
        return {f"Size{name[-1]}-Regular" for name in names if re.fullmatch(r"size[1-4]", name)}
    return {FACES[name] for name in names if name in FACES} or {"Main-Regular"}


def letters(pages: list[str]) -> dict[str, set[str]]:
    """字の名前 → この本がその字で組む文字。"""
    found: dict[str, set[str]] = defaultdict(set)
    for page in pages:
        for classes, text in set(LEAF.findall(page)):
            for face in faces(classes) if classes else PIECES:
                found[face] |= set(html.unescape(text))
    return found


def cut(source: Path, target: Path, text: str) -> None:
    """``text`` の文字だけを持つ字。"""
    from fontTools import subset  # 読み込みに時間がかかる。図を切り詰めるときだけ要る

    options = subset.Options(**OPTIONS)
    font = subset.load_font(str(source), options)
    cutter = subset.Subsetter(options)
    cutter.populate(text=text)
    cutter.subset(font)
    subset.save_font(font, str(target), options)


def cut_fonts(source: Path, out: Path, cache: Path, pages: list[str]) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    style = (source / "katex.min.css").read_text(encoding="utf-8")
    for face, found in letters(pages).items():
        name, text = f"fonts/KaTeX_{face}.woff2", "".join(sorted(found))
        recipe = f"{text}{OPTIONS}".encode()
        key = hashlib.sha256((source / name).read_bytes() + recipe).hexdigest()[:16]
        kept = cache / f"{face}-{key}.woff2"
        if not kept.exists():
            cut(source / name, kept, text)
        data = base64.b64encode(kept.read_bytes()).decode()
        style = style.replace(f"url({name})", f"url(data:font/woff2;base64,{data})")
    # 使わない字の名を残すと、頁の初めに字を用意するとき (page.html)、それも取りに行く
    style = re.sub(r"@font-face\{[^{}]*url\(fonts/[^{}]*\}", "", style)
    (out / "katex.min.css").write_text(style, encoding="utf-8")
    for file in (out / "fonts").glob("*.woff2"):
        file.unlink()


def used_rules(css: str, classes: set[str]) -> str:
    """``sd-`` の class がどれも使われている規則だけを残す。

    >>> used_rules(".sd-a,.sd-b{x:1}.sd-b .sd-c{y:2}", {"sd-b"})
    '.sd-b{x:1}'
    """

    def keep(rule: re.Match[str]) -> str:
        selectors = [
            selector
            for selector in re.split(r",(?![^()]*\))", rule[1])
            if set(re.findall(r"\.(sd-[\w-]+)", selector)) <= classes
        ]
        return ",".join(selectors) + "{" + rule[2] + "}" if selectors else ""

    return re.sub(r"@media[^{}]*\{\s*\}", "", RULE.sub(keep, css))


def lighten(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    pages = [path.read_text(encoding="utf-8") for path in sorted(out.glob("**/*.html"))]
    if formulas := [page for page in pages if "katex-html" in page]:
        cache = Path(app.doctreedir, "fonts")
        cut_fonts(Path(app.confdir, KATEX), out / KATEX, cache, formulas)
    classes = {name for page in pages for found in CLASS.findall(page) for name in found.split()}
    css = (out / DESIGN).read_text(encoding="utf-8")
    (out / DESIGN).write_text(used_rules(css, classes), encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.connect("build-finished", lighten, priority=900)  # vg.page.cards が札を入れた後
