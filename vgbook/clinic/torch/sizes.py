"""テンソルの大きさ: RMS、標本による違い、割合、BN の統計。"""

from typing import Any

import torch


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
