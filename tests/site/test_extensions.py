"""docs/_ext の小さな部品: 数式、図の寸法、キャッシュの鍵。"""

from pathlib import Path

import pytest
from docutils import nodes
from docutils.utils import new_document
from hypothesis import given
from hypothesis import strategies as st
from sphinx.util.parallel import make_chunks

from vg.build import execution
from vg.math import typeset
from vg.page import lines, markup

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


@pytest.mark.parametrize(
    "name",
    [
        "_ipython/profile_default/ipython_kernel_config.py",
        "../vgbook/layers/affine.py",
        "appendix/speed-results.json",
        "appendix/site-table.csv",
    ],
)
def test_the_cache_key_follows_whatever_the_cells_read(tmp_path: Path, name: str):
    docs = tmp_path / "docs"
    file = docs / name
    docs.mkdir()
    file.parent.mkdir(parents=True)
    file.write_text("1\n")
    before = execution.digest(docs)
    assert execution.digest(docs) == before
    file.write_text("2\n")
    assert execution.digest(docs) != before


# --- 並列 --------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 8))
def test_notebooks_are_spread_over_the_readers(count: int, readers: int):
    notebooks = [f"n{i}" for i in range(count)]
    names = notebooks + [f"p{i}" for i in range(count)]
    chunks = make_chunks(names, readers)
    dealt = execution.deal(names, [len(chunk) for chunk in chunks])
    assert sorted(dealt) == sorted(names)
    full = [chunk for chunk in make_chunks(dealt, readers) if len(chunk) == len(chunks[0])]
    shares = [len(set(chunk) & set(notebooks)) for chunk in full]
    assert max(shares) - min(shares) <= 1
