"""呼び方の誤り: 名前で渡す引数が足りないとき、知らない引数があるときに、日本語で伝える。"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def spoken(function: Callable[P, R]) -> Callable[P, R]:
    """引数の過不足を日本語で伝える関数にする。正しい呼び方では、``function`` をそのまま呼ぶ。

    Examples
    --------
    >>> @spoken
    ... def double(x, *, rng):
    ...     return 2 * x
    >>> double(1, seed=0)
    Traceback (most recent call last):
        ...
    TypeError: double に、引数 seed はありません。渡せるのは x、rng です。受け取った引数: x、seed
    """

    @wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> R:
        try:
            return function(*args, **options)
        except TypeError:
            _check_call(function, args, options)
            raise

    return call


def _check_call(
    function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    """引数の過不足が原因なら、それを伝える例外に替える。"""
    parameters = dict(inspect.signature(function).parameters)
    if parameters.pop("self", None):
        args = args[1:]
    places = [n for n, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    given = list(dict.fromkeys([*places[: len(args)], *options]))
    needed = [
        n for n, p in parameters.items() if p.default is p.empty and p.kind is not p.VAR_POSITIONAL
    ]
    missing = [n for n in needed if n not in given]
    unknown = [n for n in options if n not in parameters]
    many = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
    if len(args) > len(places) and not many:
        named = [f"{n}=…" for n in parameters if n not in places]
        fault = f"名前を付けずに渡せる引数は {len(places)} 個 ({'、'.join(places)}) です。"
        fault += f"ほかは {'、'.join(named)} と名前を付けて渡してください。" if named else ""
        fault += f"受け取った数: {len(args)}"
    elif twice := [n for n in places[: len(args)] if n in options]:
        fault = f"引数 {'、'.join(twice)} を 2 度渡しています。1 度だけ渡してください。"
    elif unknown:
        fault = f"引数 {'、'.join(unknown)} はありません。渡せるのは {'、'.join(parameters)} です。"
    elif missing:
        fault = f"引数 {'、'.join(missing)} が足りません。{missing[0]}=… と名前を付けて渡して"
        fault += "ください。"
    else:
        return
    came = "" if "受け取った" in fault else f"受け取った引数: {'、'.join(given) or 'なし'}"
    raise TypeError(f"{function.__qualname__} に、{fault}{came}") from None
