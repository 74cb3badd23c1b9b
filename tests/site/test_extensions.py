"""docs/_ext の小さな部品: 数式、図の寸法、キャッシュの鍵。"""

from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from docutils import nodes
from docutils.utils import new_document
from hypothesis import given
from hypothesis import strategies as st
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from sphinx import addnodes
from sphinx.util.parallel import make_chunks

from vg.build import execution, garbage, pages
from vg.build.key import Known, code_of, key, premises, reached
from vg.manuscript import DOCS, Manuscript, Page
from vg.math import typeset
from vg.page import folds, lines, markup, navigation, poster

# --- 改行 --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "before", "after", "joined"),
    [
        ("勾配が\n消える", "", "", "勾配が消える"),
        ("消える。\nReLU は", "", "", "消える。ReLU は"),
        ("ReLU\nfunction", "", "", "ReLU\nfunction"),
        ("ReLU は\nsigmoid と", "", "", "ReLU は\nsigmoid と"),
        ("勾配は\n", "", "消", "勾配は"),
        ("\nと重み", "値", "", "と重み"),
        ("\nと重み", "x", "", "\nと重み"),
    ],
)
def test_line_breaks_inside_japanese_leave_no_space(text, before, after, joined):
    assert lines.join(text, before, after) == joined


def test_a_line_break_between_letters_is_not_taken_for_its_sibling():
    """改行だけの節がいくつもあっても、和文の間にあるものだけを除く。"""
    document = new_document("page")
    pieces = ["ReLU", "\n", "と呼ぶ。", "\n", "次に"]
    document += nodes.paragraph("", "", *map(nodes.Text, pieces))
    lines.join_lines(None, document)
    assert document.astext() == "ReLU\nと呼ぶ。次に"


def test_an_empty_text_after_emphasis_does_not_hide_the_letter_before_it():
    document = new_document("page")
    texts = map(nodes.Text, ["", "\n", "小さなずれほど遅れる。"])
    document += nodes.paragraph("", "", nodes.strong("", "差は育ち、"), *texts)
    lines.join_lines(None, document)
    assert document.astext() == "差は育ち、小さなずれほど遅れる。"


def test_a_space_the_source_needs_around_emphasis_and_links_is_not_shown():
    """半角の字や、数式との間の空白は残す。"""
    document = new_document("page")
    link = nodes.reference("", "式 (4.5)")
    pieces = [nodes.Text(" "), nodes.Text("これを "), link, nodes.Text(" に "), nodes.math("", "x")]
    document += nodes.paragraph("", "", nodes.strong("", "消えます。"), *pieces)
    lines.close_gaps(HTML, document, "page")
    assert document.astext() == "消えます。これを式 (4.5) に x"


# --- 数式 --------------------------------------------------------------------------------


def test_formulas_become_html_and_mathml():
    html = typeset.render(r"\pd{L}{W}\text{ 勾配}", {r"\pd": r"\frac{#1}{#2}"}, display=True)
    assert "<math" in html
    assert "katex-html" in html
    assert "勾配" in html


@pytest.mark.parametrize("tex", [r"\undefined", r"\frac{1", "勾配", r"a & b"])
def test_a_slip_in_a_formula_is_an_error(tex: str):
    with pytest.raises(ValueError, match="KaTeX"):
        typeset.render(tex, {}, display=False)


# --- 図 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ('<svg width="460.8pt" height="345.6pt" viewBox="0 0 460.8 345.6">', (614, 461)),
        ('<svg height="20" width="10px">', (10, 20)),
        ('<svg viewBox="0 0 32 16">', (32, 16)),
        ("<svg>", None),
    ],
)
def test_the_size_of_an_svg_is_read_in_css_pixels(tmp_path: Path, head: str, size):
    (tmp_path / "a.svg").write_text(f"<?xml version='1.0'?>\n{head}</svg>")
    assert markup.image_size(tmp_path / "a.svg") == size


# --- キャッシュの鍵 -----------------------------------------------------------------------

