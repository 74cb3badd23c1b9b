"""Content-Security-Policy: 本のものは動き、差し込まれたものは動かない。手元のファイルでも。"""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VIOLATIONS = """
    window.refused = [];
    document.addEventListener("securitypolicyviolation", (event) =>
      refused.push(`${event.effectiveDirective} ${event.blockedURI}`));
"""
# 文字列から作った要素のスクリプトは動かないので、要素として作って差し込む
INJECT = """(source) => new Promise((done) => {
    const script = document.createElement("script");
    if (source.startsWith("http")) script.src = source;
    else script.textContent = source;
    script.onerror = script.onload = done;
    document.body.append(script);
    if (!script.src) done();
})"""
REFUSED = """async (directive) => { // 断った知らせは、少し遅れて届く
    for (let wait = 0; wait < 5000 && !refused.includes(directive); wait += 20)
      await new Promise((done) => setTimeout(done, 20));
    return refused;
}"""
ATTACKS = {
    "スクリプト": (INJECT, "window.broken = true", "script-src-elem inline"),
    "よそのスクリプト": (INJECT, "http://192.0.2.1/x.js", "script-src-elem http://192.0.2.1/x.js"),
    "属性": (
        "(code) => document.body.setAttribute('onclick', code) ?? document.body.click()",
        "window.broken = true",
        "script-src-attr inline",
    ),
    "評価": (
        "(code) => { setTimeout(code) }",
        "window.broken = true",
        "script-src eval",
    ),
    "スタイル": (
        """(css) => document.head.append(Object.assign(document.createElement("style"),
          { textContent: css }))""",
        "body { display: none }",
        "style-src-elem inline",
    ),
    "通信": (
        "(url) => fetch(url).catch(() => 0)",
        "http://192.0.2.1/",
        "connect-src http://192.0.2.1/",
    ),
}


@pytest.fixture(scope="module", params=["サーバー", "手元"])
def page(request: pytest.FixtureRequest, chromium: "Browser") -> "Iterator[Page]":
    served = request.param == "サーバー"
    site = request.getfixturevalue("site" if served else "book")
    context = chromium.new_context()
    page = context.new_page()
    page.add_init_script(VIOLATIONS)
    page.goto(f"{site}part3/he.html" if served else (site / "part3" / "he.html").as_uri())
    yield page
    context.close()


def test_everything_of_the_book_works(page: "Page"):
    assert page.evaluate("refused") == []
    assert page.evaluate("document.body.dataset.theme") == "auto"  # 直に書かれたスクリプト
    assert page.locator(".copybtn").count() > 0  # ファイルのスクリプト
    family = "getComputedStyle(document.querySelector('.katex')).fontFamily"
    assert "KaTeX_Main" in page.evaluate(family)  # ファイルのスタイル
    loaded = "document.fonts.ready.then((all) => [...all].some((f) => f.status === 'loaded'))"
    assert page.evaluate(loaded)  # 字
    drawn = "document.querySelector('.katex-strut').offsetHeight > 0"
    assert page.evaluate(drawn)  # 要素の style 属性
    assert page.evaluate(
        "getComputedStyle(document.body).getPropertyValue('--color-code-background')"
    )


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_injected_works(page: "Page", attack: str):
    how, what, directive = ATTACKS[attack]
    page.evaluate("refused.length = 0")
    page.evaluate(how, what)
    assert directive in page.evaluate(REFUSED, directive)
    assert page.evaluate("'broken' in window") is False
    assert page.locator("article").is_visible()


def test_only_scripts_that_are_run_are_allowed_by_their_digest():
    from vg.page import csp

    html = (
        '<head><meta charset="utf-8"></head><script src="a.js"></script><script>alert(1)</script>'
        '<script type="application/json">{"x": 1}</script><style>p { color: red }</style>'
    )
    rules = dict(rule.split(" ", 1) for rule in csp.policy(html).split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'self' file: {csp.digest('alert(1)')}"
    assert rules["style-src-elem"] == f"'self' file: {csp.digest('p { color: red }')}"
    assert csp.protect(html).index("Content-Security-Policy") < html.index("<script") + 60
    with pytest.raises(ValueError, match="書く場所"):
        csp.protect("<html></html>")


def test_every_page_has_its_policy(book: Path):
    from vg.page import csp

    for path in book.rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        assert html.count('http-equiv="Content-Security-Policy"') == 1, path
        assert f'content="{csp.policy(html)}"' in html, path


def test_a_book_being_served_while_written_has_no_policy(monkeypatch: pytest.MonkeyPatch):
    """sphinx-autobuild は、頁を読み直させるスクリプトを後から差し込む。"""
    from vg.page import csp

    monkeypatch.setattr(csp.BuiltinTemplateLoader, "init", lambda *args, **options: None)
    for tags, protected in ((set(), True), ({"serve"}, False)):
        templates = csp.Templates()
        templates.init(SimpleNamespace(name="html", tags=tags))
        assert templates.is_site is protected
