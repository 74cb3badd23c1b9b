"""手直しの後の組み直しを、速く、しかも正しくする。

Sphinx は変わった頁だけを読み直す。そのままでは、警告で失敗した組みの次の組みが「変わった頁はない」
として成功してしまい、拡張の手直しも効かない。その 2 つの場合は、全部の頁を読み直す。
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from sphinx.application import ENV_PICKLE_FILENAME, Sphinx
from sphinx.config import Config


def begin(app: Sphinx, config: Config) -> None:
    """前の組みが、警告なしで終わったのでなければ、その記憶を捨てる。"""
    unfinished = Path(app.doctreedir, "unfinished")
    if unfinished.exists():
        Path(app.doctreedir, ENV_PICKLE_FILENAME).unlink(missing_ok=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    unfinished.touch()

    sources = sorted(Path(app.confdir, "_ext").rglob("*.py"))
    config.extension_digest = hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest()


def finish(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app._warncount == 0:
        Path(app.doctreedir, "unfinished").unlink()


def setup(app: Sphinx) -> None:
    app.add_config_value("extension_digest", "", "env")
    app.connect("config-inited", begin)
    app.connect("build-finished", finish)
