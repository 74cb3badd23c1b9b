r"""TeX の式を、値を計算する関数に組み立てる。

文法は、この本が別行の数式に使うものに限る。読めない字句は、黙って飛ばさず `Unreadable` にする。
何が関数で何が数かは、検算の与える意味で決まる (``f(x)`` は、f が関数なら適用、数なら積)。
"""

from collections.abc import Callable
from typing import Any

from checks.engine.loops import LOOPS
from checks.engine.notation import NOTATION
from checks.engine.scope import COMPARE, Scope, Unreadable, product
from checks.engine.tokens import OPEN, RELATIONS, Tokens, joined, split

Node = Callable[[Scope], Any]
ACCENTS = {r"\hat", r"\bar", r"\mathrm", r"\text", r"\mathbb", r"\operatorname", r"\mathcal"}
ENDS = {"+", "-", r"\pm", ")", "]", "}", ",", r"\rangle", "|", "/"}


class Reader:
    """字句を左から読み、木の代わりに、値を返す関数を組み立てる。"""

    def __init__(self, found: Tokens, names: Scope) -> None:
        self.rest = list(found)
        self.names = names

    def peek(self, at: int = 0) -> str:
        return self.rest[at] if at < len(self.rest) else ""

    def take(self, expected: str = "") -> str:
        if not self.rest or (expected and self.rest[0] != expected):
            raise Unreadable(f"{expected or '式'} があるはずの所: {joined(self.rest)!r}")
        return self.rest.pop(0)

    def group(self) -> Tokens:
        """``{…}`` の中、または次の 1 字句。"""
        if self.peek() in ACCENTS:
            return [self.take(), "{", *self.group(), "}"]
        return self.between() if self.peek() == "{" else [self.take()]

    def between(self) -> Tokens:
        """開く括弧から、対になる閉じる括弧まで。"""
        ends, inside = [OPEN[self.take()]], Tokens()
        while True:
            token = self.take()
            if token == ends[-1]:
                ends.pop()
                if not ends:
                    return inside
            elif token in OPEN:
                ends.append(OPEN[token])
            inside.append(token)

    def inner(self, found: Tokens) -> Node:
        reader = Reader(found, self.names)
        node = reader.sum()
        if reader.rest:
            raise Unreadable(f"読めない続き: {joined(reader.rest)!r}")
        return node

    def sum(self) -> Node:
        terms: list[tuple[str, Node]] = []
        sign = self.take() if self.peek() in {"+", "-", r"\pm"} else "+"
        while True:
            terms.append((sign, self.product()))
            if self.peek() not in {"+", "-", r"\pm"}:
                break
            sign = self.take()

        def value(scope: Scope) -> Any:
            signs = {"+": 1, "-": -1, r"\pm": scope.get(r"\pm", None)}
            values = [node(scope) if s == "+" else signs[s] * node(scope) for s, node in terms]
            total = values[0]
            for term in values[1:]:
                total = total + term
            return total

        return value

    def product(self) -> Node:
        node = self.factor()
        while self.peek() and self.peek() not in ENDS - {"/"} | RELATIONS | {r"\d", r"\mid"}:
            mark = self.take() if self.peek() in {r"\cdot", r"\times", r"\odot", "/"} else ""
            node = self.joined_by(mark, node, self.factor())
        return node

    def joined_by(self, mark: str, a: Node, b: Node) -> Node:
        if mark == "/":
            return lambda scope: a(scope) / b(scope)
        if mark == r"\odot":
            return lambda scope: a(scope) * b(scope)
        return lambda scope: product(a(scope), b(scope))

    def factor(self) -> Node:
        node = self.primary()
        while self.peek() in {"^", "_", r"\T"}:
            mark = self.take()
            argument = [mark] if mark == r"\T" else self.group()
            node = self.indexed(node, argument) if mark == "_" else self.powered(node, argument)
        return node

    def powered(self, node: Node, argument: Tokens) -> Node:
        if argument in ([r"\T"], [r"\top"]):
            return lambda scope: node(scope).T
        exponent = self.inner(argument)
        return lambda scope: node(scope) ** exponent(scope)

    def indexed(self, node: Node, argument: Tokens) -> Node:
        return lambda scope: scope.index(node(scope), argument)

    def primary(self) -> Node:
        token = self.peek()
        if token.isdigit():
            return self.number()
        if token in {"{", "(", "["}:
            return self.bracket()
        if token in NOTATION | LOOPS:
            return (NOTATION | LOOPS)[token](self)
        return self.named()

    def number(self) -> Node:
        text = self.take()
        while self.peek().isdigit() or (self.peek() == "." and self.peek(1).isdigit()):
            text += self.take()
        return lambda scope: scope.numbers.number(text)

    def bracket(self) -> Node:
        square = self.peek() == "["
        inside = self.between()
        if square and any(mark for mark, _ in split(inside, RELATIONS)):
            return self.condition(
                inside, lambda holds, scope: scope.numbers.number("1" if holds else "0")
            )
        return self.inner(inside)

    def condition(self, found: Tokens, then: Callable[[Any, Scope], Any]) -> Node:
        (_, left), (relation, right) = split(found, RELATIONS)
        a, b = self.inner(left), self.inner(right)
        return lambda scope: then(COMPARE[relation](a(scope), b(scope)), scope)

    def name(self) -> Tokens:
        """名前と、それに付いたダッシュ (導関数、「次の層の」の印)。"""
        found = [self.take()]
        if found[0] in ACCENTS:
            inside = self.group() if found[0] not in {r"\hat", r"\bar"} else [self.take()]
            found += inside if len(inside) == 1 else ["{", *inside, "}"]
        while self.peek() == "'":
            found.append(self.take())
        return found

    def subscript(self) -> Tokens:
        if self.peek() != "_":
            return []
        return [self.take(), "{", *self.group(), "}"]

    def named(self) -> Node:
        base = self.name()
        if not (base[0].startswith("\\") or base[0].isalpha()):
            raise Unreadable(f"読めない字句: {base[0]!r}")
        sub = self.subscript()
        while self.peek() == "'":  # δ_j'^2
            base.append(self.take())
        if self.peek() == "^" and self.peek(1) == "*":
            base += [self.take(), self.take()]
        key = joined(base + sub)
        if self.peek() == "(" and f"{key}(" in self.names:  # 値と関数に同じ字を使う f と f(a)
            return self.applied(f"{key}(")
        if self.names.is_function(key):
            return self.applied(key)
        return lambda scope: scope.named(base, sub)

    def applied(self, key: str) -> Node:
        power = None
        if self.peek() == "^":
            self.take()
            power = self.inner(self.group())
        if self.peek() == "(":
            nodes = [self.inner(part) for _, part in split(self.between(), {","})]
        else:
            nodes = [self.factor()]

        def value(scope: Scope) -> Any:
            result = scope.value(key)(*(node(scope) for node in nodes))
            return result if power is None else result ** power(scope)

        return value


def formula(found: Tokens, names: Scope) -> Node:
    """辺 1 つ。同じ TeX に意味が与えてあれば、それを使う (``⋯`` を含む辺など)。"""
    key = joined(found)
    if key in names:
        return lambda scope: scope[key]
    return Reader(found, names).inner(list(found))
