"""セルを実行する環境を整え、実行結果を使い回す。

MyST-NB のキャッシュはセルの文字だけを見るので、``vgbook`` を直しても、セルが読む測定の結果を
書き換えても、古い数字を出し続ける。そこで、セルが読み込むものの鍵 (``vg.build.key``) を頁ごとに
足す。鍵が変われば、その頁だけを実行し直す。
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from itertools import chain, cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from docutils import nodes
from jupyter_cache import get_cache
from jupyter_cache.cache.db import NbCacheRecord
from jupyter_cache.cache.main import JupyterCacheBase
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util.parallel import make_chunks

from vg.build.kernels import warm
from vg.build.key import Known, key, module, modules, premises
from vg.manuscript import Page

logging.getLogger("traitlets").setLevel(logging.WARNING)  # 「実行します」の知らせは要らない

KEY = "execution-key"  # 頁の前書きに足す、セルの結果の鍵
KEPT = 200  # 残しておく実行結果の数。頁の 6 倍ほど。超えたら、長く使わなかったものから捨てる
KERNEL = re.compile(r"^kernelspec:\n  name: python3$", re.M)


def set_cache_path(app: Sphinx, config: Config) -> None:
    """置き場を決め、データベースを先に作る(``-j`` の読み手が同時に作ろうとすると壊れる)。

    別の名前で作ってから改名するので、途中で殺されても、作りかけの置き場は残らない。
    """
    path = Path(app.outdir).parent / ".jupyter_cache" / "pages"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as new:
            get_cache(Path(new, path.name)).change_cache_limit(KEPT)
            Path(new, path.name).rename(path)
    config.nb_execution_cache_path = str(path)


def kept_modules(env: BuildEnvironment) -> Known:
    """前の組みまでに読んだモジュール。"""
    if not hasattr(env, "vg_modules"):
        env.vg_modules = Known()
    return env.vg_modules


def key_of(app: Sphinx, docname: str) -> str:
    """セルのない頁なら、空。"""
    page = Page(docname, Path(app.env.doc2path(docname)).read_text(encoding="utf-8"))
    return key(page, Path(app.confdir), kept_modules(app.env)) if page.is_notebook else ""


def add_key(app: Sphinx, docname: str, source: list[str]) -> None:
    """鍵を、キャッシュが見比べるもの (カーネルの名前の隣) に足す。行の数は変えない。"""
    if made := key_of(app, docname):
        app.env.temp_data[KEY] = made
        kernel = f'kernelspec:\n  {{name: python3, {KEY}: "{made}"}}'
        source[0], count = KERNEL.subn(kernel, source[0], count=1)
        if not count:
            raise ExtensionError(f"{docname}: 前書きに kernelspec: name: python3 がありません")


def remember_key(app: Sphinx, doctree: nodes.document) -> None:
    app.env.metadata[app.env.docname][KEY] = app.env.temp_data.get(KEY, "")


def outdated(app: Sphinx, env: BuildEnvironment, *changes: set[str]) -> list[str]:
    """前の組みから、読み込むモジュールの中身が変わった頁。"""
    now, before = premises(Path(app.confdir)), getattr(env, "vg_premises", "")
    env.vg_premises = now
    if now == before:
        return []
    known = {name: data[KEY] for name, data in env.metadata.items() if data.get(KEY)}
    return [n for n, old in known.items() if n in env.found_docs and key_of(app, n) != old]


def drop_half_written(cache: JupyterCacheBase) -> None:
    """書いている途中で殺された実行結果を捨てる。捨てた頁は、また実行される。"""
    for record in cache.list_cache_records():
        folder = Path(cache.path, "executed", record.hashkey)
        try:
            json.loads((folder / "base.ipynb").read_bytes())
        except (OSError, ValueError):  # ファイルがない、または JSON が途中で切れている
            NbCacheRecord.remove_record(record.pk, cache.db)
            shutil.rmtree(folder, ignore_errors=True)


def deal(slow: list[str], quick: list[str], sizes: list[int], workers: int) -> list[str]:
    """頁を、大きさ ``sizes`` の山に配り、山の順に並べる。

    時間のかかる ``slow`` は、読み手 ``workers`` 人がそろって働ける数の山に、1 つずつ配る。
    余るときのほかは、最後に一部の人だけが読む山に ``slow`` を入れない。

    >>> deal(["a", "b", "c", "d"], ["w", "x", "y"], [3, 3, 1], workers=2)
    ['a', 'c', 'w', 'b', 'd', 'x', 'y']
    """
    shared = len(sizes) // workers * workers or len(sizes)
    piles: list[list[str]] = [[] for _ in sizes]
    turns = cycle(range(shared))
    for name in slow:
        order = chain(islice(turns, shared), range(shared, len(sizes)))
        next(piles[i] for i in order if len(piles[i]) < sizes[i]).append(name)
    rest = iter(quick)
    for pile, size in zip(piles, sizes, strict=True):
        pile += islice(rest, size - len(pile))
    return [name for pile in piles for name in pile]


def program_size(page: Page) -> int:
    """セルのプログラムの字数。

    >>> program_size(Page("a", "```{code-cell} python\\nx = 1\\n```\\n"))
    6
    """
    return sum(len(cell.code) for cell in page.cells)


def spread(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """実行に時間のかかる頁を、並列の読み手に散らす。Sphinx は名前の順に切り分けるので、固まる。

    かかる時間は、走らせるまでわからない。プログラムの長い頁ほどかかるとみて、長いものから配る。
    後の山ほど軽くなるので、読み手は同じころに終わる。
    """
    pages = [Page(name, env.doc2path(name).read_text(encoding="utf-8")) for name in docnames]
    slow = sorted((page for page in pages if page.is_notebook), key=program_size, reverse=True)
    quick = [page.name for page in pages if not page.is_notebook]
    sizes = [len(chunk) for chunk in make_chunks(docnames, app.parallel)]
    docnames[:] = deal([page.name for page in slow], quick, sizes, max(1, app.parallel))


def prepare(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """読み直す頁があるときだけ、カーネルを動かす支度をする。"""
    if docnames:
        warm(len(docnames))
        # ここで読んでおけば、並列の読み手が、それぞれ読まずに済む
        for path in modules(Path(app.confdir).parent).values():
            module(path, kept_modules(env))
        # フォント一覧のキャッシュを先に作る。初めての機械では数秒かかり、カーネルの中で
        # 作らせると、その知らせが stderr に出てビルドが止まる
        import matplotlib.font_manager  # noqa: F401

        drop_half_written(get_cache(Path(env.config.nb_execution_cache_path)))


def setup(app: Sphinx) -> None:
    app.connect("config-inited", set_cache_path)
    app.connect("env-get-outdated", outdated)
    app.connect("source-read", add_key)
    app.connect("doctree-read", remember_key)
    app.connect("env-before-read-docs", prepare)
    app.connect("env-before-read-docs", spread)
