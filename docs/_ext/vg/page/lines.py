"""原稿の改行が、和文の途中の空白にならないようにする。

HTML の改行は空白として表示される。欧文には要るが、和文の字と字の間では余計で、
検索の語も切ってしまう。
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx

LETTER = r"\u2010-\u2027\u3000-\u30ff\u3400-\u9fff\uff00-\uffef"  # 約物・かな・漢字・全角
OPEN, CLOSE = "「『（【", "、。」』）】！？"
BREAK = re.compile(rf"(?<=[{LETTER}])\n(?=[{LETTER}])|(?<=[{CLOSE}])\n|\n(?=[{OPEN}])")
BLOCKS = (nodes.paragraph, nodes.caption, nodes.title, nodes.term, nodes.legend)


def join(text: str, before: str = "", after: str = "") -> str:
    """和文の中の改行を除く。``before`` と ``after`` は、強調やリンクをはさんだ隣の字。

    >>> join("勾配が\\n消える。\\nReLU は\\nsigmoid と違う", after="。")
    '勾配が消える。ReLU は\\nsigmoid と違う'
    """
    joined = BREAK.sub("", f"{before}{text}{after}")
    return joined[len(before) : len(joined) - len(after)]


def join_lines(app: Sphinx, doctree: nodes.document) -> None:
    for block in doctree.findall(lambda node: isinstance(node, BLOCKS)):
        texts = list(block.findall(nodes.Text))
        strings = ["", *map(str, texts), ""]
        for i, text in enumerate(texts):
            if "\n" in text and not isinstance(text.parent, nodes.math | nodes.raw):
                new = join(text, strings[i][-1:], strings[i + 2][:1])
                # 同じ文字列の兄弟 (改行だけの字) と取り違えないように、同一の節を探す
                place = next(k for k, child in enumerate(text.parent) if child is text)
                text.parent[place] = nodes.Text(new)


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", join_lines, priority=100)
