"""答えると説明が返る問題。

問題文、選択肢、選択肢ごとの説明を、箇条書きで書く::

    :::{quiz} he-std
    :value: quiz-he-std

    He の初期値の標準偏差はどれか。

    - [ ] {glue:text}`quiz-he-var`

      分散です。
    - [x] {glue:text}`quiz-he-std`

      $\\sqrt{2/n}$ です。→ [He の初期値](#sec-he)

    ここから後は、答えの後に添える解説 (なくてもよい)。
    :::

``[x]`` が正しい選択肢、``[ ]`` が誤りの選択肢である。2 つ以上選ばせるときは ``:pick:`` に数を書く。
``[=]`` は数を入力させる問題の答えで、そのときの ``[ ]`` は「こう間違えたときの値」になる。

正解は、書くだけでは信じない。``:value:`` はセルが計算した値の名前で、正しい選択肢だけが等しい。
``:truth:`` は選択肢ごとの真偽をセルが調べた列の名前で、印と一致する。どちらか 1 つが必ず要る。

頁に出るのは、選択肢の列と、たたんだ答えだけである。これだけで読め、どの形式の本にもなる。
HTML では ``quiz.js`` が、答えられる形に組み替える。
"""

from __future__ import annotations

import ast
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from myst_nb.core.variables import RetrievalError
from myst_nb.ext.glue.utils import retrieve_glue_data
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator
from sphinx_design.shared import create_component

from vg.quiz import check, scores

MARKS = {"[ ]": " ", "[x]": "x", "[=]": "="}


class quiz(nodes.container):
    """1 つの問題。HTML のほかでは、ただの囲み。"""


class Choice:
    """箇条書きの 1 項目を、印、選択肢、説明に分けたもの。"""

    def __init__(self, item: nodes.Element) -> None:
        first, *self.reason = item.children
        text = first[0] if first.children else ""
        if text[:3] not in MARKS:
            raise ValueError(f"印 ([x] など) のない選択肢があります: {first.astext()!r}")
        self.mark = MARKS[text[:3]]
        first[0] = nodes.Text(text[3:].lstrip())
        self.content: list[nodes.Node] = first.children
        self.text = first.astext().strip()


class Quiz(SphinxDirective):
    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {
        "value": directives.unchanged_required,
        "truth": directives.unchanged_required,
        "pick": directives.positive_int,
        "tolerance": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        parsed = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, parsed)
        try:
            at = next(i for i, node in enumerate(parsed) if is_choices(node))
            choices = [Choice(item) for item in parsed[at]]
            node = quiz(**self.checked(choices))
        except StopIteration:
            raise self.error("選択肢の箇条書き (- [x] で始まる行) がありません") from None
        except ValueError as error:
            raise self.error(f"問題 {self.arguments[0]}: {error}") from error
        self.options["name"] = "quiz-" + self.arguments[0]
        self.add_name(node)
        self.set_source_info(node)
        scores.note(self.env, self.arguments[0])
        question = nodes.container("", *parsed[:at], classes=["quiz-question"])
        listed = [] if node["kind"] == "number" else [choice_list(choices)]
        node += [question, *listed, answer_box(node, choices, parsed[at + 1 :])]
        return [node]

    def checked(self, choices: list[Choice]) -> dict[str, Any]:
        """点検を済ませた、問題の性質。"""
        marks, texts = [c.mark for c in choices], [c.text for c in choices]
        tolerance, kind = self.options.get("tolerance", "1%"), check.kind_of(marks)
        explained = [bool(c.reason) for c in choices]
        check.check_form(marks, texts, explained, self.options.get("pick", 1))
        computed = self.computed()
        check.check_answer(marks, texts, computed, tolerance)
        right = [i for i, mark in enumerate(marks, 1) if mark != " "]
        found = {"kind": kind, "right": right, "tolerance": tolerance}
        if kind == "number":
            found["values"] = check.wrong_values(marks, texts, computed)
        return found

    def computed(self) -> Any:
        """セルが ``glue`` で渡した答え。"""
        keys = [self.options[name] for name in ("value", "truth") if name in self.options]
        if len(keys) != 1:
            raise ValueError(":value: か :truth: のどちらか 1 つで、計算した答えを示してください")
        try:
            output = retrieve_glue_data(self.state.document, keys[0]).data["text/plain"]
            value = ast.literal_eval(output)
        except (RetrievalError, SyntaxError, ValueError) as error:
            raise ValueError(
                f"{keys[0]} を文字列、数、真偽の列として読めません: {error}"
            ) from error
        if isinstance(value, list) != ("truth" in self.options):
            raise ValueError(f":value: は 1 つの値、:truth: は真偽の列にしてください: {value!r}")
        return value


def is_choices(node: nodes.Node) -> bool:
    return isinstance(node, nodes.bullet_list) and node.astext()[:3] in MARKS


def numbered(contents: list[list[nodes.Node]], name: str) -> nodes.enumerated_list:
    items = [nodes.list_item("", *content) for content in contents]
    return nodes.enumerated_list("", *items, enumtype="arabic", suffix=".", classes=[name])


def choice_list(choices: list[Choice]) -> nodes.enumerated_list:
    return numbered([[nodes.paragraph("", "", *c.content)] for c in choices], "quiz-choices")


def answer_box(node: quiz, choices: list[Choice], more: list[nodes.Node]) -> nodes.Element:
    """たたんだ答え。sphinx-design の dropdown と同じ部品なので、ほかの形式でも同じように開く。"""
    box: nodes.Element = create_component(
        "dropdown", type="dropdown", opened=False, has_title=True, icon=None, chevron=None,
        container_classes=["sd-mb-3", "quiz-answer"], title_classes=[], body_classes=[],
    )  # fmt: skip
    box += nodes.rubric("", "答えと解説")
    if node["kind"] == "number":
        items = [nodes.list_item("", number_head(c), *c.reason) for c in choices]
        box += nodes.bullet_list("", *items, classes=["quiz-reasons"])
    else:
        right = " と ".join(str(number) for number in node["right"])
        box += nodes.paragraph("", f"正解は {right} です。")
        box += numbered([c.reason for c in choices], "quiz-reasons")
    box += more
    return box


def number_head(choice: Choice) -> nodes.paragraph:
    if choice.mark == "=":
        texts = nodes.Text("正解は "), *choice.content, nodes.Text(" です。")
    else:
        texts = *choice.content, nodes.Text(" になったときは、次を確かめてください。")
    return nodes.paragraph("", "", *texts)


def visit_quiz(self: HTML5Translator, node: quiz) -> None:
    data = {"data-kind": node["kind"], "data-right": " ".join(map(str, node["right"]))}
    if node["kind"] == "number":
        values = " ".join(map(repr, node["values"]))
        data |= {"data-values": values, "data-tolerance": node["tolerance"]}
    self.body.append(self.starttag(node, "div", CLASS="quiz", **data))


def depart_quiz(self: HTML5Translator, node: quiz) -> None:
    self.body.append("</div>\n")


def add_files(app: Sphinx, name: str, template: str, context: Any, tree: Any) -> None:
    """仕組みは、問題か成績のある頁でだけ読む。"""
    kinds = quiz, scores.quiz_scores
    if tree is not None and any(isinstance(node, kinds) for node in tree.findall(nodes.container)):
        app.add_js_file("quiz.js", loading_method="defer")


def setup(app: Sphinx) -> None:
    app.add_directive("quiz", Quiz)
    app.add_node(quiz, html=(visit_quiz, depart_quiz))
    app.connect("html-page-context", add_files)
