r"""値を何度も計算する因子: 和、積、積分、場合分け。"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from checks.engine.scope import Scope, product
from checks.engine.tokens import Tokens, joined, split

if TYPE_CHECKING:
    from checks.engine.formula import Reader

Node = Callable[[Scope], Any]


def repeated(reader: Reader) -> Node:
    r"""``\sum_{n,i}``、``\prod_{k=l+1}^{L}``"""
    mark = reader.take()
    reader.take("_")
    lower = reader.group()
    upper: Tokens = []
    if reader.peek() == "^":
        reader.take()
        upper = reader.group()
    node = reader.product()
    letters, ranges_in = span(reader, lower, upper)

    def value(scope: Scope) -> Any:
        ranges = ranges_in(scope)
        found = [
            node(scope.bound(dict(zip(letters, at, strict=True))))
            for at in itertools.product(*ranges)
        ]
        total = found[0] if found else scope.numbers.number("0" if mark == r"\sum" else "1")
        for each in found[1:]:
            total = total + each if mark == r"\sum" else product(total, each)
        return total

    return value


def span(reader: Reader, lower: Tokens, upper: Tokens) -> tuple[list[str], Callable[[Scope], Any]]:
    if "=" in lower:
        (_, letter), (_, first) = split(lower, {"="})
        a, b = reader.inner(first), reader.inner(upper)
        return [joined(letter)], lambda scope: [range(int(a(scope)), int(b(scope)) + 1)]
    letters = [joined(part) for _, part in split(lower, {","})]
    return letters, lambda scope: [scope.ranges[letter.rstrip("'")] for letter in letters]


def integral(reader: Reader) -> Node:
    reader.take(r"\int")
    reader.take("_")
    low = reader.inner(reader.group())
    reader.take("^")
    high = reader.inner(reader.group())
    node = reader.product()
    reader.take(r"\d")
    variable = reader.take()
    return lambda scope: scope.numbers.integral(
        lambda x: node(scope.bound({variable: x})), low(scope), high(scope)
    )


def cases(reader: Reader) -> Node:
    inside = reader.between()[len("{cases}") :]
    while r"\\" in inside and "[" in inside and inside[inside.index("[") - 1] == r"\\":
        at = inside.index("[")
        del inside[at : inside.index("]", at) + 1]
    reader.group()  # \end の {cases}
    branches = []
    for _, row in split(inside, {r"\\"}):
        (_, value), (_, condition) = split(row, {"&"})
        branches.append((reader.inner(value), reader.condition(condition[1:-1], lambda h, _: h)))
    return lambda scope: scope.numbers.choose([(v(scope), c(scope)) for v, c in branches])


LOOPS = {r"\sum": repeated, r"\prod": repeated, r"\int": integral, r"\begin": cases}
