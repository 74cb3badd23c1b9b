"""公開されている道具に、同じ患者を見せる (`nox -s clinic` が入れる)。

どの道具も、学習のループに付けて `STEPS` 回更新し、警告を 1 つでも出せば「病気と言った」と数える。
torchinstruments は測った値を残すだけで判定をしないので、表には入れない。
"""

import io
import math
from contextlib import redirect_stdout

import torch
from patients import PATIENTS

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


def score():
    """道具ごとに、病気を病気と言った数、健康を病気と言った数、止まった数。"""
    table = {}
    for tool, says in TOOLS.items():
        row = {"found": 0, "sick": 0, "accused": 0, "well": 0, "failed": 0}
        for entry in PATIENTS.values():
            for cured in (False, True) if entry.roots else (None,):
                p = entry.make() if cured is None else entry.make(cured=cured)
                torch.manual_seed(0)
                try:
                    with redirect_stdout(io.StringIO()):
                        verdict = says(p)
                except Exception:  # 道具が例外で止まったことを、結果の 1 つとして数える
                    verdict, row["failed"] = False, row["failed"] + 1
                row["sick" if cured is False else "well"] += 1
                row["found" if cured is False else "accused"] += verdict
        table[tool] = row
        print(tool, row, flush=True)
    return table
