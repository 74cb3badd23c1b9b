"""機械が確かめた式に「検算済み」の印を付け、検算のソースを見せる。

検算は ``tests/derivations`` の関数で、``@check("式の名前", "種類")`` が付いている。本を組む環境に
試験の道具は要らない。ここではソースを構文として読むだけで、走らせるのは試験である。
"""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders import Builder
from sphinx.util.docutils import SphinxDirective

KINDS = {
    "記号": "記号計算による証明",
    "高精度": "無作為に選んだ点での 60 桁の計算",
    "全数": "有限個の場合をすべて数えた、分数での計算",
    "数値": "float64 の数値計算",
}


@dataclass(frozen=True)
class Checked:
    """1 つの式の検算。"""

    label: str
    kind: str
    options: dict[str, Any]
    module: str

    @property
    def target(self) -> str:
        return f"check-{self.label}"

    def method(self) -> str:
        points, within = self.options.get("points", 1), self.options.get("within")
        words = [KINDS[self.kind]]
        if points > 1:
            words.append(f"{points} 点")
        if within is not None:
            words.append(f"許す相対誤差 {within:g}")
        return "、".join(words)


def folder(confdir: str | Path) -> Path:
    return Path(confdir).parent / "tests" / "derivations"


def checks_of(function: ast.FunctionDef, module: str) -> list[Checked]:
    """関数に付いた ``@check(…)``。"""
    found = []
    for call in function.decorator_list:
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "check":
            label, kind = (ast.literal_eval(arg) for arg in call.args)
            options = {
                k.arg: ast.literal_eval(k.value)
                for k in call.keywords
                if k.arg in ("points", "within")
            }
            found.append(Checked(label, kind, options, module))
    return found


@cache
def registry(where: Path) -> dict[str, Checked]:
    """式の名前から検算へ。"""
    found = {}
    for path in sorted(where.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                found |= {c.label: c for c in checks_of(node, path.stem)}
    return found


@cache
def excused(where: Path) -> dict[str, str]:
    """検算しない式の名前から、その理由へ。"""
    path = where / "__init__.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body if path.exists() else ():
        if isinstance(node, ast.Assign) and node.targets[0].id == "EXCUSED":
            return ast.literal_eval(node.value)
    return {}


# ---- 印 ------------------------------------------------------------------
def mark_equations(app: Sphinx, doctree: nodes.document) -> None:
    """検算のある式に印を付け、検算が変われば頁を読み直す。"""
    checks = registry(folder(app.confdir))
    for node in doctree.findall(nodes.math_block):
        if check := checks.get(node.get("label")):
            node["checked"] = (check.module.replace("_", "-"), check.target, check.method())
            app.env.note_dependency(str(folder(app.confdir) / f"{check.module}.py"))


def mark(builder: Builder, docname: str, node: nodes.math_block) -> str:
    """式の番号に添える HTML。"""
    if "checked" not in node:
        return ""
    page, target, method = node["checked"]
    uri = builder.get_relative_uri(docname, f"checks/{page}")
    return (
        f'<a class="checked" href="{uri}#{target}" title="検算済み: {escape(method)}">'
        '<span aria-hidden="true">✓</span><span class="word">検算済み</span></a>'
    )


# ---- 検算の頁 --------------------------------------------------------------
def equation(label: str, docname: str) -> nodes.Node:
    text = nodes.literal(label, label)
    return addnodes.pending_xref(
        label, text, refdomain="math", reftype="eq", reftarget=label, refdoc=docname
    )


class ChecksDirective(SphinxDirective):
    """``{checks} sigmoid``: ``tests/derivations/sigmoid.py`` を、式へのリンクを添えて見せる。"""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module = self.arguments[0].replace("-", "_")
        path = folder(self.env.app.confdir) / f"{module}.py"
        self.env.note_dependency(str(path))
        source = path.read_text(encoding="utf-8")
        lines, shown, start = source.splitlines(), [], 0
        body = ast.parse(source).body
        for node in body:
            checks = checks_of(node, module) if isinstance(node, ast.FunctionDef) else []
            if checks:
                first = min(d.lineno for d in node.decorator_list) - 1
                shown += self.code(lines[start:first])
                shown.append(self.heading(checks, ast.get_docstring(node) or ""))
                shown += self.code(lines[first : node.end_lineno])
                start = node.end_lineno
        return [*shown, *self.code(lines[start:])]

    def code(self, lines: list[str]) -> list[nodes.Node]:
        text = "\n".join(lines).strip("\n")
        return [nodes.literal_block(text, text, language="python")] if text else []

    def heading(self, checks: list[Checked], docstring: str) -> nodes.Node:
        """式の番号と、確かめ方。"""
        paragraph = nodes.paragraph(classes=["check"])
        for method, group in groupby(checks, Checked.method):
            for check in group:
                target = nodes.inline(ids=[check.target])
                target += equation(check.label, self.env.docname)
                paragraph += [target, nodes.Text("、")]
            paragraph.pop()
            paragraph += nodes.Text(f" — {method}。")
        words = docstring.partition("\n\n")[0].split("\n")
        paragraph += nodes.Text("".join(map(str.strip, words)))
        return paragraph


class CoverageDirective(SphinxDirective):
    """章ごとの、検算した式の数の表。"""

    def run(self) -> list[nodes.Node]:
        where = folder(self.env.app.confdir)
        order = Path(self.env.doc2path("index")).read_text(encoding="utf-8")
        pages = {p.rsplit("/")[-1].replace("-", "_"): p for p in self.env.found_docs}
        counts = Counter((c.module, c.kind) for c in registry(where).values())
        modules = sorted({m for m, _ in counts}, key=lambda m: order.find(f"\n{pages[m]}\n"))
        rows = [[self.link(pages[m]), *(str(counts[m, kind]) for kind in KINDS)] for m in modules]
        total = [sum(counts[m, kind] for m in modules) for kind in KINDS]
        rows.append(["合計", *map(str, total)])
        return [table(["章", *KINDS], rows)]

    def link(self, docname: str) -> nodes.Node:
        return addnodes.pending_xref(
            docname, nodes.inline(docname, docname), refdomain="std", reftype="doc",
            reftarget=f"/{docname}", refdoc=self.env.docname, refexplicit=False,
        )  # fmt: skip


class ExcusedDirective(SphinxDirective):
    """検算しない式と、その理由。"""

    def run(self) -> list[nodes.Node]:
        found = excused(folder(self.env.app.confdir))
        rows = [[equation(label, self.env.docname), why] for label, why in found.items()]
        return [table(["式", "理由"], rows)]


def table(head: list[str], rows: list[list[Any]]) -> nodes.Node:
    def row(cells: list[Any]) -> nodes.row:
        made = nodes.row()
        for cell in cells:
            inside = cell if isinstance(cell, nodes.Node) else nodes.Text(cell)
            made += nodes.entry("", nodes.paragraph("", "", inside))
        return made

    group = nodes.tgroup(cols=len(head))
    group += [nodes.colspec(colwidth=1) for _ in head]
    group += [nodes.thead("", row(head)), nodes.tbody("", *map(row, rows))]
    return nodes.table("", group)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", mark_equations)
    app.add_directive("checks", ChecksDirective)
    app.add_directive("checks-coverage", CoverageDirective)
    app.add_directive("checks-excused", ExcusedDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
