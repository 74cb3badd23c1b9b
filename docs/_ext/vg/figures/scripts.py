"""動かせる図の JavaScript を、使う図のある頁にだけ付ける。"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

SCRIPTS = {  # ファイル → 図の HTML にある字。この順に読み込む
    "figures.js": 'class="vg-figure',
    "network.js": 'class="vg-figure-live',
    "trainer.js": "vg-trainer",
    "batch.js": "vg-batch",
    "cover.js": 'class="vg-cover"',
}


def add_scripts(
    app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    for file, mark in SCRIPTS.items():
        if mark in context.get("body", ""):
            app.add_js_file(file, loading_method="defer")


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_scripts)
