"""和文の途中の改行を詰める。

ソースの改行は HTML では空白になり、和文の途中に隙間ができる。改行の両側が和字なら空白を残さない。
片側が句読点なら、もう片側が欧字や数式でも残さない。それ以外の改行は、欧文の語の区切りなので残す。
"""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

WIDE = r"\u3000-\u30ff\u3400-\u9fff\uff01-\uff60"  # 句読点、かな、漢字、全角の記号
STOP = r"、。，．・：；？！」』）】〉》"
OPEN = r"「『（【〈《"
JOIN = re.compile(rf"(?<=[{STOP}])\n|\n(?=[{OPEN}{STOP}])|(?<=[{WIDE}])\n(?=[{WIDE}])")
VERBATIM = (nodes.literal_block, nodes.literal, nodes.math, nodes.math_block, nodes.raw)


class JoinLines(SphinxTransform):
    """本文の文字列から、和文の途中の改行を取り除く。"""

    default_priority = 400

    def apply(self, **kwargs: object) -> None:
        for text in list(self.document.findall(nodes.Text)):
            if "\n" not in text or isinstance(text.parent, VERBATIM):
                continue
            text.parent.replace(text, nodes.Text(self._joined(text)))

    def _joined(self, text: nodes.Text) -> str:
        # 強調などの境目の改行は、隣の文字列と合わせて見ないと和文の途中かどうかわからない
        siblings = text.parent.children
        place = siblings.index(text)
        before = siblings[place - 1].astext()[-1:] if place else ""
        after = siblings[place + 1].astext()[:1] if place + 1 < len(siblings) else ""
        if isinstance(siblings[place - 1] if place else None, VERBATIM):
            before = ""
        if place + 1 < len(siblings) and isinstance(siblings[place + 1], VERBATIM):
            after = ""
        joined = JOIN.sub("", f"{before}{text}{after}")
        return joined[len(before) : len(joined) - len(after)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(JoinLines)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
