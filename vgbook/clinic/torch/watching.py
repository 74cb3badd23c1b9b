"""学習の最中の見張り: 何回かに 1 回だけ測り、終わりか途中に診断書を出す。"""

import sys
from math import isfinite, nan
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn

from vgbook._edge import check_count
from vgbook.clinic.record import Finding, Thresholds, Trial, check_thresholds, finding
from vgbook.clinic.report import Diagnosis, check_folder
from vgbook.clinic.rules import SETTLED
from vgbook.clinic.symptoms import symptoms
from vgbook.clinic.torch.checks import check_model, check_optimizer
from vgbook.clinic.torch.functions import already
from vgbook.clinic.torch.sample import Sample

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
        if not isinstance(model, nn.Module):
            raise TypeError(
                "watch には PyTorch の model と optimizer を渡してください。"
                f"受け取った型: {type(model).__name__} と {type(optimizer).__name__}"
            )
        check_model(model)
        check_optimizer(model, optimizer)
        if save is not None:  # 長い学習の終わりではなく、始める前に断る
            check_folder(save)
        self.model, self.optimizer, self.every = model, optimizer, check_count("every", every)
        self.save = save
        self.step = 0
        self.samples: list[Sample] = []
        self.losses: list[tuple[int, float]] = []
        self.broken: tuple[int, float] | None = None
        """有限でない損失が初めて渡された更新と、その値。"""
        self._handles: list[Any] = []
        self._sample: Sample | None = None

    def __enter__(self) -> "Watch":
        if self._handles:
            raise RuntimeError(
                "この watch は、もう見張っています。with を 2 重にせず、別に見張るなら watch(model,"
                f" optimizer) をもう 1 つ作ってください。受け取った watch: {self!r}"
            )
        self._handles = [self.optimizer.register_step_post_hook(self._after)]
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
        number = _number(value)
        if not isfinite(number) and self.broken is None:
            self.broken = self.step, number
        if self.step % self.every == 0 or not self.losses or not isfinite(number):
            self.losses.append((self.step, number))
            if len(self.losses) > 2 * KEEP:
                self.losses = self.losses[::2]

    def report(self, thresholds: Thresholds | None = None) -> Diagnosis:
        """いままでの測定からの診断書。"""
        limits = check_thresholds(thresholds)
        finished = [sample for sample in self.samples if sample.complete]
        if not finished:
            note = "まだ 1 回も測れていません。with の中で optimizer.step() まで進めてください。"
            return Diagnosis([], [], notes=[note])
        layers = finished[-1].records(_always_dead(finished[-5:]))
        report = Diagnosis(layers, [], notes=[f"{finished[-1].step} 回目の更新での測定です。"])
        if self.step == 0:
            report.notes.append(
                "渡された optimizer の step() は、with の中でまだ呼ばれていません。"
            )
        report.findings = (
            self._not_finite(finished) or self._no_gradient(finished) or _zero_init(finished)
        )
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

    def _not_finite(self, samples: list[Sample]) -> list[Finding]:
        broken = next((s for s in samples if s.broken()), None)
        if broken is not None:
            rule = f"{broken.step} 回目の更新で、値か勾配が有限でなくなっていた"
            return [finding("non-finite", broken.broken(), rule)]
        if self.broken is not None:
            step, value = self.broken
            rule = f"{step} 回目の更新のあたりで、損失が {value} になった"
            return [finding("non-finite", ("loss",), rule)]
        return []

    def _no_gradient(self, samples: list[Sample]) -> list[Finding]:
        known = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        cut = [
            name
            for name in samples[-1].values
            if all("dW" not in s.values.get(name, {}) for s in samples)
            and id(samples[-1].parameter(name)) in known
        ]
        rule = "順伝播は通るのに、どの測定でも重みの勾配が None のまま"
        return [finding("no-gradient", tuple(cut), rule)] if cut else []

    # --- 更新の区切り ---------------------------------------------------------------------

    def _start(self) -> None:
        self._sample = Sample(self.step)
        self._sample.attach(self.model)

    def _stop(self) -> None:
        if self._sample is not None:
            self._sample.detach()
            if not self._sample.complete and self._sample.calls:  # 更新の前に止まった
                self._sample.close(updated=False)
                self.samples.append(self._sample)
            self._sample = None

    def _after(self, *_: Any) -> None:
        if self._sample is not None:
            self._sample.detach()
            self._sample.close(updated=True)
            self.samples.append(self._sample)
            self._sample = None
            if len(self.samples) > KEEP:
                self.samples, self.every = self.samples[::2], 2 * self.every
        self.step += 1
        if self.step % self.every == 0:
            self._start()


def _number(value: Any) -> float:
    if isinstance(value, torch.Tensor):
        value = value.detach()
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        shape = getattr(value, "shape", None)
        came = repr(value) if shape is None else f"形 {tuple(shape)} の配列"
        raise ValueError(
            "w.loss には、1 つの数か、要素が 1 個のテンソルを渡してください。"
            f".mean() などで 1 つにします。受け取った値: {came}"
        ) from error


def _zero_init(samples: list[Sample]) -> list[Finding]:
    """どの測定でも、重みも勾配も 0 の層。"""
    still = [
        name
        for name in samples[-1].values
        if all(s.values.get(name, {}).get(key) == 0 for s in samples for key in ("W", "dW"))
    ]
    rule = "どの測定でも、重みも勾配もすべて 0"
    return [finding("zero-init", tuple(still), rule)] if still else []


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
