"""セルのあるページを、よそで動くノートブック (.ipynb) にして、ページの隣に置く。

文は解決済みの木から、コードは原稿から取る。ページに見せないセルも、後のセルが使うので残す。
パッケージ索引には載せていないので、``vgbook`` のホイールを本と一緒に配り、最初のセルで入れる。
本の公開先 (``html_baseurl``) が決まっていれば、そこから入れる。
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

import nbformat
from docutils import nodes
from hatchling.builders.wheel import WheelBuilder
from myst_nb.core.read import read_myst_markdown_notebook
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from vg.notebook.markdown import Writer
from vg.page.folds import is_cell

FOLDER = "downloads"
IMPORT_GLUE = re.compile(r"^from myst_nb import glue\n?", re.MULTILINE)
GLUE = '''def glue(name, value, display=False):
    """本文に載せた値を、ここで計算した値と見比べるために表示する。"""
    print(f"{name} = {value}")'''
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
ABOUT = (
    "このノートブックは『{book}』({version} 版) の 1 ページです。{page}"
    "文の中の数値は、本を組んだときのものです。図と表は、セルを上から順に実行すると現れます。"
)
BESIDE = (
    "次のセルは、本と一緒に配っている `{wheel}` を入れます。"
    "先に、そのファイルをこのノートブックと同じフォルダーに置いてください。"
)
FROM_SITE = "次のセルは、本のサイトから、パッケージ `vgbook` を入れます。"


def wheel_version(app: Sphinx) -> str:
    """``0.1.0+1f3a…``。中身が変われば名前も変わり、``pip`` は古いものを入れたままにしない。"""
    package = Path(app.confdir).parent / "vgbook"
    h = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        h.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{app.config.release}+{h.hexdigest()[:8]}"


def wheel_name(app: Sphinx) -> str:
    return f"vgbook-{wheel_version(app)}-py3-none-any.whl"


def writer(env: BuildEnvironment, docname: str) -> Writer:
    kinds = env.toc_fignumbers.get(docname, {})
    dotted = {
        kind: {key: ".".join(map(str, number)) for key, number in numbers.items()}
        for kind, numbers in kinds.items()
    }
    equations = dotted.pop("displaymath", {})
    titles = {
        key: env.config.numfig_format[kind] % number
        for kind, numbers in dotted.items()
        for key, number in numbers.items()
    }
    base = env.config.html_baseurl
    page = f"{base.rstrip('/')}/{docname}.html" if base else ""
    return Writer(env.config.math_macros, titles, equations, page)


def pieces(write: Writer, node: nodes.Node, level: int = 0) -> Iterator[str | nodes.container]:
    """ページを順にたどり、文の 1 段落ずつか、セルを返す。"""
    for child in node.children:
        if isinstance(child, nodes.section):
            yield from pieces(write, child, level + 1)
        elif isinstance(child, nodes.title):
            yield f"{'#' * level} {write.inline(child)}"
        elif is_cell(child):
            yield child
        else:
            yield from write.blocks(child)


def grouped(source: nbformat.NotebookNode, shown: set[int]) -> dict[int, list[Any]]:
    """原稿のコードのセルを、ページに見えるセルと、それに続く見えないセルの組に分ける。"""
    groups: dict[int, list[Any]] = {-1: []}
    for index, cell in enumerate(source.cells):
        if cell.cell_type == "code":
            if index in shown:
                groups[index] = []
            groups[max(groups)].append(cell)
    return groups


def code(cell: nbformat.NotebookNode) -> nbformat.NotebookNode:
    tags = cell.metadata.get("tags", [])
    metadata: dict[str, Any] = {"tags": tags} if tags else {}
    if FOLDED & set(tags):
        metadata["jupyter"] = {"source_hidden": True}
    return new_code_cell(IMPORT_GLUE.sub("", cell.source), metadata=metadata)


def setup_cells(app: Sphinx, docname: str, text: str) -> list[nbformat.NotebookNode]:
    """パッケージと、ページが読むファイルを用意するセル。"""
    base, wheel = app.config.html_baseurl.rstrip("/"), wheel_name(app)
    where = f"{base}/{FOLDER}/{wheel}" if base else wheel
    install = f'%pip install --quiet {where}\n%config InlineBackend.figure_formats = ["svg"]'
    cells = [
        new_markdown_cell(FROM_SITE if base else BESIDE.format(wheel=wheel)),
        new_code_cell(install),
    ]
    if IMPORT_GLUE.search(text):
        cells.append(new_code_cell(GLUE))
    for name in app.env.metadata[docname].get("notebook_files", "").split():
        path = Path(app.env.doc2path(docname)).parent / name
        if "/" in name:  # 隣のフォルダーのファイル
            folder = PurePosixPath(name).parent
            cells.append(new_code_cell(f'import os\n\nos.makedirs("{folder}", exist_ok=True)'))
        cells.append(new_code_cell(f"%%writefile {name}\n{path.read_text(encoding='utf-8')}"))
    return cells


def about(app: Sphinx, page: str) -> str:
    link = f"[もとのページ]({page})もあります。" if page else ""
    return ABOUT.format(book=app.config.project, version=app.config.release, page=link)


def notebook(app: Sphinx, docname: str, doctree: nodes.document) -> nbformat.NotebookNode:
    text = Path(app.env.doc2path(docname)).read_text(encoding="utf-8")
    source = read_myst_markdown_notebook(text, config=app.env.myst_config)
    write = writer(app.env, docname)
    groups = grouped(source, {cell["cell_index"] for cell in doctree.findall(is_cell)})
    title, *rest = pieces(write, doctree)
    cells = [new_markdown_cell(f"{title}\n\n{about(app, write.page)}")]
    cells += setup_cells(app, docname, text)
    cells += map(code, groups.pop(-1))
    prose: list[str] = []
    for piece in [*rest, None]:
        if isinstance(piece, str):
            prose.append(piece)
            continue
        if prose:
            cells.append(new_markdown_cell("\n\n".join(prose)))
        prose = []
        if piece is not None:
            first, *hidden = map(code, groups[piece["cell_index"]])
            captions = [write.caption(figure) for figure in piece.findall(nodes.figure)]
            cells += [first, *map(new_markdown_cell, captions), *hidden]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(
        cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}}
    )


def launchers(app: Sphinx, docname: str) -> dict[str, str]:
    """リポジトリが決まっていれば、ノートブックをそのまま動かせる所へのリンク。"""
    if not app.config.notebook_repository:
        return {}
    repository = urlsplit(app.config.notebook_repository).path.strip("/").removesuffix(".git")
    branch, path = app.config.notebook_branch, f"{docname}.ipynb"
    return {
        "Colab": f"https://colab.research.google.com/github/{repository}/blob/{branch}/{path}",
        "Binder": f"https://mybinder.org/v2/gh/{repository}/{branch}"
        f"?urlpath={quote(f'lab/tree/{path}', safe='')}",
    }


def add_notebook(
    app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    if doctree is None or app.env.metadata[docname].get("file_format") != "mystnb":
        return
    name = f"{docname}.ipynb"
    path = Path(app.outdir, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(notebook(app, docname, doctree)) + "\n", encoding="utf-8")
    context["notebook"] = {
        "name": PurePosixPath(name).name,
        "wheel": "" if app.config.html_baseurl else f"{FOLDER}/{wheel_name(app)}",
        "launchers": launchers(app, docname),
    }


def ship_wheel(app: Sphinx) -> None:
    """``vgbook`` のホイールを作り、本と一緒に配る。"""
    if app.builder.name != "html":
        return
    root, folder = Path(app.confdir).parent, Path(app.outdir, FOLDER)
    for old in folder.glob("*.whl"):
        if old.name != wheel_name(app):
            old.unlink()
    config = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    config["project"]["version"] = wheel_version(app)
    builder = WheelBuilder(str(root), config=config)
    list(builder.build(directory=str(folder), versions=["standard"]))


def renamed(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """ホイールの名前が変わったときに、書き直す頁。"""
    now, before = wheel_name(app), getattr(env, "vg_wheel", "")
    env.vg_wheel = now
    if now == before:
        return []
    return [n for n, data in env.metadata.items() if data.get("file_format") == "mystnb"]


def connect(app: Sphinx) -> None:
    if app.builder.name == "html":
        app.connect("html-page-context", add_notebook)
        app.connect("env-updated", renamed)


def setup(app: Sphinx) -> None:
    app.add_config_value("notebook_repository", "", "html", (str,))
    app.add_config_value("notebook_branch", "notebooks", "html", (str,))
    app.connect("builder-inited", connect)
    app.connect("builder-inited", ship_wheel)
