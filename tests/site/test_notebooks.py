"""頁から作ったノートブック: 読める Markdown であり、本の外で、ホイールだけで動く。"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import nbformat
import pytest
from docutils import nodes
from lxml import html
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from vg.manuscript import DOCS, Manuscript
from vg.math import typeset
from vg.notebook import markdown

MACROS = {r"\pd": r"\frac{\partial #1}{\partial #2}", r"\T": r"^{\mathsf{T}}", r"\d": r"\mathrm{d}"}
# 理論の頁と、動かせる図の頁。すべての頁は、毎週、`--every-page` で動かす
QUICK = ["part3/xavier", "part4/batchnorm"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "name" in metafunc.fixturenames:
        every = metafunc.config.getoption("every_page")
        executed = [page.name for page in Manuscript().pages.values() if page.is_notebook]
        metafunc.parametrize("name", executed if every else QUICK)


# --- 数式と文 ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tex", "expanded"),
    [
        (r"\pd{L}{W\T}", r"\frac{\partial L}{\partial W^{\mathsf{T}}}"),
        (r"\pd{\pd{a}{b}}{c}", r"\frac{\partial \frac{\partial a}{\partial b}}{\partial c}"),
        (r"\pd L\theta", r"\frac{\partial L}{\partial \theta}"),
        (r"\delta + \d x", r"\delta + \mathrm{d} x"),
        (r"\Tilde W", r"\Tilde W"),
    ],
)
def test_macros_become_plain_tex(tex: str, expanded: str):
    assert markdown.expand(tex, MACROS) == expanded


def test_a_macro_never_runs_into_the_next_letter():
    assert markdown.expand(r"\a b\a{}c", {r"\a": r"\alpha"}) == r"\alpha b\alpha{}c"
    assert markdown.expand(r"\x{1}b", {r"\x": r"#1\beta"}) == r"1\beta b"


def paragraph(*children: nodes.Node) -> str:
    return markdown.Writer(MACROS).inline(nodes.paragraph("", "", *children))


@pytest.mark.parametrize("text", ["a * b * c", "x_1 と y_2", "`b`", "3 < 5", "$5", r"\n", "[a](b)"])
def test_characters_of_the_text_are_not_markup(text: str):
    rendered = MarkdownIt().use(dollarmath_plugin).render(paragraph(nodes.Text(text)))
    plain = re.sub(r"<[^>]+>", "", rendered).strip()
    assert plain.replace("&lt;", "<").replace("&amp;", "&") == text


def test_strong_text_that_ends_with_a_mark_stays_strong_before_a_letter():
    text = paragraph(nodes.strong("", "「消える」。"), nodes.Text("次に"))
    assert "<strong>「消える」。</strong>次に" in MarkdownIt().render(text)


def test_links_inside_the_book_need_the_address_of_the_book():
    link = nodes.reference("", "前の章", internal=True, refuri="../part1/backprop.html#sec")
    assert markdown.Writer({}).inline(link) == "前の章"
    page = "https://example.org/book/part2/relu.html"
    expected = "[前の章](https://example.org/book/part1/backprop.html#sec)"
    assert markdown.Writer({}, page=page).inline(link) == expected


# --- できあがったすべてのノートブック -------------------------------------------------------


@pytest.fixture(scope="module")
def notebooks(book: Path) -> dict[str, Any]:
    paths = sorted(book.rglob("*.ipynb"))
    names = [path.relative_to(book).with_suffix("").as_posix() for path in paths]
    return {name: nbformat.read(path, 4) for name, path in zip(names, paths, strict=True)}


def sources(notebook: Any, kind: str) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == kind]


def test_every_executed_page_offers_its_notebook_and_the_wheel(book: Path, notebooks):
    executed = {page.name for page in Manuscript().pages.values() if page.is_notebook}
    assert len(executed) >= 20
    assert set(notebooks) == executed
    (wheel,) = (book / "downloads").glob("vgbook-*.whl")
    # 中身で決まる版なら、同じ番号の古いホイールが入っていても、入れ直される
    assert re.fullmatch(r"vgbook-[\d.]+\+[0-9a-f]{8}-py3-none-any\.whl", wheel.name)
    for name in notebooks:
        html = (book / f"{name}.html").read_text(encoding="utf-8")
        assert f'href="{Path(name).name}.ipynb" download>ノートブック</a>' in html
        assert f'{"../" * name.count("/")}downloads/{wheel.name}" download>' in html
        assert f"%pip install --quiet {wheel.name}\n" in sources(notebooks[name], "code")[0]


def test_every_notebook_is_valid_with_a_name_for_every_cell(notebooks):
    for notebook in notebooks.values():
        nbformat.validate(notebook)
        ids = [cell.id for cell in notebook.cells]
        assert len(set(ids)) == len(ids)


def test_no_notebook_needs_the_machine_or_the_tools_of_the_book(notebooks):
    for name, notebook in notebooks.items():
        code = "\n".join(sources(notebook, "code"))
        assert "myst_nb" not in code, name
        assert str(DOCS.parent) not in json.dumps(notebook, ensure_ascii=False), name


def test_every_code_cell_of_the_page_is_there_in_its_order(notebooks):
    pages = Manuscript().pages
    for name, notebook in notebooks.items():
        codes = [cell.code for cell in pages[name].cells]
        cells = [code.replace("from myst_nb import glue\n", "").strip() for code in codes]
        assert [s.strip() for s in sources(notebook, "code")][-len(cells) :] == cells, name


LEFTOVER = re.compile(
    r"\{(?:ref|numref|eq|term|doc|cite\S*|glue\S*|math)\}|^:::|^```\{", re.MULTILINE
)


def test_no_markup_of_the_book_is_left_in_the_text(notebooks):
    for name, notebook in notebooks.items():
        assert not LEFTOVER.findall("\n".join(sources(notebook, "markdown"))), name


def test_every_formula_can_be_set_without_the_macros_of_the_book(notebooks):
    parser = MarkdownIt().use(dollarmath_plugin)
    formulas = 0
    for notebook in notebooks.values():
        for token in parser.parse("\n\n".join(sources(notebook, "markdown"))):
            for math in [token, *(token.children or [])]:
                if math.type.startswith("math"):
                    typeset.render(math.content, {}, display=math.type == "math_block")
                    formulas += 1
    assert formulas > 1000


MATH = r'<(span|div) class="math.*?</\1>'
NOT_PROSE = (
    ".math, .page-tools, .cell_output, .headerlink, .sd-summary-state-marker, .cards .label, script"
)


def visible(text: str) -> str:
    """字だけ。空白、数式、Markdown が使う記号は比べない。"""
    return re.sub(r"[\s\W_]+", "", text)


def test_every_paragraph_of_the_page_is_in_the_notebook(book: Path, notebooks):
    """頁の本文を、ノートブックを HTML にしたものと比べる。"""
    parser = MarkdownIt("commonmark", {"html": True}).enable("table").use(dollarmath_plugin)
    for name, notebook in notebooks.items():
        prose = parser.render("\n\n".join(sources(notebook, "markdown")))
        got = html.fromstring(re.sub(MATH, "", prose, flags=re.DOTALL))
        found = visible(got.text_content())
        page = html.fromstring((book / f"{name}.html").read_text(encoding="utf-8"))
        (article,) = page.cssselect("article")
        for drop in article.cssselect(NOT_PROSE):
            drop.drop_tree()
        paragraphs = article.cssselect("p:not(.cell p), li > p, td, h2, h3")
        assert len(paragraphs) > 3
        missing = [p.text_content() for p in paragraphs if visible(p.text_content()) not in found]
        assert missing == [], name


# --- 公開先とリポジトリを決めたとき ----------------------------------------------------------


def test_with_an_address_the_notebook_installs_from_it_and_opens_elsewhere(tmp_path: Path):
    from test_build import ANSWER, HEAD, Book

    book = Book(tmp_path, {"number": HEAD + ANSWER})
    options = [
        "html_baseurl=https://example.org/book/",
        "notebook_repository=https://github.com/a/b",
    ]
    run = book.build(*(part for option in options for part in ("-D", option)))
    assert run.returncode == 0, run.stderr
    path = book.docs / "_build" / "html" / "number.ipynb"
    install = sources(nbformat.read(path, 4), "code")[0]
    assert re.match(
        r"%pip install --quiet https://example\.org/book/downloads/vgbook-\S+\.whl", install
    )
    html = book.page("number")
    assert "https://colab.research.google.com/github/a/b/blob/notebooks/number.ipynb" in html
    assert "https://mybinder.org/v2/gh/a/b/notebooks?urlpath=lab%2Ftree%2Fnumber.ipynb" in html
    assert "downloads/vgbook" not in html


def test_without_a_repository_there_is_no_button(book: Path):
    html = (book / "index.html").read_text(encoding="utf-8")
    assert "colab" not in html
    assert "mybinder" not in html


# --- よそで動かす --------------------------------------------------------------------------


@pytest.fixture(scope="session")
def elsewhere(book: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ホイールと、ノートブックを動かす道具だけが入った環境。版は、本を試験した環境にそろえる。"""
    from uv import find_uv_bin

    folder = tmp_path_factory.mktemp("elsewhere")
    pins = [f"{d.name}=={d.version}" for d in distributions() if d.name != "vgbook"]
    (folder / "pins.txt").write_text("\n".join(pins))
    (wheel,) = (book / "downloads").glob("*.whl")

    def uv(*options: str) -> None:
        subprocess.run([find_uv_bin(), *options], cwd=folder, env=clean(), check=True)

    uv("venv", "--quiet", "--seed", "--python", sys.executable, "environment")
    install = ["pip", "install", "--quiet", "--python", "environment", "--constraints", "pins.txt"]
    uv(*install, str(wheel), "ipykernel", "nbclient")
    return folder


