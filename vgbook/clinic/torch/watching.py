"""学習の最中の見張り: 何回かに 1 回だけ測り、終わりか途中に診断書を出す。"""

import sys
from collections.abc import Callable
from math import isfinite, nan
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from vgbook.clinic.record import LayerRecord, Thresholds, Trial, finding
from vgbook.clinic.report import Diagnosis
from vgbook.clinic.symptoms import symptoms
from vgbook.clinic.torch.hooks import (
    BATCH_NORMS,
    already,
    batch_statistics,
    drift,
    plain_name,
    rectifies,
    weight_name,
)

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
        for each in found:
            each.advise(already(self.model, finished[-1].functions.names, residual=False))
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


class _Functions(TorchFunctionMode):
    """モデルを呼んでいる間だけ、関数の名前を残し、ReLU の出力を ``keep`` に渡す。"""

    def __init__(self, keep: Callable[[torch.Tensor], None]) -> None:
        super().__init__()
        self.keep, self.depth = keep, 0
        self.names: set[str] = set()

    def attach(self, module: nn.Module) -> list[Any]:
        """最も外側の呼び出しで始め、終われば (例外でも) やめる。"""
        return [
            module.register_forward_pre_hook(self._enter),
            module.register_forward_hook(self._leave, always_call=True),
        ]

    def _enter(self, *_: Any) -> None:
        self.depth += 1
        if self.depth == 1:
            self.__enter__()

    def _leave(self, *_: Any) -> None:
        self.depth -= 1
        if self.depth == 0:
            self.__exit__(None, None, None)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """テンソルの関数が呼ばれるたびに呼ばれる。"""
        result = func(*args, **(kwargs or {}))
        name = plain_name(func)
        self.names.add(name)
        if isinstance(result, torch.Tensor) and rectifies(name, args, kwargs):
            self.keep(result)
        return result


class Sample:
    """1 回の更新の測定。値は、更新が終わるまで装置の上に置いておく。"""

    def __init__(self, step: int) -> None:
        self.step = step
        self.calls: dict[str, dict[str, torch.Tensor]] = {}
        self.modules: dict[str, tuple[nn.Module, str]] = {}
        self.weights: dict[str, torch.Tensor] = {}
        self.values: dict[str, dict[str, float]] = {}
        self.dead: dict[str, torch.Tensor] = {}
        self.gaps: dict[str, torch.Tensor] = {}
        self.current = ""
        self.complete = False
        self.functions = _Functions(self._relu)
        self._handles: list[Any] = []

    def attach(self, model: nn.Module) -> None:
        """行列をもつモジュールと BN にフックを付け、ReLU の出力を見る。"""
        for name, module in model.named_modules():
            self._handles += self.functions.attach(module)
            weight = weight_name(module)
            if weight:
                self.modules[name or type(module).__name__] = module, weight
                hook = self._hook(name or type(module).__name__)
                self._handles.append(module.register_forward_hook(hook))
            elif isinstance(module, BATCH_NORMS) and module.track_running_stats:
                self._handles.append(module.register_forward_pre_hook(self._batch_norm(name)))

    def detach(self) -> None:
        """フックを外す。"""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _hook(self, name: str) -> Callable[..., None]:
        def after(_module: nn.Module, _args: Any, output: Any) -> None:
            y = output[0] if isinstance(output, tuple) else output
            if not isinstance(y, torch.Tensor) or not y.requires_grad:  # 評価の順伝播は測らない
                return
            units = _units(y)
            var, mean = torch.var_mean(units, 0, correction=0)
            self.calls[name] = {
                "h": (var + mean.square()).mean().sqrt(),
                "distinct": var.mean().sqrt(),
            }
            self.current = name
            y.register_hook(lambda grad: self._delta(name, grad))

        return after

    def _batch_norm(self, name: str) -> Callable[..., None]:
        def before(module: Any, args: Any) -> None:
            if torch.is_grad_enabled() and module.running_mean is not None:  # 評価では測らない
                self.gaps[name] = drift(module, *batch_statistics(args[0]))

        return before

    def _relu(self, y: torch.Tensor) -> None:
        if y.requires_grad and self.current:
            self.dead[self.current] = (_units(y) == 0).all(0)

    def _delta(self, name: str, grad: torch.Tensor) -> None:
        norm = grad.detach().norm()
        self.calls[name]["delta"] = norm / grad.numel() ** 0.5
        self.calls[name]["delta_norm"] = norm / len(grad) ** 0.5

    def remember(self, model: nn.Module) -> None:
        """更新の前の重みと、その勾配の大きさ。"""
        for name in self.calls:
            module, weight = self.modules[name]
            W = module.get_parameter(weight)
            self.weights[name] = W.detach().clone()
            if W.grad is not None:
                self.calls[name]["dW"] = W.grad.norm() / W.numel() ** 0.5

    def close(self, model: nn.Module, before: dict[str, torch.Tensor]) -> None:
        """更新の後の重みと比べ、数にする。"""
        for name, call in self.calls.items():
            module, weight = self.modules[name]
            W = module.get_parameter(weight).detach()
            if name in before:
                size = before[name].norm()
                call["W"] = size / W.numel() ** 0.5
                call["update"] = (W - before[name]).norm() / size
            self.values[name] = {key: float(value) for key, value in call.items()}
        self.weights, self.complete = {}, True

    def broken(self) -> tuple[str, ...]:
        """有限でない値のあった層。"""
        return tuple(n for n, v in self.values.items() if not all(map(isfinite, v.values())))

    def records(self, dead: dict[str, float]) -> list[LayerRecord]:
        """診断書の層の表。"""
        layers = []
        for name, values in self.values.items():
            layer = LayerRecord(name, type(self.modules[name][0]).__name__)
            for column, value in values.items():
                setattr(layer, column, value)
            layer.dead = dead.get(name, 0.0)
            layers.append(layer)
        return layers


def _units(y: torch.Tensor) -> torch.Tensor:
    """ユニットを最後の軸に、ほかをまとめて最初の軸にする。4 次元なら、ユニットはチャネル。"""
    y = y.detach()
    if y.ndim >= 4:
        y = y.transpose(1, -1)
    return y.flatten(0, -2) if y.ndim > 1 else y[:, None]


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
