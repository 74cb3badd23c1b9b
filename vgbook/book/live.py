"""ページの中で計算する図: 学習するネットワークと、点を動かせるバッチ正規化。

ここで決めた重みと標本を、ページのスクリプト (``network.js``) が vgbook と同じ式で計算します。
結果が vgbook の float64 の値と同じことは、ブラウザーの試験が確かめます。
"""

import json
from collections.abc import Mapping
from html import escape
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, check_labels, check_numbers
from vgbook.activations import Activation, relu, sigmoid, tanh
from vgbook.book.interactive import NOTE, Panel, line, panel_spec, smooth
from vgbook.book.looks import COLORS
from vgbook.initializers import normal
from vgbook.layers import Activate, Affine, BatchNorm, Layer
from vgbook.network import Network
from vgbook.signals import rms
from vgbook.training.losses import softmax_cross_entropy
from vgbook.training.optimizers import SGD

UNIT = 1000
"""ページに載せる数の刻みの逆数。標本も重みのもとの乱数も、この刻みに丸めてから使います。"""
ACTIVATIONS: Mapping[str, Activation] = {"sigmoid": sigmoid, "tanh": tanh, "relu": relu}
DEPTHS, GAINS = (2, 5, 10), {"1/4": 0.25, "1 (Xavier)": 1.0, "√2 (He)": 2**0.5, "4": 4.0}


class Run(NamedTuple):
    """1 回の学習の記録。"""

    loss: Array
    """更新の前の損失。形は (更新の回数,)。"""
    delta: Array
    """アフィン変換の層ごとの、δ の RMS。形は (更新の回数, 層)。"""


class Trainer:
    """ページの中で学習する小さなネットワーク。セルの最後に置きます。

    重みは、標準正規の乱数を gain/√n 倍したものです。標本の全部で、勾配降下法の更新をします。

    Parameters
    ----------
    x : ndarray, shape (samples, features)
        標本。
    labels : ndarray of int, shape (samples,)
        正解のクラス。
    rng : numpy.random.Generator
        重みのもとになる乱数。
    width, steps : int
        隠れ層の幅と、更新の回数。
    lr : float
        学習率。

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> trainer = Trainer(rng.standard_normal((9, 4)), np.arange(9) % 3, rng=rng, steps=3)
    >>> run = trainer.run(relu, depth=2, gain=2**0.5)
    >>> run.loss.shape, run.delta.shape
    ((3,), (3, 3))
    """

    def __init__(
        self,
        x: Array,
        labels: Array,
        *,
        rng: np.random.Generator,
        width: int = 16,
        steps: int = 300,
        lr: float = 0.3,
    ) -> None:
        self.x = np.rint(UNIT * np.asarray(x, float)) / UNIT
        classes = int(np.max(labels)) + 1
        self.labels = check_labels("labels", labels, size=len(self.x), classes=classes)
        self.lr, self.steps = lr, steps
        sizes = [self.x.shape[1], *[width] * max(DEPTHS), classes]
        draws = [normal(1.0)(*fans, rng=rng) for fans in pairwise(sizes)]
        self.base = [np.rint(UNIT * draw) / UNIT for draw in draws]

    def network(self, activation: Activation, *, depth: int, gain: float, norm: bool) -> Network:
        """隠れ層 ``depth`` 個のネットワーク。"""
        layers: list[Layer] = []
        for base in [*self.base[:depth], self.base[-1]]:
            layers.append(Affine(base * (gain / np.sqrt(base.shape[0]))))
            if base is not self.base[-1]:
                layers += [BatchNorm(base.shape[1])] if norm else []
                layers.append(Activate(activation))
        return Network(layers)

    def run(self, activation: Activation, *, depth: int, gain: float, norm: bool = False) -> Run:
        """初めから学習して、損失と δ を記録する。"""
        network, optimizer = (
            self.network(activation, depth=depth, gain=gain, norm=norm),
            SGD(self.lr),
        )
        losses, deltas = [], []
        for _ in range(self.steps):
            loss, dy = softmax_cross_entropy(network.forward(self.x), self.labels)
            losses.append(loss)
            sizes: list[Array] = []
            for layer in reversed(network):
                if isinstance(layer, Affine):
                    sizes.append(rms(dy))
                dy = layer.backward(dy)
            deltas.append(sizes[::-1])
            optimizer.step(network)
        return Run(np.array(losses), np.array(deltas))

    def __repr__(self) -> str:
        return f"<ページの中で学習するネットワーク: {len(self.x)} 個の標本>"

    def _repr_html_(self) -> str:
        steps, layers = np.arange(1, self.steps + 1), np.arange(1, max(DEPTHS) + 2)
        size = (320, 200)
        blank_loss = smooth(line("損失", np.ones(self.steps), 0))
        panels = [
            Panel("損失", steps, [blank_loss], "更新の回数", "損失", ylimits=(0.0, 3.0), size=size),
            Panel("いまの δ", layers, [line("δ", np.ones(len(layers)), "δ")], "層 (1 が入力側)",
                  "RMS", ylimits=(1e-14, 1e4), ylog=True, size=size),
        ]  # fmt: skip
        choice = {"slider": False}
        controls = [
            choice | {"key": "activation", "name": "活性化", "values": list(ACTIVATIONS),
                      "options": ["シグモイド", "tanh", "ReLU"], "start": 0},
            choice | {"key": "depth", "name": "隠れ層", "values": DEPTHS,
                      "options": [f"{depth}" for depth in DEPTHS], "start": 1},
            choice | {"key": "gain", "name": "√n × 標準偏差", "values": list(GAINS.values()),
                      "options": list(GAINS), "start": 1},
            choice | {"key": "norm", "name": "BN", "values": [False, True],
                      "options": ["なし", "あり"], "start": 0},
        ]  # fmt: skip
        spec = {
            "unit": UNIT,
            "x": _matrix(self.x),
            "labels": self.labels.tolist(),
            "base": [_matrix(base) for base in self.base],
            "lr": self.lr,
            "steps": self.steps,
            "controls": controls,
            "panels": [panel_spec(panel, ()) for panel in panels],
        }
        return _live("trainer", "ページの中で学習するネットワーク", spec)


