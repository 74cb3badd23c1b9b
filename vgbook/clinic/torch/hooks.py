"""PyTorch のモデルの順伝播と逆伝播を 1 回だけ覗く。"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from vgbook.clinic.record import LayerRecord
from vgbook.clinic.torch.functions import (
    OTHERS,
    SLOPES,
    ZEROS,
    dead_units,
    plain_name,
    reached_units,
    sums_to_one,
)
from vgbook.clinic.torch.sizes import batch_statistics, rms, share, spread, wide
from vgbook.clinic.torch.subject import tensors
from vgbook.clinic.torch.sums import Sums

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
RECURRENT = (nn.RNNBase, nn.RNNCellBase)


@dataclass
class Watched:
    """1 つの層について、順伝播と逆伝播の間に溜めるもの。"""

    module: nn.Module
    record: LayerRecord
    weight: str
    parameter: str
    calls: list[float] = field(default_factory=list)
    zeros: list[float] = field(default_factory=list)
    half: bool = False
    broken_delta: bool = False


def weight_name(module: nn.Module) -> str:
    """そのモジュールが自分でもつ行列のうち、最も大きいものの名前。なければ空。"""
    matrices = {n: p for n, p in module.named_parameters(recurse=False) if p.ndim >= 2}
    return max(matrices, key=lambda n: matrices[n].numel(), default="")


class Recorder(TorchFunctionMode):
    """層の出力、そこに届く δ、活性化関数の飽和と死を記録する。

    モジュールでも ``F.relu`` のような関数でも、活性化関数は直前の層の一部として測ります。
    """

    def __init__(self, model: nn.Module, slope: float) -> None:
        super().__init__()
        self.model, self.slope = model, slope
        self.watched: dict[str, Watched] = {}
        self.current: Watched | None = None
        self.functions: list[str] = []
        self.probabilities = ""
        """ロジットを待つ損失の関数のうち、確率を渡されたもの。"""
        self.batch_stats: dict[str, tuple[int, torch.Tensor, torch.Tensor]] = {}
        self.sums = Sums()
        self._sigmoid: torch.Tensor | None = None
        self._depth = 0
        self._busy = False

    @contextmanager
    def attached(self) -> Iterator["Recorder"]:
        """フックを付け、終われば必ず外す。"""
        handles = []
        try:
            seen: set[int] = set()
            for name, module in self.model.named_modules():
                weight = weight_name(module)
                if weight and id(module) not in seen:
                    seen.add(id(module))
                    handles += self._watch(name, module, weight)
                if isinstance(module, BATCH_NORMS):
                    handles.append(module.register_forward_pre_hook(self._batch(name)))
            handles.append(self.model.register_forward_pre_hook(self._enter))
            handles.append(self.model.register_forward_hook(self._leave, always_call=True))
            with self:
                yield self
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """測るための計算は、モデルの計算として数えない。"""
        before, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = before

    def _enter(self, *_: Any) -> None:
        self._depth += 1

    def _leave(self, *_: Any) -> None:
        self._depth -= 1

    def _watch(self, name: str, module: nn.Module, weight: str) -> list[Any]:
        parameter = module.get_parameter(weight)
        kind = type(module).__name__
        record = LayerRecord(name or kind, kind, W=rms(parameter))
        record.trainable = parameter.requires_grad
        watched = Watched(module, record, weight, f"{name}.{weight}" if name else weight)

        def before(_module: nn.Module, args: Any) -> Any:
            return self._times(watched, args)

        def after(_module: nn.Module, _args: Any, output: Any) -> None:
            with self._aside():
                self._output(watched, output)

        handles = [module.register_forward_hook(after)]
        if isinstance(module, nn.RNNBase):
            handles.append(module.register_forward_pre_hook(before))
        self.watched[record.name] = watched
        return handles

    def _times(self, watched: Watched, args: Any) -> Any:
        """再帰層の入力に届く勾配は、時刻ごとの δ に W をかけたもの。"""
        x = args[0]
        if not isinstance(x, torch.Tensor) or x.ndim != 3 or not torch.is_grad_enabled():
            return None
        x = x if x.requires_grad else x.detach().requires_grad_()
        batch_first = watched.module.batch_first

        def keep(grad: torch.Tensor) -> None:
            g = wide(grad)
            norms = (g if batch_first else g.transpose(0, 1)).norm(dim=2).mean(0)
            watched.record.times = tuple(norms.tolist())

        x.register_hook(keep)
        return (x, *args[1:])

    def _output(self, watched: Watched, output: Any) -> None:
        floating = [t for t in tensors(output) if t.is_floating_point()]
        if not floating:
            return
        y, record = floating[0], watched.record
        self.current = watched
        if len(floating) == 1 and not isinstance(watched.module, nn.Embedding):
            record.width = y.shape[-1] if y.ndim < 4 else y.shape[1]
        self._size(record, y)
        if isinstance(watched.module, nn.RNNBase) and y.ndim == 3:
            last = y[:, -1] if watched.module.batch_first else y[-1]
            record.time_distinct = spread(last) / max(rms(last), 1e-300)
        if not all(t.isfinite().all() for t in floating):
            record.overflow = record.overflow or "h"
        if y.requires_grad:
            y.register_hook(lambda grad: self._delta(watched, grad))

    def _size(self, record: LayerRecord, y: torch.Tensor) -> None:
        record.h, record.distinct = rms(y), spread(y)

    def _delta(self, watched: Watched, grad: torch.Tensor) -> None:
        g = grad.detach()
        watched.half = watched.half or g.dtype == torch.float16
        if not g.isfinite().all():
            watched.broken_delta = True
        watched.zeros.append(share(g == 0))
        norm = wide(g).flatten(1).norm(dim=1).mean() if g.ndim > 1 else wide(g).abs().mean()
        watched.calls.append(float(norm))
        record = watched.record
        # 何度も呼ばれる層では、最後の呼び出し (逆伝播では最初に届く) の値を残す
        if len(watched.calls) == 1:
            record.delta, record.delta_norm = rms(g), float(norm)

    def _batch(self, name: str) -> Callable[[nn.Module, Any], None]:
        def keep(_module: nn.Module, args: Any) -> None:
            with self._aside():
                self.batch_stats[name] = (len(args[0]), *batch_statistics(args[0]))

        return keep

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """テンソルの関数が呼ばれるたびに呼ばれる。"""
        name = plain_name(func)
        reached = None
        if not self._busy and self._depth and self.current is not None:
            with self._aside():
                reached = reached_units(name, args, kwargs, self.current.module)
        result = func(*args, **(kwargs or {}))
        if not self._busy and isinstance(result, torch.Tensor):
            with self._aside():
                self._loss(name, args, result)
                if self._depth:
                    self._function(name, args, result, reached)
        return result

    def _loss(self, name: str, args: Any, result: torch.Tensor) -> None:
        """損失の関数が、モデルの中で呼ばれても外で呼ばれても、確率を渡されていないか。"""
        if name == "sigmoid":
            self._sigmoid = result.detach()
        elif (name == "cross_entropy" and sums_to_one(args[0])) or (
            name == "binary_cross_entropy_with_logits" and self.squashed(args[0])
        ):
            self.probabilities = name

    def squashed(self, y: torch.Tensor) -> bool:
        """``y`` が、最後のシグモイドの出力と (形を除いて) 同じ値か。"""
        last = self._sigmoid
        return (
            last is not None
            and last.numel() == y.numel()
            and torch.equal(last.flatten().to(y.dtype), y.detach().flatten())
        )

    def _function(
        self, name: str, args: Any, result: torch.Tensor, reached: torch.Tensor | None
    ) -> None:
        activated = reached is not None or name in SLOPES or name in (*ZEROS, *OTHERS)
        if activated or name == "softmax":
            self.functions.append(name)
        post_norm = self.sums.follow(name, args, result)
        if self.current is None:
            return
        record = self.current.record
        record.post_norm = record.post_norm or post_norm
        if name in SLOPES:
            flat = SLOPES[name](result.detach()) < self.slope
            record.saturated = max(record.saturated, share(flat))
        if reached is not None:
            dead = share(dead_units(result, reached, self.current.module))
            record.dead = max(record.dead, dead)
        if activated:
            self._size(record, result)
