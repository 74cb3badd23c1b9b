"""和文の改行: 和字の間だけを詰め、欧文の区切りは残す。"""

import sys
from pathlib import Path

import pytest
from docutils import nodes

sys.path.insert(0, str(Path(__file__).parents[1] / "docs" / "_ext"))
vg_newlines = pytest.importorskip("vg_newlines")


def joined(*children):
    paragraph = nodes.paragraph("", "", *children)
    transform = vg_newlines.JoinLines.__new__(vg_newlines.JoinLines)
    transform.document = paragraph
    transform.apply()
    return paragraph.astext()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("層を\nさかのぼる", "層をさかのぼる"),
        ("消えます。\nでは", "消えます。では"),
        ("値は、\nReLU です", "値は、ReLU です"),
        ("値は\n「正」です", "値は「正」です"),
        ("batch\nnorm", "batch\nnorm"),
        ("関数\nReLU の", "関数\nReLU の"),
        ("ReLU\nの傾き", "ReLU\nの傾き"),
    ],
)
def test_only_line_breaks_inside_japanese_are_removed(source, expected):
    assert joined(nodes.Text(source)) == expected


def test_breaks_next_to_emphasis_are_judged_with_the_neighbour():
    strong = nodes.strong("", "勾配の方向の")
    assert joined(nodes.Text("取り除く\n"), strong, nodes.Text("\n成分を")) == (
        "取り除く勾配の方向の成分を"
    )
    assert joined(nodes.Text("取り除く\n"), nodes.strong("", "ReLU")) == "取り除く\nReLU"


def test_code_and_math_are_left_alone():
    code = nodes.literal("", "あ\nい")
    assert joined(code) == "あ\nい"
    assert joined(nodes.Text("値\n"), nodes.math("", "x")) == "値\nx"
