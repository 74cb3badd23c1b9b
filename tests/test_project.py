"""リポジトリが読者に約束していること: 2 つのコマンド、CI、版、配布物、読む順序、docstring。"""

import ast
import doctest
import functools
import importlib
import inspect
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from conftest import unavailable
from leftovers import leftovers

import vgbook

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(.*?)\n```$", README, flags=re.MULTILINE | re.DOTALL)
MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(vgbook.__path__, "vgbook.")
    if not module.name.rpartition(".")[2].startswith("_")
]
# API の頁をもつモジュール。読者が呼ぶのは、ここにあるもの
DESCRIBED = re.findall(
    r"^\| \[`(vgbook[\w.]+)`\]", (ROOT / "docs/api/index.md").read_text(encoding="utf-8"), re.M
)


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def python(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return run.stdout


# --- import vgbook は軽い -------------------------------------------------------------------


def test_import_loads_no_heavy_library():
    loaded = json.loads(python("import vgbook, sys, json; print(json.dumps(list(sys.modules)))"))
    heavy = {"scipy", "sklearn", "matplotlib", "tqdm", "threadpoolctl", "psutil", "pandas", "torch"}
    assert heavy.isdisjoint(loaded)


def test_import_takes_less_than_300_ms_beyond_numpy():
    code = (
        "import time, numpy, dataclasses, typing; start = time.process_time(); import vgbook;"
        "print(time.process_time() - start)"
    )
    assert min(float(python(code)) for _ in range(3)) <= 0.3


def test_nothing_to_compare_with_is_missing():
    """CI では、importorskip が、答え合わせの相手がないまま通してしまわないように。"""
    peers = ("torch", "quickjs", "playwright", "distributed")
    missing = [name for name in peers if find_spec(name) is None]
    if missing:
        unavailable(f"試験に要るパッケージがありません: {missing}")


# --- README の 2 つのコマンドと、それを使うもの ---------------------------------------------


def sessions() -> dict[str, str | None]:
    """noxfile.py の session の名前と docstring。"""
    functions = [n for n in ast.parse(read("noxfile.py")).body if isinstance(n, ast.FunctionDef)]
    return {f.name: ast.get_docstring(f) for f in functions if f.decorator_list}


def test_readme_sets_up_with_exactly_two_commands():
    assert [command.rsplit(" -s ", 1)[1] for command in COMMANDS] == ["docs", "tests"]
    assert all("\n" not in command for command in COMMANDS)


def test_readme_example_runs_and_prints_what_it_says():
    result = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert result.attempted >= 5
    assert result.failed == 0


def test_readme_commands_name_sessions_of_the_noxfile():
    assert {command.rsplit(" -s ", 1)[1] for command in COMMANDS} <= sessions().keys()


def test_every_session_has_a_one_line_docstring():
    assert all(text and "\n" not in text for text in sessions().values())


@pytest.mark.parametrize("path", [".readthedocs.yaml", ".github/workflows/weekly.yml"])
def test_hosting_uses_the_uv_of_the_readme(path):
    def pins(text):
        return set(re.findall(r"\buv==[\d.]+", text))

    assert len(pins(README)) == 1
    assert pins(read(path)) == pins(README)


def test_the_readme_has_a_way_for_windows():
    (windows,) = re.findall(r"^```bat\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)
    assert {line.rsplit(" -s ", 1)[1] for line in windows.splitlines() if " -s " in line} == {
        "docs",
        "tests",
    }
    assert "&&" not in windows  # Windows PowerShell 5.1 は && を知らない
    assert ".tools" not in windows  # cmd.exe は、/ で書いた場所のプログラムを探せない


