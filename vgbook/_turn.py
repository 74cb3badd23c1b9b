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
    >>> with turn.alone("使用中"), copy.deepcopy(turn).alone("使用中"):
    ...     with turn.alone("使用中"):
    ...         pass
    Traceback (most recent call last):
    RuntimeError: 使用中
    """

    def __init__(self) -> None:
        self.wait = threading.RLock()
        """``with`` で番を待つ。同じスレッドなら、何度でも入れる。"""
        self._alone = threading.Lock()

    def __reduce__(self) -> tuple[type["Turn"], tuple[()]]:
        return Turn, ()  # 錠は写せない

    @contextmanager
    def alone(self, refusal: str) -> Iterator[None]:
        """待たずに番をとる。とられていれば、``refusal`` と断る。"""
        if not self._alone.acquire(blocking=False):
            raise RuntimeError(refusal)
        try:
            yield
        finally:
            self._alone.release()
