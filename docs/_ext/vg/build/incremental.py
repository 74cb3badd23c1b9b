"""手直しの後の組み直しを、速く、しかも正しくする。

Sphinx は変わった頁だけを読み直す。そのままでは、警告で失敗した組みの次の組みが「変わった頁はない」
として成功してしまう。そこで、警告のあった頁を覚えておき、次にも読み直す。途中で止まった組みの次と、
拡張を直した後には、全部の頁を読み直す。
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import ENV_PICKLE_FILENAME, Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util.logging import NAMESPACE, get_node_location, is_suppressed_warning

EVERY = "*"  # どの頁の警告か分からない
LINE = re.compile(r":\d*$")


class Warned(logging.Handler):
    """警告のあった頁を集める。"""

    def __init__(self, app: Sphinx) -> None:
        super().__init__(logging.WARNING)
        self.app = app
        self.pages: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        kind, subtype = getattr(record, "type", ""), getattr(record, "subtype", "")
        if not is_suppressed_warning(kind, subtype, self.app.config.suppress_warnings):
            self.pages.add(self.page(getattr(record, "location", None)))

    def page(self, location: object) -> str:
        """警告の場所 (節、(頁, 行)、「ファイル:行」、頁の名前) から、頁の名前。"""
        if isinstance(location, nodes.Node):
            location = get_node_location(location)
        if isinstance(location, tuple):
            location = location[0]
        place = LINE.sub("", str(location))
        return place if place in self.app.env.found_docs else self.app.env.path2doc(place) or EVERY


def marker(app: Sphinx) -> Path:
    """終わっていない組みの印。中に、読み直す頁を書く。空なら、途中で止まった。"""
    return Path(app.doctreedir, "unfinished")


def begin(app: Sphinx, config: Config) -> None:
    """前の組みが、警告のあった頁を書き残さずに終わっていれば、その記憶を捨てる。"""
    mark, again = marker(app), set[str]()
    if mark.exists():
        again = set(mark.read_text(encoding="utf-8").split())
        if not again or EVERY in again:
            Path(app.doctreedir, ENV_PICKLE_FILENAME).unlink(missing_ok=True)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text("", encoding="utf-8")
    shutil.rmtree(Path(app.outdir, "reports"), ignore_errors=True)  # 前に失敗したセルの記録

    sources = sorted(Path(app.confdir, "_ext").rglob("*.py"))
    config.extension_digest = hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest()

    warned = Warned(app)
    logging.getLogger(NAMESPACE).addHandler(warned)

    def outdated(app: Sphinx, env: BuildEnvironment, *changes: set[str]) -> list[str]:
        return sorted(again & env.found_docs)

    def finish(app: Sphinx, exception: Exception | None) -> None:
        if exception is None and app._warncount == 0:
            mark.unlink()
        elif exception is None:
            mark.write_text("\n".join(sorted(warned.pages)), encoding="utf-8")

    app.connect("env-get-outdated", outdated)
    app.connect("build-finished", finish)


def setup(app: Sphinx) -> None:
    app.add_config_value("extension_digest", "", "env")
    app.connect("config-inited", begin)
