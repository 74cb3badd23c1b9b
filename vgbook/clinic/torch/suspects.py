"""PyTorch のモデルへの疑いを、原因になりやすい順に挙げる。"""

from collections.abc import Iterator
from statistics import median
from typing import Any

import torch
from torch import nn

from vgbook.clinic.court import Change, Suspect
from vgbook.clinic.record import Finding, Trial
from vgbook.clinic.rules import LARGE_UPDATE, SMALL_UPDATE, STALE, odd_scale
from vgbook.clinic.symptoms import mostly_dead
from vgbook.clinic.torch import courses
from vgbook.clinic.torch.measure import Measurement
from vgbook.clinic.torch.sizes import drift, wide
from vgbook.clinic.torch.subject import Subject, tensors
from vgbook.clinic.verdicts import Remedy

INITS = (
    Change("He の初期値", courses.reinitialise(2**0.5), Remedy.INITIALISE),
    Change("Xavier の初期値", courses.reinitialise(1.0), Remedy.INITIALISE),
)


def suspects(
    subject: Subject, measured: Measurement, symptoms: list[Finding], base: Trial
) -> Iterator[Suspect]:
    """疑いを 1 つずつ返す。先に返したもので治れば、後のものは試さない。"""
    if mostly_dead(measured.layers):
        yield from _suspect_symptom(subject, symptoms, "dead")
    yield from _batch_norm(subject, measured)
    yield from _loss_sum(subject, measured)
    yield from _scales(subject)
    yield from _decay(subject)
    yield from _rounding(measured)
    yield from _suspect_symptom(
        subject, symptoms, "saturated", "exploding", "vanishing", "indistinguishable"
    )
    yield from _post_norm(subject, measured)
    yield from _rates(measured, symptoms, base)


def _suspect_symptom(subject: Subject, symptoms: list[Finding], *slugs: str) -> Iterator[Suspect]:
    ill = next((s for s in symptoms if s.slug in slugs), None)
    if ill is not None:
        norm = (Change("正規化を入れる", courses.normalise, Remedy.NORMALISE),)
        changes = (*INITS, *norm) if courses.normalisable(subject.model) else INITS
        yield Suspect(ill.slug, ill.modules, ill.evidence, changes)


def _batch_norm(subject: Subject, measured: Measurement) -> Iterator[Suspect]:
    off = tuple(n for n, gap in stale(subject.model, measured).items() if gap > 1)
    if off:
        yield Suspect(
            "batch-norm", off, STALE, (Change("BN をもう一方のモードに", courses.other_mode),)
        )


def _loss_sum(subject: Subject, measured: Measurement) -> Iterator[Suspect]:
    n = additive(subject, measured)
    if n > 1:
        rule = f"同じデータを 2 回並べると損失が 2 倍になる ({n} 個の和)"
        yield Suspect(
            "loss-reduction", ("loss",), rule, (Change("損失を平均に", courses.mean_loss),)
        )


def _scales(subject: Subject) -> Iterator[Suspect]:
    if odd := _odd_scale(subject.x):
        change = Change("入力を標準化", courses.standardise_input)
        yield Suspect("input-scale", ("x",), odd, (change,))
    y = subject.y
    if isinstance(y, torch.Tensor) and (odd := _odd_scale(y)):
        change = Change("目標を標準化", courses.standardise_target)
        yield Suspect("target-scale", ("y",), odd, (change,))


def _decay(subject: Subject) -> Iterator[Suspect]:
    assert subject.optimizer is not None
    decay = max(group.get("weight_decay", 0) for group in subject.optimizer.param_groups)
    if decay > 0:
        change = Change("重み減衰を 0 に", courses.no_decay)
        yield Suspect("weight-decay", ("optimizer",), f"weight_decay = {decay:g}", (change,))


def _rounding(measured: Measurement) -> Iterator[Suspect]:
    share = measured.frozen_by_rounding
    if share > 0.5:
        rule = f"半精度の重みの {100 * share:.0f} % で、更新が丸めで消える"
        names = tuple(layer.name for layer in measured.layers)
        yield Suspect("underflow", names, rule, (Change("float32 で", courses.float32),))


def _post_norm(subject: Subject, measured: Measurement) -> Iterator[Suspect]:
    count = measured.recorder.sums.post_norms
    if count < 4:
        return
    names = tuple(layer.name for layer in measured.layers if layer.post_norm)
    changes = [Change("学習率 1/30", courses.scale_rate(1 / 30))]
    if any(hasattr(module, "norm_first") for module in subject.model.modules()):
        changes.insert(0, Change("正規化を枝の前に", courses.pre_norm))
    rule = f"残差の和の後の正規化が {count} 個つながる"
    yield Suspect("post-norm", names, rule, tuple(changes))


def _rates(measured: Measurement, symptoms: list[Finding], base: Trial) -> Iterator[Suspect]:
    sizes = [v for v in measured.updates.values() if 0 < v < float("inf")]
    middle = median(sizes) if sizes else 0.0
    rule = f"更新は重みの {middle:.0e} 倍 (中央値)"
    first = base.losses[0]
    jumped = base.diverged or base.spiked or base.end > 1.05 * first
    if not jumped and abs(first - base.end) < 0.05 * abs(first) and middle < SMALL_UPDATE:
        yield Suspect("step-small", ("optimizer",), rule, _rate_changes(30, 1000, 1e5, 1e7))
    elif jumped or (max(sizes, default=0.0) > LARGE_UPDATE and not symptoms):
        yield Suspect("step-large", ("optimizer",), rule, _rate_changes(1 / 10, 1 / 30, 1 / 1000))


def _rate_changes(*factors: float) -> tuple[Change, ...]:
    return tuple(Change(f"学習率 {_times(f)}", courses.scale_rate(f)) for f in factors)


def _times(factor: float) -> str:
    return f"{factor:g} 倍" if factor > 1 else f"1/{1 / factor:g}"


def stale(model: nn.Module, measured: Measurement) -> dict[str, float]:
    """推論モードの BN の移動平均が、バッチの統計からどれだけ外れているか。"""
    modules: dict[str, Any] = dict(model.named_modules())
    return {
        name: float(drift(modules[name], mean, var))
        for name, (_, mean, var) in measured.recorder.batch_stats.items()
        if not modules[name].training and modules[name].running_mean is not None
    }


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


def _odd_scale(tree: Any) -> str:
    """どれかのテンソルの尺度が、標準化した値から大きく外れていれば、その説明。"""
    for tensor in tensors(tree):
        if tensor.is_floating_point() and tensor.numel() > 1:
            values = wide(tensor)
            columns = values.std(0).tolist() if tensor.ndim == 2 and len(tensor) > 2 else ()
            if odd := odd_scale(float(values.mean()), float(values.std()), columns):
                return odd
    return ""
