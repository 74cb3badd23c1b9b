"""PyTorch のモデルの順伝播と逆伝播を 1 回だけ覗く。"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from vgbook.clinic.record import LayerRecord
from vgbook.clinic.torch.subject import tensors
from vgbook.clinic.verdicts import Remedy

RECURRENT = (nn.RNNBase, nn.RNNCellBase)
NORMS = ("layer_norm", "rms_norm")
SUMS = ("add", "add_", "__add__", "__radd__", "__iadd__")

# 有界な活性化関数の φ′ を、最大値を 1 として、出力 y から求める
SLOPES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sigmoid": lambda y: 4 * y * (1 - y),
    "tanh": lambda y: 1 - y * y,
    "hardtanh": lambda y: (y.abs() < 1).to(y),
    "hardsigmoid": lambda y: ((y > 0) & (y < 1)).to(y),
    "softsign": lambda y: (1 - y.abs()).square(),
}
ZEROS = ("relu", "relu6", "threshold")
CLAMPS = ("clamp", "clamp_min", "clip")
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
OTHERS = ("leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "prelu", "glu")


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


def wide(a: torch.Tensor) -> torch.Tensor:
    """2 乗しても桁があふれない型の写し。MPS (Apple の GPU) には float64 がない。"""
    a = a.detach().abs() if a.is_complex() else a.detach()
    return a.to(torch.float32 if a.device.type == "mps" else torch.float64, copy=True)


def rms(a: torch.Tensor) -> float:
    """二乗平均の平方根。"""
    return float(wide(a).square().mean().sqrt()) if a.numel() else float("nan")


def spread(a: torch.Tensor) -> float:
    """標本による違い: ユニットごとの、標本にわたる標準偏差の RMS。標本が 1 個なら測れない。"""
    if a.ndim == 0 or a.numel() == 0 or (a.ndim > 1 and len(a) == 1):
        return float("nan")
    return float(wide(a).var(0, unbiased=False).mean().sqrt())


def share(mask: torch.Tensor) -> float:
    """真の要素の割合。"""
    return float(mask.count_nonzero() / max(mask.numel(), 1))


def dense(gradient: torch.Tensor | None) -> torch.Tensor | None:
    """疎な勾配 (``nn.Embedding(sparse=True)`` など) も、ふつうの配列として測る。"""
    return gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient


def weight_name(module: nn.Module) -> str:
    """そのモジュールが自分でもつ行列のうち、最も大きいものの名前。なければ空。"""
    matrices = {n: p for n, p in module.named_parameters(recurse=False) if p.ndim >= 2}
    return max(matrices, key=lambda n: matrices[n].numel(), default="")


def plain_name(func: Callable[..., Any]) -> str:
    """テンソルの関数の名前。``relu_`` は relu と同じ。"""
    name: str = getattr(func, "__name__", "")
    return name if name.startswith("__") else name.rstrip("_")


def rectifies(name: str, args: Any, kwargs: Any) -> bool:
    """負の値を 0 にする関数か。``x.clamp(min=0)`` も ReLU と同じ。"""
    if name in ZEROS:
        return True
    if name == "maximum":  # torch.maximum(x, torch.tensor(0.0))
        return any(isinstance(a, torch.Tensor) and a.numel() == 1 and a == 0 for a in args)
    options = {**dict(zip(("input", "min", "max"), args, strict=False)), **(kwargs or {})}
    low, high = options.get("min"), options.get("max")
    return name in CLAMPS and isinstance(low, int | float) and low == 0 and high is None


def already(model: nn.Module, functions: Collection[str], residual: bool) -> frozenset[Remedy]:
    """モデルがもうしている治し方。"""
    done = {Remedy.ADD_RESIDUAL} if residual else set()
    if any("Norm" in type(module).__name__ for module in model.modules()):
        done.add(Remedy.NORMALISE)
    if "sigmoid" not in functions:
        done.add(Remedy.REPLACE_SIGMOID)
    return frozenset(done)


def drift(module: Any, mean: torch.Tensor, var: torch.Tensor) -> torch.Tensor:
    """BN の移動平均が、バッチの統計からどれだけ外れているか。1 で標準偏差 1 つ。"""
    running = wide(module.running_var) + module.eps
    shift = (mean - wide(module.running_mean)).abs() / running.sqrt()
    scale = ((var + module.eps) / running).log().abs()
    return torch.maximum(shift, scale).median()


def batch_statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """チャネルごとの平均と分散。"""
    x = wide(x)
    axes = [0, *range(2, x.ndim)]
    return x.mean(axes), x.var(axes, unbiased=False)


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
        self.post_norms = 0
        self.residual = False
        self._sigmoid: torch.Tensor | None = None
        self._kept: list[Any] = []
        self._sums: dict[int, bool] = {}
        self._normed: set[int] = set()
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
        if name in SUMS or name in NORMS or name == "add":
            self._residual(name, args, result)
        if self.current is None:
            return
        record = self.current.record
        if name in SLOPES:
            flat = SLOPES[name](result.detach()) < self.slope
            record.saturated = max(record.saturated, share(flat))
        if reached is not None:
            dead = share(dead_units(result, reached, self.current.module))
            record.dead = max(record.dead, dead)
        if activated:
            self._size(record, result)

    def _residual(self, name: str, args: Any, result: torch.Tensor) -> None:
        """正規化した値が残差の和に入り、その和がまた正規化されるなら、後置の正規化。"""
        self._kept.append(result)  # 番地が使い回されないように、値を残しておく
        if name in NORMS:
            if args and self._sums.get(id(args[0]), False):
                self.post_norms += 1
                if self.current is not None:
                    self.current.record.post_norm = True
            self._normed.add(id(result))
        else:
            both = [a for a in args if isinstance(a, torch.Tensor) and a.shape == result.shape]
            self.residual = self.residual or (
                len(both) == 2 and result.requires_grad and both[0].requires_grad
            )
            self._sums[id(result)] = any(id(a) in self._normed for a in args)


def sums_to_one(y: torch.Tensor) -> bool:
    """softmax の出力のように、負でなく、クラス (か標本) の軸の和が 1 か。"""
    y = y.detach()
    if y.ndim < 2 or min(y.shape[:2]) < 2 or not bool((y >= 0).all()):
        return False
    return any(bool((wide(y).sum(axis) - 1).abs().max() < 1e-3) for axis in (1, 0))


def units(y: torch.Tensor, module: nn.Module) -> torch.Tensor:
    """``module`` の出力の、ユニットを最後の軸に、ほかをまとめて最初の軸にする。"""
    y = y.detach()
    channels = y.ndim >= 4 and not isinstance(module, nn.Linear)  # 畳み込みのユニットはチャネル
    if channels or (y.ndim == 3 and isinstance(module, nn.Conv1d | nn.ConvTranspose1d)):
        y = y.transpose(1, -1)
    return y.flatten(0, -2) if y.ndim > 1 else y[:, None]


def reached_units(name: str, args: Any, kwargs: Any, module: nn.Module) -> torch.Tensor | None:
    """死ぬことのある活性化関数なら、0 でない信号が届いているユニット。

    入力をその場で書き換える ReLU もあるので、関数を呼ぶ前に調べる。
    """
    if not (rectifies(name, args, kwargs) or name in OTHERS):
        return None
    given = [a for a in (*args, *(kwargs or {}).values()) if isinstance(a, torch.Tensor)]
    z = next((a for a in given if a.numel() > 1), None)
    return None if z is None or z.ndim == 0 else (units(z, module) != 0).any(0)


def dead_units(y: torch.Tensor, reached: torch.Tensor, module: nn.Module) -> torch.Tensor:
    """死んだユニット。信号が届いているのに、どの標本でも 0 を出す。標本が 1 個なら測らない。"""
    zero = (units(y, module) == 0).all(0)
    if y.ndim < 2 or (y.ndim == 2 and len(y) == 1) or zero.shape != reached.shape:
        return torch.zeros_like(zero)
    return zero & reached