CODE = "import vgbook as vg\nfrom vgbook.book import plotting\n\n%time vg.mlp(open('x.csv'))"
PAGE = Page("a", f"```{{code-cell}}\n{CODE}\n```\n")
FILES = {
    "docs/_ipython/profile_default/ipython_kernel_config.py": "1\n",
    "docs/appendix/speed-results.json": "1\n",
    "docs/appendix/site-table.csv": "1\n",
    "docs/part6/clinic-results.json": "1\n",
    "docs/appendix/speed.md": "1\n",
    "vgbook/__init__.py": "from vgbook.network import mlp\n",
    "vgbook/network.py": "def mlp():\n    from vgbook.layers.affine import Affine\n",
    "vgbook/layers/__init__.py": "1\n",
    "vgbook/layers/affine.py": "1\n",
    "vgbook/book/__init__.py": "1\n",
    "vgbook/book/plotting.py": '"""図。"""\n\n\ndef band():\n    """帯。"""\n    return 1\n',
    "vgbook/book/explore.py": "1\n",
}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_the_cache_key_follows_whatever_the_cells_read(sources: Path, name: str):
    known: Known = {}  # 前の組みで読んだものが残っていても
    before = key(PAGE, sources / "docs", known)
    assert key(PAGE, sources / "docs", known) == key(PAGE, sources / "docs", {}) == before
    (sources / name).write_text("2\n", encoding="utf-8")
    changed = key(PAGE, sources / "docs", known) != before
    assert changed == (name not in ("vgbook/book/explore.py", "docs/appendix/speed.md"))


@pytest.mark.parametrize("name", FILES)
def test_the_keys_are_made_again_whenever_one_may_have_changed(sources: Path, name: str):
    before = premises(sources / "docs")
    assert premises(sources / "docs") == before
    (sources / name).write_text("2\n", encoding="utf-8")
    assert (premises(sources / "docs") != before) == (name != "docs/appendix/speed.md")


def test_the_cache_key_does_not_follow_comments_and_docstrings(sources: Path):
    plotting = sources / "vgbook" / "book" / "plotting.py"
    before = key(PAGE, sources / "docs", {})
    plotting.write_text(f"{FILES['vgbook/book/plotting.py']}    '欄の説明。'\n", encoding="utf-8")
    assert key(PAGE, sources / "docs", {}) == before
    plotting.write_text("# 図\ndef band():\n    '帯。'\n    return 1  # 仮\n", encoding="utf-8")
    assert key(PAGE, sources / "docs", {}) == before
    plotting.write_text("def band():\n    return 2\n", encoding="utf-8")
    assert key(PAGE, sources / "docs", {}) != before


def test_a_new_check_brings_its_page_into_the_contents():
    env = SimpleNamespace(found_docs={"checks/index", "api/index", "checks/new", "part1/a"})
    assert pages.outdated(None, env, {"checks/new"}, set(), set()) == ["checks/index"]
    assert pages.outdated(None, env, {"part1/a"}, set(), {"api/old"}) == ["api/index"]
    assert pages.outdated(None, env, set(), {"checks/new"}, set()) == []


def test_a_poster_is_drawn_again_with_new_letters(monkeypatch: pytest.MonkeyPatch):
    made = poster.Poster("題", "第 1 章", "本")
    before = made.key()
    assert made.key() == before
    monkeypatch.setattr(poster, "version", lambda name: f"{name} の次の版")
    assert made.key() != before


def test_posters_have_the_colours_of_the_pages():
    tokens = (DOCS / "_ext/vg/page/tokens.css").read_text(encoding="utf-8")
    names = {"ink": poster.INK, "signal": poster.SIGNAL, "gradient": poster.GRADIENT}
    for name, colour in names.items():
        assert f"--vg-{name}: {colour};" in tokens


def test_a_kept_tree_points_to_nothing_but_itself():
    tree, inner = (new_document(name) for name in ("page", "eval-rst"))
    paragraph = nodes.paragraph("", "文")
    inner += paragraph
    inner.remove(paragraph)
    tree += nodes.section("", paragraph)
    paragraph.document = inner
    garbage.adopt(None, tree)
    assert {id(node.document) for node in tree.findall()} == {id(tree)}


