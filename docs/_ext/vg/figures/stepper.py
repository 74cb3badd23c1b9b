"""計算グラフを 1 手ずつ進める図 (``stepper`` 指示)。

原稿には節を計算の順に並べる。値を計算して描くのは ``stepper.js`` で、この図のある頁だけが
読み込む。JavaScript がなければ何も表示しないので、動かない図をすぐ前に置く。

::

    ```{stepper} P10 の計算グラフ
    - {name: x, value: 1, at: [0, 0.6]}
    - {name: y, value: 2, at: [0, -0.6]}
    - {name: t, op: +, of: [x, y], at: [1.2, 0]}
    - {name: z, op: 2 乗, of: [t], at: [2.4, 0]}
    ```

``at`` は節の位置 (右と上が正)。``fixed: true`` の入力 (目標など) には勾配を送らない。
"""

from __future__ import annotations

import json
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator


class stepper(nodes.General, nodes.Element):
    """1 つの図。``title`` と、節の列を JSON にした ``graph`` を持つ。"""


def problem(graph: list[dict[str, Any]]) -> str | None:
    """節の書き方の誤り。

    >>> problem([{"name": "z", "op": "+", "of": ["x"], "at": [0, 0]}])
    'z の入力 x が、z より前にありません'
    """
    known: set[str] = set()
    for node in graph:
        if {"name", "at"} - node.keys() or ("op" in node) == ("value" in node):
            return f"name と at、それに value か op が要ります: {node}"
        for name in node.get("of", []):
            if name not in known:
                return f"{node['name']} の入力 {name} が、{node['name']} より前にありません"
        known.add(node["name"])
    return None


class StepperDirective(SphinxDirective):
    has_content = True
    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        graph = yaml.safe_load("\n".join(self.content))
        if (message := problem(graph)) is not None:
            raise self.error(message)
        data = json.dumps(graph, ensure_ascii=False)
        return [stepper("", title=self.arguments[0], graph=data)]


def visit(self: HTML5Translator, node: stepper) -> None:
    attributes = {"role": "group", "aria-label": node["title"], "data-graph": node["graph"]}
    self.body.append(self.starttag(node, "div", CLASS="stepper", **attributes) + "</div>\n")
    raise nodes.SkipNode


def skip(self: Any, node: stepper) -> None:
    raise nodes.SkipNode


def add_files(
    app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    if doctree and any(doctree.findall(stepper)):
        app.add_js_file("stepper.js", loading_method="defer")


def setup(app: Sphinx) -> None:
    app.add_node(stepper, html=(visit, None), latex=(skip, None), text=(skip, None))
    app.add_directive("stepper", StepperDirective)
    app.connect("html-page-context", add_files)
