"""文書の木を軽く扱う: 循環ごみ集めの間を空け、書き残す木に、要らないものを付けない。

文書の木の節は、親と子を指し合う。ふつうの間隔では、まだ使っている木を何度もたどり、読み終えた木を
1 つずつほどくので、木を読み込む時間が 5 倍になる。間を空けると、並列の読み手は、たいてい集める前に
終わる。
"""

from __future__ import annotations

import gc

from docutils import nodes
from sphinx.application import Sphinx

OBJECTS = 1_000_000  # これだけ増えるごとに集める。節なら 200 MB ほど。ふつうは 700


def adopt(app: Sphinx, doctree: nodes.document) -> None:
    """どの節も、自分の頁の木を指すようにする。

    ``{eval-rst}`` の節は、そこだけの文書を指したままで、その文書は組みの環境を抱えている。
    頁の木を書き残すと、頁ごとに環境の写しが付いて、大きさが何倍にもなる。
    """
    for node in doctree.findall():
        node.document = doctree


def let_go(app: Sphinx, exception: Exception | None) -> None:
    """プロセスの終わりに、捨てるだけの木をもう一度たどらせない。"""
    gc.freeze()


def setup(app: Sphinx) -> None:
    gc.set_threshold(OBJECTS, *gc.get_threshold()[1:])
    app.connect("doctree-read", adopt)
    app.connect("build-finished", let_go, priority=1000)
