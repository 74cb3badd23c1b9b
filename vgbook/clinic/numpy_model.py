"""この本の `Network` の診断: 測り、確かな病気を挙げ、試しに学習させる。"""

from collections.abc import Iterator
from functools import partial
from time import process_time

import numpy as np

from vgbook._edge import Array, check_data
from vgbook.activations import sigmoid
from vgbook.clinic.court import Change, Court, changed
from vgbook.clinic.numpy_measure import (
    Hook,
    activations,
    check_called,
    hooked,
    measure_backward,
    measure_forward,
    norms,
    stale,
    without_slope,
)
from vgbook.clinic.numpy_subject import Subject, affines, reference, same_answers
from vgbook.clinic.numpy_suspects import clips, suspects
from vgbook.clinic.record import OUT_OF_TIME, Finding, LayerRecord, Thresholds, Trial, finding
from vgbook.clinic.report import Diagnosis
from vgbook.clinic.rules import ALL_EQUAL, ALL_ZERO, FEW, FEWEST, FIRST_BROKEN, SAME_ANSWERS
from vgbook.clinic.symptoms import symptoms
from vgbook.clinic.verdicts import Remedy
from vgbook.layers.affine import Activate
from vgbook.signals import rms
from vgbook.training.losses import loss_and_gradient, sigmoid_cross_entropy, softmax_cross_entropy

SECONDS_PER_MULTIPLICATION = 1e-10


def diagnose_network(
    subject: Subject, lr: float, limits: Thresholds, trial: bool, seconds: float
) -> Diagnosis:
    """測り、症状を挙げ、最適化手法があれば試しに学習させる。"""
    measured = subject.copy()  # バッチ正規化の移動平均も、診断では動かさない
    layers = list(hooked(measured.network))
    with np.errstate(all="ignore"):
        output = measured.network.forward(subject.x)
        check_called(layers)
        records = [
            measure_forward(number, layer, limits.slope) for number, layer in enumerate(layers, 1)
        ]
        broken = next((r for r in records if not np.isfinite(r.h)), None)
        if broken is not None or not np.isfinite(output).all():
            name = (broken or records[-1]).name
            report = Diagnosis(records, [finding("non-finite", (name,), FIRST_BROKEN)])
            report.notes.append("順伝播が有限でないので、逆伝播の値は測れません。")
            return report
        measured.network.backward(_output_gradient(subject, output))
        for record, layer in zip(records, layers, strict=True):
            measure_backward(record, layer, lr if subject.optimizer is None else float("nan"))
        ruined = list(_certain(records, layers))
        certain = [*_squashed(subject), *_few_samples(records, layers), *ruined]
        found = symptoms(records, limits)
        if subject.optimizer is not None and not ruined:  # 壊れた勾配では、更新を試さない
            _measure_update(subject, records)
        report = Diagnosis(records, [])
        if certain or subject.optimizer is None or not trial:
            report.findings = certain or found
            if certain:
                certain[0].consequences = found
            return report
        off = [name for name, hook in norms(layers, records) if stale(hook)]
        deadline = process_time() + seconds
        return _tried(subject, report, found, tuple(dict.fromkeys(off)), limits, deadline)


def _output_gradient(subject: Subject, output: Array) -> Array:
    _, d_output = loss_and_gradient(subject.loss, output, subject.labels)
    return check_data("loss の返す ∂L/∂出力", d_output)


def _squashed(subject: Subject) -> Iterator[Finding]:
    """確率に直す損失に、シグモイドを通した確率を渡していないか。"""
    last = subject.network[-1]
    logits = subject.loss in (softmax_cross_entropy, sigmoid_cross_entropy)
    if logits and isinstance(last, Activate) and last.activation is sigmoid:
        yield finding(
            "softmax-twice", ("出力",), "損失に、ロジットでなくシグモイドの値が渡されている"
        )


def _few_samples(records: list[LayerRecord], layers: list[list[Hook]]) -> Iterator[Finding]:
    """学習のバッチ正規化に、標本が少なすぎないか。"""
    training = [pair for pair in norms(layers, records) if pair[1].layer.training]
    few = {name: len(hook.x) for name, hook in training if len(hook.x) < FEW}
    if few:
        rule = f"学習モードで標本が {min(few.values())} 個 < {FEW} 個"
        yield finding("batch-norm", tuple(few), rule)


