"""原稿から別行の数式を取り出す。"""

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
DISPLAY = re.compile(
    r"^[> ]*\$\$[ \t]*\n(.*?)^[> ]*\$\$[ \t]*(?:\(([\w-]+)\))?[ \t]*$", re.S | re.M
)


@dataclass(frozen=True)
class Display:
    """別行の数式 1 つと、その場所。"""

    label: str | None
    tex: str
    page: str
    line: int


def displays() -> list[Display]:
    """本のすべての別行の数式。"""
    found = []
    for path in sorted(DOCS.rglob("*.md")):
        page = path.relative_to(DOCS).with_suffix("").as_posix()
        if not page.startswith("_"):
            text = path.read_text(encoding="utf-8")
            for m in DISPLAY.finditer(text):
                line = text.count("\n", 0, m.start()) + 1
                found.append(Display(m[2], m[1].strip(), page, line))
    return found
