"""答え合わせの相手。入っていなければ、それを使う試験だけが、飛ばしたと言うか、CI では失敗する。"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, NoReturn

from conftest import unavailable


class Missing:
    """入っていない相手。使うところで分かる。"""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> NoReturn:
        unavailable(f"答え合わせの相手 {self._name} が入っていません。")


def peer(name: str) -> Any:
    return import_module(name) if find_spec(name) else Missing(name)


torch = peer("torch")
