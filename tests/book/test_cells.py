"""セルは、上から順に読んで足りる: まだ読み込んでいない名前を使わない。"""

import ast
import builtins

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
