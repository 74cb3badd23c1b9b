"""内訳: 学習の 1 歩と勾配の流れの時間を、部分ごとの CPU 時間で測る。"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from tasks import DEPTH, GAINS, LR, SAMPLES, WIDTH, batch_norm_sweep, data

from vgbook import (
    SGD,
    Activate,
    Affine,
    BatchNorm,
    Network,
    mlp,
    normal,
    relu,
    softmax_cross_entropy,
    tanh,
    xavier,
)
from vgbook.experiments.flow import spread
from vgbook.signals import rms

Array = np.ndarray
Parts = dict[str, float]

PARTS = {Affine: "バイアスなど", Activate: "活性化関数", BatchNorm: "バッチ正規化"}


def training(updates: int) -> Parts:
    """6.3.2 の 1 回の更新の内訳 [秒]。8 個ずつの 2 つの集団を動かす。"""
    networks = [_network(norm) for norm in (None, partial(BatchNorm, eps=1e-6))]
    return _median([_step(networks, rows) for rows in batch_norm_sweep(updates)[0].batches])


def _median(steps: list[Parts]) -> Parts:
    return {name: statistics.median(step[name] for step in steps) for name in steps[0]}


def _network(norm: Any) -> Network:
    widths, rng = [784, *[100] * 5, 10], np.random.default_rng(0)
    return mlp(widths, relu, normal(np.full(8, 0.1)), rng=rng, norm=norm, dtype=np.float32)


def _timed(parts: Parts, name: str, run: Callable[..., Any], *args: Any) -> Any:
    began = time.thread_time()
    result = run(*args)
    parts[name] = parts.get(name, 0.0) + time.thread_time() - began
    return result


def _step(networks: list[Network], rows: Array) -> Parts:
    """1 回の更新を、部分ごとに時間を測りながら行う。"""
    parts: Parts = {}
    for network in networks:
        x = _timed(parts, "ミニバッチ", DATA.x_train.__getitem__, rows)
        for layer in network:
            x = _timed(parts, PARTS[type(layer)], layer.forward, x)
        _, d = _timed(parts, "損失", softmax_cross_entropy, x, DATA.labels_train[rows])
        for layer in network.layers[:0:-1]:
            above, d = d, _timed(parts, PARTS[type(layer)], layer.backward, d)
            if isinstance(layer, Affine):
                _move_products(parts, "バイアスなど", layer, above, dx=True)
        first = network.affines[0]
        _timed(parts, "バイアスなど", first.gradients, d)
        _move_products(parts, "バイアスなど", first, d, dx=False)
        _timed(parts, "更新", SGD(LR).step, network)
    return parts


def _move_products(parts: Parts, source: str, affine: Affine, delta: Array, dx: bool) -> None:
    """``source`` の時間から、行列積の分を移す。同じ配列で、もう一度掛けて測る。"""
    W, x = affine.params["W"], affine.x
    began = time.thread_time()
    _ = x @ W
    _ = x.mT @ delta
    if dx:
        _ = delta @ W.mT
    took = time.thread_time() - began
    parts["行列積"] = parts.get("行列積", 0.0) + took
    parts[source] -= took


def flow(rounds: int) -> Parts:
    """深さ 50 の勾配の流れの内訳 [秒]。8 個のチャンクを 1 つ動かす。"""
    return _median([_flow_parts() for _ in range(rounds)])


def _flow_parts() -> Parts:
    """`vgbook.experiments.flow.measure` と同じ順に、時間を測りながら流す。"""
    init, widths, rng = xavier(gain=GAINS[:8]), [WIDTH] * (DEPTH + 1), np.random.default_rng(0)
    parts: Parts = {}
    network = _timed(parts, "重みを引く", partial(mlp, widths, tanh, init, rng=rng, output=tanh))
    h, d = rng.standard_normal((2, SAMPLES, WIDTH))
    for layer in network:
        h = _timed(parts, PARTS[type(layer)], layer.forward, h)
        if isinstance(layer, Activate):
            _timed(parts, "大きさを測る", spread, h)
    d = np.broadcast_to(d, h.shape)
    for layer in reversed(network):
        above, d = d, _timed(parts, PARTS[type(layer)], layer.backward, d)
        if isinstance(layer, Affine):
            _timed(parts, "大きさを測る", rms, above)
            _timed(parts, "大きさを測る", rms, layer.grads["W"])
            _move_products(parts, PARTS[Affine], layer, above, dx=True)
    return parts


DATA = data()
