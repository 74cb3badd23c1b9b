"""数式をビルド時に KaTeX で組む。読む側に JavaScript は要らず、書き損じはビルドを止める。

KaTeX 0.19.1 (``katex/``。字と CSS は ``docs/_static/vendor/katex``) を QuickJS の中で動かす。
QuickJS は fork の後でも動き、quickjs-ng のホイールは Python のどの版でも同じもの (abi3) で済む。
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import quickjs
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

from vg.math.checked import mark

log = logging.getLogger(__name__)
KATEX = Path(__file__).parent / "katex" / "katex.min.js"
STYLE = "vendor/katex/katex.min.css"

# 連結した文字列は QuickJS の中でロープになり、そのままでは Python へ渡せない。JSON にして渡す
RENDER = "(tex, options) => JSON.stringify(katex.renderToString(tex, JSON.parse(options)))"

# 下付きだけの字に KaTeX が書く、負の高さ。CSS の誤りで、ブラウザーは読み飛ばす
NEGATIVE_HEIGHT = re.compile(r"(?<=[\";])height:-[\d.]+em;")
BASE = '<span class="base">'  # 折り返さない 1 かたまり
COMMAND, UNSEEN = re.compile(r"\\(?:[A-Za-z]+|.)"), re.compile(r"[\s{}^_]")
SHORT = 12  # 字


@cache
def katex() -> Any:
    context = quickjs.Context()
    context.eval(KATEX.read_text(encoding="utf-8"))
    return context.eval(RENDER)


@cache  # 同じ式が、頁の中に何度も現れる
def rendered(tex: str, options: str) -> str:
    return str(json.loads(katex()(tex, options)))


def render(tex: str, macros: dict[str, str], *, display: bool) -> str:
    """HTML と MathML。組めない数式は ``ValueError``。"""
    options = {
        "displayMode": display,
        "output": "htmlAndMathml",
        "macros": macros,
        "strict": "error",  # 地の文でない所の日本語なども誤りにする
        "throwOnError": True,
    }
    try:
        html = rendered(tex, json.dumps(options))
    except quickjs.JSException as error:
        raise ValueError(str(error).partition("\n")[0]) from None
    return NEGATIVE_HEIGHT.sub("", html)


def display_tex(node: nodes.math_block) -> str:
    """``\\\\`` や ``&`` が裸で書かれていれば、行をそろえる。"""
    tex = node.astext().strip()
    bare = re.search(r"\\\\|(?<!\\)&", tex) and r"\begin" not in tex
    return rf"\begin{{aligned}}{tex}\end{{aligned}}" if bare else tex


def typeset(self: HTML5Translator, node: nodes.Element, tex: str, *, display: bool) -> str:
    try:
        return render(tex, self.config.math_macros, display=display)
    except ValueError as error:
        log.warning("数式を組めません: %s", error, location=node)
        return f"<code>{self.encode(tex)}</code>"


def is_short(tex: str) -> bool:
    """途中で折り返さない、短い式か。狭い画面の半分に満たない字数を上限とする。

    >>> is_short(r"3 \\times 10^{-5}"), is_short(r"z = (3x)^2 = 9x^2")
    (True, True)
    >>> is_short(r"V(q) = g^2\\,\\mathbb{E}[\\varphi(\\sqrt{q}\\,u)^2]")
    False
    """
    return len(UNSEEN.sub("", COMMAND.sub("x", tex))) <= SHORT


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    short = is_short(node.astext())
    classes = "math notranslate short" if short else "math notranslate"
    self.body.append(self.starttag(node, "span", "", CLASS=classes))
    formula = typeset(self, node, node.astext(), display=False)
    kept = "keep" in node.parent.get("classes", ())
    if kept and not short:  # 約物とは離さないが、式の中では折り返せる
        head, base, rest = formula.partition(BASE)
        formula = head + base + rest.replace(BASE, f"<wbr>{BASE}")
    self.body.append(formula + "</span>")
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math notranslate"))
    formula = typeset(self, node, display_tex(node), display=True)
    self.body.append(f'<div class="formula">{formula}</div>')
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "この式へのリンク")
        self.body.append(mark(self.builder, self.docnames[-1], node) + "</span>")
    else:
        self.body.append(mark(self.builder, self.docnames[-1], node))
    self.body.append("</div>\n")
    raise nodes.SkipNode


def add_style(
    app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """数式のある頁だけが、数式の字と組み方を読み込む。"""
    if doctree and 'class="katex"' in context["body"]:
        app.add_css_file(STYLE, priority=300)


def setup(app: Sphinx) -> None:
    app.add_config_value("math_macros", {}, "env", (dict,))
    app.add_html_math_renderer("katex", (visit_math, None), (visit_math_block, None))
    app.config.html_math_renderer = "katex"
    app.connect("html-page-context", add_style)
