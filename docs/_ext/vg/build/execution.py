"""セルを実行する環境を整え、実行結果のキャッシュの鍵を決める。

MyST-NB のキャッシュはセルの文字だけを見るので、``vgbook`` を直しても、セルが読む測定の結果を
書き換えても、古い数字を出し続ける。そこで、置き場の名前にパッケージ、結果のファイル、環境の要約値を
入れる。どれが変わっても、別の空の置き場になる。
"""

from __future__ import annotations

import hashlib
import logging
import platform
import shutil
from importlib.metadata import version
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from jupyter_cache import get_cache
from jupyter_cache.cache.db import NbCacheRecord
from jupyter_cache.cache.main import JupyterCacheBase
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util.parallel import make_chunks

logging.getLogger("traitlets").setLevel(logging.WARNING)  # 「実行します」の知らせは要らない

LIBRARIES = ("numpy", "scipy", "matplotlib", "scikit-learn", "ipykernel", "matplotlib-inline")


def digest(config_dir: Path) -> str:
    """``vgbook`` のソース、測定の結果、カーネルの設定、Python とライブラリの版の要約値。"""
    root = config_dir.parent
    sources = [*root.glob("vgbook/**/*.py"), *config_dir.glob("_ipython/*/*_config.py")]
    sources += [path for kind in ("json", "csv") for path in config_dir.glob(f"appendix/*.{kind}")]
    h = hashlib.sha256(platform.python_version().encode())
    for path in sorted(sources):
        h.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    for library in LIBRARIES:
        h.update(f"{library}=={version(library)}".encode())
    return h.hexdigest()[:16]


def set_cache_path(app: Sphinx, config: Config) -> None:
    """置き場を決め、データベースを先に作る(``-j`` の読み手が同時に作ろうとすると壊れる)。

    別の名前で作ってから改名するので、途中で殺されても、作りかけの置き場は残らない。
    """
    path = Path(app.outdir).parent / ".jupyter_cache" / digest(Path(app.confdir))
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as new:
            get_cache(Path(new, path.name)).list_cache_records()
            Path(new, path.name).rename(path)
    config.nb_execution_cache_path = str(path)


def drop_half_written(cache: JupyterCacheBase) -> None:
    """書いている途中で殺された実行結果を捨てる。捨てた頁は、また実行される。"""
    for record in cache.list_cache_records():
        try:
            cache.get_cache_bundle(record.pk)
        except (KeyError, ValueError):  # ファイルがない、または JSON が途中で切れている
            NbCacheRecord.remove_record(record.pk, cache.db)
            shutil.rmtree(cache.path / "executed" / record.hashkey, ignore_errors=True)


def deal(names: list[str], sizes: list[int]) -> list[str]:
    """``names`` を、大きさ ``sizes`` の山に 1 つずつ配り、山の順に並べる。

    >>> deal(["a", "b", "c", "d", "e"], [2, 2, 1])
    ['a', 'd', 'b', 'e', 'c']
    """
    piles: list[list[str]] = [[] for _ in sizes]
    turns = cycle(range(len(sizes)))
    for name in names:
        pile = next(i for i in turns if len(piles[i]) < sizes[i])
        piles[pile].append(name)
    return [name for pile in piles for name in pile]


def spread(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """実行に時間のかかる頁を、並列の読み手に散らす。Sphinx は名前の順に切り分けるので、固まる。"""

    def prose(name: str) -> bool:
        return "\nfile_format: mystnb\n" not in env.doc2path(name).read_text(encoding="utf-8")

    sizes = [len(chunk) for chunk in make_chunks(docnames, app.parallel)]
    docnames[:] = deal(sorted(docnames, key=prose), sizes)


def prepare(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """読み直す頁があるときだけ、カーネルを動かす支度をする。"""
    if docnames:
        # フォント一覧のキャッシュを先に作る。初めての機械では数秒かかり、カーネルの中で
        # 作らせると、その知らせが stderr に出てビルドが止まる
        import matplotlib.font_manager  # noqa: F401

        drop_half_written(get_cache(env.config.nb_execution_cache_path))


def setup(app: Sphinx) -> None:
    app.connect("config-inited", set_cache_path)
    app.connect("env-before-read-docs", prepare)
    app.connect("env-before-read-docs", spread)
