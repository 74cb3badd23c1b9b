"""数値の出どころを書く: 本を組んだコミット (``{build-commit}``) と、乱数の種 (``{seed-table}``)。

セルの結果は次の組みでも使うので、セルに書かせるとコミットが古いまま残る。
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from vg.manuscript import Page
from vg.page.tables import table

KEY = "build-commit"
COMMAND = ("git", "describe", "--always", "--exclude=*", "--abbrev=40", "--dirty")
DIRTY = "-dirty"
UNKNOWN = "コミットは記録していません。履歴のない写しから組みました。"


class Seeds(nodes.General, nodes.Element):
    """頁の順と題が決まってから、表に替える印。"""


def sentence(commit: str) -> str:
    """``git describe`` の出力を、文にする。

    >>> sentence("1f3a-dirty")
    '組んだコミットは 1f3a です。そのあとに加えた手元の変更も含みます。'
    """
    if not commit:
        return UNKNOWN
    added = "そのあとに加えた手元の変更も含みます。" if commit.endswith(DIRTY) else ""
    return f"組んだコミットは {commit.removesuffix(DIRTY)} です。{added}"


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


class SeedTable(SphinxDirective):
    """頁ごとの種の表。"""

    def run(self) -> list[nodes.Node]:
        for name in self.env.found_docs:
            self.env.note_dependency(str(self.env.doc2path(name)))
        return [Seeds()]


def outdated(app: Sphinx, env: BuildEnvironment, *changes: set[str]) -> list[str]:
    """前の組みからコミットが変わった頁。"""
    now = described(app.confdir)
    return [name for name, data in env.metadata.items() if data.get(KEY, now) != now]


def reading_order(env: BuildEnvironment, name: str) -> Iterator[str]:
    yield name
    for child in env.toctree_includes.get(name, ()):
        yield from reading_order(env, child)


def fill(app: Sphinx, tree: nodes.document, docname: str) -> None:
    def rows() -> Iterator[tuple[nodes.reference, list[nodes.Node]]]:
        for name in reading_order(app.env, app.config.root_doc):
            page = Page(name, Path(app.env.doc2path(name)).read_text(encoding="utf-8"))
            if found := page.seeds:
                uri = app.builder.get_relative_uri(docname, name) or "#"  # この頁の頭
                title = app.env.titles[name].astext()
                link = nodes.reference("", title, internal=True, refuri=uri)
                marks: list[nodes.Node] = [nodes.literal("", found[0])]
                for seed in found[1:]:
                    marks += [nodes.Text("、"), nodes.literal("", seed)]
                yield link, marks

    for mark in list(tree.findall(Seeds)):
        mark.replace_self(table(("ページ", "乱数の種"), rows()))


def setup(app: Sphinx) -> None:
    app.add_node(Seeds)
    app.add_directive("build-commit", BuildCommit)
    app.add_directive("seed-table", SeedTable)
    app.connect("env-get-outdated", outdated)
    app.connect("doctree-resolved", fill)
