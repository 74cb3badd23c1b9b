"""使い捨ての本を、続けて組む。

Sphinx と MyST-NB を読み込むのは、数頁の本を組むより長くかかる。1 度だけ読み込んだプロセスを作り、
組むたびに fork する。本の拡張 (``vg``) は読み込まないので、どの本も自分の写しを使う。
"""

import os
import subprocess
import sys
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

PRELOADED = ("sphinx.cmd.build", "sphinx.builders.html", "myst_nb.sphinx_ext", "furo", "matplotlib")


def start(arguments: list[str], folder: Path) -> BaseProcess:
    """新しいプロセスで ``sphinx-build`` を走らせ始める。"""
    context = get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    process = context.Process(target=run, args=(arguments, folder))
    process.start()
    return process


def sphinx(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """``sphinx-build`` を走らせ、終わりの番号と、印刷したものを返す。"""
    process = start(arguments, folder)
    process.join()
    printed = [Path(folder, name).read_text(encoding="utf-8") for name in ("stdout", "stderr")]
    return subprocess.CompletedProcess(arguments, process.exitcode or 0, *printed)


def run(arguments: list[str], folder: Path) -> None:
    from sphinx.cmd.build import main

    for stream in (sys.stdout, sys.stderr):  # 子や孫のプロセスが書くものも、同じファイルへ
        name = stream.name.strip("<>")
        with Path(folder, name).open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    # nox は一時フォルダーをリポジトリの中に置く。そのコミットを、この本のものと思わせない
    os.environ |= {"NO_COLOR": "1", "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    sys.exit(main(arguments))
