"""モデルが呼ぶ関数: 飽和するもの、ユニットが死ぬもの、損失に渡すもの。"""

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import nn

from vgbook.clinic.torch.sizes import wide
from vgbook.clinic.verdicts import Remedy

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
OTHERS = ("leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "prelu", "glu")


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


def already(model: nn.Module, functions: Collection[str], residual: bool) -> frozenset[Remedy]:
    """モデルがもうしている治し方。"""
    done = {Remedy.ADD_RESIDUAL} if residual else set()
    if any("Norm" in type(module).__name__ for module in model.modules()):
        done.add(Remedy.NORMALISE)
    if "sigmoid" not in functions:
        done.add(Remedy.REPLACE_SIGMOID)
    return frozenset(done)
