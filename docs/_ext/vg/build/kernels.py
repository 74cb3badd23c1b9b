"""カーネルの起動。頁が多いときは、支度の済んだプロセスを 1 つ作り、そこから分かれさせる。

ipykernel、NumPy、Matplotlib、scikit-learn を読み込むと、短い頁のセルより長くかかる。
``warm_server.py`` が 1 度だけ読み込み、頁のたびに fork して、その子がカーネルになる。
読み込みのほかは、1 つずつ起動したカーネルと変わらない。fork を安心して使える Linux でだけ働く。
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

FEW = 8  # これより多くの頁を読むときに使う
NAME = "warm"


class Forked:
    """分かれたカーネル。`subprocess.Popen` と同じように、終わりを待ち、信号を送れる。"""

    stdin = stdout = stderr = None

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        with connection.makefile() as answer:
            self.pid = int(answer.readline())

    def poll(self) -> int | None:
        """カーネルだけが持つ接続の向こう側は、カーネルが終わると閉じる。"""
        ended, _, _ = select.select([self.connection], [], [], 0)
        return 0 if ended else None

    def wait(self) -> int:
        select.select([self.connection], [], [])
        return 0

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


@cache
def server() -> str:
    """このプロセスのためのサーバーを始め、その宛先を返す。プロセスが終われば、サーバーも終わる。"""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("")  # Linux が、ファイルを作らない宛先を選ぶ
    listening.listen()
    with listening:
        script = Path(__file__).with_name("warm_server.py")
        command = [sys.executable, "-P", str(script), str(listening.fileno()), str(os.getpid())]
        subprocess.Popen(command, pass_fds=[listening.fileno()], stdin=subprocess.DEVNULL)
        return str(listening.getsockname().decode())


class WarmProvisioner(LocalProvisioner):
    """カーネルを、起動するのではなく、サーバーに分けてもらう。"""

    process: Any = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        self.cwd = kwargs.get("cwd") or Path.cwd()
        order = {"command": cmd, "cwd": str(self.cwd), "env": dict(kwargs["env"])}
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(server())
        connection.sendall(json.dumps(order).encode() + b"\n")
        self.process = Forked(connection)
        self.pid = self.pgid = self.process.pid  # 子は、自分だけの組を作ってから名乗る
        return self.connection_info


def warm(pages: int) -> None:
    """``pages`` 個の頁を読む支度をする。"""
    if pages > FEW and sys.platform == "linux":
        factory = KernelProvisionerFactory.instance()
        group, place = factory.GROUP_NAME, f"{__name__}:{WarmProvisioner.__name__}"
        factory.provisioners[NAME] = EntryPoint(NAME, place, group)
        factory.default_provisioner_name = NAME
        server()  # 並列の読み手が分かれる前に始め、どの読み手にも同じ 1 つを使わせる
