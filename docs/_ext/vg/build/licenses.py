"""HTML に入っている、ほかの人の作品の一覧 (``licenses.toml``) を、表とライセンス文にする。

版とライセンス文は、本を組む環境に入っているパッケージから取る。打ち込むのは、パッケージの中に
さらに入っている作品だけで、その版は、配るファイルと食い違わないことを試験が確かめる。
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from vg.page.tables import Cell, table

DOCS = Path(__file__).parents[3]
TABLE = DOCS / "licenses.toml"
TEXTS = "_static/licenses"
COLUMNS = ("作品", "版", "ライセンス", "入っているところ")
MIT = """{notice}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


@dataclass(frozen=True)
class Work:
    """1 つの作品。"""

    name: str
    what: str
    license: str
    version: str
    text: str
    files: list[str]  # HTML のフォルダーからの glob
    glyphs: list[str]  # 図の中の字

    @property
    def path(self) -> str:
        """HTML の中の、ライセンス文の場所。"""
        return f"{TEXTS}/{re.sub(r'[^a-z0-9]+', '-', self.name.lower()).strip('-')}.txt"


def package_text(package: str, name: str) -> str:
    """パッケージに入っている、その名前のライセンス文。"""
    found = distribution(package)
    # .files は、パッケージのすべてのファイルがあることを 1 つずつ確かめるので、遅い
    paths = [line.partition(",")[0] for line in (found.read_text("RECORD") or "").splitlines()]
    texts = [path for path in paths if path.rpartition("/")[2] == name]
    if not texts:
        raise FileNotFoundError(f"{package} に、ライセンス文 {name} がありません。")
    return Path(str(found.locate_file(texts[0]))).read_text(encoding="utf-8")


def works() -> list[Work]:
    """一覧。版とライセンス文を、あるところから取り寄せる。"""
    found = []
    for row in tomllib.loads(TABLE.read_text(encoding="utf-8"))["work"]:
        package = row.pop("package", None)
        notice = row.pop("mit", None)
        if package:
            row["version"] = distribution(package).version
            row["text"] = package_text(package, row["text"])
        elif notice:
            row["text"] = MIT.format(notice=notice)
        else:
            row["text"] = (DOCS / row["text"]).read_text(encoding="utf-8")
        found.append(Work(**{"version": "", "glyphs": [], **row}))
    return found


class ShippedWorks(SphinxDirective):
    """一覧の表。"""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(TABLE))
        shown = table(COLUMNS, map(self.row, works()))
        shown["classes"].append("colwidths-given")  # 長いので、行が届くたびに列の幅を変えない
        return [shown]

    def row(self, work: Work) -> list[Cell]:
        link = nodes.reference("", work.license, refuri=work.path)
        in_site = addnodes.only("", link, expr="builder_html")
        elsewhere = addnodes.only("", nodes.Text(work.license), expr="not builder_html")
        return [work.name, work.version, (in_site, elsewhere), work.what]


def write_texts(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.name == "html":
        Path(app.outdir, TEXTS).mkdir(parents=True, exist_ok=True)
        for work in works():
            Path(app.outdir, work.path).write_text(work.text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.add_directive("shipped-works", ShippedWorks)
    app.connect("build-finished", write_texts)
