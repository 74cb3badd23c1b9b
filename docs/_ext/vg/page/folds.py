"""続けて並ぶ「コードを表示」を、1 つのたたみにまとめる。

準備のセルと図を描くセルを分けて書くと、図の前に、開いても何も出ないたたみが並ぶ。何も出さない
セルのコードは、次のたたみの中へ移す。実行の順は変わらない。
"""

from __future__ import annotations

from itertools import pairwise

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform


def is_cell(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def folded(cell: nodes.Element) -> bool:
    return cell.get("hide_mode") == "input" and bool(cell.children)


def silent(cell: nodes.Element) -> bool:
    """コードのほかに、何も見せないセルか。"""
    return folded(cell) and len(cell.children) == 1


def merge(document: nodes.document) -> None:
    """何も出さないたたんだセルのコードを、すぐ次のセルもたたんであれば、その前に移す。"""
    cells = [cell for cell in document.findall(is_cell) if isinstance(cell, nodes.Element)]
    for cell, following in pairwise(cells):
        if silent(cell) and folded(following):
            (code,) = cell.children
            following.children[0].insert(0, code.children)
            cell.parent.remove(cell)


class MergeFolds(SphinxPostTransform):
    default_priority = 198  # MyST-NB がたたむ (199) 前に
    formats = ("html",)

    def run(self, **kwargs: object) -> None:
        merge(self.document)


def setup(app: Sphinx) -> None:
    app.add_post_transform(MergeFolds)
