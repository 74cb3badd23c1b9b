"""「検算済み」の印: 実際に試験が走らせる検算だけに付き、その検算のソースへ飛ぶ。"""

import re
from importlib import import_module
from pathlib import Path

import pytest
from checking.register import CHECKS
from derivations import EXCUSED

from vg.math import registry

HERE = Path(__file__).parent

pytestmark = pytest.mark.docs
DERIVATIONS = HERE / "derivations"
for path in DERIVATIONS.glob("[!_]*.py"):
    import_module(f"derivations.{path.stem}")

MARK = re.compile(r'<a class="checked" href="([^"#]*)#check-([\w.-]+)" title="検算済み: ([^"]+)">')


def test_the_marks_are_exactly_the_checks_that_the_tests_run():
    read = registry.registry(DERIVATIONS)
    assert {label: (c.kind, c.module) for label, c in read.items()} == {
        label: (c.kind, c.meaning.__module__.removeprefix("derivations."))
        for label, c in CHECKS.items()
    }
    assert registry.excused(DERIVATIONS) == EXCUSED


def test_the_mark_says_how_it_was_checked():
    check = registry.Checked("eq-x", "数値", {"points": 3, "within": 1e-9}, "x")
    assert check.method() == "float64 の数値計算、3 点、許す相対誤差 1e-09"
    assert "証明" in registry.Checked("eq-x", "記号", {}, "x").method()


def test_every_checked_formula_in_the_book_links_to_its_check(book: Path):
    found = {}
    for page in book.rglob("*.html"):
        for href, label, method in MARK.findall(page.read_text(encoding="utf-8")):
            target = (page.parent / href).resolve()
            assert f'id="check-{label}"' in target.read_text(encoding="utf-8")
            found[label] = method
    assert set(found) == set(CHECKS)
