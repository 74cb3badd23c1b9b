"""表示する文字: 日本語の Windows の既定 (cp932) や EUC で書き出しても、途中で止まらない。"""

import ast
from pathlib import Path

import pytest

import vgbook

PACKAGE = Path(vgbook.__file__).parent
# 図と HTML だけに出す文字は、UTF-8 で書き出される
DRAWN = {*(PACKAGE / "book").rglob("*.py"), PACKAGE / "clinic" / "html.py"}
MODULES = sorted(set(PACKAGE.rglob("*.py")) - DRAWN)


def printed(tree: ast.Module) -> list[str]:
    """docstring を除く文字列。"""
    docs = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    ]


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp"])
def test_everything_that_may_be_printed_can_be_encoded(encoding):
    found = {}
    for path in MODULES:
        for text in printed(ast.parse(path.read_text(encoding="utf-8"))):
            try:
                text.encode(encoding)
            except UnicodeEncodeError as error:
                found[f"{path.relative_to(PACKAGE)}: {text[:40]!r}"] = text[error.start : error.end]
    assert not found


def test_the_search_for_texts_can_fail():
    with pytest.raises(UnicodeEncodeError):
        printed(ast.parse('x = "—"'))[0].encode("cp932")
    assert printed(ast.parse('"""—"""')) == []
