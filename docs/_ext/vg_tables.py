"""指示 (directive) が組み立てる表。"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from docutils import nodes

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
