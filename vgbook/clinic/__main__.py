"""保存した診断書を読み、見つけたくない判定があれば失敗する (CI 用)。

``python -m vgbook.clinic report.json --fail-on 消失 --fail-on dead``
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TextIO

from vgbook.clinic.report import Diagnosis
from vgbook.clinic.verdicts import VERDICTS, named

ANY = ("any", "どれか")
UNKNOWN = ("unknown", "不明")


def main(arguments: list[str] | None = None) -> int:
    """診断書を表示し、``--fail-on`` の判定があれば 1 を、読めなければ 2 を返す。"""
    names = "、".join(f"{v.japanese} ({v.slug})" for v in VERDICTS.values())
    parser = argparse.ArgumentParser(
        prog="python -m vgbook.clinic",
        description="保存した診断書 (report.save) を表示します。",
        epilog=f"判定の名前: {names}。判定がなくても良好と言えなければ、不明 (unknown)",
    )
    parser.add_argument("report", type=Path, help="診断書の JSON")
    parser.add_argument(
        "--fail-on",
        action="append",
        default=[],
        metavar="判定",
        help="この判定があれば終了コード 1 で終わる (日英どちらでも、何度でも。any はどの判定でも)",
    )
    options = parser.parse_args(arguments)
    for name in options.fail_on:
        if name not in ANY + UNKNOWN and named(name) is None:
            parser.error(f"--fail-on の判定を知りません: {name}。知っているもの: {names}")
    try:
        report = Diagnosis.from_dict(json.loads(options.report.read_text(encoding="utf-8-sig")))
    except (OSError, ValueError, RecursionError) as error:  # 入れ子の深すぎる JSON も
        _show(f"{options.report} を診断書として読めません: {error}\n", sys.stderr)
        return 2
    _show(f"{report}\n", sys.stdout)
    wanted = {verdict.slug for name in options.fail_on if (verdict := named(name))}
    if any(name in ANY for name in options.fail_on):
        wanted |= set(VERDICTS)
    unknown = report.unknown and any(name in UNKNOWN for name in options.fail_on)
    return int(unknown or any(f.slug in wanted for f in report.everything()))


def _show(page: str, stream: TextIO | None) -> None:
    """表示する。読み手 (head など) が先に閉じても、はじめから閉じていても、判定を失わない。"""
    if stream is None:
        return
    try:
        stream.write(page)
        stream.flush()
    except OSError as error:
        # 終わるときに、もう一度書こうとしないように
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            _show(f"診断書を表示できません: {error}\n", sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
