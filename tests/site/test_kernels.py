"""支度の済んだプロセスから分かれたカーネルも、ふつうに働き、後に残らない。"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vg.manuscript import DOCS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux でだけ働く"),
]
START = """
import nbformat, nbclient, sys
from vg.build import kernels
kernels.warm(kernels.FEW + 1)

def run(*cells, **options):
    cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, kernel_name="python3", **options).execute()
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells]
"""


def python(script: str) -> "subprocess.Popen[str]":
    search = os.pathsep.join([str(DOCS / "_ext"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", START + script],
        env=os.environ | {"PYTHONPATH": search},
        stdout=subprocess.PIPE,
        text=True,
    )


def is_running(pid: int) -> bool:
    """終わって、後始末を待つだけのもの (Z) は、数えない。"""
    status = Path(f"/proc/{pid}/stat")
    return (
        status.exists() and status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    )


def wait_until_gone(*pids: int) -> None:
    until = time.monotonic() + 60
    while any(map(is_running, pids)):
        assert time.monotonic() < until, "終わらないプロセスがあります"
        time.sleep(0.1)


def test_a_forked_kernel_is_a_fresh_one_that_fails_and_stops_like_any_other():
    kernel = python(
        """
own = "import os, sys; print(os.getpid(), os.getppid())"
for _ in range(2):
    pids, old, late, _, new = run(
        own,
        "print([n for n in sys.modules if n.split('.')[0] in ('vg', 'vgbook')])",
        "names = [n.split('.')[0] for n in sys.modules]; print(names[::-1].index('sklearn'))",
        "left = 1",
        "print('left' in globals(), 'sklearn.datasets' in sys.modules)",
    )
    print(pids.strip())
    assert old == "[]\\n" and new == "True True\\n", (old, new)
    assert int(late) < 40, late  # 分かれた後に読み込んだもの。デバッガーだけで 150 ある
try:
    run("1 / 0")
except nbclient.exceptions.CellExecutionError as error:
    assert "ZeroDivisionError" in str(error)
else:
    raise AssertionError
try:
    run("import time; time.sleep(600)", timeout=1)
except nbclient.exceptions.CellTimeoutError:
    print("終わり")
"""
    )
    output, _ = kernel.communicate(timeout=300)
    assert kernel.returncode == 0
    *lines, last = output.splitlines()
    (first, server), (second, same) = (map(int, line.split()) for line in lines)
    assert last == "終わり"
    assert first != second
    assert server == same  # 2 つとも、同じサーバーから分かれた
    wait_until_gone(first, second, server)


def test_a_killed_build_leaves_no_kernel_and_no_server(tmp_path: Path):
    named = tmp_path / "pids"
    say = f"Path({str(named)!r}).write_text(f'{{os.getpid()}} {{os.getppid()}} ')"
    cells = ("import os, time; from pathlib import Path", say, "time.sleep(600)")
    with python(f"run(*{cells!r})") as build:
        until = time.monotonic() + 300
        while not (named.exists() and named.read_text().endswith(" ")):
            assert time.monotonic() < until
            time.sleep(0.1)
        pids = [int(word) for word in named.read_text().split()]
        assert all(map(is_running, pids))
        build.kill()
    wait_until_gone(*pids)


def test_readers_that_were_forked_share_one_server():
    reader = python(
        """
import os
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, kernels.server().encode())
    os._exit(0)
print(os.read(read, 999).decode() == kernels.server())
"""
    )
    assert reader.communicate(timeout=300)[0] == "True\n"
