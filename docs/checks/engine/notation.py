r"""書き方の決まった因子: 分数、微分、根号、平均など。

どの関数も、``Reader`` から自分の字句を読み、値を返す関数を組み立てる。
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from checks.engine.scope import COMPARE, Scope
from checks.engine.tokens import Tokens, joined, split

if TYPE_CHECKING:
    from checks.engine.formula import Reader

Node = Callable[[Scope], Any]


def fraction(reader: Reader) -> Node:
    reader.take(r"\frac")
    top = reader.group()
    bottom = reader.group()
    if bottom[:1] in ([r"\d"], [r"\partial"]):
        return derivative(reader, bottom[0], top[1:], bottom[1:])
    a, b = reader.inner(top), reader.inner(bottom)
    return lambda scope: a(scope) / b(scope)


def partial(reader: Reader) -> Node:
    reader.take(r"\pd")
    return derivative(reader, r"\partial", reader.group(), reader.group())


def slashed(reader: Reader) -> Node:
    r"""``\partial L/\partial W_l``"""
    top = []
    reader.take(r"\partial")
    while reader.peek() != "/":
        top.append(reader.take())
    reader.take("/")
    reader.take(r"\partial")
    bottom = (
        ["(", *reader.between(), ")"]
        if reader.peek() == "("
        else reader.name() + reader.subscript()
    )
    return derivative(reader, r"\partial", top, bottom)


def derivative(reader: Reader, d: str, top: Tokens, bottom: Tokens) -> Node:
    if not top:  # \frac{\d}{\d x}(…): 作用素
        argument = reader.factor()
        key = rf"\frac{{{d}}}{{{joined([d, *bottom])}}}"
        return lambda scope: scope.value(key)(argument(scope))
    return lambda scope: scope.derivative(d, top, bottom)


def root(reader: Reader) -> Node:
    reader.take(r"\sqrt")
    node = reader.inner(reader.group())
    return lambda scope: scope.value(r"\sqrt")(node(scope))


def wrapped(reader: Reader) -> Node:
    mark, found = reader.take(), reader.group()
    exact = f"{mark}{{{joined(found)}}}"
    if exact in reader.names:
        return lambda scope: scope[exact]
    node = reader.inner(found)
    return lambda scope: scope.value(mark)(node(scope))


def between_bars(reader: Reader) -> Node:
    node = reader.inner(reader.between())
    return lambda scope: scope.value(r"\norm")(node(scope))


def underbrace(reader: Reader) -> Node:
    """下に書いた名前は読まない。``\\ge 0`` のような主張なら確かめる。"""
    reader.take(r"\underbrace")
    node = reader.inner(reader.group())
    reader.take("_")
    below = reader.group()
    if below[0] not in COMPARE:
        return node
    bound = reader.inner(below[1:])

    def value(scope: Scope) -> Any:
        result = node(scope)
        assert COMPARE[below[0]](result, bound(scope)), f"{joined(below)} でない: {result}"
        return result

    return value


def inner_product(reader: Reader) -> Node:
    (_, left), (_, right) = split(reader.between(), {","})
    a, b = reader.inner(left), reader.inner(right)
    return lambda scope: (a(scope) * b(scope)).sum()


def mean(reader: Reader) -> Node:
    mark = reader.take()
    if reader.peek() == "[":
        parts = [part for _, part in split(reader.between(), {r"\mid", "|"})]
        given = "".join(rf"\mid {joined(part)}" for part in parts[1:])
        node = reader.inner(parts[0])
    else:
        given, node = "", reader.factor()
    return lambda scope: scope.value(mark + given)(node(scope))


NOTATION = {
    r"\frac": fraction, r"\pd": partial, r"\partial": slashed, r"\sqrt": root,
    r"\abs": wrapped, r"\norm": wrapped, r"\overline": wrapped, r"\underbrace": underbrace,
    r"\langle": inner_product, r"\lVert": between_bars, r"\E": mean, r"\Var": mean,
}  # fmt: skip
