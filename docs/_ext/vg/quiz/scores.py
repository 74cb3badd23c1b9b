"""問題の成績の一覧。

``{quiz-scores}`` の囲みに、問題の頁へのリンクを箇条書きで書く。組むときに、頁ごとの問題の名前を
添える。成績は ``quiz.js`` が、読者のブラウザーに残ったものから数える。
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

log = logging.getLogger(__name__)


class quiz_scores(nodes.container):
    """頁の一覧。HTML のほかでは、ただの囲み。"""


class QuizScores(SphinxDirective):
    has_content = True

    def run(self) -> list[nodes.Node]:
        node = quiz_scores()
        self.state.nested_parse(self.content, self.content_offset, node)
        self.env.vg_quiz_scores.add(self.env.docname)
        return [node]


def note(env: BuildEnvironment, name: str) -> None:
    """いま読んでいる頁に、問題が 1 つある。"""
    env.vg_quizzes.setdefault(env.docname, []).append(name)


def start(app: Sphinx) -> None:
    app.env.vg_quizzes = getattr(app.env, "vg_quizzes", {})  # 頁 → 問題の名前
    app.env.vg_quiz_scores = getattr(app.env, "vg_quiz_scores", set())  # 一覧のある頁


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    env.vg_quizzes.pop(docname, None)
    env.vg_quiz_scores.discard(docname)


def merge(app: Sphinx, env: BuildEnvironment, docnames: list[str], other: Any) -> None:
    env.vg_quizzes |= {name: other.vg_quizzes[name] for name in other.vg_quizzes.keys() & docnames}
    env.vg_quiz_scores |= other.vg_quiz_scores & set(docnames)


def rewrite(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """ほかの頁で問題が増えたら、一覧の頁も書き直す。"""
    before, env.vg_quizzes_written = getattr(env, "vg_quizzes_written", {}), dict(env.vg_quizzes)
    return [] if before == env.vg_quizzes else sorted(env.vg_quiz_scores)


def check_names(app: Sphinx, env: BuildEnvironment) -> None:
    counts = Counter(name for names in env.vg_quizzes.values() for name in names)
    for docname, names in sorted(env.vg_quizzes.items()):
        for name in sorted({name for name in names if counts[name] > 1}):
            log.warning("問題の名前が 2 度使われています: %s", name, location=docname)


def visit(self: HTML5Translator, node: quiz_scores) -> None:
    quizzes, here = self.builder.env.vg_quizzes, self.builder.current_docname
    pages = {self.builder.get_relative_uri(here, name): quizzes[name] for name in sorted(quizzes)}
    self.body.append(
        self.starttag(node, "div", CLASS="quiz-scores", **{"data-pages": json.dumps(pages)})
    )


def depart(self: HTML5Translator, node: quiz_scores) -> None:
    self.body.append("</div>\n")


def setup(app: Sphinx) -> None:
    app.add_directive("quiz-scores", QuizScores)
    app.add_node(quiz_scores, html=(visit, depart))
    app.connect("builder-inited", start)
    app.connect("env-purge-doc", forget)
    app.connect("env-merge-info", merge)
    app.connect("env-get-updated", rewrite)
    app.connect("env-check-consistency", check_names)
