"""証人: 変異した行を通る試験。通らない試験は、その変異に気づけないので、走らせなくてよい。"""

import ast
import re
from pathlib import Path

from operators import Mutant
from targets import path_of

MEASURE = ["--cov=vgbook", "--cov-context=test", "--cov-report="]
"""どの行をどの試験が通ったかを、`.coverage` に書く pytest の引数。"""


def statement(source: str, line: int) -> range:
    """``line`` を含む、いちばん内側の文の行。``if`` や ``for`` なら、見出しの行だけ。"""
    around = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    node = max(around, key=lambda node: node.lineno)
    body = getattr(node, "body", None)
    end = body[0].lineno if body else (node.end_lineno or node.lineno) + 1
    return range(node.lineno, max(end, line + 1))


class Witnesses:
    """壊す前のパッケージで試験を走らせた記録 ``folder/.coverage`` から、証人を探す。"""

    def __init__(self, folder: Path) -> None:
        from coverage import CoverageData  # 変異を試す環境にだけ入れる

        self.folder = folder
        self.data = CoverageData(str(folder / ".coverage"))
        self.data.read()
        # 別のプロセスで通った行は、記録に残らない
        self.elsewhere = [
            f"tests/package/{path.name}"
            for path in sorted((folder / "tests" / "package").glob("test_*.py"))
            if re.search("subprocess|ProcessPool", path.read_text(encoding="utf-8"))
        ]

    def of(self, mutant: Mutant, source: str) -> list[str] | None:
        """変異した文を通る試験。読み込むときに通る文なら、どの試験も証人なので None。"""
        lines = self.data.contexts_by_lineno(str(self.folder / path_of(mutant.module)))
        contexts = {c for line in statement(source, mutant.line) for c in lines.get(line, [])}
        if "" in contexts:
            return None
        names = {context.rpartition("|")[0] for context in contexts}  # 「試験の名前|段」
        inside = {name for name in names if name.partition("::")[0] not in self.elsewhere}
        return [*sorted(inside), *self.elsewhere]
