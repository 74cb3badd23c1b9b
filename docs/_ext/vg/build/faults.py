"""見た目では気づかない誤りを警告にする。``-W`` で組むので、警告は失敗になる。"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from docutils import nodes
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError
from sphinx.util import logging

log = logging.getLogger(__name__)
COLOR = re.compile(r"\x1b\[[\d;]*m")
LINES = 10  # 失敗したセルの、終わりの何行を見せるか


def place(node: nodes.Node) -> nodes.Node:
    """行番号の分かる、いちばん近い祖先。図の節は行番号を持たない。"""
    while not (node.line and node.source) and node.parent is not None:
        node = node.parent
    return node


def check_execution(app: Sphinx, env: BuildEnvironment) -> None:
    """失敗したセルが 1 つでもあれば、その終わりの数行を見せ、``-W`` がなくても失敗にする。

    MyST-NB に止めさせる (``nb_execution_raise_on_error``) と、``-j`` のときに原因が表示されない。
    """
    results = {name: NbMetadataCollector.get_exec_data(env, name) for name in env.all_docs}
    failed = sorted(name for name, result in results.items() if result and not result["succeeded"])
    for name in failed:
        result = results[name]
        lines = COLOR.sub("", (result and result["traceback"]) or "").strip().splitlines()
        log.error("セルの実行に失敗しました。\n%s", "\n".join(lines[-LINES:]), location=name)
    if failed:
        log.error("セルの実行に失敗した頁があります: %s", ", ".join(failed), location=failed[0])
        app.statuscode = 1


def check_stderr(app: Sphinx, doctree: nodes.document) -> None:
    """MyST-NB は、標準エラー出力があったことしか言わない。"""
    for node in doctree.findall(nodes.literal_block):
        if "stderr" in node["classes"]:
            last = "\n".join(node.astext().strip().splitlines()[-LINES:])
            log.warning("標準エラー出力:\n%s", last, location=node)


def check_tracebacks(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """図の表示中に起きた例外は、実行の失敗に数えられず、頁に残るだけになる。"""
    for node in doctree.findall(nodes.literal_block):
        if "traceback" in node["classes"]:
            last = node.astext().strip().splitlines()[-1]
            log.warning("セルの出力に例外が残っています: %s", last, location=node)


def check_alternatives(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """図の代わりになる文が、ないか、ファイル名のままである。"""
    for node in doctree.findall(nodes.image):
        alt = node.get("alt", "").strip()
        if not alt or alt == PurePosixPath(node["uri"]).name:
            log.warning(
                "図に代替文がありません。セルの先頭に mystnb: の image: alt: で、"
                "図から読み取れることを 1 文で書いてください: %s",
                node["uri"],
                location=place(node),
            )


def check_raw_tex(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """数式のつもりで書いた TeX が、地の文のまま残っている。"""
    for node in doctree.findall(nodes.Text):
        literal = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw)
        if ("\\begin{" in node or "$$" in node) and not isinstance(node.parent, literal):
            log.warning("数式になっていない TeX があります: %.40s", node, location=node.parent)


def check_descriptions(app: Sphinx, env: BuildEnvironment) -> None:
    """検索結果に出る要約が、頁の前書きにない。"""
    for docname in sorted(env.all_docs):
        if not env.metadata[docname].get("description", "").strip():
            log.warning(
                "前書きに description: がありません。頁の要約を 1 文で書いてください",
                location=docname,
            )


def refuse_other_sites(app: Sphinx) -> None:
    """検索やノートブックのない頁を、できたことにしない。"""
    builder = app.builder
    if builder.format == "html" and builder.name != "html":
        log.error(
            "この本は `-b html` で組んでください (%s は使えません)。"
            "検索やノートブックは、頁が 1 つの .html ファイルであることを頼りにしています。",
            builder.name,
        )
        raise SystemExit(2)  # 例外なら、Sphinx が自分への報告を求める長い文を足す


def refuse_unknown_forms(app: Sphinx) -> None:
    """doctest や coverage のような、登録のない組み方を断る。Sphinx は、それを例外で知らせる。"""
    preload = app.preload_builder

    def check(name: str) -> None:
        try:
            preload(name)
        except SphinxError:
            log.error(
                "%s という組み方はありません。本は `-b html`、docstring の例は `nox -s doctest`、"
                "外へのリンクは `-b linkcheck` で調べます。",
                name,
            )
            raise SystemExit(2) from None

    app.preload_builder = check


def setup(app: Sphinx) -> None:
    refuse_unknown_forms(app)
    app.connect("doctree-read", check_stderr)
    app.connect("builder-inited", refuse_other_sites, priority=1)
    app.connect("doctree-resolved", check_tracebacks)
    app.connect("doctree-resolved", check_alternatives)
    app.connect("doctree-resolved", check_raw_tex)
    app.connect("env-check-consistency", check_descriptions)
    app.connect("env-check-consistency", check_execution)
