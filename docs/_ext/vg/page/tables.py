"""指示 (directive) が組み立てる表、列の幅を決めた表、狭い画面では 1 行が 1 枚の札になる表。"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape, unescape
from typing import Any, TypeAlias
from unicodedata import east_asian_width

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

Cell: TypeAlias = str | nodes.Node | Sequence[nodes.Node]


def row(cells: Iterable[Cell]) -> nodes.row:
    made = nodes.row()
    for cell in cells:
        if isinstance(cell, str):
            cell = nodes.Text(cell)
        content = [cell] if isinstance(cell, nodes.Node) else cell
        made += nodes.entry("", nodes.paragraph("", "", *content))
    return made


def table(head: Sequence[Cell], rows: Iterable[Sequence[Cell]]) -> nodes.table:
    """見出しの行と、本体の行。1 つの欄は、文字列か、節か、節の列。"""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in head), cols=len(head))
    group += [nodes.thead("", row(head)), nodes.tbody("", *map(row, rows))]
    return nodes.table("", group)


COMPACT = r'(reading-map[^>]*>\s*<div class="table-wrapper[^>]*>\s*)?'  # 読書地図は、1 行が短い
TABLE = re.compile(COMPACT + r'<table class="([^"]*)"([^>]*)>(.*?)</table>', re.DOTALL)
HEADER = re.compile(r"<th\b[^>]*>(.*?)</th>", re.DOTALL)
ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
TAG = re.compile(r"<[^>]*>")
CONTENT = re.compile(r"<t[dh]\b[^>]*>(.*?)</t[dh]>", re.DOTALL)
CELL = re.compile(r"<t[dh]\b[^>]*>")  # 行の見出し (th) も、1 つの欄
PARAGRAPH = re.compile(r"</?p>")
MATHML = re.compile(r'<span class="katex-mathml">.*?</math></span>', re.DOTALL)  # 見えない式
COLUMNS, WITH_MATH = 4, 3  # 列がこれより少なければ、文は折り返して入る。式は折り返さない
SCREEN, PADDING = 52, 2  # 幅 390 の画面に入る半角の字と、1 つの欄の余白
PHRASE = 2  # 見出しの文は、少なくともこの字ごとに折り返せる
WORD = re.compile(r"[ァ-ヶー]+")  # ただし、片仮名の語の中では折り返さない
FORMULA = 1.21  # 式の字は、文の字より大きい (KaTeX)


def width(text: str) -> int:
    """半角の字で数えた幅。"""
    return sum(2 if east_asian_width(letter) in "WFA" else 1 for letter in text)


def fits(heads: Sequence[float], rows: Iterable[Sequence[str]]) -> bool:
    """見出しのほかの欄を折り返さずに、幅 390 の画面に並ぶか。``heads`` は、見出しの幅。

    >>> fits([4] * 4, [("SGD", "5", "0.1", "2.314 (2.314–2.316)")])
    True
    >>> fits([4] * 4, [("長い文の入った欄",) * 4]), fits([14] * 4, [("1",) * 4])
    (False, False)
    """
    columns = zip(heads, *(map(width, row) for row in rows), strict=False)
    return sum(PADDING + max(column) for column in columns) <= SCREEN


def text(cell: str) -> str:
    """欄の、見える字。"""
    return unescape(TAG.sub("", MATHML.sub("", cell))).strip()


def narrowest(name: str) -> float:
    """折り返せるだけ折り返した見出しの幅。

    >>> narrowest("<p>最大値との比</p>"), narrowest("<p>ネットワークの数</p>")
    (4, 12)
    """
    if "katex" in name:
        return FORMULA * max(map(width, text(name).split()))
    return max(map(width, [text(name)[:PHRASE], *WORD.findall(text(name))]))


def labelled(cell: str, name: str) -> str:
    """見出しを添えた欄の始まり。式の入った見出しは、属性に書けない。

    >>> labelled("<td>", '<p>幅</p>'), labelled("<td>", '<p><span class="katex">n</span></p>')
    ('<td data-label="幅">', '<td><span class="label"><span class="katex">n</span></span>')
    """
    if "katex" in name:
        return f'{cell}<span class="label">{PARAGRAPH.sub("", name)}</span>'
    return f'{cell[:-1]} data-label="{escape(text(name))}">'


def as_cards(html: str) -> str:
    """狭い画面に入らない表の欄に、見出しを添える。狭い画面では、見出しと欄を縦に並べる (book.css)。

    >>> head = "<thead><tr><th>a</th><th>b</th><th>c</th><th>d</th></tr></thead>"
    >>> row = f"<tr><th>行の見出し</th>{'<td>文の入った長い欄</td>' * 3}</tr>"
    >>> made = as_cards(f'<table class="t">{head}<tbody>{row}</tbody></table>')
    >>> [word in made for word in ('"t cards"', '<th data-label="a">', '<td data-label="b">')]
    [True, True, True]
    """

    def carded(match: re.Match[str]) -> str:
        compact, classes, more, inside = match.groups()
        head, _, body = inside.partition("<tbody>")
        names = HEADER.findall(head)
        rows = [CONTENT.findall(row) for row in ROW.findall(body)]
        texts = ([text(cell) for cell in row] for row in rows)
        least = WITH_MATH if "katex" in inside else COLUMNS
        if (
            compact
            or "span=" in inside
            or len(names) < least
            or fits(list(map(narrowest, names)), texts)
        ):
            return match[0]

        def row(found: re.Match[str]) -> str:
            if len(CELL.findall(found[0])) != len(names):  # 見出しのない欄がある行
                return found[0]
            labels = iter(names)
            return CELL.sub(lambda cell: labelled(cell[0], next(labels)), found[0])

        return f'<table class="{classes} cards"{more}>{head}<tbody>{ROW.sub(row, body)}</table>'

    return TABLE.sub(carded, html)


def add_cards(app: Sphinx, name: str, template: str, context: dict[str, Any], tree: object) -> None:
    if tree is not None:
        context["body"] = as_cards(context["body"])


class FixedColumns(SphinxTransform):
    """``:widths:`` を書いた表は、その幅で組む。

    長い表は、途中の行まで届いたところで 1 度組まれる。幅を決めておかないと、残りの行が届くたびに
    列の幅が変わり、読んでいる文章が動く。
    """

    default_priority = 500

    def apply(self) -> None:
        for shown in self.document.findall(nodes.table):
            classes = shown["classes"]
            if "colwidths-given" in classes:
                # MyST は、どの表にも colwidths-auto を付ける。docutils は、そちらを優先する
                shown["classes"] = [*(c for c in classes if c != "colwidths-auto"), "fixed"]


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_cards)
    app.add_transform(FixedColumns)
