"""スレッドの番: 1 つのネットワークを、1 度に 1 つのスレッドだけが使う。

層は、順伝播の値を自分の中に残します。2 つのスレッドが同時に流すと、互いの値を読んでしまいます。
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turn:
    """番。写したり読み戻したりしたネットワークは、新しい番をもつ。

    Examples
    --------
    >>> import copy
    >>> turn = Turn()
    >>> with turn.alone("network"), copy.deepcopy(turn).alone("network"):
    ...     pass
    """

    def __init__(self) -> None:
        self.wait = threading.RLock()
        """``with`` で番を待つ。同じスレッドなら、何度でも入れる。"""
        self._alone = threading.Lock()

    def __reduce__(self) -> tuple[type["Turn"], tuple[()]]:
        return Turn, ()  # 錠は写せない

    @contextmanager
    def alone(self, network: object) -> Iterator[None]:
        """学習の間の番をとる。もう学習の途中なら、待たずに断る。"""
        if not self._alone.acquire(blocking=False):
            raise RuntimeError(
                "この network は、別の fit が学習の途中です。1 つのネットワークを 2 つの fit で同時"
                "に学習すると、互いの勾配を読みます。スレッドごとに copy.deepcopy(network) を"
                f"使ってください。受け取った network: {network!r}"
            )
        try:
            yield
        finally:
            self._alone.release()
