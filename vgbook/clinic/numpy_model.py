"""この本の `Network` の診断。

アフィン変換から次のアフィン変換の手前までを、1 つの層と数えます。残差ブロックの枝もほどきます。
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from statistics import median
from typing import Any

import numpy as np

from vgbook._edge import Array, check_data
from vgbook.activations import Activation, sigmoid
from vgbook.clinic.court import Change, Court, Suspect
from vgbook.clinic.record import Finding, LayerRecord, Thresholds, Trial, finding
from vgbook.clinic.report import Diagnosis
from vgbook.clinic.symptoms import mostly_dead, symptoms
from vgbook.clinic.verdicts import Remedy
from vgbook.initializers import he, xavier
from vgbook.layers.affine import Activate, Affine, Layer
from vgbook.network import Network
from vgbook.signals import rms
from vgbook.training.losses import (
    Loss,
    loss_and_gradient,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)

SECONDS_PER_MULTIPLICATION = 1e-10
SMALL_UPDATE, LARGE_UPDATE = 3e-5, 3e-3
STANDARD = (0.05, 5.0)  # 標準偏差がこの範囲なら、尺度は疑わない
FAR = 5.0  # 平均が標準偏差の何倍を超えて 0 から離れれば、尺度を疑うか


@dataclass
class Subject:
    """ネットワーク、データ、損失、最適化手法の 1 組。"""

    network: Network
    x: Array
    labels: Array
    loss: Loss
    optimizer: Any

    def copy(self) -> "Subject":
        """ネットワークと最適化手法を写したもの。"""
        network, optimizer = copy.deepcopy((self.network, self.optimizer))
        return Subject(network, self.x, self.labels, self.loss, optimizer)

    def update(self) -> float:
        """1 回の更新。更新の前の損失を返す。"""
        output = self.network.forward(self.x)
        value, d_output = loss_and_gradient(self.loss, output, self.labels)
        if np.isfinite(value):
            self.network.gradients(d_output)
            self.optimizer.step(self.network)
        return float(value)


def diagnose_network(subject: Subject, lr: float, limits: Thresholds, trial: bool) -> Diagnosis:
    """測り、症状を挙げ、最適化手法があれば試しに学習させる。"""
    measured = copy.deepcopy(subject)  # バッチ正規化の移動平均も、診断では動かさない
    layers = list(_layers(measured.network))
    with np.errstate(all="ignore"):
        output = measured.network.forward(subject.x)
        records = [_forward(number, layer, limits.slope) for number, layer in enumerate(layers, 1)]
        broken = next((r for r in records if not np.isfinite(r.h)), None)
        if broken is not None or not np.isfinite(output).all():
            name = (broken or records[-1]).name
            rule = "順伝播の値が、この層で初めて有限でなくなる"
            report = Diagnosis(records, [finding("non-finite", (name,), rule)])
            report.notes.append("順伝播が有限でないので、逆伝播の値は測れません。")
            return report
        measured.network.backward(_output_gradient(subject, output))
        for record, layer in zip(records, layers, strict=True):
            _backward(record, layer, lr)
        certain = [*_squashed(subject), *_certain(records, layers)]
        found = symptoms(records, limits)
        report = Diagnosis(records, [])
        if certain or subject.optimizer is None or not trial:
            report.findings = certain or found
            if certain:
                certain[0].consequences = found
            return report
        return _tried(subject, report, found, limits)


# --- 測る ---------------------------------------------------------------------------------


class _Hook:
    """層に付けるフック。順伝播の出力と、そこに届いた勾配を残す。"""

    def __init__(self, layer: Layer, block: int) -> None:
        self.layer, self.block = layer, block

    def forward(self, x: Array) -> Array:
        self.y = self.layer.forward(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        self.dy = dy
        return self.layer.backward(dy)


def _hook(layers: list[Any], block: int = 0) -> Iterator[_Hook]:
    """どの層もフックに取り替え、残差ブロックの枝もほどいて、計算の順に返す。"""
    numbers = count(1)
    for i, layer in enumerate(layers):
        if hasattr(layer, "branch"):
            yield from _hook(layer.branch, block or next(numbers))
        else:
            layers[i] = _Hook(layer, block)
            yield layers[i]


def _layers(network: Network) -> Iterator[list[_Hook]]:
    """アフィン変換で始まり、次のアフィン変換の手前で終わるフックの列。"""
    hooks = list(_hook(network.layers))
    starts = [i for i, hook in enumerate(hooks) if isinstance(hook.layer, Affine)]
    for i, j in pairwise([*starts, len(hooks)]):
        yield hooks[i:j]


def _forward(number: int, layer: list[_Hook], slope: float) -> LayerRecord:
    first, y = layer[0], layer[-1].y
    name = f"{number} (枝 {first.block})" if first.block else f"{number}"
    activates = [hook.layer for hook in layer if isinstance(hook.layer, Activate)]
    W = first.layer.params["W"]
    return LayerRecord(
        name,
        "Affine",
        width=W.shape[-1],
        h=float(rms(y)),
        distinct=float(rms(y - y.mean(axis=-2, keepdims=True))),
        W=float(rms(W)),
        saturated=max([_saturated(a, slope) for a in activates], default=0.0),
        dead=max([_dead(a) for a in activates], default=0.0),
    )


def _backward(record: LayerRecord, layer: list[_Hook], lr: float) -> None:
    dy, dW = layer[0].dy, layer[0].layer.grads["W"]
    record.delta, record.dW = float(rms(dy)), float(rms(dW))
    # 標本ごとのノルム。rms を通すのは、とても小さな δ の 2 乗が 0 にならないように
    record.delta_norm = float(rms(dy[:, None, :]).mean() * np.sqrt(dy.shape[-1]))
    record.update = lr * record.dW / record.W if record.W > 0 else float("inf")
    broken = [n for n, v in (("δ", record.delta), ("dW", record.dW)) if not np.isfinite(v)]
    record.overflow = "、".join(broken)


def _steepest(activation: Activation) -> float:
    """飽和する活性化関数の、|φ′| の最大値。片側が伸び続ける関数 (ReLU の仲間) なら 0。"""
    if np.abs(activation(np.array([-1e3, 1e3]))).max() > 10:
        return 0.0
    return float(np.abs(activation.derivative(np.linspace(-5, 5, 1001))).max())


def _saturated(layer: Any, slope: float) -> float:
    """飽和する活性化関数で、|φ′| が最大値の ``slope`` 倍を下回る値の割合。"""
    limit = slope * _steepest(layer.activation)
    return float(np.mean(np.abs(layer.activation.derivative(layer.z)) < limit))


def _dead(layer: Any) -> float:
    """飽和しない活性化関数で、死んだユニットの割合。死の定義は `LayerRecord.dead` にある。"""
    if _steepest(layer.activation) > 0:
        return 0.0
    flat = np.all(layer.activation.derivative(layer.z) == 0, axis=-2)
    return float(np.mean(flat & np.any(layer.z != 0, axis=-2)))


def _output_gradient(subject: Subject, output: Array) -> Array:
    _, d_output = loss_and_gradient(subject.loss, output, subject.labels)
    return check_data("loss の返す ∂L/∂出力", d_output)


# --- 判定する -----------------------------------------------------------------------------


def _squashed(subject: Subject) -> Iterator[Finding]:
    """確率に直す損失に、シグモイドを通した確率を渡していないか。"""
    last = subject.network[-1]
    logits = subject.loss in (softmax_cross_entropy, sigmoid_cross_entropy)
    if logits and isinstance(last, Activate) and last.activation is sigmoid:
        yield finding(
            "softmax-twice", ("出力",), "損失に、ロジットでなくシグモイドの値が渡されている"
        )


def _certain(records: list[LayerRecord], layers: list[list[_Hook]]) -> Iterator[Finding]:
    broken = [record for record in records if record.overflow]
    if broken:
        rule = f"{broken[-1].overflow} が有限でない"
        yield finding("non-finite", tuple(r.name for r in broken), rule)
        return
    if records[-1].delta == 0:
        rule = "出力の δ がすべて 0 で、どの層にも勾配が届かない"
        yield finding("no-gradient", (records[-1].name,), rule)
        return
    zero, same = [], []
    for record, layer in zip(records, layers, strict=True):
        W, dW = layer[0].layer.params["W"], layer[0].layer.grads["W"]
        if record.W == 0 and record.dW == 0:
            zero.append(record.name)
        elif record.W and record.dW and _columns_equal(W) and _columns_equal(dW):
            same.append(record.name)
    if zero:
        yield finding("zero-init", tuple(zero), "重みがすべて 0 で、勾配もすべて 0")
    elif same:
        yield finding("symmetry", tuple(same), "どのユニットの重みも勾配も互いに等しい")


def _columns_equal(W: Array) -> bool:
    return W.shape[-1] > 1 and bool(np.all(np.abs(W - W[:, :1]) <= 1e-9 * np.abs(W).max()))


def _tried(
    subject: Subject, report: Diagnosis, found: list[Finding], limits: Thresholds
) -> Diagnosis:
    def train(name: str, changes: tuple[Change, ...], steps: int, enough: float) -> Trial:
        copied = subject.copy()
        for change in changes:
            change.apply(copied)
        result = Trial(name, [], _reference(copied))
        while len(result.losses) < steps:
            result.losses.append(copied.update())
            over = len(result.losses) >= 20 and result.score < enough
            if over or not np.isfinite(result.losses[-1]):
                break
        return result

    before = [affine.params["W"].copy() for affine in _affines(subject.network)]
    once = subject.copy()
    once.update()
    for record, W, affine in zip(report.layers, before, _affines(once.network), strict=True):
        record.update = float(rms(affine.params["W"] - W)) / record.W if record.W else float("inf")
    size = sum(W.size for W in before) * len(subject.x)
    court = Court(
        train,
        lambda base: _suspects(subject, report.layers, found, base),
        found,
        limits,
        1e-4 + 6 * SECONDS_PER_MULTIPLICATION * size,
    )
    root = court.judge()
    if root is not None:
        root.consequences = [f for f in found if f.slug != root.slug]
    report.findings = [root] if root else []
    report.trials, report.notes = court.trials, court.notes
    if not hasattr(subject.optimizer, "lr"):
        report.notes.append("optimizer に lr がないので、学習率を変えた試しはしていません。")
    return report


def _affines(network: Network) -> list[Any]:
    return [layer for layer in network.leaves() if isinstance(layer, Affine)]


def _reference(subject: Subject) -> float:
    """最初の損失と、入力を見ない答え (出力の平均か、クラスの割合) の損失の小さいほう。"""
    network = copy.deepcopy(subject.network)
    output = network.forward(subject.x)
    answers = [output, np.broadcast_to(output.mean(axis=0), output.shape)]
    labels = np.asarray(subject.labels)
    if labels.ndim == 1 and output.shape[-1] == 1:  # 0 か 1 の正解と、1 つのロジット
        share = np.clip(labels.mean(), 1e-6, 1 - 1e-6)
        answers.append(np.full(output.shape, np.log(share / (1 - share))))
    elif labels.ndim == 1 and labels.dtype.kind in "iu":
        share = np.bincount(labels, minlength=output.shape[-1]) / len(labels)
        answers.append(np.broadcast_to(np.log(np.maximum(share, 1e-6)), output.shape))
    elif labels.shape == output.shape:
        answers.append(np.broadcast_to(labels.mean(axis=0), output.shape))
    values = [float(subject.loss(answer, subject.labels)[0]) for answer in answers]
    return min([v for v in values if np.isfinite(v)], default=values[0])


# --- 疑いと、1 つだけ変えること -------------------------------------------------------------


def _suspects(
    subject: Subject, layers: list[LayerRecord], found: list[Finding], base: Trial
) -> Iterator[Suspect]:
    inits = (
        Change("He の初期値", _initialise(he()), Remedy.INITIALISE),
        Change("Xavier の初期値", _initialise(xavier()), Remedy.INITIALISE),
    )
    dead = next((f for f in found if f.slug == "dead"), None)
    if dead is not None and mostly_dead(layers):
        yield Suspect(dead.slug, dead.modules, dead.evidence, inits)
    yield from _scales(subject)
    decay = getattr(_inner(subject.optimizer), "weight_decay", 0.0)
    if decay > 0:
        change = Change("重み減衰を 0 に", _no_decay)
        yield Suspect("weight-decay", ("optimizer",), f"weight_decay = {decay:g}", (change,))
    for ill in found:
        yield Suspect(ill.slug, ill.modules, ill.evidence, inits)
    if not hasattr(subject.optimizer, "lr"):  # 学習率を変えて試せない
        return
    middle = median([layer.update for layer in layers])
    rule = f"更新は重みの {middle:.0e} 倍 (中央値)"
    first = base.losses[0]
    if (
        not base.diverged
        and abs(first - base.end) < 0.05 * abs(first)
        and middle < SMALL_UPDATE
        and not found
    ):
        yield Suspect("step-small", ("optimizer",), rule, _rates(30, 1000, 10**5, 10**7))
    elif (
        base.diverged
        or base.spiked
        or base.end > first
        or max(r.update for r in layers) > LARGE_UPDATE
    ):
        yield Suspect("step-large", ("optimizer",), rule, _rates(1 / 10, 1 / 30, 1 / 1000))


def _scales(subject: Subject) -> Iterator[Suspect]:
    if odd := _odd_scale(subject.x):
        change = Change("入力を標準化", _standardise)
        yield Suspect("input-scale", ("x",), odd, (change,))
    targets = np.asarray(subject.labels)
    if targets.dtype.kind == "f" and (odd := _odd_scale(targets)):
        change = Change("目標を標準化", _standardise_target)
        yield Suspect("target-scale", ("labels",), odd, (change,))


def _odd_scale(values: Array) -> str:
    """平均か標準偏差が、標準化した値から大きく外れていれば、その説明。"""
    low, high = STANDARD
    mean, std = float(values.mean()), float(values.std())
    fine = low <= std <= high and abs(mean) <= FAR * max(std, 1.0)
    return "" if fine else f"平均 {mean:.3g}、標準偏差 {std:.3g}"


def _inner(optimizer: Any) -> Any:
    """切り詰めた後に使う最適化手法。Clip は、ほかの手法を包む。"""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def _no_decay(subject: Subject) -> None:
    _inner(subject.optimizer).weight_decay = 0.0


def _initialise(init: Any) -> Callable[[Subject], None]:
    def change(subject: Subject) -> None:
        rng = np.random.default_rng(1)
        for affine in _affines(subject.network):
            W, b = affine.params["W"], affine.params["b"]
            W[:] = init(*W.shape, rng=rng)
            b[:] = 0

    return change


def _standardised(x: Array) -> Array:
    scaled: Array = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12)
    return scaled


def _standardise(subject: Subject) -> None:
    subject.x = _standardised(subject.x)


def _standardise_target(subject: Subject) -> None:
    subject.labels = _standardised(subject.labels)


def _rates(*factors: float) -> tuple[Change, ...]:
    def scaled(factor: float) -> Change:
        def change(subject: Subject) -> None:
            optimizer = _inner(subject.optimizer)
            optimizer.lr = optimizer.lr * factor

        return Change(f"学習率 {factor:g} 倍" if factor > 1 else f"学習率 1/{1 / factor:g}", change)

    return tuple(map(scaled, factors))