def ci(folder: Path, failing: str | None) -> tuple[int, list[str], str]:
    """.ci/run を、README のコマンドだけ偽物にして走らせる。"""
    fake = folder / "command"
    fake.write_text(
        "#!/bin/sh\n"
        '[ "$1" = --list ] && exit\n'
        'echo "$2" >> sessions\n'
        '[ "$2" = tests ] && echo "===== 3 passed in 0.20s ====="\n'
        'echo "nox > the end" >&2\n'
        f'[ "$2" != "{failing}" ]\n'
    )
    (folder / "chromium-headless-shell").write_text("#!/bin/sh\n")
    (folder / ".ci").mkdir()
    (folder / ".ci" / "run").write_text(read(".ci/run"))
    lookup = folder / "docs" / "_ext" / "vg" / "chromium.py"
    lookup.parent.mkdir(parents=True)
    lookup.write_text(read("docs/_ext/vg/chromium.py"))
    (folder / "README.md").write_text(
        "```sh\n./command -s docs\n```\n```sh\n./command -s tests\n```\n"
        "Windows では:\n```\npy nothing -s docs\npy nothing -s tests\n```\n"
    )
    for name in ("command", "chromium-headless-shell"):
        (folder / name).chmod(0o755)
    run = subprocess.run(
        ["bash", ".ci/run"],
        cwd=folder,
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return run.returncode, (folder / "sessions").read_text().split(), run.stdout


@pytest.mark.parametrize("failing", [None, "lint", "prose", "docs", "tests"])
def test_ci_runs_everything_and_fails_when_one_part_fails(tmp_path, failing):
    code, ran, output = ci(tmp_path, failing)
    assert sorted(ran[:3]) == ["docs", "lint", "prose"]  # 並べて走る
    assert ran[3:] == ["tests"]
    assert (code == 0) == (failing is None)
    assert output.splitlines()[-1] == "===== 3 passed in 0.20s ====="


def test_the_weekly_checks_are_sessions():
    workflow = yaml.safe_load(read(".github/workflows/weekly.yml"))
    named = workflow["jobs"]["check"]["strategy"]["matrix"]["session"]
    assert {
        session for names in named for session in names.partition(" --")[0].split()
    } <= sessions().keys()


def test_ci_can_be_executed():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_ci_matrix_covers_the_declared_pythons():
    workflow = yaml.safe_load(read(".github/workflows/ci.yml"))
    classifiers = [c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if ":: 3." in c]
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == classifiers
    assert PROJECT["requires-python"] == f">={classifiers[0]}"


@functools.cache
def modules_of_the_tests() -> set[str]:
    """tests/package が import する名前の、書かれているモジュール。"""
    found = set()
    for path in (ROOT / "tests" / "package").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vgbook"):
                found.add(node.module)
                home = importlib.import_module(node.module)
                found |= {f"{node.module}.{a.name}" for a in node.names}
                found |= {getattr(getattr(home, a.name, 0), "__module__", "") for a in node.names}
    return found


@pytest.mark.parametrize("module", DESCRIBED)
def test_every_module_has_its_tests(module):
    assert any(f"{name}.".startswith(f"{module}.") for name in modules_of_the_tests())


# --- 版と配布物 -----------------------------------------------------------------------------


def test_version_agrees_everywhere():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == PROJECT["version"]
    assert f"## [{PROJECT['version']}] - {citation['date-released']}" in read("CHANGELOG.md")


def test_the_author_is_spelled_in_one_way():
    (author,) = (person["name"] for person in PROJECT["authors"])
    (cited,) = (person["name"] for person in yaml.safe_load(read("CITATION.cff"))["authors"])
    assert cited == author
    assert f"> {author}『" in read("docs/index.md")
    assert "vgbook の著者" not in read("docs/conf.py")


def test_citation_has_what_the_format_requires():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert all("name" in a or "family-names" in a for a in citation["authors"])


def test_wheel_ships_types_and_licence_and_nothing_but_the_package(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    info = f"vgbook-{PROJECT['version']}.dist-info"
    assert "vgbook/py.typed" in names
    assert f"{info}/licenses/LICENSE" in names
    shipped = {name for name in names if not name.startswith(f"{info}/")}
    listed = subprocess.run(
        ["git", "ls-files", "vgbook"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert shipped == set(listed.stdout.split())
    assert all(name.endswith((".py", "/py.typed")) for name in shipped)


def test_the_source_distribution_ships_only_what_is_listed(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(ROOT / "vgbook", source / "vgbook")
    for name in (".gitignore", "CHANGELOG.md", "CITATION.cff", "LICENSE", "LICENSE-docs"):
        shutil.copy(ROOT / name, source)
    for name in ("README.md", "SECURITY.md", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    (source / ".env").write_text("秘密", encoding="utf-8")
    (source / "vgbook" / "moments.py.orig").write_text("書きかけ", encoding="utf-8")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    of_the_package = {name for name in names if name.startswith("vgbook/")}
    assert all(name.endswith((".py", "/py.typed")) for name in of_the_package)
    assert names - of_the_package == {
        *(".gitignore", "CHANGELOG.md", "CITATION.cff", "LICENSE", "LICENSE-docs"),
        *("PKG-INFO", "README.md", "pyproject.toml"),
    }


# --- 読む順序と docstring -------------------------------------------------------------------


def imported_modules(module: ModuleType, *, later: bool = True) -> set[str]:
    """`from vgbook.x import …` の vgbook.x。型だけのための import は数えない。

    ``later`` なら、関数が呼ばれたときの import も数える。
    """
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    names = {module.__name__ for module in MODULES}
    return {
        whole if (whole := f"{node.module}.{alias.name}") in names else node.module
        for node in (ast.walk(tree) if later else tree.body)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("vgbook.")
        for alias in node.names
    }


def room(module: str) -> str:
    """``vgbook.layers.affine`` の部屋は layers。"""
    return module.split(".")[1]


def test_dependencies_point_one_way():
    graph = {module.__name__: imported_modules(module) for module in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES)  # 輪があれば例外


def test_no_room_but_the_book_loads_plots():
    """図を描く部分は、頼まれたときに読み込む。"""
    plots = ("vgbook.book.plotting", "vgbook.book.looks")
    drawn = {m.__name__ for m in MODULES if imported_modules(m, later=False) & {*plots}}
    assert drawn
    assert {room(name) for name in drawn} == {"book"}


def public(module: ModuleType) -> list[tuple[str, object]]:
    """読者が呼ぶもの。モジュールどうしで使う入力の検査 (`check_…`) は含めない。"""
    return [
        (f"{module.__name__}.{name}", value)
        for name, value in vars(module).items()
        if (getattr(value, "__module__", None) or "").startswith(module.__name__)
        if name in vgbook.__all__ or not name.startswith(("_", "check_"))
    ]


PUBLIC = dict(pair for name in DESCRIBED for pair in public(sys.modules[name]))
FUNCTIONS = {name: f for name, f in PUBLIC.items() if inspect.isfunction(f)}
CLASSES = {name: c for name, c in PUBLIC.items() if inspect.isclass(c)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_shows_an_example_that_runs(name):
    text = inspect.getdoc(FUNCTIONS[name]) or ""
    assert ">>> " in text, f"{name} の docstring に doctest がありません"


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_class_is_explained(name):
    assert vars(CLASSES[name]).get("__doc__"), f"{name} に docstring がありません"


def test_every_module_is_explained():
    assert [module.__name__ for module in MODULES if not module.__doc__] == []


def test_the_reading_order_of_the_legend_is_an_order_of_imports():
    """冒頭に書いた順に読めば、まだ読んでいない部屋が出てこない。"""
    assert vgbook.__doc__ is not None
    listed = re.search(r"使います。\n\n([a-z,\s]+)\n\n", vgbook.__doc__)
    assert listed is not None
    order = re.findall(r"[a-z]+", listed[1])
    assert len(order) <= 15
    assert set(order) == {room(module.__name__) for module in MODULES}
    for module in MODULES:
        place = order.index(room(module.__name__))
        used = {room(name) for name in imported_modules(module, later=False)} - {
            "_edge",
            "_progress",
            "_turn",
        }
        assert used <= set(order[: place + 1]), module.__name__


def test_no_private_name_crosses_the_wall_of_a_module():
    """``_`` で始まる名前は、書かれたファイルの中だけで使う (名前から始まるモジュールは除く)。"""
    crossing = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {alias.name}"
        for folder in ("vgbook", "docs", "benchmarks", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if "_build" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if re.match(r"_[A-Za-z]", alias.name) and not (ROOT / folder / f"{alias.name}.py").exists()
    ]
    assert crossing == []


# --- 試験そのもの ---------------------------------------------------------------------------

OF_THE_BOOK = {"checks", "docutils", "myst_nb", "playwright", "quickjs", "sphinx", "torch", "vg"}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests" / "package").glob("*.py")), ids=lambda p: p.name
)
def test_the_tests_of_the_package_need_neither_sphinx_nor_pytorch_to_collect(path: Path):
    module = ast.parse(path.read_text(encoding="utf-8"))
    loaded = {
        name.partition(".")[0]
        for node in module.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [a.name for a in node.names]
        )
    }
    assert loaded.isdisjoint(OF_THE_BOOK)
    if "peers" in loaded:
        assert not used_on_import(module, "torch")  # peers の torch は、なければ、使う所で止まる


LATER = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def used_on_import(node: ast.AST, name: str) -> bool:
    """読み込むだけで ``name`` の中を見るか。関数の中は後で、飾りと既定値はすぐに走る。

    >>> used_on_import(ast.parse("def test(): torch.ones(3)"), "torch")
    False
    >>> used_on_import(ast.parse("@mark(torch.float16)" + chr(10) + "def test(): ..."), "torch")
    True
    """
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id == name
    body = node.body if isinstance(node, LATER) else []
    skipped = body if isinstance(body, list) else [body]
    parts = [part for part in ast.iter_child_nodes(node) if part not in skipped]
    return any(used_on_import(part, name) for part in parts)


def test_every_activation_is_in_the_table_of_the_tests():
    table = read("tests/package/activation_table.py")
    listed = set(re.findall(r"^    (\w+)(?:\(.*?\))?: ", table, re.MULTILINE))
    assert listed == set(vgbook.activations.__all__) - {"Activation"}


@pytest.mark.parametrize(
    "name", ["vgbook/a.py.orig", "docs/b.md.rej", "tests/c.bak", "d.py~", "vgbook/.e.py.swp"]
)
def test_a_file_left_behind_is_found(tmp_path: Path, name: str):
    for path in (name, "vgbook/a.py", "docs/_build/c.bak"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert list(leftovers(tmp_path)) == [name]
