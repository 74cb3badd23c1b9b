"""テーマと拡張が出す HTML の手直し: 図の寸法、隠したセル、頁の要約、要らない CSS。"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.util.images import get_image_size
from sphinx.writers.html5 import HTML5Translator

PARTS = {"source": "コード", "outputs": "出力", "output": "出力", "content": "コードと出力"}
PIXELS = {"pt": 4 / 3, "px": 1.0, "": 1.0, "in": 96.0}
DESCRIPTIONS = {
    "search": "本全体を日本語で検索します。",
    "genindex": "用語 (読みの順) と関数名の索引です。",
    "404": "ページが見つからなかったときの案内です。",
}

ROLES = {  # 読み上げの役割の書き漏らしと、廃止された役割
    'class="caption" role="heading"': 'class="caption" role="heading" aria-level="2"',
    'role="doc-biblioentry"': 'role="listitem"',
}

LIST_IN_PARAGRAPH = re.compile(r'<p>(<ul class="simple">.*?</ul>)\s*</p>', re.DOTALL)  # 戻り値の組
PRE = re.compile(r"<pre>.*?</pre>", re.DOTALL)  # ソースの頁では、中に div がある
DOTTED = re.compile(r'(?<=<span class="pre">)[^\W\d]\w*(?:\.[^\W\d]\w*)+(?=</span>)')
FILE = re.compile(r'(?<=<span class="caption-text">)\w+(?:/\w+)+\.py')
VIEWPORT = re.compile(r'<meta name="viewport"[^>]*>\s*')  # furo も書く
UNUSED = (
    "sphinx_highlight",  # Sphinx の検索の飾りと訳。検索は vg.search.index が受け持つ
    "translations.js",
    "mystnb.",  # OS の設定だけを見て暗くする。読者の選択に従うように book.css で組む
    "design-tabs",  # タブは使わない
)
NEEDED_WITH = {  # 頁にこの字があるときだけ要る JavaScript
    "copybutton": 'class="highlight',
    "clipboard": 'class="highlight',
}


def image_size(path: Path) -> tuple[int, int] | None:
    """表示するときの幅と高さ (CSS ピクセル)。"""
    if path.suffix == ".svg":
        head = path.read_text(encoding="utf-8")[:4000]
        width, height = (
            re.search(rf'<svg[^>]*\s{k}="([\d.]+)(\w*)"', head) for k in ("width", "height")
        )
        if width and height:
            across, down = (round(float(m[1]) * PIXELS[m[2]]) for m in (width, height))
            return across, down
        if box := re.search(r'<svg[^>]*\sviewBox="([^"]+)"', head):
            across, down = (round(float(value)) for value in box[1].split()[2:])
            return across, down
        return None
    return get_image_size(path)


def size_images(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """読み込みの途中で文章が動かないように、図の場所を先に取る。"""
    for node in doctree.findall(nodes.image):
        path = Path(app.srcdir, node["uri"])
        if "width" not in node and path.is_file() and (size := image_size(path)):
            node["width"], node["height"] = map(str, size)


def drop_wrapper_ids(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """表と式を包む furo の箱は、中身の id を写す。同じ id が 2 つになるので、箱から除く。"""
    for box in doctree.findall(nodes.container):
        if {"table-wrapper", "math-wrapper"} & set(box["classes"]):
            box["ids"] = []


def visit_hidden(self: HTML5Translator, node: HideCodeCellNode) -> None:
    def label(text: str) -> str:
        for english, japanese in PARTS.items():
            text = text.replace(english, japanese)
        return escape(text)

    self.body.append(
        f'<details class="hidden-cell {" ".join(node["classes"])}"><summary>'
        f'<span class="collapsed">{label(node["prompt_show"])}</span>'
        f'<span class="expanded">{label(node["prompt_hide"])}</span></summary>\n'
    )


def depart_hidden(self: HTML5Translator, node: HideCodeCellNode) -> None:
    self.body.append("</details>\n")


def translate_sections(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Napoleon が訳さない見出し。"""
    lines[:] = [line.replace(":Attributes:", ":属性:") for line in lines]


def fix_page(app: Sphinx, name: str, template: str, context: dict[str, Any], tree: object) -> None:
    context["metatags"] = VIEWPORT.sub("", context.get("metatags", ""))
    meta = context.get("meta") or {}
    description = meta.get("description") or DESCRIPTIONS.get(name)
    if description:
        tag = f'<meta name="description" content="{escape(description.strip(), quote=True)}">'
        context["metatags"] += tag
    for key in ("body", "furo_navigation_tree"):
        for wrong, right in ROLES.items():
            context[key] = context.get(key, "").replace(wrong, right)
    body = LIST_IN_PARAGRAPH.sub(r"\1", context["body"])
    # 長い名前は、狭い所では点や斜線の後で分ける。語の途中で分かれず、はみ出しもしない
    body = DOTTED.sub(lambda m: m[0].replace(".", ".<wbr>"), body)
    body = FILE.sub(lambda m: m[0].replace("/", "/<wbr>"), body)
    context["body"] = PRE.sub(lambda m: re.sub(r"(</?)div\b", r"\1span", m[0]), body)
    absent = [file for file, mark in NEEDED_WITH.items() if mark not in context["body"]]
    unused = (*UNUSED, *absent)
    for key in ("css_files", "script_files"):
        context[key] = [
            file for file in context[key] if not any(name in str(file.filename) for name in unused)
        ]


def setup(app: Sphinx) -> None:
    app.connect("doctree-resolved", size_images)
    app.connect("doctree-resolved", drop_wrapper_ids)
    app.connect("autodoc-process-docstring", translate_sections, priority=900)
    app.connect("html-page-context", fix_page, priority=900)
    app.add_node(HideCodeCellNode, override=True, html=(visit_hidden, depart_hidden))
