"""索引: 用語は読みの五十音順に、API は名前の順に、分けて並べる。見た目は ``genindex.html``。

Sphinx の索引は、漢字で始まる用語を、読みではなく 1 字目の漢字で分け、API の名前の間に並べる。
"""

from __future__ import annotations

import unicodedata
from itertools import groupby
from typing import Any, NamedTuple

from sphinx.application import Sphinx

from vg.search.index import folder, is_book, loaded

ROWS = "あかさたなはまやらわ"
SMALL = str.maketrans("ぁぃぅぇぉっゃゅょゎゔ", "あいうえおつやゆよわう")


class Entry(NamedTuple):
    """索引の 1 項目。"""

    key: str  # 並べる順
    name: str
    note: str  # 読みか、置き場所
    uri: str


def plain_kana(reading: str) -> str:
    """濁点、半濁点、小書きの違いをなくし、長音を除いた読み。

    >>> plain_kana("ばっちせいきか")
    'はつちせいきか'
    """
    bare = "".join(c for c in unicodedata.normalize("NFD", reading) if not unicodedata.combining(c))
    return bare.translate(SMALL).replace("ー", "")


def row(key: str) -> str:
    """読みの行。

    >>> row("ゆにっと"), row("ん")
    ('や行', 'わ行')
    """
    return f"{max(first for first in ROWS if first <= key[0])}行"


def terms(app: Sphinx, uri: str) -> list[Entry]:
    """用語集の項目。読みは、説明の頭にある。"""
    sections = loaded(app, "glossary")["sections"]
    return sorted(
        Entry(plain_kana(s["names"][0]), s["name"], s["names"][0], f"{uri}#{s['id']}")
        for s in sections
        if s["names"]
    )


def functions(app: Sphinx) -> list[Entry]:
    """API の関数とクラス。メソッドや属性は、クラスの頁にある。"""
    found = []
    for name, (docname, anchor, kind, *_) in app.env.get_domain("py").data["objects"].items():
        if kind in ("function", "class", "data", "exception"):
            module, _, short = name.rpartition(".")
            uri = f"{app.builder.get_relative_uri('genindex', docname)}#{anchor}"
            found.append(Entry(short.lower(), short, module, uri))
    return sorted(set(found))


def add_context(app: Sphinx, name: str, template: str, context: dict[str, Any], tree: Any) -> None:
    if name == "genindex" and is_book(app) and (folder(app) / "glossary.json").exists():
        uri = app.builder.get_relative_uri("genindex", "glossary")
        by_row = groupby(terms(app, uri), key=lambda entry: row(entry.key))
        by_letter = groupby(functions(app), key=lambda entry: entry.key[0].upper())
        context["terms"] = [(label, list(group)) for label, group in by_row]
        context["functions"] = [(label, list(group)) for label, group in by_letter]


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_context)
