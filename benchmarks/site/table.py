"""測った結果 (site-results.json) とほかのサイトの値 (peers.toml) から、ページの表を作る。"""

import csv
import tomllib
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

PEERS = tomllib.loads((Path(__file__).parent / "peers.toml").read_text(encoding="utf-8"))
UNMEASURED = "—"
Row = tuple[str, str, Callable[[dict[str, Any]], str]]


def views(results: dict[str, Any], key: str, kind: str = "") -> list[float]:
    """等間隔に選んだページの、見方ごとの値。"""
    return [row[key] for name, row in results["browser"]["views"].items() if kind in name]


def scores(results: dict[str, Any], key: str) -> list[float]:
    return [page[key] for page in results["lighthouse"]["pages"].values()]


def joined(values: list[float], digits: int = 0) -> str:
    return " / ".join(f"{value:.{digits}f}" for value in values)


SCORES = ("performance", "accessibility", "best-practices", "seo")
ROWS: list[Row] = [
    (
        "axe",
        "axe: WCAG 2.2 A・AA の違反 (1 つの見方あたり)",
        lambda r: f"{mean(views(r, 'axe')):.2f}",
    ),
    ("axe_best", "axe: よい習慣の違反 (同)", lambda r: f"{mean(views(r, 'axe_best')):.2f}"),
    (
        "lighthouse_median",
        "Lighthouse の中央値 (大きいほど良い): 性能 / 読みやすさ / 作法 / 検索",
        lambda r: joined([median(scores(r, key)) for key in SCORES]),
    ),
    (
        "lighthouse_worst",
        "Lighthouse のいちばん低いページ (大きいほど良い): 性能 / 読みやすさ",
        lambda r: joined([min(scores(r, key)) for key in SCORES[:2]]),
    ),
    (
        "lighthouse_times",
        "Lighthouse のいちばん遅いページ: LCP / TBT (ミリ秒)",
        lambda r: joined([max(scores(r, key)) for key in ("LCP", "TBT")]),
    ),
    (
        "weight",
        "初めて開くページの重さ (gzip、KiB): 中央値 / 最大",
        lambda r: joined([f(views(r, "bytes", "1280 light")) / 1024 for f in (median, max)]),
    ),
    ("requests", "通信の回数", lambda r: f"{median(views(r, 'requests', '1280 light')):.0f}"),
    ("elsewhere", "よそへの通信の回数", lambda r: f"{mean(views(r, 'elsewhere')):.1f}"),
    (
        "desktop",
        "広い画面: LCP の中央値 (ミリ秒) / CLS の最大 / TBT の最大 (ミリ秒)",
        lambda r: (
            f"{median(views(r, 'LCP', '1280')):.0f} / {max(views(r, 'CLS', '1280')):.3f} / "
            f"{max(views(r, 'TBT', '1280')):.0f}"
        ),
    ),
    ("wide", "横にはみ出す見方 (36 のうち)", lambda r: f"{sum(views(r, 'wide'))}"),
    ("console", "コンソールの誤り", lambda r: f"{sum(views(r, 'console'))}"),
    (
        "html",
        "HTML の誤り (1 ページあたり)",
        lambda r: f"{r['html']['errors'] / r['html']['pages']:.2f}",
    ),
    (
        "search",
        "検索 (大きいほど良い): 1 位 / 3 位まで / MRR",
        lambda r: joined([r["browser"]["search"][key] for key in ("hit1", "hit3", "MRR")], 2),
    ),
    ("search_ms", "検索にかかる時間 (ミリ秒)", lambda r: f"{r['browser']['search']['ms']:.0f}"),
]


def write(results: dict[str, Any], path: Path) -> None:
    """まだ測っていない行は、そうとわかるように書く。"""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["測ったもの", "この本", *PEERS["names"]])
        for key, label, ours in ROWS:
            try:
                value = ours(results)
            except KeyError:
                value = UNMEASURED
            writer.writerow([label, value, *PEERS["rows"][key]])
