"""機械が確かめた式に「検算済み」の印を付け、検算のソースを見せる。

検算は ``docs/checks`` の関数で、``@check("式の名前", "種類")`` が付いている。走らせるのは
試験で、ここでは一覧 (``vg.math.registry``) を引き、ソースを見せるだけである。
"""

from __future__ import annotations

import ast
from collections import Counter
from html import escape
from itertools import groupby
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders import Builder
from sphinx.util.docutils import SphinxDirective

from vg.manuscript import Manuscript
from vg.math.registry import KINDS, Checked, checks_of, excused, registry
from vg.page.tables import table


def folder(app: Sphinx) -> Path:
    """検算のあるフォルダー。"""
    return Path(app.srcdir) / "checks"


# ---- 印 ------------------------------------------------------------------
def mark_equations(app: Sphinx, doctree: nodes.document) -> None:
    """検算のある式に印を付け、検算が変われば頁を読み直す。"""
    checks = registry(folder(app))
    seen: Counter[str] = Counter()
    for node in doctree.findall(nodes.math_block):
        label = node.get("label")
        if not label and (place := described(node, app.env.docname)):
            seen[place] += 1
            label = place if seen[place] == 1 else f"{place}-{seen[place]}"
        if check := checks.get(label):
            node["checked"] = (check.module.replace("_", "-"), check.target, check.method())
        path = folder(app) / f"{check.module if check else '__init__'}.py"  # 検算しない式の一覧
        if path.exists():
            app.env.note_dependency(str(path))


def described(node: nodes.Node, docname: str) -> str:
    """docstring の式なら、その関数やクラスの場所。モジュールの冒頭なら、モジュールの名前。"""
    while node := node.parent:
        if isinstance(node, addnodes.desc):
            return node[0]["ids"][0]
    return f"vgbook.{docname.removeprefix('api/')}" if docname.startswith("api/") else ""


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
    """式の番号、または docstring の式なら関数やクラスの名前。"""
    domain, kind, target = "math", "eq", label
    if label.startswith("vgbook."):
        domain, kind, target = "py", "obj", label.partition("-")[0]
    text = nodes.literal(target, target)
    return addnodes.pending_xref(
        label, text, refdomain=domain, reftype=kind, reftarget=target, refdoc=docname
    )


class ChecksDirective(SphinxDirective):
    """``{checks} sigmoid``: ``docs/checks/sigmoid.py`` を、式へのリンクを添えて見せる。"""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module = self.arguments[0].replace("-", "_")
        path = folder(self.env.app) / f"{module}.py"
        self.env.note_dependency(str(path))
        source = path.read_text(encoding="utf-8")
        lines, shown, start = source.splitlines(), [], 0
        body = ast.parse(source).body
        for node in body:
            if isinstance(node, ast.FunctionDef) and (checks := checks_of(node, module)):
                first = min(d.lineno for d in node.decorator_list) - 1
                shown += self.code(lines[start:first])
                shown.append(self.heading(checks, ast.get_docstring(node) or ""))
                shown += self.code(lines[first : node.end_lineno])
                start = node.end_lineno or len(lines)
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
        words = "".join(line.strip() for line in docstring.splitlines())
        for i, part in enumerate(words.split("`")):  # `x` はコード
            paragraph += nodes.literal(part, part) if i % 2 else nodes.Text(part)
        return paragraph


class CoverageDirective(SphinxDirective):
    """章ごとの、検算した式の数の表。章は目次の順。"""

    def run(self) -> list[nodes.Node]:
        for path in folder(self.env.app).glob("*.py"):
            self.env.note_dependency(str(path))
        pages = Manuscript(Path(self.env.srcdir)).contents
        order = [page.removesuffix("/index").rpartition("/")[2] for page in pages]
        checks = registry(folder(self.env.app)).values()
        counts = Counter((check.module, check.kind) for check in checks)
        checked = {check.module for check in checks}
        modules = [module for name in order if (module := name.replace("-", "_")) in checked]
        rows = []
        for module in modules:
            numbers = [counts[module, kind] for kind in KINDS]
            rows.append([self.link(module.replace("_", "-")), *map(str, [*numbers, sum(numbers)])])
        totals = [sum(counts[module, kind] for module in modules) for kind in KINDS]
        rows.append(["合計", *map(str, [*totals, sum(totals)])])
        left = len(excused(folder(self.env.app)))
        words = f"別行の式は {sum(totals) + left} あり、そのうち {sum(totals)} を確かめています。"
        return [nodes.paragraph(words, words), table(["章", *KINDS, "計"], rows)]

    def link(self, page: str) -> nodes.Node:
        return addnodes.pending_xref(
            page, nodes.inline(page, page), refdomain="std", reftype="doc",
            reftarget=f"/checks/{page}", refdoc=self.env.docname, refexplicit=False,
        )  # fmt: skip


class ExcusedDirective(SphinxDirective):
    """検算しない式と、その理由。"""

    def run(self) -> list[nodes.Node]:
        found = excused(folder(self.env.app))  # 依存は CoverageDirective が記す
        rows = [[equation(label, self.env.docname), why] for label, why in found.items()]
        return [table(["式", "理由"], rows)]


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", mark_equations)
    app.add_directive("checks", ChecksDirective)
    app.add_directive("checks-coverage", CoverageDirective)
    app.add_directive("checks-excused", ExcusedDirective)