def clean() -> dict[str, str]:
    """リポジトリや、いまの環境を指す変数のない環境変数。"""
    outside = ("PYTHON", "VIRTUAL_ENV", "UV_", "IPYTHON", "JUPYTER")
    return {key: value for key, value in os.environ.items() if not key.startswith(outside)}


def test_the_elsewhere_has_no_tool_of_the_book(elsewhere: Path):
    python = elsewhere / "environment" / "bin" / "python"
    command = [python, "-m", "pip", "list", "--format=freeze"]
    listed = subprocess.run(command, env=clean(), capture_output=True, check=True)
    assert b"myst" not in listed.stdout.lower()


def imports(notebook: Any) -> set[str]:
    """セルの import の文。IPython の命令 (``%pip``、``%%writefile`` など) は、除いて読む。"""
    cells = [cell for cell in sources(notebook, "code") if not cell.startswith("%%")]
    tree = ast.walk(ast.parse(re.sub(r"^%.*$", "", "\n".join(cells), flags=re.MULTILINE)))
    return {ast.unparse(node) for node in tree if isinstance(node, ast.Import | ast.ImportFrom)}


def test_whatever_the_notebooks_import_comes_with_the_wheel(elsewhere: Path, notebooks):
    wanted = set().union(*map(imports, notebooks.values()))
    assert len(wanted) > 20
    python = elsewhere / "environment" / "bin" / "python"
    command = [python, "-c", "\n".join(sorted(wanted))]
    run = subprocess.run(
        command, cwd=elsewhere, env=clean(), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.slow
@pytest.mark.elsewhere
def test_a_notebook_runs_with_nothing_but_the_wheel(
    name: str, book: Path, elsewhere: Path, tmp_path: Path
):
    wheel = next((book / "downloads").glob("*.whl"))
    notebook = tmp_path / "a.ipynb"
    shutil.copy(wheel, tmp_path)
    shutil.copy(book / f"{name}.ipynb", notebook)
    run = subprocess.run(
        [elsewhere / "environment/bin/jupyter-execute", "--inplace", "--timeout=300", notebook],
        cwd=tmp_path,
        env=clean(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    cells = [c for c in nbformat.read(notebook, 4).cells if c.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    drawn = any("image/svg+xml" in o.get("data", {}) for c in cells for o in c.outputs)
    assert drawn == ("\n    alt:" in Manuscript().pages[name].text)
