"""公開されている道具に、同じ患者を見せる (`nox -s clinic` が入れる)。

どの道具も、学習のループに付けて `STEPS` 回更新し、警告を 1 つでも出せば「病気と言った」と数える。
何と言ったかは問わない。torchinstruments は測った値を残すだけで判定をしないので、表には入れない。
"""

import io
import math
import time
from contextlib import redirect_stdout
from importlib.metadata import version

import torch
from held_back import HELD_BACK
from patients import PATIENTS
from zoo import ZOO

STEPS = 60
RATIO = 1e-2  # 10 行のレシピの閾値: 最初の層の勾配の平均が、最後の層の何倍を下回れば消失か


def call(p):
    return p.model(*p.x) if isinstance(p.x, tuple) else p.model(p.x)


def steps(p):
    """更新のたびに損失を返す。"""
    for _ in range(STEPS):
        p.optimizer.zero_grad()
        value = p.loss(call(p), p.y)
        if value.requires_grad:
            value.backward()
        p.optimizer.step()
        yield float(value.detach())


def torchmortem(p):
    """重さが WARNING 以上の finding があるか。"""
    from torchmortem import Autopsy
    from torchmortem.types import Severity

    with Autopsy(p.model, optimizer=p.optimizer) as autopsy:
        for value in steps(p):
            autopsy.step(loss=value)
    report = autopsy.get_report()
    return any(f.severity >= Severity.WARNING for f in report.findings)


def neural_observatory(p):
    """WARNING か CRITICAL の結果があるか。"""
    from neural_observatory import Observatory

    watcher = Observatory(p.model)
    watcher.watch()
    watcher.step(step=0, epoch=0)
    for i, _ in enumerate(steps(p), 1):
        watcher.step(step=i, epoch=0)
    watcher.stop()
    return bool(watcher.report().warnings())


def ten_lines(p):
    """よく見る 10 行のレシピ: 重みの勾配の絶対値の平均を、層の順に並べて見る。"""
    for _ in steps(p):
        pass
    means = [
        float(q.grad.abs().mean())
        for name, q in p.model.named_parameters()
        if q.grad is not None and "bias" not in name
    ]
    if not means or not all(map(math.isfinite, means)):
        return True
    return len(means) < 2 or not RATIO < means[0] / max(means[-1], 1e-300) < 1 / RATIO


TOOLS = {
    "torchmortem": torchmortem,
    "neural-observatory": neural_observatory,
    "勾配の平均を描く 10 行": ten_lines,
}
COLLECTIONS = {"zoo": ZOO, "patients": PATIENTS, "held_back": HELD_BACK}


def ask(says, p):
    """病気と言ったか、止まったときの例外、CPU 時間。"""
    torch.manual_seed(0)
    start, error = time.process_time(), ""
    try:
        with redirect_stdout(io.StringIO()):
            verdict = bool(says(p))
    except Exception as failure:  # 道具が例外で止まったことも、結果の 1 つとして残す
        verdict, error = False, f"{type(failure).__name__}: {failure}".splitlines()[0][:200]
    return verdict, error, round(time.process_time() - start, 2)


def score():
    """道具と患者ごとの答え。"""
    rows = []
    for tool, says in TOOLS.items():
        for collection, entries in COLLECTIONS.items():
            for name, entry in entries.items():
                for cured in (False, True) if entry.roots else (None,):
                    p = entry.make() if cured is None else entry.make(cured=cured)
                    said, error, seconds = ask(says, p)
                    rows.append(
                        {
                            "tool": tool,
                            "collection": collection,
                            "name": name,
                            "sick": cured is False,
                            "said": said,
                            "error": error,
                            "seconds": seconds,
                        }
                    )
        mine = [r for r in rows if r["tool"] == tool]
        found = sum(r["said"] for r in mine if r["sick"])
        accused = sum(r["said"] for r in mine if not r["sick"])
        print(tool, found, accused, sum(bool(r["error"]) for r in mine), flush=True)
    versions = {name: version(name) for name in ("torchmortem", "neural-observatory")}
    return {"steps": STEPS, "versions": versions, "rows": rows}
