"""検算の一覧: どの式が、どのファイルのどの関数で、どの種類の検算で確かめられているか。

``docs/checks`` のソースを構文として読むだけで、走らせない。試験の道具がなくても本を組める。
試験も、この一覧にある検算を走らせる。
"""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

KINDS = {
    "記号": "記号計算による証明",
    "高精度": "無作為に選んだ点での 60 桁の計算",
    "全数": "有限個の場合をすべて数えた、分数での計算",
    "数値": "float64 の数値計算",
}


@dataclass(frozen=True)
class Checked:
    """1 つの式の検算。"""

    label: str
    kind: str
    options: dict[str, Any]
    module: str
    function: str

    @property
    def target(self) -> str:
        return f"check-{self.label}"

    def method(self) -> str:
        points, within = self.options.get("points", 1), self.options.get("within")
        words = [KINDS[self.kind]]
        if points > 1:
            words.append(f"{points} 点")
        if within is not None:
            words.append(f"許す相対誤差 {within:g}")
        return "、".join(words)


def checks_of(function: ast.FunctionDef, module: str) -> list[Checked]:
    """関数に付いた ``@check(…)``。"""
    found = []
    for call in function.decorator_list:
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "check":
            label, kind = (ast.literal_eval(arg) for arg in call.args)
            options = {
                k.arg: ast.literal_eval(k.value)
                for k in call.keywords
                if k.arg in ("points", "within")
            }
            found.append(Checked(label, kind, options, module, function.name))
    return found


@cache
def registry(where: Path) -> dict[str, Checked]:
    """式の名前から検算へ。``where`` は ``docs/checks``。"""
    checks = [
        check
        for path in sorted(where.glob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        for check in checks_of(node, path.stem)
    ]
    for label, count in Counter(check.label for check in checks).items():
        if count > 1:
            raise ValueError(f"{label} の検算が {count} つあります")
    return {check.label: check for check in checks}


@cache
def excused(where: Path) -> dict[str, str]:
    """検算しない式の名前から、その理由へ。"""
    path = where / "__init__.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body if path.exists() else ():
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXCUSED":
            return dict(ast.literal_eval(node.value))
    return {}
