"""原稿と、パッケージの docstring から、別行の数式を取り出す。"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DISPLAY = re.compile(
    r"^[> ]*\$\$[ \t]*\n(.*?)^[> ]*\$\$[ \t]*(?:\(([\w-]+)\))?[ \t]*$", re.S | re.M
)

DIRECTIVE = re.compile(r"^\.\. math::(.*\n(?:[ \t]+.*\n|[ \t]*\n)*)", re.M)


@dataclass(frozen=True)
class Display:
    """別行の数式 1 つと、その場所。"""

    label: str | None
    tex: str
    page: str
    line: int


def displays() -> list[Display]:
    """本のすべての別行の数式。"""
    return [*chapters(), *docstrings()]


def docstrings() -> Iterator[Display]:
    """API の頁に出る数式。名前は、関数やクラスの場所。2 つ目からは番号を付ける。"""
    for path in sorted(ROOT.glob("vgbook/*.py")):
        module = f"vgbook.{path.stem}"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        owners = (n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef))
        for name, node in [(module, tree), *((f"{module}.{n.name}", n) for n in owners)]:
            found = DIRECTIVE.finditer(ast.get_docstring(node) or "")
            for number, match in enumerate(found, start=1):
                label = name if number == 1 else f"{name}-{number}"
                yield Display(label, match[1].strip(), "api", getattr(node, "lineno", 1))


def chapters() -> list[Display]:
    found = []
    for path in sorted(DOCS.rglob("*.md")):
        page = path.relative_to(DOCS).with_suffix("").as_posix()
        if not page.startswith("_"):
            text = path.read_text(encoding="utf-8")
            for m in DISPLAY.finditer(text):
                line = text.count("\n", 0, m.start()) + 1
                found.append(Display(m[2], m[1].strip(), page, line))
    return found
