"""解決済みの文書の木から、ノートブックに載せる Markdown を書く。

MyST の書き方 (役割、ディレクティブ、マクロ) は、ノートブックを開く道具には分からない。番号、値、
リンクの文字が入った後の木から書けば、どの道具でも読める文になる。
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from textwrap import indent
from urllib.parse import urljoin

from docutils import nodes
from sphinx import addnodes
from sphinx_design.dropdown import dropdown_main, dropdown_title

from vg.math.typeset import display_tex

SILENT = (
    nodes.comment,
    nodes.raw,
    nodes.substitution_definition,
    nodes.target,
    addnodes.index,
    addnodes.toctree,
)
SPECIAL = re.compile(r"([\\`*_$<]|\](?=[(\[:]))")  # [1994] の角括弧は、そのままでよい
PUNCTUATION = re.compile(r"^\W|\W$")


def argument(tex: str, start: int) -> tuple[str, int]:
    """``start`` から読んだ引数 1 つと、その次の位置。"""
    match = re.compile(r"\s*(\\[A-Za-z]+|\\.|[^{}\s])").match(tex, start)
    if match:
        return match[1], match.end()
    first = tex.index("{", start)
    depth, end = 1, first + 1
    while depth:
        depth += {"{": 1, "}": -1}.get(tex[end], 0)
        end += 1
    return tex[first + 1 : end - 1], end


def expand(tex: str, macros: dict[str, str]) -> str:
    r"""``math_macros`` を、ふつうの TeX に開く。ノートブックはマクロを知らない。

    >>> expand(r"\pd{L}{W\T} = \delta", {r"\pd": r"\frac{\partial #1}{\partial #2}", r"\T": "^T"})
    '\\frac{\\partial L}{\\partial W^T} = \\delta'
    """
    names = "|".join(re.escape(name) for name in macros)
    while names and (match := re.search(rf"(?:{names})(?![A-Za-z])", tex)):
        body, end = macros[match[0]], match.end()
        for i in range(1, body.count("#") + 1):
            value, end = argument(tex, end)
            body = body.replace(f"#{i}", value)
        # 制御綴りの直後の字がつながって、別の綴りになるのを防ぐ
        gap = " " if re.search(r"\\[A-Za-z]+$", body) and tex[end : end + 1].isalpha() else ""
        tex = tex[: match.start()] + body + gap + tex[end:]
    return tex


def quote(text: str) -> str:
    return indent(text, "> ", lambda line: True).replace("> \n", ">\n")


def wrapped(mark: str, tag: str, text: str) -> str:
    """``**`` は、内側が約物で終わり外に和文が続くと効かない。その場合は HTML で書く。"""
    return f"<{tag}>{text}</{tag}>" if PUNCTUATION.search(text) else f"{mark}{text}{mark}"


@dataclass
class Writer:
    """木を Markdown に写す。``numbers`` は、図・表・リスト・式の id から番号を引く表。"""

    macros: dict[str, str]
    numbers: dict[str, str] = field(default_factory=dict)  # 題: 「図 3.2」
    equations: dict[str, str] = field(default_factory=dict)
    page: str = ""  # このページの URL。空なら、本の中へのリンクは字だけにする

    # --- 文の中 ----------------------------------------------------------------

    def inline(self, node: nodes.Node) -> str:
        match node:
            case nodes.Text():
                return self.escape(str(node)).replace("\n", " ")
            case nodes.math():
                return f"${self.tex(node.astext())}$"
            case nodes.literal():
                ticks = "``" if "`" in node.astext() else "`"
                return f"{ticks}{node.astext()}{ticks}"
            case nodes.image():
                return f"({self.escape(node.get('alt', ''))})"
            case nodes.raw() | nodes.target() | nodes.system_message():
                return ""
        text = "".join(map(self.inline, node.children))
        match node:
            case nodes.strong():
                return wrapped("**", "strong", text)
            case nodes.emphasis():
                return wrapped("*", "em", text)
            case nodes.reference():
                return self.link(node, text)
        return text

    @staticmethod
    def escape(text: str) -> str:
        return SPECIAL.sub(r"\\\1", text)

    def tex(self, tex: str) -> str:
        return " ".join(expand(tex, self.macros).split())

    def link(self, node: nodes.reference, text: str) -> str:
        target = node.get("refuri") or f"#{node['refid']}"
        if not node.get("internal"):
            return f"[{text}]({target})"
        return f"[{text}]({urljoin(self.page, target)})" if self.page else text

    # --- 段落より大きいもの -------------------------------------------------------

    def blocks(self, node: nodes.Node) -> Iterator[str]:
        """段落、式、表などを 1 つずつ。間には空行が要る。"""
        match node:
            case _ if isinstance(node, SILENT):
                return
            case nodes.paragraph() | nodes.rubric() | nodes.caption() | nodes.title():
                yield self.inline(node)
            case nodes.math_block():
                yield self.formula(node)
            case nodes.literal_block():
                language = {"ipython3": "python"}.get(node.get("language"), node.get("language"))
                yield f"~~~{language or ''}\n{node.astext()}\n~~~"
            case nodes.bullet_list() | nodes.enumerated_list():
                yield self.items(node)
            case nodes.definition_list() | nodes.field_list():
                for item in node.children:
                    head, *rest = item.children
                    yield self.item(f"- {wrapped('**', 'strong', self.inline(head))}：", rest)
            case nodes.table():
                yield self.table(node)
            case dropdown_main():
                title, body = node.children
                yield f"<details>\n<summary>{self.inline(title)}</summary>"
                yield from self.all(body.children)
                yield "</details>"
            case nodes.Admonition() | nodes.admonition():
                title, *body = node.children
                strong = wrapped("**", "strong", self.inline(title))
                yield quote("\n\n".join([strong, *self.all(body)]))
            case nodes.block_quote():
                yield quote("\n\n".join(self.all(node.children)))
            case nodes.Element() if node.get("title") and not node.children:  # 動く図
                yield f"(動かせる図「{self.escape(node['title'])}」は Web のページにあります。)"
            case nodes.TextElement() if not isinstance(node, dropdown_title):
                yield self.inline(node)
            case nodes.Element():
                yield from self.container(node)

    def all(self, children: Iterable[nodes.Node]) -> Iterator[str]:
        for child in children:
            yield from self.blocks(child)

    def container(self, node: nodes.Element) -> Iterator[str]:
        """意味を持たない箱。題のついたものは、題を先に太字で置く。"""
        if node.get("design_component") == "card-title":
            yield wrapped("**", "strong", "".join(map(self.inline, node.children)))
            return
        for child in node.children:
            if isinstance(child, nodes.caption):
                yield self.caption(node)
            else:
                yield from self.blocks(child)

    def caption(self, node: nodes.Element) -> str:
        """図・表・リストの番号と題。"""
        number = next((self.numbers[i] for i in node["ids"] if i in self.numbers), "")
        text = next(
            self.inline(c) for c in node.children if isinstance(c, nodes.caption | nodes.title)
        )
        return f"**{number}** {text}" if number else text

    def formula(self, node: nodes.math_block) -> str:
        """1 行に書く。引用や箇条の中で改行すると、行頭の記号が式に混じる道具がある。"""
        number = next((self.equations[i] for i in node["ids"] if i in self.equations), "")
        tag = rf"\tag{{{number}}}" if number else ""
        return f"$${self.tex(display_tex(node))}{tag}$$"

    def item(self, marker: str, children: list[nodes.Node]) -> str:
        body = "\n\n".join(self.all(children))
        width = len(marker.partition(" ")[0]) + 1
        tight = re.sub(r"\n\n(?=\s*(?:-|\d+\.) )", "\n", body)  # 入れ子の箇条との間を詰める
        return f"{marker}{indent(tight, ' ' * width).lstrip(' ')}"

    def items(self, node: nodes.Element) -> str:
        start = node.get("start", 1)
        ordered = isinstance(node, nodes.enumerated_list)
        return "\n".join(
            self.item(f"{start + i}. " if ordered else "- ", list(item.children))
            for i, item in enumerate(node.children)
        )

    def table(self, node: nodes.table) -> str:
        def cells(row: nodes.row) -> str:
            texts = (" ".join(self.all(entry.children)) for entry in row.children)
            return "| " + " | ".join(text.replace("|", r"\|") for text in texts) + " |"

        rows = [cells(row) for row in node.findall(nodes.row)]
        rule = "|" + " --- |" * len(next(node.findall(nodes.row)).children)
        titled = any(isinstance(child, nodes.title) for child in node.children)
        head = f"{self.caption(node)}\n\n" if titled else ""
        return head + "\n".join([rows[0], rule, *rows[1:]])
