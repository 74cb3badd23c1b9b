"""文献の引用を速く組む。

sphinxcontrib-bibtex は、引用 1 つごとに pybtex の部品 (文字だけの出力) を探す。探すたびに、
入っているパッケージがすべて調べられる。先に登録しておくと、調べずに済む。
"""

from __future__ import annotations

from pybtex.backends.plaintext import Backend
from pybtex.plugin import register_plugin
from sphinx.application import Sphinx


def setup(app: Sphinx) -> None:
    register_plugin("pybtex.backends", "plaintext", Backend, force=True)
