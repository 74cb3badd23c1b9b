"""用語・式・図・文献への参照に重ねる札の中身を、頁に埋め込む。

同じ頁への参照なら、札の中身はその頁にある。別の頁への参照のときだけ、組み上がった頁から写して、
``<template>`` として頁の末尾に置く。読むときに取りに行かないので、file:// でも動く。
札を出すのは ``cards.js``。

既にある拡張のうち、sphinx-hoverxref は Read the Docs の API を呼ぶ。sphinx-tippy は CDN の部品を
使い、ファイル名に乱数を含むので、組むたびに変わる。
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from sphinx.application import Sphinx

from vg.math.typeset import STYLE

SCRIPT = "cards.js"
LINK = re.compile(
    r'<a class="reference internal" href="'
    r'([^"#]+#(?:term|equation|fig)-[^"]+|[^"#]*references\.html#id\d+)"'
)
OLD = re.compile(r'<template data-card="[^"]*">.*?</template>\n', re.DOTALL)
# 参照先の写し方。どれも、参照先の id をもつ開始タグから始まる
TARGETS = [
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"<dt[^>]*>.*?</dt>\s*<dd>(.*?)</dd>",
        r'<[^>]*>\s*(<div class="formula">.*?</div>)',
        r"<figure[^>]*>(.*?)</figure>",
        r'<div class="citation"[^>]*>\s*<span class="label">.*?</span></span>(.*?)</div>',
    )
]
EXTRA = re.compile(
    r'<a class="headerlink".*?</a>|</?a\b[^>]*>| id="[^"]*"|<annotation.*?</annotation>',
    re.DOTALL,
)


def extract(html: str, target: str) -> str | None:
    """参照先の中身。リンクと id は除く。

    >>> extract('<dt id="term-a">甲</dt><dd><p>乙の<a href="#">次</a></p></dd>', "term-a")
    '<p>乙の次</p>'
    """
    start = html.rfind("<", 0, max(0, html.find(f' id="{target}"')))
    for pattern in TARGETS:
        if start >= 0 and (found := pattern.match(html, start)):
            return EXTRA.sub("", found[1]).strip()
    return None


def moved(content: str, link: str) -> str:
    """図の場所を、写した先の頁から見たものにする。

    >>> moved('<img src="../_images/a.svg">', "../part1/b.html#fig-a")
    '<img src="../_images/a.svg">'
    >>> moved('<img src="_images/a.svg">', "../index.html#fig-a")
    '<img src="../_images/a.svg">'
    """
    folder = dirname(urldefrag(link).url)
    return re.sub(r'src="([^"]+)"', lambda m: f'src="{normpath(join(folder, m[1]))}"', content)


def embed(name: str, page: str, read: Callable[[str], str]) -> str:
    """``name`` の頁に、その頁が要る札を入れ直したもの。"""
    cards = []
    for link in dict.fromkeys(LINK.findall(page)):
        path, target = urldefrag(urljoin(name, link))
        content = extract(read(path), unquote(target))
        if content is not None:
            cards.append(f'<template data-card="{link}">{moved(content, link)}</template>\n')
    head, body, tail = OLD.sub("", page).rpartition("</body>")
    return head + "".join(cards) + body + tail


def embed_all(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    read = cache(lambda path: (out / path).read_text(encoding="utf-8"))
    for docname in sorted(app.env.found_docs):
        name = app.builder.get_target_uri(docname)
        page = read(name)
        if (new := embed(name, page, read)) != page:
            (out / name).write_text(new, encoding="utf-8")


def add_script(
    app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    if doctree:
        app.add_js_file(SCRIPT, loading_method="defer")
    if LINK.search(context.get("body", "")):  # 札の中だけに数式がある頁もある
        app.add_css_file(STYLE, priority=300)


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_script)
    app.connect("build-finished", embed_all)
