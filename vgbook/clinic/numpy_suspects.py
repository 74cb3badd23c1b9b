"""この本の `Network` への疑いと、それを取り除く変え方を、原因になりやすい順に挙げる。"""

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np

from vgbook._edge import Array
from vgbook.clinic.court import Change, Suspect
from vgbook.clinic.numpy_subject import Subject, affines
from vgbook.clinic.record import Finding, LayerRecord, Trial
from vgbook.clinic.rules import LARGE_UPDATE, SMALL_UPDATE, STALE, odd_scale
from vgbook.clinic.symptoms import mostly_dead
from vgbook.clinic.verdicts import Remedy
from vgbook.initializers import he, xavier
from vgbook.layers.normalization import BatchNorm
from vgbook.training.clipping import Clip


def suspects(
    subject: Subject,
    layers: list[LayerRecord],
    found: list[Finding],
    stale: tuple[str, ...],
    base: Trial,
) -> Iterator[Suspect]:
    """疑いを 1 つずつ返す。先に返したもので治れば、後のものは試さない。"""
    inits = (
        Change("He の初期値", _initialise(he()), Remedy.INITIALISE),
        Change("Xavier の初期値", _initialise(xavier()), Remedy.INITIALISE),
    )
    dead = next((f for f in found if f.slug == "dead"), None)
    if dead is not None and mostly_dead(layers):
        yield Suspect(dead.slug, dead.modules, dead.evidence, inits)
    if stale:
        change = Change("BN をもう一方のモードに", _other_mode)
        yield Suspect("batch-norm", stale, STALE, (change,))
    yield from _scales(subject)
    yield from _decay(subject)
    for ill in found:
        yield Suspect(ill.slug, ill.modules, ill.evidence, inits)
    if hasattr(subject.optimizer, "lr"):  # なければ、学習率を変えて試せない
        yield from _step(subject, layers, found, base)


def _scales(subject: Subject) -> Iterator[Suspect]:
    if odd := _odd_scale(subject.x):
        change = Change("入力を標準化", _standardise)
        yield Suspect("input-scale", ("x",), odd, (change,))
    targets = np.asarray(subject.labels)
    if targets.dtype.kind == "f" and (odd := _odd_scale(targets)):
        change = Change("目標を標準化", _standardise_target)
        yield Suspect("target-scale", ("labels",), odd, (change,))


def _odd_scale(values: Array) -> str:
    columns = values.std(axis=0).tolist() if values.ndim == 2 and len(values) > 2 else ()
    return odd_scale(float(values.mean()), float(values.std()), columns)


def _decay(subject: Subject) -> Iterator[Suspect]:
    decay = getattr(_inner(subject.optimizer), "weight_decay", 0.0)
    if decay > 0:
        change = Change("重み減衰を 0 に", _no_decay)
        yield Suspect("weight-decay", ("optimizer",), f"weight_decay = {decay:g}", (change,))


def _step(
    subject: Subject, layers: list[LayerRecord], found: list[Finding], base: Trial
) -> Iterator[Suspect]:
    """1 回の更新の大きさ。"""
    middle = median([layer.update for layer in layers])
    rule = f"更新は重みの {middle:.0e} 倍 (中央値)"
    first = base.losses[0]
    if (
        not base.diverged
        and abs(first - base.end) < 0.05 * abs(first)
        and middle < SMALL_UPDATE
        and not found
    ):
        unclip = (Change("勾配を切り詰めずに", _unclip, Remedy.UNCLIP),) if clips(subject) else ()
        changes = (*_rates(30, 1000, 10**5, 10**7), *unclip)
        yield Suspect("step-small", ("optimizer",), rule, changes)
    elif (
        base.diverged
        or base.spiked
        or base.end > first
        or max(r.update for r in layers) > LARGE_UPDATE
    ):
        yield Suspect("step-large", ("optimizer",), rule, _rates(1 / 10, 1 / 30, 1 / 1000))


def _inner(optimizer: Any) -> Any:
    """切り詰めた後に使う最適化手法。Clip は、ほかの手法を包む。"""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def clips(subject: Subject) -> bool:
    """勾配を切り詰めているか。"""
    return isinstance(subject.optimizer, Clip)


def _unclip(subject: Subject) -> None:
    subject.optimizer = _inner(subject.optimizer)


def _no_decay(subject: Subject) -> None:
    _inner(subject.optimizer).weight_decay = 0.0


def _other_mode(subject: Subject) -> None:
    for layer in subject.network.leaves():
        if isinstance(layer, BatchNorm):
            layer.training = not layer.training


def _initialise(init: Any) -> Callable[[Subject], None]:
    def change(subject: Subject) -> None:
        rng = np.random.default_rng(1)
        for affine in affines(subject.network):
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
