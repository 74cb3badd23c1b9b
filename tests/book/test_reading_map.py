"""表紙の読書地図: どの章も 1 行ずつ、目次の順にあり、所要時間は章の頭に書かれたものと同じ。"""

import re

import pytest

from vg.manuscript import Manuscript, Page

MANUSCRIPT = Manuscript()
CHAPTERS = MANUSCRIPT.chapters
ROW = re.compile(r"^\| \[.+\]\(#(sec-[\w-]+)\) \|.+\| (\d+)\s分 \|$", re.M)
MAP = ROW.findall(MANUSCRIPT.pages["index"].text)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda page: page.name)
def test_map_gives_the_time_that_the_chapter_gives(chapter: Page) -> None:
    minutes = re.search(r"所要時間\W+(\d+) 分", chapter.text)
    assert minutes
    assert dict(MAP)[str(chapter.label)] == minutes[1]


def test_map_has_the_chapters_in_the_order_of_the_contents() -> None:
    assert [label for label, _ in MAP] == [chapter.label for chapter in CHAPTERS] != []
