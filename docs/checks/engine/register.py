"""検算の登録と実行。"""

import itertools
import operator
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from checks.engine.formula import Node, formula
from checks.engine.numbers import KINDS, Numbers
from checks.engine.scope import Scope, Unreadable
from checks.engine.tokens import chains, joined

Meaning = Callable[[np.random.Generator], Mapping[str, Any]]
Side = tuple[str, Node, str]  # 関係、値を返す関数、TeX
TRUTH = {"=": operator.eq, r"\le": operator.le, r"\ge": operator.ge, ">": operator.gt}


@dataclass(frozen=True)
class Check:
    """1 つの式の検算。``meaning`` は、乱数生成器を受け取り、記号の意味を返す。"""

    label: str
    kind: str
    meaning: Meaning
    points: int
    within: float
    over: Mapping[str, Iterable[int]]
    free: str
    without: tuple[str, ...]

    def run(self, tex: str) -> int:
        """頁の TeX を確かめ、比べた辺の組の数を返す。食い違えば ``AssertionError``。"""
        for piece in self.without:
            if piece not in tex:
                raise Unreadable(f"{self.label}: 除くはずの {piece!r} が頁の式にありません")
            tex = tex.replace(piece, "", 1)
        rng = np.random.default_rng(zlib.crc32(self.label.encode()))
        with np.errstate(invalid="raise", divide="raise"):  # 定義されない値は、一致ではなく誤り
            return sum(self.at_a_point(tex, self.meaning(rng)) for _ in range(self.points))

    def at_a_point(self, tex: str, names: Mapping[str, Any]) -> int:
        scope = Scope(names, KINDS[self.kind], self.over)
        compared = 0
        for chain in chains(tex):
            sides = [(relation, formula(side, scope), joined(side)) for relation, side in chain]
            if len(sides) < 2:
                raise Unreadable(f"{self.label}: 等号も不等号もない式 {sides[0][2]}")
            letters = self.free.split()
            for at in itertools.product(*(self.over[letter] for letter in letters)):
                compared += self.compare(sides, scope.bound(dict(zip(letters, at, strict=True))))
            if sides[1][0] == r"\leftarrow":  # 続く式の文字は、新しい値
                scope.table[sides[0][2]] = scope["after"][sides[0][2]]
        return compared

    def compare(self, sides: list[Side], scope: Scope) -> int:
        if any(relation == r"\iff" for relation, _, _ in sides):
            return self.compare_truths(sides, scope)
        values = [(relation, node(scope), tex) for relation, node, tex in sides]
        for (_, a, left), (relation, b, right) in itertools.pairwise(values):
            if not self.holds(relation, a, b, left, scope):
                raise AssertionError(f"{self.label}: {left} {relation} {right} でない: {a} と {b}")
        return len(values) - 1

    def holds(self, relation: str, a: Any, b: Any, left: str, scope: Scope) -> bool:
        numbers = scope.numbers
        of_kind(a, numbers), of_kind(b, numbers)
        if relation == r"\leftarrow":
            return numbers.same(b, scope["after"][left], self.within)
        if relation in scope:  # 「→」などの意味は、検算ごとに決める
            return bool(scope[relation](a, b))
        if relation == "=":
            return numbers.same(a, b, self.within)
        if relation in {r"\le", r"\ge"}:
            low, high = (a, b) if relation == r"\le" else (b, a)
            return numbers.at_most(low, high, self.within)
        raise Unreadable(f"{self.label}: 関係 {relation} の意味がありません")

    def compare_truths(self, sides: list[Side], scope: Scope) -> int:
        r"""``A \iff B``: 真偽が一致する。"""
        truths, group = [], [sides[0]]
        for side in [*sides[1:], (r"\iff", sides[0][1], "")]:
            if side[0] == r"\iff":
                (_, a, _), (relation, b, _) = group
                truths.append(bool(TRUTH[relation](a(scope), b(scope))))
                group = []
            group.append(side)
        if len(set(truths)) > 1:
            raise AssertionError(f"{self.label}: 真偽が一致しません: {truths}")
        return len(truths) - 1


def of_kind(value: Any, numbers: Numbers) -> None:
    """種類の違う数 (記号の中の小数など) が混じれば、その名の検算ではない。"""
    found = value.ravel().tolist() if isinstance(value, np.ndarray) else [value]
    wrong = [type(x).__name__ for x in found if not isinstance(x, numbers.types)]
    if wrong:
        raise TypeError(f"この種類の検算の値ではありません: {sorted(set(wrong))}")


def check(
    label: str,
    kind: str,
    *,
    points: int = 1,
    within: float = 0.0,
    over: Mapping[str, Iterable[int]] | None = None,
    free: str = "",
    without: tuple[str, ...] = (),
) -> Callable[[Meaning], Meaning]:
    """記号の意味を返す関数に、式 ``label`` の検算を付ける。

    Parameters
    ----------
    label : str
        式の名前。
    kind : str
        「記号」「高精度」「全数」「数値」のどれか (``checks.engine.numbers``)。
    points : int
        記号の値を選び直して確かめる回数。
    within : float
        「数値」で許す相対誤差。
    over : dict
        和や積を取る文字の範囲。
    free : str
        すべての値について確かめる文字。空白で区切る。
    without : tuple of str
        式に添えた言葉や条件。読む前に除く。

    """

    def register(meaning: Meaning) -> Meaning:
        made = Check(label, kind, meaning, points, within, over or {}, free, without)
        meaning.__dict__.setdefault("checks", {})[label] = made
        return meaning

    return register


def load(label: str, module: str, function: str) -> Check:
    """``docs/checks/<module>.py`` の関数に付けた、式 ``label`` の検算。"""
    checks: dict[str, Check] = vars(import_module(f"checks.{module}"))[function].checks
    return checks[label]