def test_every_page_depends_on_the_modules_it_imports():
    for page in Manuscript().pages.values():
        if "import vgbook" in page.text and page.cells:
            assert len(reached(DOCS.parent, code_of(page), {})) > 10, page.name


def test_only_results_that_were_written_to_the_end_are_kept(tmp_path: Path):
    cache = get_cache(tmp_path)
    for name in ("whole", "cut", "gone"):
        cell = nbformat.v4.new_code_cell(f"{name} = 1", execution_count=1)
        made = CacheBundleIn(nbformat.v4.new_notebook(cells=[cell]), name)
        cache.cache_notebook_bundle(made, check_validity=False)
    written = {record.uri: record.hashkey for record in cache.list_cache_records()}
    cut, gone = (tmp_path / "executed" / written[name] / "base.ipynb" for name in ("cut", "gone"))
    cut.write_bytes(cut.read_bytes()[:-30])
    gone.unlink()
    execution.drop_half_written(cache)
    (kept,) = cache.list_cache_records()
    assert kept.uri == "whole"
    assert not cut.parent.exists()
    assert cache.get_cache_bundle(kept.pk).nb.cells[0].source == "whole = 1"


# --- 並列 --------------------------------------------------------------------------------


def test_the_pages_with_the_longest_programs_are_read_first(tmp_path: Path):
    head = "---\nfile_format: mystnb\n---\n"
    for name, lines_of_code in (("a", 1), ("b", 0), ("c", 9), ("d", 4), ("e", 0), ("f", 7)):
        cell = "```{code-cell} python\n" + "x = 1\n" * lines_of_code + "```\n"
        text = head + cell if lines_of_code else "文。\n"
        (tmp_path / f"{name}.md").write_text(text, encoding="utf-8")
    names = list("abcdef")
    app = SimpleNamespace(parallel=2)
    env = SimpleNamespace(doc2path=lambda name: tmp_path / f"{name}.md")
    execution.spread(app, env, names)
    first, second = make_chunks(names, 2)
    assert (first, second) == (["c", "d", "b"], ["f", "a", "e"])


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 8))
def test_the_readers_share_the_notebooks_and_none_reads_them_alone_at_the_end(
    count: int, others: int, readers: int
):
    notebooks = [f"n{i}" for i in range(count)]
    prose = [f"p{i}" for i in range(others)]
    chunks = make_chunks(notebooks + prose, readers)
    dealt = execution.deal(notebooks, prose, [len(chunk) for chunk in chunks], readers)
    assert sorted(dealt) == sorted(notebooks + prose)
    dealt_chunks = make_chunks(dealt, readers)
    together = len(chunks) // readers * readers
    shares = [len(set(chunk) & set(notebooks)) for chunk in dealt_chunks]
    room = sum(map(len, chunks[:together]))
    if together and count <= room:
        assert sum(shares[together:]) == 0
        pairs = zip(shares[:together], chunks, strict=False)
        with_room = [share for share, chunk in pairs if share < len(chunk)]
        assert max(shares) - min(with_room, default=max(shares)) <= 1


# --- 目次 --------------------------------------------------------------------------------


def contents(title: str, *below: nodes.Node) -> nodes.bullet_list:
    """Sphinx が頁ごとに持つ目次。"""
    item = nodes.list_item("", addnodes.compact_paragraph("", title))
    if below:
        item += nodes.bullet_list("", *below)
    return nodes.bullet_list("", item)


def test_the_contents_keep_titles_and_the_pages_below_and_lose_the_sections():
    pages = addnodes.toctree(entries=[(None, "api/relu")])
    section = contents("節", pages, *contents("小節")).children[0]
    for toc, kept in (
        (contents("題", *contents("節")), contents("題")),
        (contents("題", section, *contents("次の節")), contents("題", pages)),
        (contents("題"), contents("題")),
    ):
        before = toc.deepcopy()
        assert navigation.titles(toc).pformat() == kept.pformat()
        assert toc.pformat() == before.pformat()


