"""静かな図: 電話の幅でどの字も 10 ピクセル以上あり、明るさが値の図は暗い画面で反転しない。"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.docs
DOCS = Path(__file__).parents[2] / "docs"
PHONE = 358.0  # 幅 390 ピクセルの電話での、本文の幅
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.S | re.M)
COLOR_MAP = re.compile(r"\b(pcolormesh|imshow|contourf|hexbin|tripcolor)\(|\bcmap=")


def smallest_letter(svg: str) -> float:
    """字の大きさ [pt] の最小。Matplotlib は、字を大きさ 100 の形で持ち、縮めて置く。"""
    sizes, scales = [], [1.0]
    for tag in re.finditer(r"<(/?)(g|use)\b([^>]*?)(/?)>", svg):
        closing, name, attributes, empty = tag.groups()
        if closing:
            scales.pop()
            continue
        found = re.search(r"scale\(([\d.]+)", attributes)
        scale = scales[-1] * (float(found[1]) if found else 1.0)
        if name == "use" and scale < 1:  # 印 (マーカー) の use は縮めない
            sizes.append(100 * scale)
        if not empty and name == "g":
            scales.append(scale)
    return min(sizes, default=float("inf"))


def test_every_letter_of_every_figure_is_10_pixels_on_a_phone(book: Path):
    small, seen = {}, 0
    for path in sorted((book / "_images").glob("*.svg")):
        svg = path.read_text(encoding="utf-8")
        width = float(re.search(r'<svg[^>]*\swidth="([\d.]+)pt"', svg)[1])  # type: ignore[index]
        size = smallest_letter(svg) * min(4 / 3, PHONE / width)
        seen += size < float("inf")
        if size < 9.95:
            small[path.name] = round(size, 2)
    assert small == {}
    assert seen > 30


def cells_with_a_color_map() -> list[tuple[str, str]]:
    pages = sorted(DOCS.glob("**/[!_]*.md"))
    return [
        (str(page.relative_to(DOCS)), cell)
        for page in pages
        if not page.relative_to(DOCS).parts[0].startswith("_")
        for cell in CELL.findall(page.read_text(encoding="utf-8"))
        if COLOR_MAP.search(cell)
    ]


def test_a_figure_whose_brightness_is_a_value_says_so():
    """印がなければ、暗い画面で明暗が入れ替わり、説明と逆になる。"""
    cells = cells_with_a_color_map()
    assert [name for name, cell in cells if "classes: colormap" not in cell] == []
    assert cells


@pytest.mark.browser
def test_a_color_map_keeps_its_colors_in_the_dark(site: str, chromium: "Browser"):
    page = chromium.new_page(color_scheme="dark", bypass_csp=True)
    page.goto(f"{site}part5/meanfield.html")
    look = "(image) => getComputedStyle(image).filter"
    maps = page.locator("article img.colormap")
    assert maps.count() >= 1
    assert maps.first.evaluate(look) == "none"
    assert page.locator("article img:not(.colormap)").first.evaluate(look) != "none"
    page.close()
