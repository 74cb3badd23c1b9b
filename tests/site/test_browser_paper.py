"""組み方: 和文の禁則と、狭い画面の表と、紙。"""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vg.manuscript import DOCS

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
PRINTED = [name for name in WRITTEN if name.startswith(("part", "quiz", "notes"))]
NARROW = """() => [...document.querySelectorAll("article td")].filter((cell) => {
    const inside = document.createRange();
    inside.selectNodeContents(cell);
    const tops = [...inside.getClientRects()].filter((rect) => rect.width > 1).map((r) => r.top);
    const lines = new Set(tops.map((top) => Math.round(top / 12))).size;
    return lines > 3 && !cell.querySelector(".katex") && cell.textContent.trim().length < 3 * lines;
}).map((cell) => cell.textContent.trim().slice(0, 30))"""


def broken_lines(page: "Page") -> list[str]:
    found: list[str] = page.evaluate(BROKEN)
    return found


@pytest.mark.parametrize("name", WRITTEN)
def test_no_line_starts_or_ends_with_the_wrong_mark(site: str, chromium: "Browser", name: str):
    page = chromium.new_page()
    page.goto(site + name)
    found = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        found[width] = broken_lines(page)
    assert {width: lines for width, lines in found.items() if lines} == {}
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate(NARROW) == [], "1 行に 2 字しか入らない表の欄がある"
    page.close()


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


def test_the_reading_map_fits_a_phone_with_its_minutes(site: str, chromium: "Browser"):
    page = chromium.new_page(viewport={"width": 360, "height": 800})
    page.goto(f"{site}index.html")
    minutes = page.locator(".reading-map td:nth-child(4)").all()
    assert len(minutes) > 20
    for cell in minutes:
        box = cell.bounding_box()
        assert box and box["x"] + box["width"] <= 360
    page.close()


@pytest.mark.parametrize("name", PRINTED)
def test_a_page_is_printed_like_a_book(site: str, chromium: "Browser", name: str):
    """たたんだコードは刷らず、答えは開き、選択肢は紙の幅を使う。"""
    page = chromium.new_page()
    page.goto(site + name)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not any(code.is_visible() for code in page.locator(".hidden-cell .cell_input").all())
    assert page.locator(".quiz-answer:not([open])").count() == 0
    lines = page.locator(".quiz-choices > li > label")
    assert all(box["width"] > 300 for each in lines.all() if (box := each.bounding_box()))
    page.close()
