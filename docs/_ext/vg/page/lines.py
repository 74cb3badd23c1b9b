"""和文の改行: 原稿の改行を空白にせず、数式の前後の約物を行頭・行末に残さない。

HTML の改行は空白として表示される。欧文には要るが、和文の字と字の間では余計で、
検索の語も切ってしまう。数式は 1 つの箱なので、ブラウザーは禁則に構わず、その前後で改行する。
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx

LETTER = r"\u2010-\u2027\u3000-\u30ff\u3400-\u9fff\uff00-\uffef"  # 約物・かな・漢字・全角
OPEN, CLOSE = "「『（【", "、。」』）】！？"
BREAK = re.compile(rf"(?<=[{LETTER}])\n *(?=[{LETTER}])|(?<=[{CLOSE}])\n *|\n *(?=[{OPEN}])")
EXACT = (nodes.math, nodes.math_block, nodes.literal, nodes.literal_block, nodes.raw)  # 字のまま
BLOCKS = (nodes.paragraph, nodes.caption, nodes.title, nodes.term, nodes.legend)


def join(text: str, before: str = "", after: str = "") -> str:
    """和文の中の改行を除く。``before`` と ``after`` は、強調やリンクをはさんだ隣の字。

    >>> join("勾配が\\n消える。\\n    ReLU は\\nsigmoid と違う", after="。")
    '勾配が消える。ReLU は\\nsigmoid と違う'
    """
    joined = BREAK.sub("", f"{before}{text}{after}")
    return joined[len(before) : len(joined) - len(after)]


def put(text: nodes.Text, new: str) -> nodes.Text:
    """``text`` を ``new`` に替える。同じ文字列の兄弟 (改行だけの字) でなく、同一の節を。"""
    if new == text:
        return text
    place = next(i for i, child in enumerate(text.parent) if child is text)
    text.parent[place] = nodes.Text(new)
    replaced: nodes.Text = text.parent[place]
    return replaced


def join_lines(app: Sphinx, doctree: nodes.document) -> None:
    for block in doctree.findall(lambda node: isinstance(node, BLOCKS)):
        # 強調の後には空の字がある
        texts = [text for text in block.findall(nodes.Text) if str(text)]
        strings = ["", *map(str, texts), ""]
        for i, text in enumerate(texts):
            if "\n" in text and not isinstance(text.parent, nodes.math | nodes.raw):
                put(text, join(text, strings[i][-1:], strings[i + 2][:1]))


GAP = re.compile(rf"(?<=[{LETTER}]) +(?=[{LETTER}])|(?<=[{CLOSE}]) +| +(?=[{OPEN}])")


def close_gap(before: str, after: str) -> tuple[str, str]:
    """隣り合う 2 つの字の列の境から、和文に要らない空白を除く。

    強調の終わりや参照の前には、原稿で空白が要る。

    >>> close_gap("勾配は消えます。", " ReLU でも"), close_gap("これを ", "式 (4.5)")
    (('勾配は消えます。', 'ReLU でも'), ('これを', '式 (4.5)'))
    >>> close_gap("重み ", "W"), close_gap("斎藤", " "), close_gap("あります。", " ")
    (('重み ', 'W'), ('斎藤', ' '), ('あります。', ''))
    """
    left, right = before.rstrip(" \n"), after.lstrip(" \n")
    ends = left[-1:] + right[:1]
    closed = ends and GAP.sub("", f"{left[-1:]} {right[:1]}") == ends
    return (left, right) if closed else (before, after)


def close_gaps(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    if app.builder.format != "html":
        return
    for block in doctree.findall(lambda node: isinstance(node, BLOCKS)):
        texts = [text for text in block.findall(nodes.Text) if str(text)]
        for i in range(len(texts) - 1):
            pair = texts[i : i + 2]
            if not any(isinstance(text.parent, EXACT) for text in pair):
                texts[i : i + 2] = map(put, pair, close_gap(*map(str, pair)))


# 3.9 × 10⁻⁷ と 34 % と 20 層と 0.24 ± 0.01 と第 3 章と図 3.2 の、行を分けない空白
UNITS = "[×%％倍桁回個層枚本点行字種組乗分秒年章]|つ|次元|通り|時刻|ページ|[KMG]i?B|ms|ミリ秒"
NUMBER = re.compile(
    rf"(?<=[\d⁰¹²³⁴-⁹]) (?={UNITS}|±)|(?<=×) (?=10[⁻⁰¹²³⁴-⁹]|\d)|(?<=±) (?=\d)"
    r"|(?<=第) (?=[\dIV])|(?<=[図表式]) (?=\(?\d)|(?<=リスト) (?=\d)"
)
NO_BREAK = "\u00a0"
# 行末に置かない字 (開くもの) と、行頭に置かない字 (閉じるもの)。半角も同じ
# 数式は 1 つの箱なので、行を分けない空白だけでは、すぐ後の単位とつながらない
BEFORE = re.compile(r"[（「『【〔(\[]+$")
AFTER = re.compile(rf"[、。，．：；！？）」』】〕％・ー,.:;!?)\]%]+|{NO_BREAK}(?:{UNITS})")
RANGE = re.compile(r"(?<=\d)([–〜])(?=[\d−])")  # 0.13–0.18 の、線の後ろ
JOINER = "\u2060"  # 幅のない、行を分けない字


def keep_numbers(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """数と、その桁や単位を、同じ行に置く。動かせる図の文も。"""
    if app.builder.format != "html":
        return
    before = ""  # すぐ前の字。数式は、数とみなす
    for text in list(doctree.findall(nodes.Text)):
        widget = isinstance(text.parent, nodes.raw) and 'class="vg-' in text
        if widget or not isinstance(text.parent, EXACT):
            new = NUMBER.sub(NO_BREAK, f"{before}{text}")
            put(text, RANGE.sub(rf"\1{JOINER}", new)[len(before) :])
        before = "0" if isinstance(text.parent, nodes.math) else text[-1:]


def keep_punctuation(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """数式を、すぐ前の開く括弧と、すぐ後の句読点や閉じる括弧や単位と一緒に包む。"""
    if app.builder.format != "html":
        return
    for formula in list(doctree.findall(nodes.math)):
        parent, at = formula.parent, formula.parent.index(formula)
        head = parent[at - 1] if at else None
        tail = parent[at + 1] if at + 1 < len(parent) else None
        opening = BEFORE.search(head) if isinstance(head, nodes.Text) else None
        closing = AFTER.match(tail) if isinstance(tail, nodes.Text) else None
        if opening or closing:
            kept = nodes.inline("", "", classes=["keep"])
            if opening and head is not None:
                parent[at - 1] = nodes.Text(head[: opening.start()])
                kept += nodes.Text(opening[0])
            kept += formula
            if closing and tail is not None:
                parent[at + 1] = nodes.Text(tail[closing.end() :])
                kept += nodes.Text(closing[0])
            parent[at] = kept


OUTPUT = "cell_code_output"
COLUMNS = re.compile(r"\S {2,}\S")


def wrap_sentences(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """セルの出力のうち、桁をそろえた表でないものに印を付ける。狭い画面では折り返す (book.css)。"""
    outputs = [c for c in doctree.findall(nodes.container) if c.get("nb_element") == OUTPUT]
    for block in (block for output in outputs for block in output.findall(nodes.literal_block)):
        if not COLUMNS.search(block.astext()):
            block["classes"].append("prose")


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", join_lines, priority=100)
    app.connect("doctree-resolved", close_gaps)
    app.connect("doctree-resolved", keep_numbers)
    app.connect("doctree-resolved", keep_punctuation)
    app.connect("doctree-resolved", wrap_sentences)
