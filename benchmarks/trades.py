"""読みやすさと速さ: 本に載せた書き方と、同じ答えのもっと速い書き方。"""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from vgbook import relu, tanh

Array = np.ndarray
E, BATCH, N_IN, N_OUT = 8, 100, 784, 100


class Trade(NamedTuple):
    """同じ答えを出す 2 つの書き方。"""

    name: str
    plain: Callable[[], Any]
    fast: Callable[[], Any]


def trades() -> list[Trade]:
    rng = np.random.default_rng(0)
    x, W, z, d = (
        rng.standard_normal(shape, np.float32)
        for shape in ((BATCH, N_IN), (E, N_IN, N_OUT), (E, BATCH, N_OUT), (E, BATCH, N_OUT))
    )
    folded = np.ascontiguousarray(np.moveaxis(W, 0, 1)).reshape(N_IN, E * N_OUT)
    side = np.ascontiguousarray(np.moveaxis(d, 0, 1)).reshape(BATCH, E * N_OUT)
    ones = np.ones((1, BATCH), np.float32)
    h = np.tanh(z)
    grad, buffer = np.full_like(W, 1e-3), np.empty_like(W)
    return [
        Trade("最初の層の xW を、集団で 1 つの行列積にする", lambda: x @ W, lambda: x @ folded),
        Trade("最初の層の dW を、集団で 1 つの行列積にする", lambda: x.mT @ d, lambda: x.mT @ side),
        Trade("バッチの和を行列積にする", lambda: d.sum(-2, keepdims=True), lambda: ones @ d),
        Trade("ReLU を np.clip で書く", lambda: relu(z), lambda: np.clip(z, 0, np.inf)),
        Trade("tanh の導関数を h から求める", lambda: tanh.derivative(z), lambda: 1 - h * h),
        Trade(
            "バッチ正規化の分散を einsum で求める",
            lambda: np.square(z).mean(axis=-2),
            lambda: np.einsum("...nk,...nk->...k", z, z) / BATCH,
        ),
        Trade(
            "更新の途中の配列を使い回す",
            lambda: W.__isub__(0.01 * grad),
            lambda: W.__isub__(np.multiply(grad, 0.01, out=buffer)),
        ),
    ]  # fmt: skip


def measure(rounds: int) -> dict[str, list[float]]:
    """書き方ごとの時間の中央値 [秒]。2 つを交互に走らせる。"""
    return {trade.name: _medians(trade, rounds) for trade in trades()}


def _medians(trade: Trade, rounds: int) -> list[float]:
    plain, fast = np.sort(np.ravel(trade.plain())), np.sort(np.ravel(trade.fast()))
    np.testing.assert_allclose(plain, fast, rtol=1e-3, atol=1e-4)  # 並びは違ってもよい
    seconds: list[list[float]] = [[], []]
    for _ in range(rounds):
        for times, run in zip(seconds, (trade.plain, trade.fast), strict=True):
            began = time.thread_time()
            run()
            times.append(time.thread_time() - began)
    return [statistics.median(times) for times in seconds]
