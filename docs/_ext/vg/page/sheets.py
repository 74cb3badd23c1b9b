"""見た目の決まり (CSS) を 1 枚にまとめる。

頁は、見た目の決まりがすべて届くまで表示されない。枚数が多いと、遅い回線では、行き来のたびに待つ。
数式の決まりは大きく、式のない頁には要らないので、別にしておく。紙の決まりは、表示を待たせない。

名に付ける ``?v=`` は、使う字と CSS だけを残した (weight.py) 後の中身から決める。新しい記号が増えて
も、前に読んだ頁の古い写しが使われることはない。
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from sphinx.application import Sphinx

from vg.page.weight import KATEX

FORMULAS = f"{KATEX}/katex.min.css"
JOINED = "site.css"
SHEETS = (  # この順に重ねる。後のものが、前のものに勝つ
    "pygments.css",
    "styles/furo.css",
    "copybutton.css",
    "sphinx-design.min.css",
    "quiz.css",
    "stepper.css",
    "styles/furo-extensions.css",
    "tokens.css",
    "book.css",
    "figures.css",
    "cover.css",
)
NAMES = "|".join(map(re.escape, (*SHEETS, JOINED)))
LINK = re.compile(
    rf'<link rel="stylesheet" type="text/css" href="([^"]*_static/)(?:{NAMES})\?v=\w+" />\s*'
)
HIGHLIGHTED = re.compile(r'<div class="(?:[^"]* )?(highlight-[\w-]+)')
NOTE = re.compile(r"\s*/\*(?!!).*?\*/|^\s+", re.DOTALL | re.MULTILINE)  # 著作権の表示 (/*!) は残す


def by_name(style: str, pages: Iterable[str]) -> str:
    """furo が ``[class]`` という属性で選ぶものを、名前で選ぶように書き直す。

    頁を開いたときや、画面を送る向きが変わったときに、furo は ``<html>`` の class を替える。属性で
    選ぶ規則が残っていると、Chromium はそのたびに、頁の多くの要素の見た目を決め直す。
    強さ (specificity) の等しい書き方に替えるので、重なり方は変わらない。

    >>> by_name("dl[class] dd{x:1}div[class^=highlight-]{y:2}", ['<div class="a highlight-b c">'])
    'dl.py dd{x:1}div:is(.highlight-b){y:2}'
    """
    code = {f".{name}" for page in pages for name in HIGHLIGHTED.findall(page)}
    blocks = f"div:is({','.join(sorted(code)) or '.highlight'})"
    names = {
        "dl:not([class])": "dl:not(.py,.simple,.field-list)",  # この本の dl は、どれかを持つ
        "dl[class]": "dl.py",  # 残りの 2 つには、furo が除く印が付いている
        'div[class*=" highlight-"]': blocks,
        "div[class^=highlight-]": blocks,
        "div[class]": blocks,  # 見出しの付いたコード
    }
    for attribute, name in names.items():
        style = style.replace(attribute, name)
    return style


def replace_links(page: str, version: str) -> str:
    """``SHEETS`` へのリンクを、最後のものの所で、まとめた 1 枚へのリンクに替える。

    >>> tag = '<link rel="stylesheet" type="text/css" href="../_static/{}?v=1" />'
    >>> replace_links(tag.format("book.css") + tag.format("quiz.css"), "2")
    '<link rel="stylesheet" type="text/css" href="../_static/site.css?v=2" />\\n'
    """
    *others, last = LINK.finditer(page)
    one = f'<link rel="stylesheet" type="text/css" href="{last[1]}{JOINED}?v={version}" />\n'
    page = page[: last.start()] + one + page[last.end() :]
    for link in reversed(others):
        page = page[: link.start()] + page[link.end() :]
    return page


def version_of(sheet: Path) -> str:
    return hashlib.sha256(sheet.read_bytes()).hexdigest()[:8]


def join(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    texts = {path: path.read_text(encoding="utf-8") for path in out.glob("**/*.html")}
    pages = {path: text for path, text in texts.items() if LINK.search(text)}
    sheets = [(out / "_static" / name).read_text(encoding="utf-8") for name in SHEETS]
    joined = out / "_static" / JOINED
    style = by_name("\n".join(NOTE.sub("", sheet) for sheet in sheets), pages.values())
    joined.write_text(style, encoding="utf-8")
    version, of_formulas = version_of(joined), f"{FORMULAS}?v={version_of(out / FORMULAS)}"
    for path, page in pages.items():
        new = re.sub(rf"{re.escape(FORMULAS)}\?v=\w+", of_formulas, replace_links(page, version))
        if new != page:
            path.write_text(new, encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.connect("build-finished", join, priority=910)  # vg.page.weight が、要らない決まりを除いた後
