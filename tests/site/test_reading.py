"""読み進めるための部品: 参照に重ねる札、章の位置、読み終えた印、更新日、報告、紙、頁の重さ。

頁は file:// で開く。ファイルを渡されただけの人にも、同じように読めることを確かめる。
"""

import doctest
import gzip
import hashlib
import html
import importlib
import re
import statistics
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urldefrag, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

from vg.figures import svg
from vg.manuscript import DOCS, Manuscript
from vg.math import typeset
from vg.page import cards, reading, weight

CHAPTERS = len(Manuscript().chapters)


WITH_EXAMPLES = [
    ".".join(p.relative_to(DOCS / "_ext").with_suffix("").parts)
    for p in sorted(DOCS.glob("_ext/vg/**/*.py"))
    if ">>> " in p.read_text("utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_the_extensions_run(name: str):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


# --- 図を軽くする --------------------------------------------------------------------------

POINT = st.tuples(*[st.floats(-2000, 2000, allow_nan=False).map(lambda x: round(x, 6))] * 2)
STROKE = st.one_of(
    st.tuples(st.just("L"), st.tuples(POINT)),
    st.tuples(st.just("Q"), st.tuples(POINT, POINT)),
    st.tuples(st.just("C"), st.tuples(POINT, POINT, POINT)),
    st.tuples(st.just("M"), st.tuples(POINT)),
    st.tuples(st.just("z"), st.just(())),
)


def absolute(path: str) -> list[tuple[str, list[float]]]:
    """相対座標の経路を、SVG の規則どおりに読んだもの。"""
    tokens = re.findall(r"[mlqcz]|-?(?:\d+\.?\d*|\.\d+)", path)
    here, start, command, read, i = [0.0, 0.0], [0.0, 0.0], "", [], 0
    while i < len(tokens):
        if tokens[i].isalpha():
            command, i = tokens[i], i + 1
        if command == "z":
            read.append(("Z", []))
            here = list(start)
            continue
        count = {"m": 2, "l": 2, "q": 4, "c": 6}[command]
        values = [float(t) + here[k % 2] for k, t in enumerate(tokens[i : i + count])]
        i += count
        read.append((command.upper(), values))
        here = values[-2:]
        start = here if command == "m" else start
    return read


@given(st.lists(STROKE, max_size=40))
def test_a_shortened_path_is_the_same_path(strokes: list[tuple[str, tuple[tuple[float, float]]]]):
    strokes = [("M", ((1.0, 2.0),)), *strokes]
    path = " ".join(" ".join([c, *(f"{x:f} {y:f}" for x, y in points)]) for c, points in strokes)
    read = absolute(svg.shorten(path))
    assert [command for command, _ in read] == [command.upper() for command, _ in strokes]
    for (_, values), (_, points) in zip(read, strokes, strict=True):
        expected = [coordinate for point in points for coordinate in point]
        assert values == pytest.approx(expected, abs=0.5 * 10**-svg.PLACES + 1e-6)


def test_a_slim_figure_keeps_every_part_and_loses_a_third_of_its_weight(tmp_path: Path):
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots()
    ax.plot(range(200), [x**0.5 for x in range(200)], label="gradient")
    ax.legend()
    fig.savefig(tmp_path / "a.svg")
    plt.close(fig)
    before = (tmp_path / "a.svg").read_text(encoding="utf-8")
    after = svg.slim(before)
    for tag in ("<path", "<use", "<g", "<clipPath", "</svg>"):
        assert after.count(tag) == before.count(tag)
    ids = set(re.findall(r' id="([^"]*)"', after))
    assert set(re.findall(r'href="#([^"]*)"', after)) <= ids
    assert len(gzip.compress(after.encode())) < 2 / 3 * len(gzip.compress(before.encode()))
    assert svg.slim(after) == after


# --- 使う字だけを残す ----------------------------------------------------------------------


def test_each_letter_is_looked_for_in_the_font_that_sets_it():
    page = typeset.render(r"\mathbb{E} W^{\mathsf{T}} \mathbf{x} < \sum_i", {}, display=True)
    found = weight.letters([page])
    assert found["AMS-Regular"] == {"E"}
    assert found["SansSerif-Regular"] == {"T"}
    assert found["Main-Bold"] == {"x"}
    assert {"W", "i"} <= found["Math-Italic"]
    assert "<" in found["Main-Regular"]
    assert found["Size2-Regular"] == {"∑"}


# --- できた本 ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages(book: Path) -> dict[str, str]:
    """原稿のある頁。"""
    paths = (p for p in sorted(book.rglob("*.html")) if "_modules" not in p.parts)
    pages = {str(p.relative_to(book)): p.read_text(encoding="utf-8") for p in paths}
    return {n: text for n, text in pages.items() if n not in ("genindex.html", "search.html")}


def test_chapters_tell_where_they_are(pages: dict[str, str]):
    place = re.compile(r'<div class="progress">第 (\d+) 章 / 全 (\d+) 章')
    told = {name: m.groups() for name, text in pages.items() if (m := place.search(text))}
    assert sorted(int(n) for n, _ in told.values()) == list(range(1, CHAPTERS + 1))
    assert {total for _, total in told.values()} == {str(CHAPTERS)}
    assert all(name.startswith("part") for name in told)
    assert told["part1/chain-rule.html"][0] == "1"


def test_every_page_leads_to_the_report(pages: dict[str, str]):
    missing = [name for name, text in pages.items() if 'class="report" href="' not in text]
    missing = [name for name in missing if name != "404.html"]  # 原稿のない頁
    assert missing == []
    assert 'id="sec-errata-report"' in pages["errata.html"]


def test_the_report_is_drafted_with_the_page():
    url = reading.report_url("https://example.org/r/issues", "part1/x", "連鎖律 & 道")
    draft = parse_qs(urlsplit(str(url)).query)
    assert draft["title"] == ["誤り: 連鎖律 & 道"]
    assert "頁: 連鎖律 & 道 (part1/x)" in draft["body"][0]
    assert reading.report_url(None, "part1/x", "題") is None


def test_every_page_tells_its_last_change(root: Path, pages: dict[str, str]):
    command = ["git", "-C", str(root), "rev-parse", "--is-shallow-repository"]
    git = subprocess.run(command, capture_output=True, text=True, check=False)
    if git.stdout.strip() != "false":
        pytest.skip("履歴がないので、日付は載らない")
    dated = re.compile(r"最終更新: 20\d\d-\d\d-\d\d")
    undated = [name for name, text in pages.items() if not dated.search(text)]
    assert [name for name in undated if name != "404.html"] == []  # 原稿のない頁


def test_cards_show_what_the_links_lead_to(book: Path, pages: dict[str, str]):
    template = re.compile(r'<template data-card="([^"]+)">(.*?)</template>', re.DOTALL)
    cards = [(name, *card) for name, text in pages.items() for card in template.findall(text)]
    assert len(cards) > 10
    for name, link, content in cards:
        path, target = urldefrag(urljoin(name, link))
        words = re.sub(r"<[^>]*>", "", content)
        assert words.strip()
        source = re.sub(r"(?s)<annotation.*?</annotation>", "", pages[path])
        start = source.index(f'id="{target}"')
        assert words[:20] in re.sub(r"<[^>]*>", "", source[start : start + 60000])
        assert "<a " not in content
        assert 'id="' not in content
        for image in re.findall(r'src="([^"]+)"', content):
            assert (book / urljoin(name, image)).is_file()
        if "katex" in content:
            assert "katex.min.css" in pages[name]


def test_every_link_to_a_term_has_its_card(pages: dict[str, str]):
    for name, text in pages.items():
        links = set(cards.LINK.findall(text))
        assert links == set(re.findall(r'data-card="([^"]+)"', text)), name


# --- 頁の重さ ------------------------------------------------------------------------------

KIB = 1024
LOADS = re.compile(r'<(?:script|img|link rel="stylesheet") [^>]*?(?:src|href)="([^"?#]+)')


def weights(book: Path) -> dict[str, float]:
    """頁ごとの、頁・CSS・JavaScript・図の、圧縮した大きさの和 (KiB)。字は CSS の中にある。"""

    @cache
    def size(path: Path) -> int:
        data = path.read_bytes()
        return len(data) if path.suffix in (".woff2", ".png") else len(gzip.compress(data))

    def weight(name: str) -> float:
        text = (book / name).read_text(encoding="utf-8")
        files = {urljoin(name, html.unescape(link)) for link in LOADS.findall(text)}
        return sum(size(book / file) for file in {name, *files}) / KIB

    return {
        str(p.relative_to(book)): weight(str(p.relative_to(book))) for p in book.rglob("*.html")
    }


def test_the_fonts_of_formulas_are_in_their_style_sheet(book: Path, pages: dict[str, str]):
    style = (book / "_static/vendor/katex/katex.min.css").read_text(encoding="utf-8")
    used = weight.letters(list(pages.values()))
    assert {"Main-Regular", "Math-Italic", "AMS-Regular", "Size1-Regular"} <= used.keys()
    assert style.count("@font-face") == style.count("url(data:font/woff2;base64,") == len(used)


def test_every_page_is_light(book: Path):
    found = weights(book)
    heavy = {name: round(weight) for name, weight in found.items() if weight > 300}
    assert heavy == {}
    assert statistics.median(found.values()) <= 150
    chapters = [weight for name, weight in found.items() if name.startswith("part")]
    assert len(chapters) == CHAPTERS
    assert statistics.median(chapters) <= 150


STYLE = re.compile(r'<link rel="stylesheet" type="text/css" href="([^"?]+)\?v=(\w+)" />')


def test_a_page_waits_for_two_style_sheets_and_never_gets_an_old_one(
    book: Path, pages: dict[str, str]
):
    for name, text in pages.items():
        sheets = {urljoin(name, sheet): version for sheet, version in STYLE.findall(text)}
        assert len(sheets) == 1 + ("katex-html" in text), name
        for sheet, version in sheets.items():
            assert version == hashlib.sha256((book / sheet).read_bytes()).hexdigest()[:8], name


def test_no_rule_selects_by_the_attribute_class(book: Path, pages: dict[str, str]):
    """残ると、``<html>`` の class が変わるたびに、Chromium は多くの要素を調べ直す。"""
    styles = [path.read_text(encoding="utf-8") for path in book.glob("_static/**/*.css")]
    assert any("[class" in style for style in styles)  # まとめる前のものには、ある
    assert "[class" not in (book / "_static" / "site.css").read_text(encoding="utf-8")
    assert "[class" not in (book / "_static/vendor/katex/katex.min.css").read_text(encoding="utf-8")
    # 代わりの名前 (vg.page.sheets) は、本のどの dl にも当たる
    lists = [tag for text in pages.values() for tag in re.findall(r"<dl\b[^>]*>", text)]
    assert lists
    named = re.compile(r'class="(?:[^"]* )?(?:py|simple|field-list)[" ]')
    assert [tag for tag in lists if not named.search(tag)] == []


# --- 画面 ----------------------------------------------------------------------------------


@pytest.fixture
def page(chromium: "Browser") -> "Iterator[Page]":
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda m: m.type == "error" and troubles.append(m.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    yield page
    context.close()
    assert troubles == []


def visit(page: "Page", book: Path, name: str) -> None:
    page.goto((book / name).as_uri())


TERM = 'article a[href*="#term-"]'
CARD = "article .card"


def test_a_card_comes_with_the_mouse_stays_under_it_and_goes_with_escape(page: "Page", book: Path):
    visit(page, book, "part1/chain-rule.html")
    link, card = page.locator(TERM).first, page.locator(CARD)
    assert not card.is_visible()
    link.hover()
    card.wait_for(state="visible")
    assert "computation graph" in card.inner_text()
    assert link.get_attribute("aria-describedby") == card.get_attribute("id")
    assert card.get_attribute("role") == "tooltip"
    card.hover()  # 札の上に移っても消えない
    page.wait_for_timeout(500)
    assert card.is_visible()
    page.keyboard.press("Escape")
    assert not card.is_visible()
    assert link.get_attribute("aria-describedby") is None
    link.hover()
    card.wait_for(state="visible")
    page.mouse.move(5, 5)
    card.wait_for(state="hidden")


@pytest.mark.parametrize(
    ("selector", "part"),
    [
        (TERM, "p"),
        ('article a.reference[href*="#equation-"]', ".katex"),
        ('article a.reference[href*="#fig-"]', "img"),
    ],
)
def test_a_card_comes_with_the_keyboard(page: "Page", book: Path, selector: str, part: str):
    visit(page, book, "part1/chain-rule.html")
    link, card = page.locator(f"{selector} >> visible=true").first, page.locator(CARD)
    link.evaluate("link => link.focus({ focusVisible: true })")
    card.wait_for(state="visible")
    assert card.locator(part).first.is_visible()
    inside = card.evaluate(
        "card => card.getBoundingClientRect().right <= document.documentElement.clientWidth"
    )
    assert inside
    link.evaluate("link => link.blur()")
    assert not card.is_visible()


def test_a_touch_only_follows_the_link(book: Path, chromium: "Browser"):
    context = chromium.new_context(has_touch=True, viewport={"width": 390, "height": 800})
    page = context.new_page()
    visit(page, book, "part1/chain-rule.html")
    page.evaluate("addEventListener('click', (event) => event.preventDefault())")
    page.locator(TERM).first.tap()
    page.wait_for_timeout(600)
    assert not page.locator(CARD).is_visible()
    context.close()


def test_a_finished_chapter_is_remembered_and_marked_in_the_contents(page: "Page", book: Path):
    visit(page, book, "part1/chain-rule.html")
    box = page.get_by_label("この章を読み終えた")
    assert not box.is_checked()
    box.focus()
    page.keyboard.press("Space")
    assert f"(1 / {CHAPTERS} 章)" in page.locator(".finished-count").inner_text()
    visit(page, book, "part1/backprop.html")
    assert page.locator(".sidebar-tree a.finished").all_inner_texts() == ["1. 連鎖律と計算グラフ"]
    visit(page, book, "part1/chain-rule.html")
    assert box.is_checked()
    box.uncheck()
    page.reload()
    assert not box.is_checked()
    assert page.locator(".sidebar-tree a.finished").count() == 0


# 頁の式を、違うものだけ、開いている頁へ移す。和文は、読む人の端末の字で表示するので除く
GATHER = """(texts) => {
    const formulas = new Map();
    for (const text of texts)
      for (const formula of new DOMParser().parseFromString(text, "text/html")
        .querySelectorAll("article .katex-html"))
        if (!/[\u3000-\u9fff\uff00-\uffef]/.test(formula.textContent))
          formulas.set(formula.outerHTML, formula);
    document.querySelector("article").replaceChildren(...formulas.values());
    for (const formula of formulas.values()) formula.className = "katex katex-html";
    return formulas.size;
}"""


def other_fonts(page: "Page", selector: str) -> list[str]:
    """``selector`` の箱の字のうち、本の CSS が運ぶ書体にはなく、端末の書体で表示されるもの。"""
    client = page.context.new_cdp_session(page)
    for domain in ("DOM", "CSS"):
        client.send(f"{domain}.enable")
    root = client.send("DOM.getDocument")["root"]["nodeId"]
    boxes = client.send("DOM.querySelectorAll", {"nodeId": root, "selector": selector})["nodeIds"]
    found = [client.send("CSS.getPlatformFontsForNode", {"nodeId": box})["fonts"] for box in boxes]
    return [font["familyName"] for fonts in found for font in fonts if not font["isCustomFont"]]


def test_no_letter_of_a_formula_is_missing_from_its_font(
    page: "Page", book: Path, pages: dict[str, str]
):
    visit(page, book, "part1/chain-rule.html")
    formulas = [text for text in pages.values() if "katex-html" in text]
    assert page.evaluate(GATHER, formulas) > 500
    page.evaluate("document.fonts.ready")
    assert other_fonts(page, "article") == []
    page.locator("article .katex-html").first.evaluate("box => box.append('Ж')")
    assert len(other_fonts(page, "article")) == 1


def test_on_paper_answers_are_open_and_screens_parts_are_gone(page: "Page", book: Path):
    visit(page, book, "part1/chain-rule.html")
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    answers = page.locator("details:not(.hidden-cell)")
    assert all(box.get_attribute("open") is not None for box in answers.all())
    assert not any(code.is_visible() for code in page.locator(".hidden-cell .cell_input").all())
    for selector in (".sidebar-drawer", ".toc-drawer", ".page-end", ".progress", ".stepper"):
        assert not any(part.is_visible() for part in page.locator(selector).all()), selector
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    color = page.evaluate("getComputedStyle(document.querySelector('article p')).color")
    assert max(map(int, re.findall(r"\d+", color)[:3])) < 100
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("article details:not([open])").count() > 0
