"""診断書を HTML にする。ノートブックと、できあがった本で使う。"""

from __future__ import annotations

from html import escape
from importlib.metadata import PackageNotFoundError, metadata
from math import isfinite, log10
from typing import TYPE_CHECKING

from vgbook.clinic import text

if TYPE_CHECKING:
    from vgbook.clinic.record import Finding, Trial
    from vgbook.clinic.report import Diagnosis

HEADER = ("層", "種類", "h", "標本間の差", "δ", "dW", "更新の比", "飽和", "死", "判定")
SHARES = ("飽和", "死")
WIDTH, HEIGHT = 220, 56


def book() -> str | None:
    """パッケージの情報にある、本の最初の頁の URL。書かれていなければ None。"""
    try:
        urls = metadata("vgbook").get_all("Project-URL", [])
    except PackageNotFoundError:
        return None
    return dict(url.split(", ", 1) for url in urls).get("Documentation")


def page(report: Diagnosis, base: str | None = None) -> str:
    """診断書の全体。``base`` は本の最初の頁の URL で、省けばパッケージの情報から決める。"""
    base = book() if base is None else base
    parts = [f"<p><strong>{escape(report.summary)}</strong></p>"]
    if report.layers:
        parts.append(_table(text.rows(report)))
    if report.findings:
        parts.append("<ol>" + "".join(_finding(f, base) for f in report.findings) + "</ol>")
    parts += [f"<p>注: {escape(note)}</p>" for note in report.notes]
    return "".join(parts)


def _table(rows: list[list[str]]) -> str:
    """判定を層の隣に置く表。どの層でも 0 の割合は、列にしない。"""
    shown = [i for i, name in enumerate(HEADER) if name not in SHARES or _any(rows, i)]
    shown.sort(key=lambda i: (HEADER[i] != "層", HEADER[i] != "判定"))
    head = "".join(f'<th scope="col">{HEADER[i]}</th>' for i in shown)
    body = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{_cell(row[i])}</th>' if i == 0 else f"<td>{_cell(row[i])}</td>"
            for i in shown
        )
        + "</tr>"
        for row in rows
    )
    return (
        '<div class="table-wrapper"><table class="docutils">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _any(rows: list[list[str]], column: int) -> bool:
    return any(row[column] not in ("0 %", text.MISSING) for row in rows)


def _cell(cell: str) -> str:
    """狭ければ範囲の途中で折り返し、数と単位の間では折り返さない。"""
    if cell == text.MISSING:
        return "—"
    return escape(cell).replace(" %", "\u00a0%").replace(" .. ", "〜<wbr>")


def _chapter(f: Finding, base: str | None) -> str:
    title, place = f.verdict.chapter
    if base is None:
        return f"「{title}」の章"
    url = f"{base.rstrip('/')}/{place}#{f.verdict.section}"
    return f'<a href="{escape(url)}">{title}</a>'


def _finding(f: Finding, base: str | None) -> str:
    cures = "".join(f"<li>{escape(cure)}</li>" for cure in f.cures)
    trials = "".join(f"<li>{escape(text.course(t))} {_curve(t)}</li>" for t in f.trials)
    results = "".join(
        f"<li>{escape(c.name)} ({escape(text.places(c.modules))}): {escape(c.evidence)}</li>"
        for c in f.consequences
    )
    return (
        f"<li><strong>{escape(f.severity)}: {escape(f.name)}</strong> ({f.slug})、"
        f"{escape(text.places(f.modules))}"
        f"<p>{escape(f.evidence)}。{escape(f.verdict.meaning)}</p>"
        f"<p>治し方</p><ol>{cures}</ol><p>くわしく: {_chapter(f, base)}</p>"
        + (f"<p>証拠になった試しの学習</p><ul>{trials}</ul>" if trials else "")
        + (f"<p>その結果として起きた異常</p><ul>{results}</ul>" if results else "")
        + "</li>"
    )


def _curve(trial: Trial) -> str:
    """損失の曲線。縦は対数、幅は試しの全体。"""
    points = [(i, log10(v)) for i, v in enumerate(trial.losses) if isfinite(v) and v > 0]
    if len(points) < 2:
        return ""
    low, high = min(y for _, y in points), max(y for _, y in points)
    span, last = max(high - low, 0.1), max(points[-1][0], 1)
    path = " ".join(
        f"{2 + (WIDTH - 4) * x / last:.1f},{HEIGHT - 4 - (HEIGHT - 8) * (y - low) / span:.1f}"
        for x, y in points
    )
    return (
        f'<svg role="img" aria-label="{escape(text.course(trial))}" width="{WIDTH}" '
        f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"><polyline points="{path}" '
        'fill="none" stroke="currentColor" stroke-width="1.5"/></svg>'
    )
