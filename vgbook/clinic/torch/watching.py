"""学習の最中の見張り: 何回かに 1 回だけ測り、終わりか途中に診断書を出す。"""

import sys
from math import isfinite, nan
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn

from vgbook.clinic.record import Thresholds, Trial, finding
from vgbook.clinic.report import Diagnosis
from vgbook.clinic.symptoms import symptoms
from vgbook.clinic.torch.hooks import already
from vgbook.clinic.torch.sample import Sample

SETTLED = 30  # これより前の更新では、BN の移動平均はまだ初めの値に引かれている
KEEP = 200  # 残す測定の数。超えたら 1 つおきに捨て、間隔を 2 倍にする


class Watch:
    """学習のループを見張る。``with Watch(model, optimizer) as watch:`` と使います。

    Parameters
    ----------
    model, optimizer, every, save
        `vgbook.clinic.watch` と同じ。

    Examples
    --------
    >>> import pytest; torch = pytest.importorskip("torch")
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with Watch(model, optimizer, every=2) as watch:
    ...     for _ in range(5):
    ...         optimizer.zero_grad()
    ...         loss = model(torch.ones(3, 4)).square().mean()
    ...         loss.backward()
    ...         optimizer.step()
    >>> [sample.step for sample in watch.samples]
    [0, 2, 4]
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        every: int = 100,
        save: str | Path | None = None,
    ) -> None:
        if not isinstance(model, nn.Module) or not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(
                "watch には PyTorch の model と optimizer を渡してください。"
                f"受け取った型: {type(model).__name__} と {type(optimizer).__name__}"
            )
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"every には 1 以上の整数を渡してください。受け取った値: {every!r}")
        self.model, self.optimizer, self.every = model, optimizer, every
        self.save = save
        self.step = 0
        self.samples: list[Sample] = []
        self.losses: list[tuple[int, float]] = []
        self._handles: list[Any] = []
        self._sample: Sample | None = None

    def __enter__(self) -> "Watch":
        self._handles = [
            self.optimizer.register_step_pre_hook(self._before),
            self.optimizer.register_step_post_hook(self._after),
        ]
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._stop()
        if self.save is not None:
            self.report().save(self.save)
        elif error is not None:
            sys.stderr.write(f"{self.report().summary}\n")

    def loss(self, value: torch.Tensor | float) -> None:
        """損失を記録する。渡さなくても測れますが、渡せば、下がらない学習だけを病気とします。"""
        number = float(value.detach() if isinstance(value, torch.Tensor) else value)
        if self.step % self.every == 0 or not self.losses or not isfinite(number):
            self.losses.append((self.step, number))
            if len(self.losses) > 2 * KEEP:
                self.losses = self.losses[::2]

    def report(self, thresholds: Thresholds | None = None) -> Diagnosis:
        """いままでの測定からの診断書。"""
        limits = Thresholds() if thresholds is None else thresholds
        finished = [sample for sample in self.samples if sample.complete]
        if not finished:
            note = "まだ 1 回も測れていません。with の中で optimizer.step() まで進めてください。"
            return Diagnosis([], [], notes=[note])
        layers = finished[-1].records(_always_dead(finished[-5:]))
        report = Diagnosis(layers, [], notes=[f"{finished[-1].step} 回目の更新での測定です。"])
        broken = next((s for s in finished if s.broken()), None)
        if broken is not None:
            rule = f"{broken.step} 回目の更新で、値か勾配が有限でなくなっていた"
            report.findings = [finding("non-finite", broken.broken(), rule)]
        found = symptoms(layers, limits)
        done = already(self.model, finished[-1].functions.names, residual=False)
        for each in found:
            each.cures = each.verdict.advice(done)
        values = [value for _, value in self.losses]
        course = Trial("実際の学習", values, values[0] if values else nan)
        if values:
            report.trials = [course]
        if len(values) >= 3 and not course.diverged and course.score < limits.learned:
            report.notes += [f"{f.name} の症状がありますが、損失は下がっています。" for f in found]
        elif report.findings:
            report.findings[0].consequences = found
        else:
            report.findings = found
        if off := _off_averages(finished):
            rule = (
                "最近の 3 回の測定のどれでも、移動平均がバッチの統計から標準偏差 1 つより離れている"
            )
            report.findings.append(finding("batch-norm", off, rule, severity="症状"))
        return report

    # --- 更新の区切り ---------------------------------------------------------------------

    def _start(self) -> None:
        self._sample = Sample(self.step)
        self._sample.attach(self.model)

    def _stop(self) -> None:
        if self._sample is not None:
            self._sample.detach()
            if not self._sample.complete and self._sample.calls:  # 更新の前に止まった
                self._sample.close(self.model, {})
                self.samples.append(self._sample)
            self._sample = None

    def _before(self, *_: Any) -> None:
        if self._sample is not None:
            self._sample.remember(self.model)

    def _after(self, *_: Any) -> None:
        if self._sample is not None:
            self._sample.detach()
            self._sample.close(self.model, self._sample.weights)
            self.samples.append(self._sample)
            self._sample = None
            if len(self.samples) > KEEP:
                self.samples, self.every = self.samples[::2], 2 * self.every
        self.step += 1
        if self.step % self.every == 0:
            self._start()


def _off_averages(samples: list[Sample]) -> tuple[str, ...]:
    """最近の 3 回の測定のどれでも、移動平均がバッチの統計と大きく違う BN。"""
    recent = [s.gaps for s in samples if s.step >= SETTLED][-3:]
    if len(recent) < 3:
        return ()
    return tuple(n for n in recent[-1] if all(float(gaps.get(n, 0.0)) > 1 for gaps in recent))


def _always_dead(samples: list[Sample]) -> dict[str, float]:
    """`nn.ReLU` の直前の層で、どの測定でも、どの標本でも 0 だったユニットの割合。"""
    shares = {}
    for name, mask in samples[-1].dead.items():
        masks = [
            s.dead[name] for s in samples if name in s.dead and s.dead[name].shape == mask.shape
        ]
        shares[name] = float(torch.stack(masks).all(0).float().mean())
    return shares
