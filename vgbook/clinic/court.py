"""疑いから判定へ: 試しの学習で結果を見て、1 つだけ変えた試しで原因を決める。"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import nn

from vgbook.clinic import courses
from vgbook.clinic.measure import Measurement
from vgbook.clinic.record import Finding, Thresholds, Trial, finding
from vgbook.clinic.subject import Subject, tensors

WORK = 1.5  # 1 つの試しに使う計算の見積もり (秒)
STEPS = (20, 300)
SMALL_UPDATE = 3e-5
STANDARD = (0.05, 5.0)


@dataclass
class Court:
    """1 回の診断のための、試しの学習の一式。"""

    subject: Subject
    measured: Measurement
    symptoms: list[Finding]
    limits: Thresholds
    deadline: float
    notes: list[str] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)

    def __post_init__(self) -> None:
        low, high = STEPS
        self.steps = int(min(high, max(low, WORK / self.measured.seconds)))

    def trial(self, name: str, *changes: Callable[[Subject], None], enough: float = 0.5) -> Trial:
        """写しに ``changes`` を施して学習させる。"""
        copy = self.subject.copy()
        for change in changes:
            change(copy)
        torch.manual_seed(0)
        with torch.no_grad():
            probe = copy.copy()
            first = float(probe.value())
        constant = courses.constant_answer(copy, probe.output)
        reference = min([v for v in (first, constant) if v is not None and v == v], default=first)
        trial = courses.run(copy, name, self.steps, reference, self.deadline, enough=enough)
        trial.subject = copy
        trial.first = first
        self.trials.append(trial)
        return trial

    def judge(self) -> Finding | None:
        """病気の根。健康なら None。"""
        self.base = base = self.trial("そのまま")
        if not base.diverged and base.score < self.limits.learned:
            return None
        if self._scheduled():
            return None
        for cause in self._causes():
            return cause
        return self._by_mechanism()

    def _scheduled(self) -> bool:
        """学習率の予定の途中で、いまの値が小さいだけか。"""
        groups = self.subject.optimizer.param_groups
        if not any(group.get("initial_lr", 0) > 3 * group["lr"] for group in groups):
            return False
        other = self.trial("予定の最初の学習率", courses.initial_rate)
        if self._cures(other) or other.score < 1.05:
            self.notes.append("学習率の予定 (scheduler) の途中なので、いまの小さな学習率は病気としない。")
            return True
        return False

    def _cures(self, trial: Trial) -> bool:
        if trial.diverged:
            return False
        base = self.base.score
        return trial.score < self.limits.learned and trial.score < self.limits.cured * base

    def _try(
        self, slug: str, modules: tuple[str, ...], evidence: str, name: str, *changes: Any
    ) -> Iterator[Finding]:
        trial = self.trial(name, *changes)
        if self._cures(trial):
            yield finding(slug, modules, evidence, trials=(self.base, trial))

    def _causes(self) -> Iterator[Finding]:
        yield from self._dead()
        yield from self._batch_norm()
        yield from self._loss_sum()
        yield from self._scales()
        yield from self._decay()
        yield from self._mechanisms()
        yield from self._post_norm()
        yield from self._rates()

    def _symptom(self, *slugs: str) -> Finding | None:
        return next((s for s in self.symptoms if s.slug in slugs), None)

    def _dead(self) -> Iterator[Finding]:
        dead = self._symptom("dead")
        if dead is not None and any(r.dead > 0.9 for r in self.measured.layers):
            yield from self._try("dead", dead.modules, dead.evidence, "He の初期値", courses.reinitialise(2**0.5))

    def _batch_norm(self) -> Iterator[Finding]:
        off = [n for n, gap in stale(self.subject.model, self.measured).items() if gap > 1]
        if off:
            yield from self._try(
                "batch-norm", tuple(off), "推論モードの移動平均が、このバッチの平均・分散と大きく違う",
                "BN をもう一方のモード", courses.other_mode,
            )

    def _loss_sum(self) -> Iterator[Finding]:
        n = additive(self.subject, self.measured)
        if n > 1:
            yield from self._try(
                "loss-reduction", ("loss",), f"同じデータを 2 回並べると損失が 2 倍になる ({n} 個の和)",
                "損失を平均に", courses.mean_loss,
            )

    def _scales(self) -> Iterator[Finding]:
        odd = odd_scale(self.subject.x)
        if odd:
            yield from self._try("input-scale", ("x",), odd, "入力を標準化", courses.standardise_input)
        y = self.subject.y
        if isinstance(y, torch.Tensor) and y.is_floating_point() and odd_scale(y):
            yield from self._try("target-scale", ("y",), odd_scale(y), "目標を標準化", courses.standardise_target)

    def _decay(self) -> Iterator[Finding]:
        decay = max(g.get("weight_decay", 0) for g in self.subject.optimizer.param_groups)
        if decay > 0:
            yield from self._try(
                "weight-decay", ("optimizer",), f"weight_decay = {decay:g}", "重み減衰を 0", courses.no_decay
            )

    def _mechanisms(self) -> Iterator[Finding]:
        ill = self._symptom("saturated", "exploding", "vanishing", "indistinguishable")
        if ill is None:
            return
        for name, change in (
            ("He の初期値", courses.reinitialise(2**0.5)),
            ("Xavier の初期値", courses.reinitialise(1.0)),
            ("正規化を入れる", courses.normalise),
        ):
            yield from self._try(ill.slug, ill.modules, ill.evidence, name, change)

    def _post_norm(self) -> Iterator[Finding]:
        count = self.measured.recorder.post_norms
        if count < 4:
            return
        names = tuple(r.name for r in self.measured.layers if r.post_norm)
        evidence = f"残差の和の後の正規化が {count} 個つながる"
        if any(hasattr(m, "norm_first") for m in self.subject.model.modules()):
            yield from self._try("post-norm", names, evidence, "正規化を枝の前に", courses.pre_norm)
        yield from self._try("post-norm", names, evidence, "学習率 1/30", courses.scale_rate(1 / 30))

    def _rates(self) -> Iterator[Finding]:
        sizes = [v for v in self.measured.updates.values() if 0 < v < float("inf")]
        middle = median(sizes) if sizes else 0.0
        evidence = f"更新は重みの {middle:.0e} 倍 (中央値)"
        still = not self.base.diverged and abs(self.base.first - self.base.end) < 0.05 * abs(self.base.first)
        if still and middle < SMALL_UPDATE:
            for factor in (30, 1000, 10**5, 10**7):
                yield from self._try(
                    "step-small", ("optimizer",), evidence, f"学習率 {factor} 倍", courses.scale_rate(factor)
                )
            return
        for factor in (10, 30, 1000):
            yield from self._try(
                "step-large", ("optimizer",), evidence, f"学習率 1/{factor}", courses.scale_rate(1 / factor)
            )

    def _by_mechanism(self) -> Finding | None:
        """治す試しは見つからないが、学習は進まず、仕組みの症状がはっきりしているとき。"""
        for ill in self.symptoms:
            if self.base.diverged or self.base.score > 0.97:
                return finding(ill.slug, ill.modules, ill.evidence, trials=(self.base,))
        if self.base.diverged:
            return finding("step-large", ("optimizer",), "試しの学習が発散した", trials=(self.base,))
        self.notes.append("試しの学習で損失は下がらなかったが、原因となる異常は見つからない。収束している可能性がある。")
        return None


def stale(model: nn.Module, measured: Measurement) -> dict[str, float]:
    """推論モードの BN の移動平均が、バッチの統計からどれだけ外れているか。"""
    gaps = {}
    modules = dict(model.named_modules())
    for name, (_, mean, var) in measured.recorder.batch_stats.items():
        bn: Any = modules[name]
        if bn.training or bn.running_mean is None:
            continue
        running = bn.running_var.double() + bn.eps
        shift = (mean - bn.running_mean.double()).square() / running
        scale = ((var + bn.eps) / running).log().abs()
        gaps[name] = float(torch.maximum(shift.sqrt(), scale).median())
    return gaps


def additive(subject: Subject, measured: Measurement) -> int:
    """損失が標本の和なら、標本の数。そうでなければ 0。"""
    out, y = measured.output, subject.y
    if subject.loss is None or not isinstance(out, torch.Tensor) or not isinstance(y, torch.Tensor):
        return 0
    if out.ndim < 1 or y.ndim < 1 or len(out) != len(y):
        return 0
    out = out.detach()
    with torch.no_grad():
        one = float(subject.loss(out.clone(), y))
        two = float(subject.loss(torch.cat([out, out]), torch.cat([y, y])))
    return len(y) if abs(two - 2 * one) < 1e-3 * abs(one) else 0


def odd_scale(tree: Any) -> str:
    """平均か標準偏差が、標準化した値から大きく外れていれば、その説明。"""
    low, high = STANDARD
    for tensor in tensors(tree):
        if not tensor.is_floating_point() or tensor.numel() < 2:
            continue
        mean, std = float(tensor.double().mean()), float(tensor.double().std())
        if not low <= std <= high or abs(mean) > 5 * max(std, 1):
            return f"平均 {mean:.3g}、標準偏差 {std:.3g}"
        if tensor.ndim == 2 and len(tensor) > 2:
            each = tensor.double().std(0)
            each = each[each > 0]
            if len(each) and float(each.max() / each.min()) > 100:
                return f"列の標準偏差が {float(each.min()):.1g}〜{float(each.max()):.1g}"
    return ""
