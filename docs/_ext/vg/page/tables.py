"""指示 (directive) が組み立てる表と、列の幅を決めた表。"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

Cell = str | nodes.Node | Sequence[nodes.Node]


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
    app.add_transform(FixedColumns)
