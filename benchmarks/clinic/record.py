"""診断の章に残す結果を作る。

``python benchmarks/clinic/record.py reports zoo patients held_back overhead peers``

``docs/part6/clinic-results.json`` の、名前を挙げた部分だけを書き換えます。
"""

import datetime
import json
import platform
import sys
import time
import warnings
from collections import deque
from pathlib import Path

import chapter
import torch
from held_back import HELD_BACK
from patients import PATIENTS
from torch import nn
from torch.nn import functional as F
from zoo import ZOO

from vgbook.clinic import diagnose, watch

TARGET = Path(__file__).parents[2] / "docs/part6/clinic-results.json"


def reports():
    """章に出す診断書。"""
    made = {name: getattr(chapter, name)() for name in ("first", "treated", "watched")}
    return {
        **{name: report.to_dict() for name, report in made.items()},
        "others": {name: make().to_dict() for name, make in chapter.OTHERS.items()},
    }


def judged(entries):
    """1 つの集まりの全員の診断。病気の双子も健康として数える。"""
    rows = []
    for name, entry in entries.items():
        for cured in (False, True) if entry.roots else (None,):
            p = entry.make() if cured is None else entry.make(cured=cured)
            start = time.process_time()
            report = diagnose(p.model, p.x, p.y, loss=p.loss, optimizer=p.optimizer)
            rows.append(
                {
                    "name": name,
                    "why": entry.why,
                    "sick": cured is False,
                    "roots": sorted(entry.roots) if cured is False else [],
                    "found": [f.slug for f in report.findings],
                    "seconds": round(time.process_time() - start, 2),
                }
            )
            right = rows[-1]["found"][:1]
            print(name, cured, right, rows[-1]["roots"], rows[-1]["seconds"], flush=True)
    return rows


def zoo():
    return judged(ZOO)


def patients():
    return judged(PATIENTS)


def held_back():
    return judged(HELD_BACK)


def train(model, x, y, steps, watcher=None):
    """``steps`` 回の更新にかかる CPU 時間。"""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def loop():
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    start = time.process_time()
    if watcher is None:
        loop()
    else:
        with watcher(model, optimizer):
            loop()
    return time.process_time() - start


def overhead(steps=30, rounds=7):
    """毎回測る見張りの有無で、同じ学習の CPU 時間を交互に測る。

    既定の 100 回に 1 回の費用は、計算機の揺れより小さくて直接には測れないので、これから求める。
    """
    torch.manual_seed(0)
    mlp = nn.Sequential(
        nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )
    cnn = nn.Sequential(
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2304, 10),
    )
    small = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    y = torch.arange(64) % 10
    cases = {
        "幅 64 の MLP": (small, torch.randn(64, 64), y),
        "幅 512 の MLP": (mlp, torch.randn(64, 512), y),
        "小さな CNN": (cnn, torch.randn(64, 1, 16, 16), y),
    }
    watchers = {"なし": None, "every=1": lambda m, o: watch(m, o, every=1)}
    rows: dict[str, dict[str, list[float]]] = {
        name: {way: [] for way in watchers} for name in cases
    }
    for i in range(rounds):
        order = deque(watchers.items())
        order.rotate(i)
        for name, case in cases.items():
            for way, watcher in order:
                rows[name][way].append(train(*case, steps, watcher))
    return {"steps": steps, "seconds": rows}


def peers():
    """ほかの道具に、同じ患者を見せる。"""
    import others

    return others.score()


def main():
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    content = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.exists() else {}
    for name in sys.argv[1:]:
        content[name] = globals()[name]()
        content[f"{name}-made"] = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": platform.machine(),
            "torch": torch.__version__,
        }
        text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
        TARGET.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
