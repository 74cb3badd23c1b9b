"""課題: どの競争相手にも同じものを渡す、重みとミニバッチ。

vgbook の実験が引くのと同じ乱数列から引くので、vgbook だけは種を渡せば同じ重みになります。
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from vgbook import Dataset, he, normal, stack, xavier
from vgbook.experiments.trainings import BOOK_STDS
from vgbook.initializers import Initializer

Array = np.ndarray
EPS = 1e-6
LR = 0.01
SIZE = 1000  # 訓練データの数


class Training(NamedTuple):
    """同じミニバッチで学習させる、ネットワークの集団。"""

    weights: list[Array]
    """層ごとの重み (集団, n_in, n_out)。"""
    batches: Array
    """更新ごとのミニバッチの番号 (更新, N)。"""
    norm: bool
    """隠れ層にバッチ正規化を挟むか。"""
    reevaluate: bool
    """損失を更新の後に測り直すか。"""

    def member(self, e: int) -> list[Array]:
        return [W[e] for W in self.weights]

    @property
    def members(self) -> int:
        return len(self.weights[0])

    @property
    def flops(self) -> int:
        """行列積の浮動小数点演算の数。入力での勾配は要らないので、最初の層は 2 つで済む。"""
        batch = self.batches.shape[1]
        sizes = [W.shape[1] * W.shape[2] for W in self.weights]
        products = 3 * sum(sizes) - sizes[0] + self.reevaluate * sum(sizes)
        return 2 * batch * products * self.members * len(self.batches)


def data(features: int = 784) -> Dataset:
    rng = np.random.default_rng(1)
    x = rng.random((SIZE, features), dtype=np.float32)
    return Dataset(x, rng.integers(10, size=SIZE), x[:10], np.arange(10))


def draw(
    init: Initializer, widths: Sequence[int], updates: int, batch: int, seeds: int
) -> list[tuple[list[Array], Array]]:
    """実験の種ごとの、重みとミニバッチ。"""
    drawn = []
    for rng in np.random.default_rng(0).spawn(seeds):
        weights = [init(*fans, rng=rng).astype(np.float32) for fans in pairwise(widths)]
        drawn.append((weights, np.stack([rng.integers(SIZE, size=batch) for _ in range(updates)])))
    return drawn


def batch_norm_sweep(updates: int) -> list[Training]:
    """6.3.2: 16 通りの標準偏差で、バッチ正規化のない集団とある集団。"""
    ((weights, batches),) = draw(
        normal(BOOK_STDS), [784, *[100] * 5, 10], updates, batch=100, seeds=1
    )
    return [Training(weights, batches, norm, reevaluate=False) for norm in (False, True)]


INITIALIZERS = stack(normal(0.01), xavier(), he())


def initializer_comparison(updates: int, seeds: int) -> list[Training]:
    """6.2.4: 種ごとに、3 通りの初期値の集団。"""
    drawn = draw(INITIALIZERS, [784, *[100] * 4, 10], updates, batch=128, seeds=seeds)
    return [Training(*pair, norm=False, reevaluate=True) for pair in drawn]


class Flow(NamedTuple):
    """1 度だけ順伝播と逆伝播を行う、深いネットワークの集団。"""

    weights: list[Array]
    x: Array
    d_output: Array

    @property
    def flops(self) -> int:
        return 6 * len(self.x) * sum(W.size for W in self.weights)


DEPTH, WIDTH, SAMPLES = 50, 100, 100
GAINS = np.linspace(0.5, 2.0, 16)


def gradient_flows(seeds: int) -> list[Flow]:
    """深さ 50 の勾配の流れ: 種ごとに、16 通りの重みの大きさ。"""
    init, flows = xavier(gain=GAINS), []
    for rng in np.random.default_rng(0).spawn(seeds):
        weights = [init(WIDTH, WIDTH, rng=rng) for _ in range(DEPTH)]
        flows.append(Flow(weights, *rng.standard_normal((2, SAMPLES, WIDTH))))
    return flows


SIGMA_W = np.linspace(0.5, 2.5, 40)[:, None]
SIGMA_B = np.linspace(0.05, 1.0, 25)
NODES = np.linspace(-8.0, 8.0, 201)
DENSITY = np.exp(-(NODES**2) / 2) / np.exp(-(NODES**2) / 2).sum()
LAYERS = 200
"""平均場の写像を繰り返す回数。vgbook は根を挟む区間から求めるので、繰り返さない。"""
