"""学習の実験: 6.2.4 (初期値の比較)、6.3.2 (バッチ正規化)、学習中の層ごとの速さ。

図は描きません。配列を受け取り、配列を返します。結果の先頭は seed の軸です。
"""

import copy
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, check_count, check_data, check_labels, check_positive
from vgbook.activations import Activation, relu, sigmoid
from vgbook.ensemble.chunks import over_members
from vgbook.experiments.datasets import Dataset, digits
from vgbook.experiments.schedule import Schedule, Training
from vgbook.initializers import Initializer, he, normal, stack, xavier
from vgbook.layers.normalization import BatchNorm
from vgbook.network import Network, Normalization
from vgbook.signals import per_layer, rms
from vgbook.training.loop import History

BOOK_STDS = np.logspace(0, -4, 16)
"""『ゼロから作る』6.3.2 の 16 通りの標準偏差 (1 から 10⁻⁴)。"""


def compare_initializers(
    data: Dataset | None = None,
    *,
    rng: np.random.Generator,
    init: Initializer | None = None,
    activation: Activation = relu,
    hidden: Sequence[int] = (100, 100, 100, 100),
    lr: ArrayLike = 0.01,
    steps: int = 2000,
    batch_size: int = 128,
    evaluate_every: int | None = 100,
    seeds: int = 10,
    chunk: int | None = None,
    executor: Executor | None = None,
) -> History:
    """『ゼロから作る』6.2.4 の実験。初期値だけを変えて学習を比べる。

    Parameters
    ----------
    data : Dataset, optional
        データ。省略すると `digits`。MNIST なら ``mnist(folder)`` を渡します。
    rng : numpy.random.Generator
        乱数生成器。
    init : Initializer, optional
        比べる初期値。省略すると ``stack(normal(0.01), xavier(), he())``。
    activation : Activation
        隠れ層の活性化関数。
    hidden : sequence of int
        隠れ層の幅。
    lr : float or array_like
        SGD の学習率。
    steps, batch_size, evaluate_every
        `fit` と同じ。損失は、元の実験と同じく更新の後に測り直します。
    seeds, chunk, executor
        `over_members` と同じ。

    Returns
    -------
    History
        ``loss`` の形は (seeds, steps, ...)、``...`` は ``init`` の集団の軸。

    Raises
    ------
    ValueError, TypeError
        `mlp` や `fit` と同じ。

    Examples
    --------
    >>> history = compare_initializers(rng=np.random.default_rng(0), steps=20, seeds=2)
    >>> history.loss.shape
    (2, 20, 3)
    """
    data = _data(data)
    init = stack(normal(0.01), xavier(), he()) if init is None else init
    schedule = Schedule(lr, steps, batch_size, evaluate_every, reevaluate=True)
    training = Training(data, init, hidden, schedule, activation)
    history: History = over_members(
        training.run,
        init,
        rng=rng,
        seeds=seeds,
        nbytes=training.nbytes,
        chunk=chunk,
        executor=executor,
    )
    return history


class BatchNormGrid(NamedTuple):
    """バッチ正規化の有無による学習の違い。"""

    plain: History
    """バッチ正規化なし。"""
    normalized: History
    """バッチ正規化あり。初期の重みとミニバッチは ``plain`` と同じ。"""


def batch_norm_grid(
    data: Dataset | None = None,
    *,
    rng: np.random.Generator,
    stds: ArrayLike = BOOK_STDS,
    hidden: Sequence[int] = (100, 100, 100, 100, 100),
    lr: ArrayLike = 0.01,
    steps: int = 191,
    batch_size: int = 100,
    evaluate_every: int | None = 10,
    norm: Normalization | None = None,
    seeds: int = 10,
    chunk: int | None = None,
    executor: Executor | None = None,
) -> BatchNormGrid:
    """『ゼロから作る』6.3.2 の実験。初期値の標準偏差ごとに、バッチ正規化の有無を比べる。

    1 エポックを 10 回の更新と数え、0, 10, …, 190 番目の更新の後に正解率を測ります (計 191 回)。

    Parameters
    ----------
    data : Dataset, optional
        データ。省略すると `digits`。訓練データは先頭の 1000 個だけを使います。
    rng : numpy.random.Generator
        乱数生成器。
    stds : array_like
        重みの標準偏差。数 1 つなら 6.3.2 の最初の図 (1 つの初期値での比較) になります。
    hidden, lr, steps, batch_size, evaluate_every, seeds, chunk, executor
        `compare_initializers` と同じ。ただし、損失は更新の前に測ります。
    norm : BatchNorm, LayerNorm, partial or None
        使う正規化。省略すると、元の実験と同じ ε = 10⁻⁶・偏りのある移動分散のバッチ正規化。

    Returns
    -------
    BatchNormGrid
        ``plain.train_accuracy`` の形は (seeds, 20, ...)、``...`` は ``stds`` の形。

    Raises
    ------
    ValueError, TypeError
        `mlp` や `fit` と同じ。

    Examples
    --------
    >>> grid = batch_norm_grid(stds=[1.0, 0.1], rng=np.random.default_rng(0), steps=21, seeds=2)
    >>> grid.normalized.train_accuracy.shape
    (2, 3, 2)
    """
    data = _data(data)
    data = data._replace(x_train=data.x_train[:1000], labels_train=data.labels_train[:1000])
    book_norm = partial(BatchNorm, eps=1e-6, unbiased=False, running_var=0.0)
    init = normal(stds)
    plain = Training(data, init, hidden, Schedule(lr, steps, batch_size, evaluate_every))
    run = partial(_with_and_without, plain, book_norm if norm is None else norm)
    nbytes = plain.nbytes
    grid: BatchNormGrid = over_members(
        run, init, rng=rng, seeds=seeds, nbytes=nbytes, chunk=chunk, executor=executor
    )
    return grid


