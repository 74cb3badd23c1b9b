"""支度の済んだプロセス。頼まれるたびに fork し、子がカーネルになる (``kernels.py``)。"""

import json
import os
import sys
from importlib import import_module
from socket import socket
from socketserver import ForkingMixIn, StreamRequestHandler, UnixStreamServer

INLINE = "module://matplotlib_inline.backend_inline"  # ipykernel が選ぶものを、先に選んでおく
LOADED = (
    "ipykernel.debugger",  # 使わないが、カーネルは必ず読み込む。ほかのものより時間がかかる
    "ipykernel.kernelapp",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.pyplot",
    "matplotlib_fontja",
    "myst_nb",
    "sklearn.datasets",
    "sklearn.model_selection",
)


class Kernel(StreamRequestHandler):
    """1 つの頼みごと。fork した子の中で、カーネルとして終わりまで働く。"""

    def handle(self) -> None:
        order = json.loads(self.rfile.readline())
        os.setsid()
        os.chdir(order["cwd"])
        os.environ.clear()
        os.environ.update(order["env"])
        self.wfile.write(f"{os.getpid()}\n".encode())
        _python, _m, module, *options = order["command"]
        sys.argv = [module, *options]
        watched = f"--IPKernelApp.parent_handle={os.getppid()}"  # サーバーがなくなれば、終わる
        import_module("ipykernel.kernelapp").launch_new_instance(argv=[*options, watched])


class Server(ForkingMixIn, UnixStreamServer):
    """親のプロセスがいる間だけ、頼みごとを聞く。"""

    def __init__(self, listening: socket, parent: int) -> None:
        super().__init__(listening.getsockname(), Kernel, bind_and_activate=False)
        self.socket.close()
        self.socket, self.parent = listening, parent

    def service_actions(self) -> None:
        super().service_actions()
        if os.getppid() != self.parent:
            sys.exit()


if __name__ == "__main__":
    number, parent = map(int, sys.argv[1:])
    os.environ["MPLBACKEND"] = INLINE
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # デバッガーの知らせは要らない
    for name in LOADED:
        import_module(name)
    Server(socket(fileno=number), parent).serve_forever()
