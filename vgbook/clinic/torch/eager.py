"""測る間だけ、torch.compile したモデルも、もとのモジュールのまま動かす。"""

from typing import ClassVar

import torch


class Eager:
    """``start()`` から ``stop()`` まで、コンパイルした関数を使わない。

    フックはコンパイルの対象にならないので、使うと測れないだけでなく、コンパイルをやり直す。
    この切り替えは PyTorch の全体に 1 つなので、見張りがいくつも重なるときは、最後の 1 つが
    終わるときに戻す。
    """

    _open: ClassVar[set["Eager"]] = set()

    def start(self) -> None:
        """切り替える。"""
        if not self._open:
            torch.compiler.set_stance("force_eager")
        self._open.add(self)

    def stop(self) -> None:
        """ほかに測っているものがなければ、元に戻す。"""
        self._open.discard(self)
        if not self._open:
            torch.compiler.set_stance("default")
