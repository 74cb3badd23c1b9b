"""本を組んだコミットを ``{build-commit}`` の場所に書く。

セルの結果は次の組みでも使うので、セルに書かせるとコミットが古いまま残る。
"""

from __future__ import annotations

import shutil
import subprocess

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

KEY = "build-commit"
COMMAND = ("git", "describe", "--always", "--exclude=*", "--abbrev=40", "--dirty")
DIRTY = "-dirty"
UNKNOWN = "コミットは記録していません。履歴のない写しから組みました。"


def sentence(described: str) -> str:
    """``git describe`` の出力を、文にする。

    >>> sentence("1f3a-dirty")
    '組んだコミットは 1f3a です。そのあとに加えた手元の変更も含みます。'
    """
    if not described:
        return UNKNOWN
    commit = described.removesuffix(DIRTY)
    added = "そのあとに加えた手元の変更も含みます。" if described.endswith(DIRTY) else ""
    return f"組んだコミットは {commit} です。{added}"


def described(folder: str) -> str:
    """``folder`` のコミット。git か履歴がなければ、空。"""
    if shutil.which(COMMAND[0]) is None:
        return ""
    run = subprocess.run(COMMAND, cwd=folder, capture_output=True, text=True, check=False)
    return run.stdout.strip()


class BuildCommit(SphinxDirective):
    """組んだコミットを述べる 1 段落。"""

    def run(self) -> list[nodes.Node]:
        now = described(self.env.app.confdir)
        self.env.metadata[self.env.docname][KEY] = now
        return [nodes.paragraph("", sentence(now))]


def outdated(app: Sphinx, env: BuildEnvironment, *changes: set[str]) -> list[str]:
    """前の組みからコミットが変わった頁。"""
    now = described(app.confdir)
    return [name for name, data in env.metadata.items() if data.get(KEY, now) != now]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("build-commit", BuildCommit)
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
