"""原稿の読み方。拡張、試験、文章の点検が、同じこの 1 つを使う。

読むのは人の書いた原稿だけで、組むときに作る頁 (``vg.build.pages``) は含まない。標準ライブラリだけを
使い、Sphinx のない所でも読める。
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

DOCS = Path(__file__).parents[2]
GENERATED = ("api", "checks")  # index のほかは、組むときに作る

FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>.*)\n(?P<body>(?:.*\n)*?)(?P=ticks)[ \t]*$", re.M)
DISPLAY = re.compile(
    r"^[> ]*\$\$[ \t]*\n(.*?)^[> ]*\$\$[ \t]*(?:\(([\w-]+)\))?[ \t]*$", re.S | re.M
)
API_ROW = re.compile(r"^\| \[`(vgbook\.[\w.]+)`\]", re.M)
DIRECTIVE = re.compile(r"^\.\. math::(.*\n(?:[ \t]+.*\n|[ \t]*\n)*)", re.M)
HEAD = re.compile(r"^(?:\((?P<label>[\w-]+)\)=\n)?# (?P<title>.+)$", re.M)
OPTIONS = re.compile(r"\A(?:---\n[\s\S]*?^---\n|(?::.*\n)*)", re.M)
TAGS = re.compile(r"^:?tags: \[([^\]]*)\]", re.M)
SEED = re.compile(r"\bdefault_rng\((\w+)\)")
ENTRY = re.compile(r"^(?![:`])(\S+)$", re.M)


@dataclass(frozen=True)
class Cell:
    """1 つのコードのセル。``start`` は、原稿の中の位置。"""

    start: int
    body: str

    @property
    def options(self) -> str:
        match = OPTIONS.match(self.body)
        return match[0] if match else ""

    @property
    def code(self) -> str:
        return self.body[len(self.options) :]

    @property
    def tags(self) -> set[str]:
        found = TAGS.search(self.options)
        return set(found[1].replace(" ", "").split(",")) if found else set()


@dataclass(frozen=True)
class Display:
    """別行の数式 1 つと、その場所。"""

    label: str | None
    tex: str
    page: str
    line: int


@dataclass(frozen=True)
class Toctree:
    """目次の 1 つ。"""

    numbered: bool
    names: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """1 つの頁の原稿。``name`` は ``part1/chain-rule`` のような名前。"""

    name: str
    text: str

    @cached_property
    def cells(self) -> list[Cell]:
        """コードのセル。

        >>> page = Page("a", "```{code-cell} python\\n:tags: [hide-input]\\nx = 1\\n```\\n")
        >>> [(cell.tags, cell.code) for cell in page.cells]
        [({'hide-input'}, 'x = 1\\n')]
        """
        fences = FENCE.finditer(self.text)
        return [Cell(m.start(), m["body"]) for m in fences if m["info"].startswith("{code-cell}")]

    @property
    def is_notebook(self) -> bool:
        return "\nfile_format: mystnb\n" in self.text

    @property
    def title(self) -> str:
        """見出し。

        >>> Page("a", "---\\ndescription: 甲\\n---\\n\\n(sec-a)=\\n# 乙\\n").title
        '乙'
        """
        head = HEAD.search(self.text)
        return head["title"].strip() if head else ""

    @property
    def label(self) -> str | None:
        """見出しの参照先の名前。"""
        head = HEAD.search(self.text)
        return head and head["label"]

    @property
    def seeds(self) -> list[str]:
        """セルが使う乱数の種を、数、名前の順に。

        >>> text = "```{code-cell}\\nf(default_rng(10), default_rng(2))\\ndefault_rng(n)\\n```\\n"
        >>> Page("a", text).seeds
        ['2', '10', 'n']
        """
        found = {seed for cell in self.cells for seed in SEED.findall(cell.code)}
        return sorted(found, key=lambda seed: (not seed.isdigit(), seed.zfill(20)))

    @property
    def toctrees(self) -> list[Toctree]:
        """目次。

        >>> Page("index", "```{toctree}\\n:numbered: 1\\n\\npart1/a\\npart1/b\\n```\\n").toctrees
        [Toctree(numbered=True, names=('part1/a', 'part1/b'))]
        """
        trees = [m for m in FENCE.finditer(self.text) if m["info"].startswith("{toctree}")]
        return [
            Toctree("\n:numbered:" in f"\n{m['body']}", tuple(ENTRY.findall(m["body"])))
            for m in trees
        ]

    def displays(self) -> Iterator[Display]:
        """別行の数式。"""
        for m in DISPLAY.finditer(self.text):
            yield Display(m[2], m[1].strip(), self.name, self.line(m.start()))

    def line(self, position: int) -> int:
        return self.text.count("\n", 0, position) + 1


class Manuscript:
    """本の原稿。``docs`` は、``conf.py`` のあるフォルダー。"""

    def __init__(self, docs: Path = DOCS) -> None:
        self.docs = docs

    @cached_property
    def pages(self) -> dict[str, Page]:
        """名前から頁へ。"""
        found = {}
        for path in sorted([*self.docs.glob("*.md"), *self.docs.glob("[!_]*/**/*.md")]):
            place = path.relative_to(self.docs).with_suffix("")
            made = place.parts[0] in GENERATED and place.name != "index"
            if not place.parts[0].startswith("_") and not made:
                found[place.as_posix()] = Page(place.as_posix(), path.read_text(encoding="utf-8"))
        return found

    @property
    def contents(self) -> list[str]:
        """表紙の目次の順に並べた頁。"""
        return [name for tree in self.pages["index"].toctrees for name in tree.names]

    @property
    def chapters(self) -> list[Page]:
        """章。番号の付く目次の順。"""
        trees = [tree for tree in self.pages["index"].toctrees if tree.numbered]
        return [self.pages[name] for tree in trees for name in tree.names]

    def displays(self) -> list[Display]:
        """頁と、パッケージの docstring の、すべての別行の数式。"""
        written = [display for page in self.pages.values() for display in page.displays()]
        index = self.pages.get("api/index")
        shown = set(API_ROW.findall(index.text)) if index else set()
        return [*written, *docstrings(self.docs.parent / "vgbook", shown)]


def docstrings(package: Path, shown: set[str]) -> Iterator[Display]:
    """API の頁に出る数式。名前は、関数やクラスの場所。2 つ目からは番号を付ける。

    場所は、``shown`` (API の頁のあるモジュール) のうち、書かれたファイルを含むもの。
    """
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package.parent).with_suffix("").parts
        module = ".".join(place).removesuffix(".__init__")
        if module not in shown and module.rpartition(".")[0] in shown:
            module = module.rpartition(".")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        owners = (n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef))
        named = [(module, tree), *((f"{module}.{n.name}", n) for n in owners)]
        for name, node in named:
            found = DIRECTIVE.finditer(ast.get_docstring(node) or "")
            for number, match in enumerate(found, start=1):
                label = name if number == 1 else f"{name}-{number}"
                yield Display(label, match[1].strip(), "api", getattr(node, "lineno", 1))