class Batch:
    """点を動かせる、1 つのユニットのバッチ。平均、標準偏差、出力、勾配が変わります。

    Parameters
    ----------
    x, dy : array_like, shape (N,)
        はじめの入力と、上から来る勾配。
    limits : tuple of float
        点を動かせる範囲。

    Raises
    ------
    ValueError
        ``x`` と ``dy`` の長さが違うとき。

    Examples
    --------
    >>> Batch([1.0, 2.0, 4.0], [1.0, 0.0, -1.0])
    <点を動かせるバッチ: 3 個の標本>
    """

    def __init__(
        self, x: ArrayLike, dy: ArrayLike, *, limits: tuple[float, float] = (-3.0, 5.0)
    ) -> None:
        self.x = np.asarray(check_numbers("x", x), float)
        self.dy = np.asarray(check_numbers("dy", dy), float)
        if self.x.ndim != 1 or self.x.shape != self.dy.shape:
            raise ValueError(
                "x と dy には、同じ長さの 1 次元の配列を渡してください。"
                f"受け取った形: {self.x.shape} と {self.dy.shape}"
            )
        self.limits = limits

    def __repr__(self) -> str:
        return f"<点を動かせるバッチ: {len(self.x)} 個の標本>"

    def _repr_html_(self) -> str:
        low, high = self.limits
        colors = {"x": COLORS["h"], "y": COLORS["良好"], "dx": COLORS["delta"]}
        spec = {"x": self.x.tolist(), "dy": self.dy.tolist(), "colors": colors}
        spec |= {"low": low, "high": high, "step": 0.1}
        return _live("batch", "点を動かせるバッチ", spec)


def _matrix(values: Array) -> dict[str, Any]:
    rows, cols = values.shape
    return {"rows": rows, "cols": cols, "v": np.rint(UNIT * values).astype(int).ravel().tolist()}


def _live(kind: str, title: str, spec: Mapping[str, Any]) -> str:
    data = json.dumps(spec, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return (
        f'<div class="vg-figure-live vg-figure vg-{kind}" id="touch-{kind}" role="group" '
        f'aria-label="{escape(title)}"><p>{NOTE}</p>'
        f'<script type="application/json">{data.replace("<", chr(92) + "u003c")}</script></div>'
    )
