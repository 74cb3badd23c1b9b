"""変異の一覧: ソースの 1 か所だけを、型は合うが意味の違うものに取り替える。"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
}
COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
SWAPS = (  # 互いに取り替える関数
    *("maximum minimum", "max min", "sum mean", "sqrt square", "any all", "zeros ones"),
    *("zeros_like ones_like", "sin cos", "isfinite isnan"),
)
NAMES = {a: b for pair in map(str.split, SWAPS) for a, b in (pair, pair[::-1])} | {
    "exp": "expm1",
    "log": "log1p",
    "reversed": "list",
    "append": "count",
    "abs": "float",
}


@dataclass(frozen=True)
class Mutant:
    """1 か所だけを変えたソース。"""

    module: str
    line: int
    text: str
    before: str
    after: str
    source: str

    @property
    def name(self) -> str:
        """行番号によらず、どの行の何を変えたかがわかる名前。"""
        return mutant_name(self.module, self.text, self.before, self.after)


def mutant_name(module: str, text: str, before: str, after: str) -> str:
    return f"{module}: {text} [{before} → {after}]"


def replacements(node: ast.AST) -> Iterator[ast.AST]:
    """``node`` の代わりに置くもの。"""
    match node:
        case ast.BinOp(left, op, right) if type(op) in BINARY:
            yield ast.BinOp(left, BINARY[type(op)](), right)
        case ast.AugAssign(target, op, value) if type(op) in BINARY:
            yield ast.AugAssign(target, BINARY[type(op)](), value)
        case ast.Compare(left, [op, *rest], comparators) if type(op) in COMPARE:
            yield ast.Compare(left, [COMPARE[type(op)](), *rest], comparators)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.USub() | ast.Not(), operand):
            yield operand
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield ast.Constant(value + 1 if isinstance(value, int) else value * 1.01 or 1.0)
        case ast.Attribute(value, str(name), context) if name in NAMES:
            yield ast.Attribute(value, NAMES[name], context)
        case ast.Name(str(name), ast.Load()) if name in NAMES:
            yield ast.Name(NAMES[name], ast.Load())
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Expr(ast.Call()) | ast.Assign([ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()


def is_text(node: ast.AST) -> bool:
    """動きを決めない部分: 文書、型、エラーの文、印刷の形。変えても試験の対象にならない。"""
    match node:
        case ast.Expr(ast.Constant(str())) | ast.JoinedStr() | ast.Raise() | ast.AnnAssign():
            return True
        case ast.FunctionDef("__repr__" | "__str__") | ast.If(ast.Name("TYPE_CHECKING")):
            return True
    return False


def places(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """変えてよい節を、(親, 属性, 何番目か, 節) で列挙する。"""
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list"}:
            continue
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if isinstance(child, ast.AST) and not is_text(child):
                yield node, field, index if isinstance(value, list) else None, child
                yield from places(child)


def put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def names(module: str, source: str) -> Iterator[str]:
    """``source`` のすべての変異の名前。変えたソースは作らないので速い。"""
    lines = source.splitlines()
    for _, _, _, node in list(places(ast.parse(source))):
        before = ast.unparse(node)
        for new in replacements(node):
            text = lines[node.lineno - 1].strip()
            yield mutant_name(module, text, before, ast.unparse(ast.fix_missing_locations(new)))


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """``source`` のすべての変異。"""
    tree, lines = ast.parse(source), source.splitlines()
    for parent, field, index, node in list(places(tree)):
        for new in replacements(node):
            before = ast.unparse(node)
            put(parent, field, index, new)
            changed = ast.unparse(ast.fix_missing_locations(tree))
            put(parent, field, index, node)
            line = node.lineno
            yield Mutant(module, line, lines[line - 1].strip(), before, ast.unparse(new), changed)