def _with_and_without(
    plain: Training, norm: Normalization, rng: np.random.Generator, part: slice
) -> BatchNormGrid:
    twin = copy.deepcopy(rng)  # 同じ乱数列から、同じ重みと同じミニバッチを引く
    return BatchNormGrid(plain.run(rng, part), replace(plain, norm=norm).run(twin, part))


class Speed(NamedTuple):
    """学習しながら測った、層ごとの勾配の大きさ。形は (seeds, 回数, ..., 層)。"""

    at: Array
    """測ったステップ、(seeds, 回数)。"""
    dW: Array
    """重みの勾配の RMS。"""
    update: Array
    """更新と重みの比 lr·RMS(dW)/RMS(W)。"""
    loss: Array
    """ミニバッチでの損失、(seeds, steps, ...)。"""

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """軸の名前。``...`` は集団の軸です。"""
        measured = ("seed", "measurement")
        layers = (*measured, ..., "layer")
        return {"at": measured, "dW": layers, "update": layers, "loss": ("seed", "step", ...)}


def learning_speed(
    data: Dataset | None = None,
    *,
    rng: np.random.Generator,
    activation: Activation = sigmoid,
    init: Initializer | None = None,
    hidden: Sequence[int] = (30, 30, 30, 30),
    lr: float = 0.1,
    steps: int = 500,
    batch_size: int = 100,
    every: int = 10,
    norm: Normalization | None = None,
    seeds: int = 10,
    chunk: int | None = None,
    executor: Executor | None = None,
) -> Speed:
    """学習の間、各層がどれだけの速さで動くかを測る。

    Parameters
    ----------
    data, rng, activation, init, hidden, steps, batch_size, seeds, chunk, executor
        `compare_initializers` と同じ。``init`` を省略すると `xavier`。損失は更新の前に測ります。
    lr : float
        SGD の学習率。
    every : int
        何ステップごとに測るか。
    norm : BatchNorm, LayerNorm or None
        隠れ層に挟む正規化。

    Returns
    -------
    Speed

    Raises
    ------
    ValueError, TypeError
        `mlp` や `fit` と同じ。

    Examples
    --------
    >>> speed = learning_speed(rng=np.random.default_rng(0), steps=11, seeds=2)
    >>> speed.dW.shape
    (2, 2, 5)
    """
    check_count("every", every)
    check_positive("lr", lr)
    init = xavier() if init is None else init
    schedule = Schedule(lr, steps, batch_size)
    training = Training(_data(data), init, hidden, schedule, activation, norm)
    run = partial(_speed, training, every)
    nbytes = training.nbytes
    speed: Speed = over_members(
        run, init, rng=rng, seeds=seeds, nbytes=nbytes, chunk=chunk, executor=executor
    )
    return speed


def _speed(training: Training, every: int, rng: np.random.Generator, part: slice) -> Speed:
    at: list[int] = []
    grads: list[Array] = []
    ratios: list[Array] = []

    def watch(step: int, network: Network) -> None:
        if step % every == 0:
            dW = per_layer(rms, [affine.grads["W"] for affine in network.affines])
            W = per_layer(rms, [affine.params["W"] for affine in network.affines])
            at.append(step)
            grads.append(dW)
            ratios.append(training.schedule.lr * dW / W)

    history = training.run(rng, part, watch)
    return Speed(np.array(at), np.stack(grads), np.stack(ratios), history.loss)


def _data(data: Dataset | None) -> Dataset:
    if data is not None and not isinstance(data, Dataset):
        raise TypeError(
            "data には Dataset (digits() や mnist(folder) の結果) を渡してください。"
            f"受け取った型: {type(data).__name__}"
        )
    if data is None:
        return digits(np.float32)
    x_train, x_test = (check_data(name, getattr(data, name)) for name in ("x_train", "x_test"))
    return Dataset(
        x_train,
        check_labels("labels_train", data.labels_train, size=len(x_train)),
        x_test,
        check_labels("labels_test", data.labels_test, size=len(x_test)),
    )
