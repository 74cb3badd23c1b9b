"""速さを測り、結果を docs/appendix/speed-results.json に書く。

BLAS のスレッドは 1 つに揃え、並列は CPU の数だけのスレッドでとります。時間は計算機しだいなので、
見るのは同じ周の中での比です。``--quick`` は、動くことだけを数分で確かめます。
"""

import argparse
import datetime
import json
import os
import platform
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contests
import jax
import numpy as np
import scaling
import shares
import torch
import trades
import training
from threadpoolctl import threadpool_info, threadpool_limits

RESULTS = Path(__file__).parents[1] / "docs/appendix/speed-results.json"


def measure(updates: int, rounds: int, quick: bool) -> dict[str, Any]:
    cases: list[Callable[[], contests.Contest]] = [
        lambda: training.sweep(updates),
        lambda: training.comparison(max(5, updates // 4), seeds=2 if quick else 10),
        lambda: contests.flow(seeds=1 if quick else 5),
        contests.phase_diagram,
    ]
    load = [os.getloadavg()[0]]
    report: dict[str, Any] = {"contests": []}
    for case in cases:
        report["contests"].append(contests.measure(case(), rounds))
        load.append(os.getloadavg()[0])
    return {**report, **scale(rounds, quick), "load": load}


def scale(rounds: int, quick: bool) -> dict[str, Any]:
    sizes = [4**k for k in range(4 if quick else 7)]
    wide = {10: 60, 30: 60, 100: 20, 300: 5, 1000: 2}
    deep = {2: 40, 5: 20, 10: 10, 20: 5, 50: 3}
    if quick:
        wide, deep = {10: 2, 100: 2}, {2: 2, 5: 2}
    return {
        "members": scaling.over_members(sizes, updates=3, rounds=min(rounds, 2)),
        "memory": scaling.memory([0, *sizes[3:]]),
        "width": [_row(n, training.layered(5, n, u), u, rounds) for n, u in wide.items()],
        "depth": [_row(n, training.layered(n, 100, u), u, rounds) for n, u in deep.items()],
        "chunks": scaling.over_chunks(5 if quick else 40, rounds),
        "executors": scaling.over_executors(5 if quick else 40, rounds),
        "peak": scaling.peak_flops(),
        "trades": trades.measure(20 if quick else 300),
        "shares": shares.training(5 if quick else 40),
        "flow_shares": shares.flow(3 if quick else 30),
    }


def _row(n: int, contest: contests.Contest, updates: int, rounds: int) -> dict[str, Any]:
    return {"n": n, "updates": updates, **contests.measure(contest, rounds)}


def machine() -> dict[str, Any]:
    return {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "blas": sorted({i["architecture"] for i in threadpool_info() if "architecture" in i}),
        "versions": {m.__name__: m.__version__ for m in (np, torch, jax)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="短く走らせる。本の表は書き換えない")
    parser.add_argument("--updates", type=int, default=191, help="6.3.2 の更新の回数")
    parser.add_argument("--rounds", type=int, default=3, help="測る周の数")
    parser.add_argument("--output", type=Path, help="結果を書く場所")
    args = parser.parse_args()
    if args.quick:
        args.updates, args.rounds = 5, 1
    output = args.output or (None if args.quick else RESULTS)
    # 標準偏差の大きいネットワークは発散する。それも課題のうち
    warnings.filterwarnings("ignore", "(overflow|invalid value)", RuntimeWarning)
    with threadpool_limits(limits=1, user_api="blas"):
        report = {**machine(), **measure(args.updates, args.rounds, args.quick)}
    for contest in report["contests"]:
        print_table(contest)
    if output is not None:
        output.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")


def print_table(contest: dict[str, Any]) -> None:
    print(f"\n{contest['title']} (vgbook の集団を 1 とした比)")
    ours = np.array(contest["seconds"][contests.OURS])
    for name, times in contest["seconds"].items():
        ratio = np.array(times) / ours
        off = f"、答えのずれ {contest['off'][name]:.0e}" if name in contest["off"] else ""
        print(
            f"  {name}: {np.median(times):.2f} 秒、"
            f"{np.median(ratio):.2f} ({ratio.min():.2f}〜{ratio.max():.2f}){off}"
        )


if __name__ == "__main__":
    main()
