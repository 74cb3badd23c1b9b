"""左の目次を、頁の題だけから組む。

furo の目次に出るのは題だけだが、Sphinx は頁ごとに、すべての頁の節まで写してから捨てる。
はじめに 1 度だけ捨てておくと、同じ HTML が短い時間でできる。
"""

from __future__ import annotations

from copy import copy
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment.adapters.toctree import global_toctree_for_doc


def titles(toc: nodes.Element) -> nodes.Element:
    """1 つの頁の目次から、節を除き、題と、その下の頁の目次 (toctree) を残したもの。"""
    kept = toc.deepcopy()
    for item in kept:
        if len(item) > 1:  # 題と、節の目次
            if below := list(item.findall(addnodes.toctree)):
                item[1][:] = below
            else:
                item.pop(1)
    return kept


def start(app: Sphinx, builder: Any) -> None:
    """頁を書き始めるときには、目次は決まっている。"""
    if builder.name != "html":
        return
    env = copy(app.env)
    env.tocs = {name: titles(toc) for name, toc in app.env.tocs.items()}

    def offer(app: Sphinx, name: str, template: str, context: dict[str, Any], tree: object) -> None:
        def toctree(**options: Any) -> str:
            contents = global_toctree_for_doc(env, name, builder, tags=builder.tags, **options)
            return str(builder.render_partial(contents)["fragment"])

        context["toctree"] = toctree

    app.connect("html-page-context", offer, priority=400)  # furo が使う (500) 前に


def setup(app: Sphinx) -> None:
    app.connect("write-started", start)
