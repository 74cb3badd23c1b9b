"""組むときに作る原稿: 検算の頁 (``checks/``) と API の頁 (``api/``)。

検算の頁は ``checks`` の Python ファイルから、API の頁は ``api/index.md`` の表の行から作る。
どちらも目次 (``{made-pages}``) に並び、ほかの頁と同じように、引き、探し、たどれる。
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.directives.other import TocTree
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from vg.manuscript import GENERATED, Manuscript

log = logging.getLogger(__name__)
ROW = re.compile(r"^\| \[`(vgbook\.([\w.]+))`\]\(\2\.md\) \| (.+?) \| (.+?) \|$", re.M)
CHECK = """---
description: {what}の式を確かめるプログラムです。
---

# 検算: {title}

```{{checks}} {name}
```
"""
API = """---
description: {module} の使い方。{content}。
---

# {title} (`{module}`)

```{{eval-rst}}
.. automodule:: {module}
   :members:
```
"""


def check_pages(manuscript: Manuscript) -> dict[str, str]:
    """検算のファイルがある頁を目次の順に、最後に docstring の検算。"""
    files = {path.stem.replace("_", "-") for path in manuscript.docs.glob("checks/[!_]*.py")}
    chapters = {page.name for page in manuscript.chapters}
    made = {}
    for place in manuscript.contents:
        name = place.removesuffix("/index").rpartition("/")[2]
        title = manuscript.pages[place].title
        if name == "api" and name in files:
            title, what = "vgbook の docstring", "パッケージの docstring "
        else:
            what = f"「{title}」の章" if place in chapters else f"「{title}」"
        if name in files:
            made[f"checks/{name}"] = CHECK.format(what=what, title=title, name=name)
    left = files - {page.removeprefix("checks/") for page in made}
    for name in sorted(left) if made else ():  # 検算を 1 つも載せない、小さな本もある
        log.warning("docs/checks の %s.py の章が、表紙の目次にありません", name.replace("-", "_"))
    return made


def api_pages(manuscript: Manuscript) -> dict[str, str]:
    """表の行の順。"""
    index = manuscript.pages.get("api/index")
    rows = ROW.findall(index.text) if index else []
    return {
        f"api/{name}": API.format(module=module, title=title, content=content)
        for module, name, title, content in rows
    }


MAKERS: dict[str, Callable[[Manuscript], dict[str, str]]] = {
    "checks": check_pages,
    "api": api_pages,
}


def write(app: Sphinx, config: Config) -> None:
    """変わったものだけを書き、要らなくなったものを消す。"""
    docs = Path(app.srcdir)
    manuscript = Manuscript(docs)
    for folder in GENERATED:
        made = MAKERS[folder](manuscript)
        for name, text in made.items():
            path = docs / f"{name}.md"
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
        for path in docs.glob(f"{folder}/*.md"):
            if path.name != "index.md" and f"{folder}/{path.stem}" not in made:
                path.unlink()


def outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """作った頁が増えるか減れば、その目次 (``index``) も読み直す。"""
    folders = {name.partition("/")[0] for name in added | removed} & set(GENERATED)
    return sorted({f"{folder}/index" for folder in folders} & env.found_docs)


def drop_unlinked_sources(app: Sphinx, env: BuildEnvironment) -> None:
    """どこからもリンクしない、ソースの頁を作らない。

    Sphinx は、1 頁ずつ読むと捨て、並列に読むと残すので、読み方によって本が変わってしまう。
    """
    sources = getattr(env, "_viewcode_modules", {})
    for name in [name for name, entry in sources.items() if entry and not entry[2]]:
        del sources[name]


class MadePages(SphinxDirective):
    """``{made-pages} api``: 作った頁の、見えない目次。"""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        (folder,) = self.arguments
        names = [f"/{name}" for name in MAKERS[folder](Manuscript(Path(self.env.srcdir)))]
        contents = TocTree(
            self.name, [], {"hidden": None}, StringList(names, self.get_source_info()[0]),
            self.lineno, self.content_offset, self.block_text, self.state, self.state_machine,
        )  # fmt: skip
        return contents.run()


def setup(app: Sphinx) -> None:
    app.add_directive("made-pages", MadePages)
    app.connect("config-inited", write)
    app.connect("env-get-outdated", outdated)
    app.connect("env-updated", drop_unlinked_sources)
