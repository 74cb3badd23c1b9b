"""組み方: 和文の禁則と、狭い画面の表と、紙。原稿のあるすべての頁を、1 度ずつ開いて調べる。"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib_fontja
import pytest
from browsing import OVERFLOW, SMALL, opened

from vg.manuscript import DOCS, Manuscript

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDTHS = (360, 390, 768, 1280)
BROKEN = (Path(__file__).parent / "kinsoku.js").read_text(encoding="utf-8")
WRITTEN = sorted(
    str(path.relative_to(DOCS).with_suffix(".html"))
    for path in DOCS.rglob("*.md")
    if not path.relative_to(DOCS).parts[0].startswith("_") and path.name != "README.md"
)
ILLUSTRATED = {f"{page.name}.html" for page in Manuscript().chapters}
ILLUSTRATED |= {"notes.html", "reproduction.html"}
NARROW = """() => [...document.querySelectorAll("article td")].filter((cell) => {
    const inside = document.createRange();
    inside.selectNodeContents(cell);
    const tops = [...inside.getClientRects()].filter((rect) => rect.width > 1).map((r) => r.top);
    tops.sort((a, b) => a - b); // コードの箱は、同じ行でも、字より数ピクセルだけ高い
    const lines = tops.filter((top, i) => !i || top - tops[i - 1] > 8).length;
    return lines > 3 && !cell.querySelector(".katex") && cell.textContent.trim().length < 3 * lines;
}).map((cell) => cell.textContent.trim().slice(0, 30))"""

# 桁をそろえた出力のほかは、折り返す。短い式は折り返さない
SCROLLING = """() => [...document.querySelectorAll("article .highlight pre")].filter((code) =>
    code.checkVisibility() && code.scrollWidth > code.clientWidth + 1
    && !/\\S {2,}\\S/.test(code.closest(".cell_output")?.textContent ?? "")
).map((code) => code.textContent.slice(0, 40))"""

SPLIT = """() => [...document.querySelectorAll("article .math.short .katex-html")]
    .filter((formula) => formula.getClientRects().length > 1)
    .map((formula) => formula.textContent)"""
# 点でつないだ名前は、点の後で分ける
WORDS = """() => [...document.querySelectorAll("article td code .pre")].filter((name) => {
    if (!/^[a-z_]\\w*(\\.\\w+)+$/i.test(name.textContent)) return false;
    let last = null; // 前の字と、その高さ
    for (const node of name.childNodes) for (let i = 0; i < (node.data ?? "").length; i += 1) {
      const range = document.createRange();
      range.setStart(node, i);
      range.setEnd(node, i + 1);
      const { top } = range.getBoundingClientRect();
      if (last && last.letter !== "." && Math.abs(top - last.top) > 8) return true;
      last = { letter: node.data[i], top };
    }
    return false;
}).map((name) => name.textContent)"""
# 句点や括弧の後の空白は、強調の終わりに原稿で要るもの。頁には残さない
GAPS = """() => [...document.querySelectorAll("article :is(p, figcaption)")]
    .flatMap((text) => text.textContent.match(/.{0,9}[。、」』] [ぁ-んァ-ヶ一-龯「]/g) ?? [])"""

LETTERS = """@font-face { font-family: letters; src: url(/letters.ttf) }
article :not(.katex, .katex *) { font-family: letters !important }"""
WIDE = """() => [...document.querySelectorAll(".table-wrapper")].filter((box) =>
    box.scrollWidth > box.clientWidth + 1
).map((box) => box.textContent.trim().replace(/\\s+/g, " ").slice(0, 40))"""

FIRST_PICTURE = """() => {
    const pictures = [...document.querySelectorAll("article :is(figure, .vg-figure, .stepper)")];
    const seen = pictures.filter((box) => box.checkVisibility() && box.offsetHeight > 40);
    return Math.min(...seen.map((box) => box.getBoundingClientRect().top + scrollY));
}"""

PRINTED = """() => {
    dispatchEvent(new Event("beforeprint"));
    const all = (selector) => [...document.querySelectorAll(selector)];
    const wide = (box) => box.getBoundingClientRect().width;
    return [
      ...all(".hidden-cell .cell_input").filter((code) => code.checkVisibility()),
      ...all(".quiz-answer:not([open])"),
      ...all("article :is(figure, .vg-figure)").filter((figure) => !wide(figure)),
      ...all("article :is(p, ul, ol, dl, pre, table):not(.quiz-choices)") // 丸ごと次の頁へ送らない
        .filter((box) => getComputedStyle(box).breakInside !== "auto")
        .filter((box) => !(box.tBodies?.[0].rows.length <= 12)),
      ...all(".quiz-choices > li > label").filter((line) => wide(line) && wide(line) <= 300),
    ].map((box) => box.outerHTML.slice(0, 80));
}"""

# 幅 → 調べ方 → 見つかる誤り
FAULTS = {
    390: {
        NARROW: "1 行に 2 字しか入らない表の欄がある",
        SCROLLING: "横に動かさないと読めないコードがある",
        SPLIT: "短い式が 2 行に分かれている",
        WORDS: "名前が、語の途中で 2 行に分かれている",
        SMALL: "指で押すには小さすぎるものがある",
    },
    1280: {SCROLLING: "横に動かさないと読めないコードがある"},
}


def broken_lines(page: "Page") -> list[str]:
    found: list[str] = page.evaluate(BROKEN)
    return found


@pytest.fixture(scope="module")
def window(chromium: "Browser") -> "Iterator[tuple[Page, list[str]]]":
    """すべての頁を順に開く、1 つの窓と、そこで起きた困りごと。"""
    with opened(chromium, WIDTHS[0]) as (page, troubles):
        yield page, troubles


@pytest.mark.parametrize("name", WRITTEN)
def test_a_page_is_set_like_a_book_on_every_width_and_on_paper(
    site: str, window: "tuple[Page, list[str]]", name: str
):
    """紙では、たたんだコードは刷らず、答えとたたんだ図は刷り、選択肢は紙の幅を使う。"""
    page, troubles = window
    troubles.clear()
    page.emulate_media(media="screen")
    page.goto(site + name)
    assert page.evaluate(GAPS) == [], "和文の中に空白がある"
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert broken_lines(page) == [], width
        assert page.evaluate(OVERFLOW) <= 0, f"{width} で横にはみ出す"
        for check, fault in FAULTS.get(width, {}).items():
            assert page.evaluate(check) == [], f"{width} で{fault}"
        if width == 390 and name in ILLUSTRATED:
            assert page.evaluate(FIRST_PICTURE) <= 2 * 844, "電話の画面 2 つのうちに、絵がない"
    page.emulate_media(media="print")
    assert page.evaluate(PRINTED) == []
    assert troubles == []


def test_the_check_of_lines_can_fail(site: str, chromium: "Browser"):
    page = chromium.new_page(viewport={"width": 390, "height": 900})
    page.goto(f"{site}glossary.html")
    bare = (
        "document.querySelectorAll('.keep').forEach((kept) => (kept.style.whiteSpace = 'normal'))"
    )
    page.evaluate(bare)
    found = []
    for width in range(300, 420, 10):
        page.set_viewport_size({"width": width, "height": 900})
        found += broken_lines(page)
    assert found
    page.close()


def test_a_table_left_as_a_table_fits_a_phone(book: Path, site: str, chromium: "Browser"):
    """日本語の字がない計算機では、表が狭く組まれる。図の字 (IPAex) を、頁に渡して測る。"""
    plain = re.compile(r'<table class="(?![^"]*cards).*?</table>', re.DOTALL)
    names = (name for name in WRITTEN if name != "index.html")  # 読書地図には、その組み方がある
    tables = [table for name in names for table in plain.findall((book / name).read_text("utf-8"))]
    assert len(tables) > 30
    letters = Path(matplotlib_fontja.__file__).parent / "fonts" / "ipaexg.ttf"
    context = chromium.new_context(bypass_csp=True, viewport={"width": 390, "height": 844})
    context.route("**/letters.ttf", lambda route: route.fulfill(path=letters))
    page = context.new_page()
    page.goto(f"{site}part2/sigmoid.html")
    page.add_style_tag(content=LETTERS)
    page.evaluate("document.fonts.load('16px letters')")
    boxes = "".join(f'<div class="table-wrapper">{table}</div>' for table in tables)
    page.evaluate("html => { document.querySelector('article').innerHTML = html; }", boxes)
    wide = page.evaluate(WIDE)
    context.close()
    assert wide == []


def test_a_label_and_its_value_share_a_line_of_a_card(site: str, chromium: "Browser"):
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{site}part4/batchnorm-experiment.html")
    heights = page.evaluate(
        "[...document.querySelectorAll('table.cards td')].map((cell) => cell.offsetHeight)"
    )
    page.close()
    assert len(heights) > 10
    assert max(heights) < 40, "短い見出しと値が、2 行に分かれている"


def test_a_head_with_a_formula_labels_its_cards_and_nothing_else(site: str, chromium: "Browser"):
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{site}part3/sigmoid-xavier.html")
    cells = page.locator("table.cards td:has(> .label .katex)")
    assert cells.count() > 10
    assert all(cell.bounding_box()["height"] < 40 for cell in cells.all())  # type: ignore[index]
    page.set_viewport_size({"width": 1280, "height": 844})
    assert page.locator("table .label:visible").count() == 0
    page.close()


def test_the_caption_of_the_cards_is_as_wide_as_they_are(site: str, chromium: "Browser"):
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    for name in ("part2/relu", "appendix/site"):
        page.goto(f"{site}{name}.html")
        caption = page.locator("table.cards caption").first
        box, card = (
            caption.bounding_box(),
            page.locator("table.cards tbody tr").first.bounding_box(),
        )
        assert box
        assert card
        assert abs(box["width"] - card["width"]) < 2
        assert card["x"] + card["width"] <= 390
    page.close()


def test_the_reading_map_fits_a_phone_with_its_minutes(site: str, chromium: "Browser"):
    page = chromium.new_page(viewport={"width": 360, "height": 800})
    page.goto(f"{site}index.html")
    minutes = page.locator(".reading-map td:nth-child(4)").all()
    assert len(minutes) > 20
    for cell in minutes:
        box = cell.bounding_box()
        assert box
        assert box["x"] + box["width"] <= 360
    page.close()


def test_the_check_of_paper_can_fail(site: str, chromium: "Browser"):
    page = chromium.new_page()
    page.goto(f"{site}quiz/part2.html")
    page.emulate_media(media="print")
    assert page.evaluate(PRINTED) == []
    page.evaluate(
        """() => {
          const code = document.querySelector(".hidden-cell .cell_input");
          for (let box = code; box.matches("article *"); box = box.parentElement)
            box.style.setProperty("display", "block", "important");
          document.querySelector(".quiz-choices > li > label").style.width = "200px";
          const closed = document.querySelector(".quiz-answer").cloneNode();
          closed.open = false;
          closed.className = "quiz-answer closed";
          document.querySelector("article").append(closed);
          addEventListener("beforeprint", () => (closed.open = false));
        }"""
    )
    found = " ".join(page.evaluate(PRINTED))
    page.close()
    marks = ("cell_input", "<label", "quiz-answer closed")
    assert [mark for mark in marks if mark not in found] == []
