"""損失の渡し方: 確率を渡された損失、形の合わない損失。"""

from collections.abc import Iterator
from math import isfinite

import torch

from vgbook.clinic.record import Finding, finding
from vgbook.clinic.torch.measure import Measurement
from vgbook.clinic.torch.subject import Subject, tensors


def wrong_loss(subject: Subject, measured: Measurement) -> Iterator[Finding]:
    """確率を渡された損失、形の合わない損失。"""
    output = measured.output
    if where := measured.recorder.probabilities:
        yield finding("softmax-twice", ("出力",), f"{where} に、ロジットでなく確率が渡されている")
        return
    if subject.loss is None or not isinstance(output, torch.Tensor) or not isfinite(measured.loss):
        return
    out = output.detach().clone()
    if not out.is_floating_point() or out.ndim < 1 or not out.isfinite().all():
        return
    if _softmax_twice(subject, out):  # 自分で書いた損失
        yield finding(
            "softmax-twice",
            ("出力",),
            "出力の和がどの標本でも 1 で、損失は出力に定数を足しても変わらない",
        )
    elif measured.recorder.squashed(out) and _sigmoid_twice(subject, out):
        yield finding(
            "softmax-twice",
            ("出力",),
            "出力が 0〜1 に収まるのに、正解と同じ出力でも損失の勾配が 0 にならない",
        )
    if _blind_to_pairs(subject, out):
        shapes = f"出力 {tuple(out.shape)}、目標 {tuple(tensors(subject.y)[0].shape)}"
        yield finding(
            "loss-shape", ("loss",), f"目標を標本の間で入れ替えても損失が変わらない ({shapes})"
        )


def _softmax_twice(subject: Subject, out: torch.Tensor) -> bool:
    if out.ndim < 2 or out.shape[1] < 2 or out.min() < 0:
        return False
    sums = [out.float().sum(axis) for axis in {1, out.ndim - 1} if out.shape[axis] > 1]
    if not any(torch.allclose(s, torch.ones_like(s), atol=1e-3) for s in sums):
        return False
    base, moved = (_loss(subject, out + shift) for shift in (0.0, 3.0))
    return base is not None and moved is not None and abs(base - moved) < 1e-4 * abs(base)


def _sigmoid_twice(subject: Subject, out: torch.Tensor) -> bool:
    y = subject.y
    if not isinstance(y, torch.Tensor) or y.shape != out.shape or not y.is_floating_point():
        return False
    if not ((y == 0) | (y == 1)).all():
        return False
    answer = y.detach().to(out.dtype).clone().requires_grad_()
    try:
        value = subject.loss(answer, y)  # type: ignore[misc]
        (slope,) = torch.autograd.grad(value, answer)
    except RuntimeError:
        return False
    beyond = _loss(subject, 3 * (2 * y.to(out.dtype) - 1))  # 0〜1 の外のほうが損失が小さい
    exact = float(value.detach())
    return (
        bool(slope.abs().max() > 1e-8) and beyond is not None and isfinite(exact) and beyond < exact
    )


def _loss(subject: Subject, out: torch.Tensor) -> float | None:
    try:
        with torch.no_grad():
            return float(subject.loss(out, subject.y))  # type: ignore[misc]
    except (RuntimeError, ValueError):  # 決まった範囲の値しか受け取らない損失
        return None


def _blind_to_pairs(subject: Subject, out: torch.Tensor) -> bool:
    """出力と目標の組を崩しても同じ損失か。"""
    y = subject.y
    if not isinstance(y, torch.Tensor) or y.ndim == 0 or len(y) != len(out) or len(y) < 3:
        return False
    if y.dtype == torch.bool or y.is_complex() or y.shape == out.shape:
        return False
    if not y.is_floating_point() and y.numel() != out.numel():  # クラスの番号
        return False
    g = torch.Generator(device="cpu").manual_seed(0)
    noise = torch.randn(out.shape, generator=g).to(out)
    probe = out + noise * (out.std() + 1)
    turned = torch.roll(y, 1, 0)
    if torch.equal(turned, y):
        return False
    values = []
    for target in (y, turned, y + (y.abs().float().mean() + 1).to(y.dtype)):
        with torch.no_grad():
            values.append(float(subject.loss(probe.clone(), target)))  # type: ignore[misc]
    base, rolled, moved = values
    return abs(base - rolled) < 1e-5 * abs(base) < abs(base - moved)
