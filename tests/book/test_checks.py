"""別行の数式が、頁に表示されているとおりに成り立つ。

``docs/checks`` が記号に意味を与え、頁の TeX を読んで左右を計算する。頁の「検算済み」の印も、ここが
走らせる検算も、同じ一覧 (``vg.math.registry``) から来る。
"""

import re
from functools import cache
from pathlib import Path

import pytest

from checks.engine.register import Check, load
from checks.engine.scope import Unreadable
from vg.manuscript import DOCS, Manuscript
from vg.math.registry import Checked, excused, registry

CHECKS = registry(DOCS / "checks")
EXCUSED = excused(DOCS / "checks")
DISPLAYS = Manuscript().displays()
BY_LABEL = {d.label: d for d in DISPLAYS}
MARK = re.compile(r'<a class="checked" href="([^"#]*)#check-([\w.-]+)" title="検算済み: ([^"]+)">')


@cache
def program(label: str) -> Check:
    found = CHECKS[label]
    return load(label, found.module, found.function)


@pytest.mark.parametrize("label", CHECKS)
def test_the_formula_on_the_page_holds(label: str):
    assert label in BY_LABEL, f"{label} という式は、どの頁にもありません"
    assert program(label).run(BY_LABEL[label].tex) > 0


def test_every_displayed_formula_is_checked_or_excused():
    unnamed = [f"{d.page}:{d.line}" for d in DISPLAYS if d.label is None]
    assert not unnamed, f"名前のない式があります ($$ (eq-名前) と書いてください): {unnamed}"
    unchecked = set(BY_LABEL) - set(CHECKS) - set(EXCUSED)
    assert not unchecked, f"検算も、しない理由もない式があります: {sorted(unchecked)}"


def test_an_excuse_names_a_formula_that_has_no_check():
    assert not set(EXCUSED) & set(CHECKS)
    assert set(EXCUSED) <= set(BY_LABEL)
    kinds = ("定義: ", "見積もり: ", "引用: ", "手続き: ")
    assert all(reason.startswith(kinds) for reason in EXCUSED.values())


def test_each_check_is_in_the_module_of_its_chapter():
    for label, check in CHECKS.items():
        assert check.module in BY_LABEL[label].page.replace("-", "_").split("/"), label


# --- 検算は、誤りを見つける ------------------------------------------------------------------

INEQUALITY = re.compile(r"\\[lg]e(?![a-zA-Z])")
NOT_FORMULA = re.compile(r"_\{[^{}]*\}|_\w|\\text\{[^{}]*\}|\\\\\[[^\]]*\]|&&.*")


def mutants(tex: str) -> list[str]:
    """符号、数字、不等号、転置、添字の順のどれか 1 つだけを変えた式。"""
    plain = NOT_FORMULA.sub(lambda m: "\0" * len(m[0]), tex)
    changes = [
        (m.span(), {"+": "-", "-": "+"}.get(m[0]) or str((int(m[0]) + 1) % 10))
        for m in re.finditer(r"[+-]|\d", plain)
    ]
    changes += [(m.span(), r"\ge" if m[0] == r"\le" else r"\le") for m in INEQUALITY.finditer(tex)]
    changes += [(m.span(), "") for m in re.finditer(r"\\T(?![a-zA-Z])", tex)]
    changes += [(m.span(), f"_{{{m[2]}{m[1]}}}") for m in re.finditer(r"_\{(\w)(\w)\}", tex)]
    return [tex[:start] + new + tex[end:] for (start, end), new in changes]


def is_caught(label: str, tex: str) -> bool:
    try:
        program(label).run(tex)
    except (AssertionError, Unreadable, ArithmeticError, LookupError, TypeError, ValueError):
        return True
    return False


def some(label: str) -> list[str]:
    """``label`` の式を壊したもの。多ければ、全体から 5 つ。"""
    found = mutants(BY_LABEL[label].tex)
    return found[:: max(1, -(-len(found) // 5))]


def test_almost_every_changed_sign_or_digit_is_caught():
    caught = {label: [is_caught(label, tex) for tex in some(label)] for label in CHECKS}
    never = [label for label, results in caught.items() if results and not any(results)]
    assert not never, f"符号や数字を変えても気づかない検算があります: {never}"
    every = [result for results in caught.values() for result in results]
    assert sum(every) / len(every) > 0.95, caught


# --- 頁の印 --------------------------------------------------------------------------------


def test_two_checks_of_one_formula_are_refused(tmp_path: Path):
    source = '@check("eq-x", "記号")\ndef {}(rng):\n    return {{}}\n'
    (tmp_path / "a.py").write_text(source.format("first") + source.format("second"))
    with pytest.raises(ValueError, match="eq-x の検算が 2 つあります"):
        registry(tmp_path)


def test_the_mark_says_how_it_was_checked():
    check = Checked("eq-x", "数値", {"points": 3, "within": 1e-9}, "x", "f")
    assert check.method() == "float64 の数値計算、3 点、許す相対誤差 1e-09"
    assert "証明" in Checked("eq-x", "記号", {}, "x", "f").method()


def test_every_checked_formula_in_the_book_links_to_its_check(book: Path):
    found = {}
    for page in book.rglob("*.html"):
        for href, label, method in MARK.findall(page.read_text(encoding="utf-8")):
            target = (page.parent / href).resolve()
            assert f'id="check-{label}"' in target.read_text(encoding="utf-8")
            found[label] = method
    assert set(found) == set(CHECKS)
