"""本を 1 つの PDF にする: 1 枚の HTML に並べ、Chromium で A4 に印刷する。

    python docs/_editions/pdf.py docs/_build/html docs/_build/html/editions/vgbook.pdf

Chromium は目次の頁番号を書けない。そこで 2 度印刷し、1 度目の PDF から章の始まる頁を読む。
"""

from __future__ import annotations

import re
import sys
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory

import pikepdf
from pages import AUTHOR, TITLE, contents
from playwright.sync_api import sync_playwright
from pypdf import PdfReader
from sheet import document

sys.path.insert(0, str(Path(__file__).parents[1] / "_ext"))
from vg import chromium

WIDTH = round(162 / 25.4 * 96)  # 版面の幅 (CSS ピクセル)。余白は print.css にある
# 字 → 文字の表の右辺にある、部首の文字と真ん中の点 (U+2027)
LOOKALIKE = re.compile(rb"(?<=> )<(2[EF][0-9A-Fa-f]{2}|2027)>")
MEANT = str.maketrans("⻑⻘⻫⻭‧", "長青斉歯・")  # NFKC が元の字に戻さないもの
# 版面からはみ出す式と表を縮め、それでもはみ出すものを返す。紙では横に動かせない
FIT = """() => {
  const width = document.body.getBoundingClientRect().right;
  for (const box of document.querySelectorAll("div.math .formula, table")) {
    const room = box.matches("table") ? box.parentElement.clientWidth : box.clientWidth;
    if (box.scrollWidth > room) box.style.zoom = 0.99 * room / box.scrollWidth;
  }
  const printed = "pre, table, img, p, li, .katex-display > .katex > .katex-html";
  return [...document.querySelectorAll(printed)]
    .filter((e) => e.getBoundingClientRect().right > width + 1)
    .map((e) => `${e.closest("[id]").id}: ${e.textContent.slice(0, 60)}`);
}"""


def starts(pdf: Path) -> dict[str, int]:
    """リンクの行き先の名前 → 頁番号。"""
    reader = PdfReader(pdf)
    places = {
        name.removeprefix("/"): reader.get_destination_page_number(place)
        for name, place in reader.named_destinations.items()
    }
    return {name: number + 1 for name, number in places.items() if number is not None}


def write(site: Path, pdf: Path) -> None:
    browser_path = chromium.find()
    if browser_path is None:
        sys.exit(
            "Chromium がありません。`apt-get install chromium fonts-noto-cjk` で入れてください。"
        )
    pdf.parent.mkdir(parents=True, exist_ok=True)
    parts = contents(site)
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": 1000})
        tab.emulate_media(media="print")
        source = Path(folder, "book.html")
        numbers: dict[str, int] = {}
        for _ in range(2):
            source.write_text(document(site, parts, numbers), encoding="utf-8")
            tab.goto(source.as_uri(), timeout=300_000)
            if cut := tab.evaluate(FIT):
                sys.exit("紙の幅に収まらないものがあります。\n" + "\n".join(cut))
            tab.pdf(
                path=pdf,
                prefer_css_page_size=True,
                print_background=True,
                outline=True,
                tagged=True,
            )
            numbers = starts(pdf)
        browser.close()
    finish(pdf)


def meant(match: re.Match[bytes]) -> bytes:
    """部首の文字 (⽬ U+2F6C) のように形の同じ別の文字を、書いた文字 (目) にする。"""
    character = unicodedata.normalize("NFKC", chr(int(match[1], 16))).translate(MEANT)
    return f"<{ord(character):04X}>".encode()


def finish(pdf: Path) -> None:
    """題と著者を書き、構造の表を圧縮する (大きさは半分になる)。

    Chromium は、部首と同じ字形の漢字を部首の文字として書くので、そのままでは「目次」を探せない。
    中黒「・」も、字形の同じ別の点になる。
    """
    with pikepdf.open(pdf, allow_overwriting_input=True) as book:
        with book.open_metadata() as meta:
            meta["dc:title"], meta["dc:creator"] = TITLE, [AUTHOR]
            meta["dc:language"] = ["ja"]
        for font in book.objects:
            if isinstance(font, pikepdf.Dictionary) and "/ToUnicode" in font:
                table = font.ToUnicode.read_bytes()
                font.ToUnicode.write(LOOKALIKE.sub(meant, table))
        book.save(pdf, object_stream_mode=pikepdf.ObjectStreamMode.generate)


if __name__ == "__main__":
    write(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