def test_a_source_page_that_nothing_links_to_is_not_made():
    linked, lost = ("x = 1\n", {}, {"f": "api/a"}, "a"), ("", {}, {}, "b")
    env = SimpleNamespace(_viewcode_modules={"a": linked, "b": lost, "builtins": False})
    pages.drop_unlinked_sources(None, env)
    assert env._viewcode_modules == {"a": linked, "builtins": False}


# --- たたみ ------------------------------------------------------------------------------


def cell(code: str, *outputs: str, hide: str | None = "input") -> nodes.container:
    made = nodes.container(nb_element="cell_code", **({"hide_mode": hide} if hide else {}))
    made += nodes.container("", nodes.literal_block(code, code), nb_element="cell_code_source")
    for text in outputs:
        made += nodes.container("", nodes.literal_block(text, text), nb_element="cell_code_output")
    return made


def test_a_fold_that_shows_nothing_goes_into_the_next_one():
    document = new_document("page")
    document += [cell("import"), nodes.paragraph("", "文"), cell("measure"), cell("draw", "図")]
    folds.merge(document)
    (left,) = document.findall(folds.is_cell)
    codes = [block.astext() for block in left.findall(nodes.literal_block)]
    assert codes == ["import", "measure", "draw", "図"]
    assert document[0].astext() == "文"


@pytest.mark.parametrize(
    "pair",
    [
        (cell("measure", "値"), cell("draw", "図")),  # 出力がある
        (cell("import"), cell("shown", hide=None)),  # 次のセルは見せている
        (cell("import"), cell("check", "値", hide="all")),  # 次のセルは出力もたたむ
        (cell("shown", hide=None), cell("draw", "図")),
    ],
)
def test_no_other_cell_is_moved(pair):
    document = new_document("page")
    document += [one.deepcopy() for one in pair]
    before = document.pformat()
    folds.merge(document)
    assert document.pformat() == before


# --- 数の途中 ----------------------------------------------------------------------------

HTML = SimpleNamespace(builder=SimpleNamespace(format="html"))  # 組む形だけを答える


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("0.57 (0.54〜0.61)", "0.57 (0.54〜\u20600.61)"),
        ("2.26–2.31", "2.26–\u20602.31"),
        ("0.24 ± 0.01", "0.24\u00a0±\u00a00.01"),
        ("A–D の仮定", "A–D の仮定"),
        ("第 3 章の図 3.2 と式 (3.1)", "第\u00a03\u00a0章の図\u00a03.2 と式\u00a0(3.1)"),
    ],
)
def test_a_range_stays_in_one_line(text: str, kept: str):
    document = new_document("page")
    document += nodes.paragraph("", text)
    lines.keep_numbers(HTML, document, "page")
    assert document.astext() == kept


def test_a_formula_stays_with_its_unit():
    document = new_document("page")
    document += nodes.paragraph("", "", nodes.math("", "c"), nodes.Text("\u00a0倍にします"))
    lines.keep_punctuation(HTML, document, "page")
    (kept,) = document.findall(nodes.inline)
    assert kept.astext() == "c\u00a0倍"


def test_an_output_in_columns_is_not_wrapped():
    document = new_document("page")
    document += [cell("print", "層    1    2"), cell("print", "長い文。1 つの空白。")]
    lines.wrap_sentences(HTML, document, "page")
    marked = [b.astext() for b in document.findall(nodes.literal_block) if "prose" in b["classes"]]
    assert marked == ["長い文。1 つの空白。"]


def test_a_small_book_that_shows_no_check_is_not_told_to_show_them(tmp_path, monkeypatch):
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "he.py").touch()
    (tmp_path / "index.md").write_text("# 本\n\n```{toctree}\ntry\n```\n", encoding="utf-8")
    (tmp_path / "try.md").write_text("# 試し\n", encoding="utf-8")
    told = []
    monkeypatch.setattr(pages.log, "warning", lambda *words: told.append(words))
    assert pages.check_pages(Manuscript(tmp_path)) == {}
    assert told == []
