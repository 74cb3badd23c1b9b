"""読み進めるための部品: 章の位置、読み終えた印、誤りの報告。見た目は ``page.html``。"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

REPORT = ("errata", "sec-errata-report")  # 報告の宛先が決まるまで、書き方を述べた節へ
BODY = """頁: {title} ({name})
誤っている箇所:
正しいと思う内容:
その根拠 (導出、文献の式番号、測定):
"""


def chapters(env: BuildEnvironment) -> dict[str, int]:
    """章の頁 → 章番号 (vg.page.numbering が本を通して付けたもの)。"""
    numbers = {name: numbers.get("") for name, numbers in env.toc_secnumbers.items()}
    return {name: number[0] for name, number in numbers.items() if number}


def report_url(issues: str | None, name: str, title: str) -> str | None:
    """頁の名前を書き入れた Issue の下書き。宛先がなければ None。

    >>> report_url("https://example.org/issues", "part1/a", "題").partition("&")[0]
    'https://example.org/issues/new?title=%E8%AA%A4%E3%82%8A%3A+%E9%A1%8C'
    """
    if not issues:
        return None
    draft = {"title": f"誤り: {title}", "body": BODY.format(title=title, name=name)}
    return f"{issues}/new?{urlencode(draft)}"


def add_context(
    app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    if doctree is None:
        return
    numbers = chapters(app.env)
    context["chapter"], context["chapters"] = numbers.get(name), len(numbers)
    document, section = REPORT
    url = report_url(app.config.issues_url, name, app.env.titles[name].astext())
    if url is None and document in app.env.found_docs:
        url = app.builder.get_relative_uri(name, document) + f"#{section}"
    context["report_url"] = url


def setup(app: Sphinx) -> None:
    app.add_config_value("issues_url", None, "html", (str, type(None)))
    app.connect("html-page-context", add_context)
