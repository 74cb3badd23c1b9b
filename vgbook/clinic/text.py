"""診断書を文字にする。幅は東アジアの文字幅で数え、日本語の Windows の文字だけを使う。"""

from __future__ import annotations

import sys
from itertools import groupby
from math import isfinite
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

if TYPE_CHECKING:
    from vgbook.clinic.record import Finding, LayerRecord, Trial
    from vgbook.clinic.report import Diagnosis

MISSING = "-"
COLUMNS = ("層", "種類", "h", "標本間の差", "delta", "dW", "更新の比", "飽和", "死", "判定")


def width(string: str) -> int:
    """端末での幅。全角は 2。

    Examples
    --------
    >>> width("消失 dW")
    7
    """
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in string)


def pad(string: str, columns: int) -> str:
    """端末での幅が ``columns`` になるように、右に空白を足す。"""
    return string + " " * (columns - width(string))


def printable(page: str) -> str:
    r"""標準出力の文字コードで表せない文字を ``\u6b7b`` のように書く。``print`` が止まらないように。

    日本語を表せない端末やパイプでも、判定の英語の名前と数は読めます。UTF-8 なら何も変わりません。
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return page.encode(encoding, "backslashreplace").decode(encoding)


def number(value: float) -> str:
    """表の 1 つの数。"""
    return f"{value:.1e}" if isfinite(value) else MISSING


def numbers(values: list[float]) -> str:
    """いくつかの層の数を、1 つの範囲にまとめる。"""
    known = [v for v in values if isfinite(v)]
    if not known:
        return MISSING
    low, high = number(min(known)), number(max(known))
    return low if low == high else f"{low} .. {high}"


def percents(values: list[float]) -> str:
    """割合の範囲。"""
    known = [v for v in values if isfinite(v)]
    if not known:
        return MISSING
    low, high = (f"{100 * v:.0f}" for v in (min(known), max(known)))
    return f"{low} %" if low == high else f"{low} .. {high} %"


def groups(report: Diagnosis) -> list[list[LayerRecord]]:
    """判定と種類が同じで、隣り合う層をまとめる。"""
    key = lambda layer: (layer.kind, tuple(report.marks(layer)), layer.trainable)  # noqa: E731
    return [list(run) for _, run in groupby(report.layers, key)]


def rows(report: Diagnosis) -> list[list[str]]:
    """層の表。"""
    table = []
    for group in groups(report):
        first, last = group[0], group[-1]
        name = first.name if len(group) == 1 else f"{first.name} .. {last.name} ({len(group)} 層)"
        fine = "良好" if isfinite(first.delta) else MISSING
        mark = "、".join(report.marks(first)) or ("固定" if not first.trainable else fine)
        sizes = [
            numbers([getattr(layer, column) for layer in group])
            for column in ("h", "distinct", "delta", "dW", "update")
        ]
        shares = [percents([getattr(layer, c) for layer in group]) for c in ("saturated", "dead")]
        table.append([name, first.kind, *sizes, *shares, mark])
    return table


def table(header: tuple[str, ...], body: list[list[str]]) -> list[str]:
    """幅をそろえた行。"""
    lines = [list(header), *body]
    widths = [max(width(line[i]) for line in lines) for i in range(len(header))]
    return [
        "  ".join(pad(c, w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines
    ]


def places(modules: tuple[str, ...], most: int = 4) -> str:
    """モジュールの名前。多ければ途中を省く。"""
    if len(modules) <= most:
        return ", ".join(modules)
    return f"{modules[0]}, {modules[1]}, ... , {modules[-1]} ({len(modules)} か所)"


def summary(report: Diagnosis) -> str:
    """1 行の結論。"""
    if report.findings:
        root = report.findings[0]
        return f"{root.severity}: {root.name} ({places(root.modules)})。まず: {root.cures[0]}"
    if not report.trials:
        if report.unknown:
            return "不明: 測れた層がありません。"
        return "良好: 症状は見つかりません (試しの学習はしていません)。"
    base = report.trials[0]
    first, end = base.losses[0], base.end
    if report.unknown:
        return (
            f"不明: 損失が {first:.3g} から {end:.3g} で、学べたと言えるほど下がりませんが、"
            "原因となる異常は見つかりません。"
        )
    return f"良好: 損失が {first:.3g} から {end:.3g} に下がりました ({len(base.losses)} 回)。"


def course(trial: Trial) -> str:
    """試しの学習の 1 行。"""
    if not trial.losses:
        return f"{trial.name}: 更新できない"
    end = "発散" if trial.diverged else f"{trial.end:.3g}"
    return f"{trial.name}: 損失 {trial.losses[0]:.3g} → {end} ({len(trial.losses)} 回)"


def paragraph(number_: int, f: Finding) -> list[str]:
    """1 つの判定の説明。"""
    return [
        f"{number_}. {f.severity}: {f.name} ({f.slug})  {places(f.modules)}",
        f"   測定: {f.evidence}",
        f"   意味: {f.verdict.meaning}",
        *(f"   治し方 {i}: {cure}" for i, cure in enumerate(f.cures, 1)),
        f"   くわしく: 「{f.verdict.chapter.title}」の章",
        *(f"   証拠: {course(trial)}" for trial in f.trials),
        *(
            f"   その結果: {c.name} ({c.slug})  {places(c.modules)}  {c.evidence}"
            for c in f.consequences
        ),
    ]


def page(report: Diagnosis) -> str:
    """診断書の全体。"""
    lines = [report.summary, ""]
    if report.layers:
        lines += [*table(COLUMNS, rows(report)), ""]
    for i, f in enumerate(report.findings, 1):
        lines += [*paragraph(i, f), ""]
    lines += [f"注: {note}" for note in report.notes]
    return "\n".join(lines).rstrip()
