"""セルの結果を使い回す鍵。頁のセルが読み込むモジュールの中身で決まる。

注釈と docstring は、値を変えないので数えない。モジュールは import 文をたどって求めるので、図を描く
モジュールだけを直せば、それを使う頁だけが実行し直される。
"""

from __future__ import annotations

import ast
import hashlib
import platform
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from vg.manuscript import Page

LIBRARIES = (
    *("numpy", "scipy", "scikit-learn"),
    *("matplotlib", "matplotlib-fontja", "matplotlib-inline"),  # fontja の字は、図に描き込まれる
    "ipykernel",
)
PACKAGE = "vgbook"
MAGIC = re.compile(r"^\s*[%!].*$", re.M)  # IPython だけの書き方
DATA = re.compile(r"\.(?:json|csv)\b")


def blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """文の並びを、内側まで。式の中に文はないので、式はたどらない。

    >>> tree = ast.parse("try:\\n  x = 1\\n  y = 2\\nexcept E:\\n  match z:\\n    case 0: pass")
    >>> [len(block) for block in blocks(tree)]
    [1, 2, 1, 1]
    """
    for _, value in ast.iter_fields(node):
        match value:
            case [ast.stmt(), *_]:
                yield value
            case [ast.excepthandler() | ast.match_case(), *_]:
                pass
            case _:
                continue
        for inner in value:
            yield from blocks(inner)


def imports(tree: ast.AST) -> Iterator[str]:
    """import 文の名前。``from a import b`` の b は、モジュールかもしれない。

    >>> sorted(imports(ast.parse("import a.b\\nfrom c import d")))
    ['a.b', 'c', 'c.d']
    """
    for node in chain.from_iterable(blocks(tree)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parts(name: str) -> Iterator[str]:
    """``a.b.c`` を読み込むと、``a`` と ``a.b`` も読み込まれる。"""
    words = name.split(".")
    return (".".join(words[:end]) for end in range(1, len(words) + 1))


def modules(root: Path) -> dict[str, Path]:
    """パッケージのモジュールの名前から、ファイルへ。"""
    found = {}
    for path in sorted(root.joinpath(PACKAGE).rglob("*.py")):
        place = path.relative_to(root).with_suffix("")
        found[".".join(place.parts).removesuffix(".__init__")] = path
    return found


@dataclass(frozen=True)
class Module:
    """1 つのモジュールの、意味 (のハッシュ) と、読み込むもの。"""

    essence: str
    imports: tuple[str, ...]


Known = dict[str, Module]
"""ファイルの中身 (のハッシュ) → 構文として読んだもの。構文を読むのは遅いので、次の組みにも残す。"""
READER = Path(__file__).read_bytes()
"""読み方が変われば、前に読んだものは使わない。"""


def read(text: bytes) -> Module:
    tree = ast.parse(text)
    used = sorted({name for name in imports(tree) if name.startswith(PACKAGE)})
    return Module(hashlib.sha256(essence(tree).encode()).hexdigest(), tuple(used))


def module(path: Path, known: Known) -> Module:
    text = path.read_bytes()
    digest = hashlib.sha256(READER + text).hexdigest()
    if digest not in known:
        known[digest] = read(text)
    return known[digest]


def reached(root: Path, code: str, known: Known) -> set[Path]:
    """``code`` の import 文から、たどって着くモジュールのファイル。"""
    files = modules(root)
    found: set[Path] = set()
    seen: set[str] = set()
    waiting = [name for name in imports(ast.parse(code)) if name.startswith(PACKAGE)]
    while waiting:
        for name in {*parts(waiting.pop())} - seen:
            seen.add(name)
            if path := files.get(name):  # なければ、関数などの名前
                found.add(path)
                waiting += module(path, known).imports
    return found


def is_silent(node: ast.stmt) -> bool:
    """何もしない、文字列だけの文 (docstring、欄の説明) か。"""
    match node:
        case ast.Expr(ast.Constant(str())):
            return True
    return False


def essence(tree: ast.Module) -> str:
    """プログラムの意味。注釈、空白、行の番号、文字列だけの文を含まない。

    >>> essence(ast.parse('x = 1')) == essence(ast.parse('\"\"\"説明。\"\"\"\\n\\nx = 1  # 注釈'))
    True
    """
    for block in blocks(tree):
        block[:] = [node for node in block if not is_silent(node)]
    return ast.dump(tree)


def code_of(page: Page) -> str:
    """セルのプログラム。"""
    return MAGIC.sub("pass", "\n".join(cell.code for cell in page.cells))


@cache
def environment() -> str:
    """Python とライブラリの版。"""
    libraries = (f"{library}=={version(library)}" for library in LIBRARIES)
    return " ".join([platform.python_version(), *libraries])


def settings(docs: Path) -> list[Path]:
    """どのセルの結果も変えうる、カーネルの設定。"""
    return sorted(docs.glob("_ipython/*/*_config.py"))


def measurements(docs: Path) -> list[Path]:
    """データを読むセルの結果を変えうる、測定の記録。"""
    return sorted(path for path in docs.glob("[!_]*/*.*") if path.suffix in (".json", ".csv"))


def add(h: hashlib._Hash, root: Path, paths: Iterable[Path]) -> None:
    """ファイルの場所と中身。"""
    for path in paths:
        h.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")


def key(page: Page, docs: Path, known: Known) -> str:
    """1 つの頁の鍵。``docs`` は ``conf.py`` のあるフォルダー。"""
    root = docs.parent
    code = code_of(page)
    h = hashlib.sha256(environment().encode())
    for path in sorted(reached(root, code, known)):
        h.update(f"{path.relative_to(root).as_posix()}\0{module(path, known).essence}\0".encode())
    data = measurements(docs) if any(DATA.search(cell.code) for cell in page.cells) else []
    add(h, root, sorted([*settings(docs), *data]))
    return h.hexdigest()[:16]


def premises(docs: Path) -> str:
    """頁の原稿のほかに、鍵を決めるもの。これが同じなら、原稿の変わらない頁の鍵も同じ。

    モジュールを構文として読まないので、鍵をすべて作り直すより速い。
    """
    h = hashlib.sha256(environment().encode())
    add(h, docs.parent, [*modules(docs.parent).values(), *settings(docs), *measurements(docs)])
    return h.hexdigest()
