"""この本の `Network` を測る: 層にフックを付け、順伝播と逆伝播の値を集める。

アフィン変換から次のアフィン変換の手前までを、1 つの層と数えます。残差ブロックの枝もほどきます。
"""

from collections.abc import Iterator
from itertools import count, pairwise
from typing import Any

import numpy as np

from vgbook._edge import Array
from vgbook.activations import Activation
from vgbook.clinic.record import LayerRecord
from vgbook.layers.affine import Activate, Affine
from vgbook.layers.normalization import BatchNorm
from vgbook.network import Network
from vgbook.signals import rms


class Hook:
    """層に付けるフック。順伝播の出力と、そこに届いた勾配を残す。"""

    def __init__(self, layer: Any, block: int) -> None:
        self.layer, self.block = layer, block
        self._forward, self._backward = layer.forward, layer.backward
        if hasattr(layer, "__dict__"):  # 自作の層の中では、branch のほかからも呼ばれる
            vars(layer).update(forward=self.forward, backward=self.backward)

    def forward(self, x: Array) -> Array:
        """層の順伝播。入力と出力を残す。"""
        self.x = x
        self.y = y = np.asarray(self._forward(x))
        return y

    def backward(self, dy: Array) -> Array:
        """層の逆伝播。届いた勾配を残す。"""
        self.dy = dy
        dx: Array = self._backward(dy)
        return dx


def _hook(layers: list[Any], block: int = 0) -> Iterator[Hook]:
    """どの層もフックに取り替え、残差ブロックの枝もほどいて、計算の順に返す。"""
    numbers = count(1)
    for i, layer in enumerate(layers):
        if hasattr(layer, "branch"):
            yield from _hook(layer.branch, block or next(numbers))
        else:
            layers[i] = Hook(layer, block)
            yield layers[i]


def check_called(layers: list[list[Hook]]) -> None:
    """順伝播が、どの層も通ったことを確かめる。"""
    for hook in (hook for layer in layers for hook in layer):
        if not hasattr(hook, "y"):
            raise ValueError(
                "model に、順伝播が通らない層があるので測れません。使わない層は外してください。"
                f"受け取った層: {hook.layer!r}"
            )


def hooked(network: Network) -> Iterator[list[Hook]]:
    """アフィン変換で始まり、次のアフィン変換の手前で終わるフックの列。"""
    hooks = list(_hook(network.layers))
    starts = [i for i, hook in enumerate(hooks) if isinstance(hook.layer, Affine)]
    for i, j in pairwise([*starts, len(hooks)]):
        yield hooks[i:j]


def measure_forward(number: int, layer: list[Hook], slope: float) -> LayerRecord:
    """順伝播で測れるもの。"""
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


def measure_backward(record: LayerRecord, layer: list[Hook], lr: float) -> None:
    """逆伝播で測れるもの。"""
    dy, dW = layer[0].dy, layer[0].layer.grads["W"]
    record.delta, record.dW = float(rms(dy)), float(rms(dW))
    # 標本ごとのノルム。rms を通すのは、とても小さな δ の 2 乗が 0 にならないように
    record.delta_norm = float(rms(dy[:, None, :]).mean() * np.sqrt(dy.shape[-1]))
    record.update = lr * record.dW / record.W if record.W > 0 else float("inf")
    broken = [n for n, v in (("δ", record.delta), ("dW", record.dW)) if not np.isfinite(v)]
    record.overflow = "、".join(broken)


def activations(layer: list[Hook]) -> list[Activation]:
    """層に属する活性化関数。"""
    return [hook.layer.activation for hook in layer if isinstance(hook.layer, Activate)]


def _steepest(activation: Activation) -> float:
    """飽和する活性化関数の、|φ′| の最大値。片側が伸び続ける関数 (ReLU の仲間) なら 0。"""
    if np.abs(activation(np.array([-1e3, 1e3]))).max() > 10:
        return 0.0
    return float(np.abs(activation.derivative(np.linspace(-5, 5, 1001))).max())


def _slopes(layer: Any) -> Array:
    """φ′(z)。どこでも同じ値を 1 つの数で返す自作の関数でも、z の形にする。"""
    return np.broadcast_to(layer.activation.derivative(layer.z), layer.z.shape)


def _saturated(layer: Any, slope: float) -> float:
    """飽和する活性化関数で、|φ′| が最大値の ``slope`` 倍を下回る値の割合。"""
    limit = slope * _steepest(layer.activation)
    return float(np.mean(np.abs(_slopes(layer)) < limit))


def _dead(layer: Any) -> float:
    """飽和しない活性化関数で、死んだユニットの割合。死の定義は `LayerRecord.dead` にある。"""
    if _steepest(layer.activation) > 0:
        return 0.0
    flat = np.all(_slopes(layer) == 0, axis=-2)
    silent = np.all(layer.h == 0, axis=-2)
    return float(np.mean(flat & silent & np.any(layer.z != 0, axis=-2)))


def without_slope(activation: Activation) -> bool:
    """階段関数のように、導関数がどこでも 0 か。"""
    return not np.any(activation.derivative(np.linspace(-5, 5, 1001)))


def norms(layers: list[list[Hook]], records: list[LayerRecord]) -> Iterator[tuple[str, Hook]]:
    """バッチ正規化と、それが属する層の名前。"""
    for record, layer in zip(records, layers, strict=True):
        yield from ((record.name, hook) for hook in layer if isinstance(hook.layer, BatchNorm))


def stale(hook: Hook) -> bool:
    """推論モードの移動平均が、標準偏差 1 つより外れているか。"""
    return not hook.layer.training and _drift(hook) > 1


def _drift(hook: Hook) -> float:
    """BN の移動平均が、バッチの統計からどれだけ外れているか。1 で標準偏差 1 つ。"""
    layer, x = hook.layer, hook.x.astype(float)
    running = layer.running_var + layer.eps
    shift = np.abs(x.mean(axis=-2) - layer.running_mean) / np.sqrt(running)
    scale = np.abs(np.log((x.var(axis=-2) + layer.eps) / running))
    return float(np.median(np.maximum(shift, scale)))
