"""表紙の読書地図: どの章も 1 行ずつあり、所要時間は章の頭に書かれたものと同じ。"""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.docs
DOCS = Path(__file__).parents[1] / "docs"
CHAPTERS = sorted(DOCS.glob("part*/*.md"))
MAP = dict(
    re.findall(
        r"^\| [IV]+ \| \d+ \[.+\]\(#(sec-[\w-]+)\) \|.+\| (\d+)\s分 \|$",
        (DOCS / "index.md").read_text(),
        re.M,
    )
)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_map_gives_the_time_that_the_chapter_gives(chapter: Path) -> None:
    text = chapter.read_text(encoding="utf-8")
    label = re.search(r"^\((sec-[\w-]+)\)=\n# ", text, re.M)
    minutes = re.search(r"所要時間\W+(\d+) 分", text)
    assert label
    assert minutes
    assert MAP[label[1]] == minutes[1]


def test_map_has_no_row_without_a_chapter() -> None:
    assert len(MAP) == len(CHAPTERS) > 0
