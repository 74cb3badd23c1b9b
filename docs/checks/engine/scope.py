"""記号の意味の表。"""

import operator
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from checks.engine.numbers import Numbers
from checks.engine.tokens import Tokens, canonical, joined, split

COMPARE = {
    "=": operator.eq, "<": operator.lt, ">": operator.gt, r"\le": operator.le, r"\ge": operator.ge,
}  # fmt: skip


class Unreadable(Exception):
    """頁の式が読めないか、記号の意味が与えられていない。"""


class Scope(Mapping[str, Any]):
    """TeX の名前から値への表。添字は、束縛された文字の値で引く。"""

    def __init__(self, names: Mapping[str, Any], numbers: Numbers, ranges: Mapping[str, Any]):
        self.table = {canonical(key): value for key, value in names.items()}
        self.numbers = numbers
        self.ranges = ranges

    def __getitem__(self, key: str) -> Any:
        return self.table[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)

    def bound(self, more: Mapping[str, Any]) -> "Scope":
        """``more`` の文字を束縛した表。"""
        scope = Scope({}, self.numbers, self.ranges)
        scope.table = self.table | dict(more)
        return scope

    def is_function(self, key: str) -> bool:
        return callable(self.table.get(key, self.numbers.functions.get(key)))

    def value(self, key: str) -> Any:
        for table in (self.table, self.numbers.functions, self.numbers.constants):
            if key in table:
                value = table[key]
                return self.numbers.number(value) if type(value) is int else value
        raise Unreadable(f"{key} の意味がありません")

    def named(self, base: Tokens, sub: Tokens) -> Any:
        """``x_{ni}`` という名前がなければ、``x`` の値を添字で引く。"""
        key = joined(base + sub)
        if not sub or key in self:
            return self.value(key)
        table = joined(base) + "_"  # 添字のない名前が別の値のとき: \\bar h と \\bar h_j
        return self.index(self.value(table if table in self else joined(base)), sub[2:-1])

    def derivative(self, d: str, top: Tokens, bottom: Tokens) -> Any:
        r"""``\pd{A}{B}``。なければ、添字を外した名前の値を、外した添字で引く。"""
        for strip_top, strip_bottom in ((False, False), (False, True), (True, True)):
            a, i = bare(top, strip_top)
            b, j = bare(bottom, strip_bottom)
            frac = [r"\frac", "{", d, *a, "}", "{", d, *b, "}"]
            key = joined([r"\pd", "{", *a, "}", "{", *b, "}"] if d == r"\partial" else frac)
            if key in self:
                subscript = [*i, *([","] if i and j else []), *j]
                value = self.value(key)
                return self.index(value, subscript) if subscript else value
        raise Unreadable(rf"{d} {joined(top)} / {d} {joined(bottom)} の意味がありません")

    def index(self, value: Any, subscript: Tokens) -> Any:
        """表や列は 1 つずつ、配列は残りの添字をまとめて引く。"""
        at = [i for _, part in split(subscript, {","}) for i in self.indices(part)]
        while at and not isinstance(value, np.ndarray):
            value = value[at.pop(0)]
        return value[tuple(at)] if at else value

    def indices(self, part: Tokens) -> list[int]:
        """``ni`` は 2 つの添字、``l+1`` や ``10`` は 1 つ。"""
        from checks.engine.formula import Reader

        reader = Reader(part, self)
        if {"+", "-"} & set(part) or part[0].isdigit():
            return [int(reader.sum()(self))]
        found = []
        while reader.rest:
            found.append(int(reader.factor()(self)))
        return found


def bare(found: Tokens, strip: bool) -> tuple[Tokens, Tokens]:
    """名前と添字に分ける。"""
    if not strip or "_" not in found:
        return found, []
    at = found.index("_")
    sub = found[at + 1 :]
    return found[:at], sub[1:-1] if sub[0] == "{" else sub


MATRICES = {(2, 2), (1, 2), (2, 1)}


def product(a: Any, b: Any) -> Any:
    """並べて書いた積。行列どうし、行列とベクトルなら行列の積。"""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and (a.ndim, b.ndim) in MATRICES:
        return a @ b
    return a * b