def _certain(records: list[LayerRecord], layers: list[list[Hook]]) -> Iterator[Finding]:
    broken = [record for record in records if record.overflow]
    if broken:
        rule = f"{broken[-1].overflow} が有限でない"
        yield finding("non-finite", tuple(r.name for r in broken), rule)
        return
    if records[-1].delta == 0:
        rule = "出力の δ がすべて 0 で、どの層にも勾配が届かない"
        yield finding("no-gradient", (records[-1].name,), rule)
        return
    flat = {
        (i, activation)
        for i, layer in enumerate(layers)
        for activation in activations(layer)
        if without_slope(activation)
    }
    last = max((i for i, _ in flat), default=-1)
    if cut := tuple(record.name for record in records[: last + 1] if record.dW == 0):
        names = "、".join(sorted({activation.name for _, activation in flat}))
        yield finding("no-gradient", cut, f"{names} の導関数がどこでも 0 で、勾配が届かない")
        return
    zero, same = [], []
    for record, layer in zip(records, layers, strict=True):
        W, dW = layer[0].layer.params["W"], layer[0].layer.grads["W"]
        if record.W == 0 and record.dW == 0:
            zero.append(record.name)
        elif record.W and record.dW and _columns_equal(W) and _columns_equal(dW):
            same.append(record.name)
    if zero:
        yield finding("zero-init", tuple(zero), ALL_ZERO)
    elif same:
        yield finding("symmetry", tuple(same), ALL_EQUAL)


def _columns_equal(W: Array) -> bool:
    return W.shape[-1] > 1 and bool(np.all(np.abs(W - W[:, :1]) <= 1e-9 * np.abs(W).max()))


def _tried(
    subject: Subject,
    report: Diagnosis,
    found: list[Finding],
    stale: tuple[str, ...],
    limits: Thresholds,
    deadline: float,
) -> Diagnosis:
    """疑いを 1 つずつ取り除いて、試しに学習させる。"""
    weights = sum(affine.params["W"].size for affine in affines(subject.network))
    size = weights * len(subject.x)
    court = Court(
        partial(_train, subject, deadline),
        lambda base: suspects(subject, report.layers, found, stale, base),
        found,
        limits,
        1e-4 + 6 * SECONDS_PER_MULTIPLICATION * size,
        done=frozenset() if clips(subject) else frozenset({Remedy.UNCLIP}),
    )
    root = court.judge()
    if root is not None:
        root.consequences = [f for f in found if f.slug != root.slug]
    report.findings = [root] if root else []
    report.trials, report.notes = court.trials, court.notes
    if same_answers(np.asarray(subject.labels)):
        report.notes.append(SAME_ANSWERS)
    if not hasattr(subject.optimizer, "lr"):
        report.notes.append("optimizer に lr がないので、学習率を変えた試しはしていません。")
    return report


def _measure_update(subject: Subject, records: list[LayerRecord]) -> None:
    """重みに対する、1 回の更新の大きさ。"""
    once = subject.copy()
    once.update()
    layers = zip(affines(subject.network), affines(once.network), strict=True)
    for record, (before, after) in zip(records, layers, strict=True):
        moved = float(rms(after.params["W"] - before.params["W"]))
        record.update = moved / record.W if record.W else float("inf")


def _train(
    subject: Subject,
    deadline: float,
    name: str,
    changes: tuple[Change, ...],
    steps: int,
    enough: float,
) -> Trial:
    """``changes`` の変え方をした写しの、試しの学習。"""
    copied = changed(subject, changes)
    result = Trial(name, [], reference(copied))
    while len(result.losses) < steps:
        result.losses.append(copied.update())
        over = len(result.losses) >= FEWEST and result.score < enough
        if over or not np.isfinite(result.losses[-1]):
            break
        if process_time() > deadline:
            result.error = OUT_OF_TIME
            break
    return result
