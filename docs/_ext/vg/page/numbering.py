"""部ごとに分かれた目次 (numbered toctree) の章番号を、本を通して続ける。

Sphinx は目次ごとに 1 から数えるので、第 I 部と第 II 部に「図 1.1」が並ぶ。
"""

from __future__ import annotations

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

Figures = dict[str, dict[str, tuple[int, ...]]]


def shift(env: BuildEnvironment, docname: str, offset: int) -> None:
    """1 つの頁の番号 (章, 節, …) の章を ``offset`` だけ進める。"""

    def moved(number: tuple[int, ...]) -> tuple[int, ...]:
        return (number[0] + offset, *number[1:])

    numbers = env.toc_secnumbers[docname]
    env.toc_secnumbers[docname] = {key: n and moved(n) for key, n in numbers.items()}
    holders = [env.titles[docname], *env.tocs[docname].findall(nodes.reference)]
    for node in holders:
        if node.get("secnumber"):
            node["secnumber"] = moved(node["secnumber"])


def counted(figures: Figures, *chapter: int) -> Figures:
    """1 つの頁の図・表・式の番号を、``chapter`` 章の 1 番から振り直す。

    章でない頁では、ただの 1 番から。Sphinx の番号は、同じ章番号の頁や、章でない頁の続きになって
    いる。頁の中の順番は正しい。

    >>> counted({"figure": {"b": (1, 8), "a": (1, 7)}}, 4)
    {'figure': {'a': (4, 1), 'b': (4, 2)}}
    >>> counted({"figure": {"b": (8,), "a": (7,)}})
    {'figure': {'a': (1,), 'b': (2,)}}
    """
    return {
        kind: {name: (*chapter, n) for n, name in enumerate(sorted(ids, key=ids.__getitem__), 1)}
        for kind, ids in figures.items()
    }


def recall(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Sphinx が前回と比べるのは、部ごとの番号。違えば頁を書き直すので、その値に戻しておく。"""
    env.toc_secnumbers, env.toc_fignumbers = getattr(env, "numbers_by_part", ({}, {}))
    return []


def number_through(app: Sphinx, env: BuildEnvironment) -> list[str]:
    env.numbers_by_part = env.toc_secnumbers, env.toc_fignumbers
    before = getattr(env, "numbers_through", {})
    env.toc_secnumbers, env.toc_fignumbers = dict(env.toc_secnumbers), dict(env.toc_fignumbers)
    chapters = 0
    for toctree in env.get_doctree(env.config.root_doc).findall(addnodes.toctree):
        docnames = [doc for _, doc in toctree["entries"] if doc in env.toc_secnumbers]
        if toctree.get("numbered"):
            for chapter, docname in enumerate(docnames, chapters + 1):
                shift(env, docname, chapters)
                if docname in env.toc_fignumbers:
                    env.toc_fignumbers[docname] = counted(env.toc_fignumbers[docname], chapter)
            chapters += len(docnames)
    for docname, figures in env.toc_fignumbers.items():
        if not env.toc_secnumbers.get(docname, {}).get(""):
            env.toc_fignumbers[docname] = counted(figures)
    env.numbers_through = {
        name: (env.toc_secnumbers.get(name), env.toc_fignumbers.get(name))
        for name in env.found_docs
    }
    return [name for name, numbers in env.numbers_through.items() if before.get(name) != numbers]


def setup(app: Sphinx) -> None:
    app.connect("env-get-updated", recall, priority=400)
    app.connect("env-get-updated", number_through, priority=600)  # Sphinx (500) の後
