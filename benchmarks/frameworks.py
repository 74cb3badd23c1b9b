"""PyTorch と JAX に共通の順伝播。``xp`` は torch か jax.numpy。

集団の軸は書かず、どちらでも vmap が付けます。バッチ正規化の移動平均は計算しません (相手に有利)。
"""

from typing import Any

import numpy as np
from tasks import EPS, Training


def layers(task: Training) -> list[Any]:
    """集団の重み、バイアス、γ、β の列。"""
    params = []
    for W in task.weights:
        params += [W, np.zeros((len(W), 1, W.shape[-1]), W.dtype)]
    if task.norm:
        for W in task.weights[:-1]:
            params += [np.ones((len(W), 1, W.shape[-1]), W.dtype)]
            params += [np.zeros((len(W), 1, W.shape[-1]), W.dtype)]
    return params


def forward(xp: Any, params: list[Any], x: Any, norm: bool) -> Any:
    depth = len(params) // 4 + 1 if norm else len(params) // 2
    for i in range(depth):
        x = x @ params[2 * i] + params[2 * i + 1]
        if i < depth - 1:
            if norm:
                gamma, beta = params[2 * (depth + i)], params[2 * (depth + i) + 1]
                centered = x - x.mean(-2)[..., None, :]
                var = (centered * centered).mean(-2)[..., None, :]
                x = gamma * (centered / xp.sqrt(var + EPS)) + beta
            x = xp.maximum(x, xp.zeros_like(x))
    return x


def flow(xp: Any, weights: Any, x: Any, d: Any) -> Any:
    """1 つのネットワークの (層, 5)。`plain.flow` と同じ値を、入力側の層から並べる。"""
    hs = [x]
    for W in weights:
        hs.append(xp.tanh(hs[-1] @ W))
    rows = []
    for i in reversed(range(len(weights))):
        h = hs[i + 1]
        d = d * (1 - h * h)
        dW = hs[i].T @ d
        mean = h.mean(0)
        spread = (h - mean) ** 2
        squares = [h * h, (h - h.mean()) ** 2, spread, d * d, dW * dW]
        rows.append(xp.stack([s.mean() for s in squares]))
        d = d @ weights[i].T
    return xp.sqrt(xp.stack(rows[::-1]))


def chi(xp: Any, repeat: Any, sigma_w: Any, sigma_b: Any, nodes: Any, density: Any) -> Any:
    """平均場の χ を、(σ_w, σ_b) の格子の上で一度に求める。``repeat`` は写像を繰り返し当てる。"""

    def signals(q: Any) -> Any:
        return xp.tanh(xp.sqrt(q)[..., None] * nodes)

    def length_map(q: Any) -> Any:
        return sigma_w**2 * (signals(q) ** 2 @ density) + sigma_b**2

    q = repeat(length_map, sigma_w * 0 + sigma_b * 0 + 1.0)
    return sigma_w**2 * ((1 - signals(q) ** 2) ** 2 @ density)
