"""頁を並列に書くとき、コアを遊ばせない。

Sphinx は、木を整える親の分を除いて、``-j`` より 1 つ少ないプロセスで頁を書く。木を整える仕事は
書く仕事の 3 分の 1 ほどで終わるので、2 コアの計算機では、あとは 1 つのコアだけが働くことになる。
"""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.builders import Builder


def hire(app: Sphinx, builder: Builder) -> None:
    """書き手を 1 人増やす。並列に書くかどうかは、もう決まっている。"""
    app.parallel += 1


def setup(app: Sphinx) -> None:
    app.connect("write-started", hire)
