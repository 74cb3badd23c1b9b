"""セルは、上から順に読んで足りる。本文で限りとして示す数は、限りの外へ丸める。"""

import ast
import builtins
import re

import pytest

from vg.build.key import code_of
from vg.manuscript import Manuscript, Page

PAGES = [page for page in Manuscript().pages.values() if page.is_notebook]


def bound(statement: ast.stmt) -> set[str]:
    """文が決める名前。内包表記と関数の引数も含む。"""
    found: set[str] = set()
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.ExceptHandler(name=str(name)):
                found.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {(alias.asname or alias.name).split(".")[0] for alias in names}
    return found


def unknown(code: str) -> set[str]:
    known, missing = {*dir(builtins), "get_ipython", "display"}, set()
    for statement in ast.parse(code).body:
        known |= bound(statement)
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            used = {
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
            }
            missing |= used - known
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_cell_uses_only_what_the_cells_before_it_made(page: Page):
    assert unknown(code_of(page)) == set()


def test_a_name_that_is_read_before_its_import_is_found():
    assert unknown("vg.digits()\nimport vgbook as vg\n") == {"vg"}


UPWARDS, DOWNWARDS = re.compile(r"ceil|at_most"), re.compile(r"floor|int\(")
ROUNDED = {"以下": UPWARDS, "以内": UPWARDS, "以上": DOWNWARDS}
BOUND = re.compile(r"\{glue:text\}`([\w-]+)` ?[^{。、\n]{0,4}(以下|以内|以上)")


def crossed(page: Page) -> list[str]:
    """0.0203 を「0.02 以下」と書くような、丸めて限りの内側に入れた数の名前。"""
    made = {
        key: re.search(rf'glue\("{key}", (.+)\)', code_of(page))
        for key, _ in BOUND.findall(page.text)
    }
    return [
        key
        for key, word in BOUND.findall(page.text)
        if not ROUNDED[word].search((made[key] or [""])[0])
    ]


def test_a_limit_is_rounded_away_from_what_it_limits():
    assert [name for page in PAGES for name in crossed(page)] == []


def test_a_limit_that_was_rounded_to_the_nearest_is_found():
    cell = '```{code-cell} python\nglue("gap", f"{gap:.2f}", display=False)\n```\n'
    text = cell + "差は {glue:text}`gap` 以下です。\n"
    assert crossed(Page("a", text)) == ["gap"]
    assert crossed(Page("a", text.replace("gap:.2f", "np.ceil(gap):.2f"))) == []
