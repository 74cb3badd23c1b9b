"""章の長さと所要時間は、本文から規則で決まる。表紙の読書地図も同じ時間を載せる。

たたんだ所 (dropdown) は、読みたい人だけが読むので数えない。
"""

import math
import re

import pytest

from vg.manuscript import FENCE, Manuscript, Page

MANUSCRIPT = Manuscript()
CHAPTERS = MANUSCRIPT.chapters
ROW = re.compile(r"^\| ([IV]+) \| (\d+) \[.+\]\(#(sec-[\w-]+)\) \|.+\| (\d+)\s分 \|$", re.M)
MAP = ROW.findall(MANUSCRIPT.pages["index"].text)
MINUTES = {label: minutes for _, _, label, minutes in MAP}
PARTS = ["I", "II", "III", "IV", "V", "VI"]

# --- 本文を量る --------------------------------------------------------------------------------

FOLDED = re.compile(r"^(:{3,})\{dropdown\}[\s\S]*?^\1[ \t]*$", re.M)
EXERCISE = re.compile(r"^(:{3,})\{admonition\} 確認問題[\s\S]*?^\1[ \t]*$", re.M)
DISPLAY = re.compile(r"^\$\$\n([\s\S]*?)^\$\$.*$", re.M)
HIDDEN = re.compile(r"hide-|remove-")
NOT_PROSE = [
    re.compile(pattern, re.M)
    for pattern in (
        r"\A---\n(?:.*\n)*?---$",  # 前書き
        r"^#.*$|^\|.*\|$",  # 見出し、表
        r"\$[^$\n]+\$|`[^`\n]+`|\]\([^)\s]*\)",  # 文の中の数式、コードと役割、リンク先
    )
]
LETTER = re.compile(r"[ぁ-んァ-ヶ一-龠々ー、。]")


def main_text(source: str) -> str:
    """たたんだ所を除いた原稿。"""
    return FOLDED.sub("", source)


def characters(source: str) -> int:
    """地の文のかなと漢字の数。セル、リスト、数式、見出し、表、確認問題は含めない。"""
    text = main_text(source)
    for pattern in (EXERCISE, FENCE, DISPLAY, *NOT_PROSE):
        text = pattern.sub("", text)
    return len(LETTER.findall(text))


def rows(source: str) -> int:
    """別行の数式の行数。"""
    text = FENCE.sub("", EXERCISE.sub("", main_text(source)))
    return sum(1 + tex.count(r"\\" + "\n") for tex in DISPLAY.findall(text))


def code_lines(source: str) -> int:
    """開いたまま見せるコードの行数。"""
    cells = Page("", main_text(source)).cells
    return sum(cell.body.count("\n") for cell in cells if not HIDDEN.search(cell.body))


def figures(source: str) -> int:
    return source.count("\n  figure:\n") + source.count("{stepper}")


def minutes(source: str) -> int:
    """300 字に 1 分、数式 1 行とコード 4 行に 0.5 分、図に 1 分、問題に 2 分。5 分に切り上げる。"""
    exercises = len(EXERCISE.findall(source))
    time = characters(source) / 300 + rows(source) / 2 + code_lines(source) / 8
    return 5 * math.ceil((time + figures(source) + 2 * exercises) / 5)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda page: page.name)
def test_the_map_and_the_chapter_give_the_measured_time(chapter: Page) -> None:
    written = re.search(r"所要時間\W+(\d+) 分", chapter.text)
    assert written
    assert {MINUTES[str(chapter.label)], written[1]} == {str(minutes(chapter.text))}


def test_the_notes_page_is_read_in_the_time_it_gives() -> None:
    notes = MANUSCRIPT.pages["notes"].text
    assert re.findall(r"(\d+) 分で読めます", notes) == [str(minutes(notes))]


LIMIT = 2500


def test_the_main_text_of_a_chapter_is_short() -> None:
    assert [page.name for page in CHAPTERS if characters(page.text) > LIMIT] == []


def test_the_map_has_the_chapters_in_the_order_of_the_contents() -> None:
    expected = [
        (PARTS[int(chapter.name[4]) - 1], str(number), chapter.label)
        for number, chapter in enumerate(CHAPTERS, 1)
    ]
    assert [row[:3] for row in MAP] == expected != []
