"""ページの中で学習するネットワーク。

ここで決めた重みと標本を、ページのスクリプト (``network.js``) が vgbook と同じ式で計算します。
はじめに見える絵と文は、vgbook が組むときに学習させた記録です。
結果が vgbook の float64 の値と同じことは、ブラウザーの試験が確かめます。
"""

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from vgbook._edge import Array, check_labels
from vgbook.activations import Activation, relu, sigmoid, tanh
from vgbook.book.controls import choice, figure
from vgbook.book.drawing import panel as draw_panel
from vgbook.book.panels import Panel, line, smooth
from vgbook.book.specs import panel_spec
from vgbook.book.words import times
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
CONTROLS: list[dict[str, Any]] = [
    {"key": "activation", "name": "活性化", "values": list(ACTIVATIONS),
     "options": ["シグモイド", "tanh", "ReLU"], "start": 0},
    {"key": "depth", "name": "隠れ層", "values": DEPTHS,
     "options": [f"{depth}" for depth in DEPTHS], "start": 1},
    {"key": "gain", "name": "√n × 標準偏差", "values": list(GAINS.values()),
     "options": list(GAINS), "start": 1},
    {"key": "norm", "name": "BN", "values": [False, True], "options": ["なし", "あり"], "start": 0},
]  # fmt: skip


class Run(NamedTuple):
    """1 回の学習の記録。"""

    loss: Array
    """更新の前の損失。形は (更新の回数,)。"""
    delta: Array
    """アフィン変換の層ごとの、δ の RMS。形は (更新の回数, 層)。"""
    accuracy: float
    """最後の更新の前の、標本に対する正解率。"""


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
            logits = network.forward(self.x)
            loss, dy = softmax_cross_entropy(logits, self.labels)
            losses.append(loss)
            sizes: list[Array] = []
            for layer in reversed(network):
                if isinstance(layer, Affine):
                    sizes.append(rms(dy))
                dy = layer.backward(dy)
            deltas.append(sizes[::-1])
            optimizer.step(network)
        accuracy = float(np.mean(logits.argmax(axis=-1) == self.labels))
        return Run(np.array(losses), np.array(deltas), accuracy)

    def __repr__(self) -> str:
        return f"<ページの中で学習するネットワーク: {len(self.x)} 個の標本>"

    def _sentence(self, loss: float, accuracy: float, ratio: float) -> str:
        return (
            f"{self.steps} 回の更新の後：損失 {loss:.2f}、正解率 {100 * accuracy:.0f} %。"
            f"第 1 層の δ は、出力層の {times(ratio)}です。"
        )

    def _panels(self, run: Run) -> list[Panel]:
        steps, layers = np.arange(1, self.steps + 1), np.arange(1, max(DEPTHS) + 2)
        delta = np.full(len(layers), np.nan)  # 選んだ深さより先の層には、値がない
        delta[: run.delta.shape[1]] = run.delta[-1]
        size = (320, 200)
        return [
            Panel("損失", steps, [smooth(line("損失", run.loss, 0))], "更新の回数", "損失",
                  ylimits=(0.0, 3.0), size=size),
            Panel("いまの δ", layers, [line("δ", delta, "δ")], "層 (1 が入力側)",
                  "RMS", ylimits=(1e-14, 1e4), ylog=True, size=size),
        ]  # fmt: skip

    def _repr_html_(self) -> str:
        start = {one["key"]: one["values"][one["start"]] for one in CONTROLS}
        run = self.run(ACTIVATIONS[start.pop("activation")], **start)
        spec: dict[str, Any] = {
            "unit": UNIT,
            "x": _matrix(self.x),
            "labels": self.labels.tolist(),
            "base": [_matrix(base) for base in self.base],
            "lr": self.lr,
            "steps": self.steps,
            "controls": CONTROLS,
            "panels": [panel_spec(panel, ()) for panel in self._panels(run)],
        }
        name = "touch-trainer"
        choices = [choice(one, f"{name}-control-{i}") for i, one in enumerate(CONTROLS)]
        again = '<button type="button" class="vg-again">もう一度</button>'
        drawn = "".join(draw_panel(panel, (), f"{name}-readout") for panel in spec["panels"])
        said = self._sentence(run.loss[-1], run.accuracy, run.delta[-1, 0] / run.delta[-1, -1])
        return figure(
            name,
            "ページの中で学習するネットワーク",
            "vg-figure-live vg-figure vg-trainer",
            "".join(choices) + again,
            (said, self._sentence(10.0, 1.0, 1.2e-12)),
            f'<div class="vg-panels">{drawn}</div>',
            json.dumps(spec, ensure_ascii=False, separators=(",", ":"), allow_nan=False),
        )


def _matrix(values: Array) -> dict[str, Any]:
    rows, cols = values.shape
    return {"rows": rows, "cols": cols, "v": np.rint(UNIT * values).astype(int).ravel().tolist()}
