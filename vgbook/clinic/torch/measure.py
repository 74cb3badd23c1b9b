"""PyTorch のモデルを 1 度だけ測る: 順伝播、逆伝播、そして 1 回の更新。"""

from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vgbook.clinic.record import LayerRecord, Thresholds
from vgbook.clinic.torch.hooks import Recorder, Watched
from vgbook.clinic.torch.sizes import dense, rms
from vgbook.clinic.torch.subject import Subject, tensors


@dataclass
class Measurement:
    """1 回の順伝播・逆伝播・更新で測ったもの。"""

    layers: list[LayerRecord]
    loss: float
    recorder: Recorder
    grads: dict[str, torch.Tensor | None]
    """学習するパラメーターの勾配。届かなければ None。"""
    connected: bool
    """損失から勾配を求められるか。"""
    seconds: float = 1.0
    """1 回の更新にかかる時間の見積もり。計算機の速さによらない。"""
    updates: dict[str, float] = field(default_factory=dict)
    output: Any = None
    frozen_by_rounding: float = 0.0
    """半精度の重みのうち、更新が丸めで消えた割合。"""

    @property
    def watched(self) -> dict[str, Watched]:
        """層の名前から、溜めた値へ。"""
        return self.recorder.watched


class _Cost(TorchDispatchMode):
    """演算の数と、行列積の掛け算の数を数える。"""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.multiplications, self.elements = 0, 0.0, 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls += 1
        out = next((t for t in tensors(result)), None)
        if out is not None:
            self.elements += out.numel()
            name = func.overloadpacket.__name__
            if name in ("mm", "addmm", "bmm", "baddbmm"):
                inner = args[1 if name == "addmm" else 0].shape[-1]
                self.multiplications += out.numel() * inner
            elif name.startswith("convolution"):
                weight = args[2 if "backward" in name else 1]
                self.multiplications += (2 if "backward" in name else 1) * (
                    max(out.numel(), args[0].numel()) * weight[0].numel()
                )
        return result

    @property
    def seconds(self) -> float:
        return 6e-6 * self.calls + 2e-9 * self.elements + 4e-10 * self.multiplications


def measure(subject: Subject, limits: Thresholds) -> Measurement:
    """写しの上で 1 回だけ測る。``subject`` のモデルには勾配と更新が残る。"""
    subject.model.zero_grad(set_to_none=True)
    recorder = Recorder(subject.model, limits.slope)
    with recorder.attached():
        value = subject.value()
        _check_scalar(value)
        connected = value.requires_grad
        if connected:
            value.backward()
    grads = {name: dense(p.grad) for name, p in subject.trainable().items()}
    layers = [
        w.record for w in recorder.watched.values() if isfinite(w.record.h) or w.record.overflow
    ]
    if subject.step and connected and not layers and not any(g is not None for g in grads.values()):
        raise ValueError(
            "step は、渡された model で損失を計算してください (lambda m, x: loss(m(x), y) など)。"
            "診断は写しを渡すので、外で作った model を使うと、何も測れません。"
            f"受け取った step: {subject.step!r}"
        )
    measured = Measurement(
        layers, float(value.detach()), recorder, grads, connected, output=subject.output
    )
    for watched in recorder.watched.values():
        _gradient(watched)
    if subject.optimizer is not None and connected:
        _update(subject, measured)
    return measured


def _check_scalar(value: Any) -> None:
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        came = tuple(value.shape) if isinstance(value, torch.Tensor) else repr(value)
        raise ValueError(
            "loss は 1 つの数 (要素が 1 個のテンソル) を返さなければなりません。"
            f".mean() などで 1 つにしてください。受け取った値の形: {came}"
        )


def _gradient(watched: Watched) -> None:
    grad = dense(watched.module.get_parameter(watched.weight).grad)
    record = watched.record
    record.dW = rms(grad) if grad is not None else float("nan")
    broken = [
        name
        for name, bad in (
            ("δ", watched.broken_delta),
            ("dW", grad is not None and not isfinite(record.dW)),
        )
        if bad
    ]
    record.overflow = "、".join(([record.overflow] if record.overflow else []) + broken)
    if len(watched.calls) > 3 and not record.times:
        record.times = tuple(watched.calls[::-1])


def _update(subject: Subject, measured: Measurement) -> None:
    """実際の 1 回の更新を、重みの大きさで割る。Adam でも減衰でも、このままで正しい。"""
    before = {name: p.detach().clone() for name, p in subject.trainable().items()}
    with _Cost() as cost:
        subject.update()
    measured.seconds = cost.seconds
    still, moved = 0, 0
    for name, p in subject.trainable().items():
        step = p.detach() - before[name]
        size = rms(before[name])
        measured.updates[name] = rms(step) / size if size else float("inf")
        grad = measured.grads[name]
        if p.dtype in (torch.bfloat16, torch.float16) and grad is not None:
            still += int(((step == 0) & (grad != 0)).sum())
            moved += int((grad != 0).sum())
    measured.frozen_by_rounding = still / moved if moved else 0.0
    for watched in measured.watched.values():
        watched.record.update = measured.updates.get(watched.parameter, float("nan"))
