"""1 つの学習を表す値: 何を、どう学習させるか。"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import check_count, check_positive, check_shape
from vgbook.activations import Activation, relu
from vgbook.ensemble import footprint, take, take_rates
from vgbook.experiments.datasets import Dataset
from vgbook.initializers import Initializer
from vgbook.network import Network, Normalization, mlp
from vgbook.training.loop import History, fit
from vgbook.training.optimizers import SGD
from vgbook.training.update import check_rates


@dataclass(frozen=True)
class Schedule:
    """学習の進め方。どの引数も `fit` と同じ意味です。"""

    lr: ArrayLike
    """SGD の学習率。"""
    steps: int
    """更新の回数。"""
    batch_size: int
    """ミニバッチの大きさ。"""
    evaluate_every: int | None = None
    """正解率を測る間隔。None なら測らない。"""
    reevaluate: bool = False
    """損失を、更新の後に測り直すか。"""


@dataclass(frozen=True)
class Training:
    """1 つの種で行う学習: 何を (データ、ネットワーク)、どう進めるか (`Schedule`)。"""

    data: Dataset
    """データ。"""
    init: Initializer
    """重みの初期値。集団の軸をもってよい。"""
    hidden: Sequence[int]
    """隠れ層の幅。"""
    schedule: Schedule
    """学習の進め方。"""
    activation: Activation = relu
    """隠れ層の活性化関数。"""
    norm: Normalization | None = None
    """隠れ層に挟む正規化。"""

    @property
    def widths(self) -> list[int]:
        """入力、隠れ層、出力の幅。"""
        labels = max(self.data.labels_train.max(), self.data.labels_test.max())
        return [self.data.x_train.shape[1], *check_shape("hidden", self.hidden), int(labels) + 1]

    @property
    def nbytes(self) -> int:
        """1 つのネットワークの学習が使うバイト数。チャンクに分ける前に、形の食い違いも調べる。"""
        check_positive("lr", self.schedule.lr, many=True)
        if isinstance(self.init, Initializer):
            check_rates(self.schedule.lr, self.init.ensemble)
        batch_size = check_count("batch_size", self.schedule.batch_size)
        return footprint(self.widths, batch_size, self.data.x_train.dtype)

    def run(
        self,
        rng: np.random.Generator,
        part: slice = slice(None),
        watch: Callable[[int, Network], None] | None = None,
    ) -> History:
        """集団の ``part`` のチャンクを、初期値から学習させる。"""
        d, plan, dtype = self.data, self.schedule, self.data.x_train.dtype
        init = take(self.init, part)
        network = mlp(self.widths, self.activation, init, rng=rng, norm=self.norm, dtype=dtype)
        return fit(
            network,
            SGD(take_rates(plan.lr, self.init, part)),
            d.x_train,
            d.labels_train,
            x_test=d.x_test,
            labels_test=d.labels_test,
            rng=rng,
            steps=plan.steps,
            batch_size=plan.batch_size,
            evaluate_every=plan.evaluate_every,
            reevaluate=plan.reevaluate,
            watch=watch,
            progress=False,
        )
