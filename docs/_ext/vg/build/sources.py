"""「ソースコード」の行き先: 部屋の入り口で紹介した関数も、それを書いたファイルを見せる。

Sphinx は、標準ライブラリから受け継いだメソッドのファイルまで載せる。ここでは vgbook だけを載せる。
"""

from __future__ import annotations

from importlib import import_module

from sphinx.application import Sphinx

PACKAGE = "vgbook"


def home(app: Sphinx | None, module: str, name: str) -> str:
    """``module`` の頁にある ``name`` を書いたモジュール。

    >>> home(None, "vgbook.ensemble", "over_seeds"), home(None, "vgbook.network", "Network.pairs")
    ('vgbook.ensemble.seeds', 'vgbook.network')
    >>> home(None, "vgbook.training.loop", "History.index")
    'vgbook.training.loop'
    """
    value: object = import_module(module)
    for part in name.split("."):
        value = getattr(value, part, None)
    written: str = getattr(value, "__module__", None) or module
    return written if written.partition(".")[0] == PACKAGE else module


def setup(app: Sphinx) -> None:
    app.connect("viewcode-follow-imported", home)
