"""学習の競争: 6.3.2 の掃引、6.2.4 の比較、幅と深さを変えたネットワーク。"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import plain
import with_jax
import with_torch
from contests import (
    COMPILED,
    EAGER,
    FLOOR,
    JAX,
    OURS,
    PLAIN,
    SPREAD,
    THREADS,
    VMAP,
    Contest,
    afresh,
    in_threads,
)
from tasks import (
    INITIALIZERS,
    LR,
    Training,
    batch_norm_sweep,
    data,
    draw,
    initializer_comparison,
)

from vgbook import (
    SGD,
    Activate,
    Affine,
    Dataset,
    Network,
    batch_norm_grid,
    compare_initializers,
    normal,
    relu,
    softmax_cross_entropy,
)

Array = np.ndarray


def training(
    title: str, draw: Callable[[], list[Training]], d: Dataset, ours: Callable[[], list[Array]]
) -> Contest:
    """誰もが、重みとミニバッチを引くところから始める (下限は、引いた後から)。"""
    tasks = draw()

    def drawn(train: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        return lambda: train(draw(), *args)

    runs: dict[str, Callable[[], Any]] = {
        FLOOR: partial(training_products, tasks, d.x_train),
        OURS: ours,
        PLAIN: drawn(train_one_by_one, d.x_train, d.labels_train, 1),
        SPREAD: drawn(train_one_by_one, d.x_train, d.labels_train),
        EAGER: drawn(with_torch.train_eager, d),
        VMAP: drawn(with_torch.train_vmap, d),
        JAX: drawn(with_jax.train, d),
        COMPILED: partial(afresh, drawn(with_jax.train, d)),
    }
    short = [task._replace(batches=task.batches[:FIRST]) for task in tasks]
    exact = train_one_by_one(short, d.x_train.astype(float), d.labels_train)
    return Contest(title, runs, partial(losses_off, exact), sum(task.flops for task in tasks))


def train_one_by_one(
    tasks: list[Training], x: Array, labels: Array, threads: int = THREADS
) -> list[Array]:
    jobs = [(task, e, x, labels) for task in tasks for e in range(task.members)]
    losses = iter(in_threads(plain.train, jobs, threads))
    return [np.array([next(losses) for _ in range(task.members)]).T for task in tasks]


FIRST = 5
"""答えを比べる更新の数。小さな重みにバッチ正規化を掛けると、この後は丸めの違いが拡大される。"""


def losses_off(exact: list[Array], losses: list[Array]) -> float:
    """初めの損失のずれ。すぐに発散するネットワークは、1 回目の更新の前の損失だけを比べる。"""
    worst = 0.0
    for ours, right in zip(losses, exact, strict=True):
        calm = np.nanmax(right, axis=0, initial=0.0, where=np.isfinite(right)) < 10
        pairs = [(ours[:FIRST, calm], right[:, calm]), (ours[:1, ~calm], right[:1, ~calm])]
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=2e-3)
            worst = max(worst, np.max(np.abs(a / b - 1), initial=0.0))
    return float(worst)


def training_products(tasks: list[Training], x: Array) -> None:
    """下限: 学習に要る行列積だけを、同じ形、同じ数のスレッドで行う。"""

    def part(task: Training, members: slice) -> None:
        W = [w[members] for w in task.weights]
        h = [x[task.batches[0]]]
        h += [np.zeros((len(w), len(h[0]), w.shape[-1]), np.float32) for w in W]
        for _ in task.batches:
            for i, w in enumerate(W):
                _ = h[i] @ w, h[i].mT @ h[i + 1]
                if i:
                    _ = h[i + 1] @ w.mT
                if task.reevaluate:
                    _ = h[i] @ w

    in_threads(part, [(task, slice(i, i + 4)) for task in tasks for i in range(0, task.members, 4)])


def sweep(updates: int) -> Contest:
    def ours() -> list[Array]:
        grid = batch_norm_grid(
            data(), rng=np.random.default_rng(0), steps=updates, seeds=1, evaluate_every=None
        )
        return [grid.plain.loss[0], grid.normalized.loss[0]]

    title = f"6.3.2: 32 個のネットワーク、{updates} 回の更新"
    return training(title, partial(batch_norm_sweep, updates), data(), ours)


def comparison(updates: int, seeds: int) -> Contest:
    def ours() -> list[Array]:
        history = compare_initializers(
            data(),
            init=INITIALIZERS,
            rng=np.random.default_rng(0),
            steps=updates,
            seeds=seeds,
            evaluate_every=None,
        )
        return list(history.loss)

    title = f"6.2.4: 3 つの初期値、{seeds} 個の種、{updates} 回の更新"
    return training(title, partial(initializer_comparison, updates, seeds), data(), ours)


def layered(depth: int, width: int, updates: int) -> Contest:
    """幅と深さを変えた 16 個のネットワーク。初期値を引く時間は、誰も数えない。"""
    init, widths = normal(np.full(16, np.sqrt(2 / width))), [width] * depth + [10]
    ((weights, batches),) = draw(init, widths, updates, batch=100, seeds=1)
    tasks = [Training(weights, batches, norm=False, reevaluate=False)]
    d = data(width)

    def ours() -> list[Array]:
        step = -(-16 // THREADS)
        parts = [slice(i, i + step) for i in range(0, 16, step)]
        return [np.concatenate(in_threads(fit_part, [(tasks[0], p, d) for p in parts]), axis=-1)]

    contest = training(f"深さ {depth}、幅 {width}", lambda: tasks, d, ours)
    kept = {name: contest.runs[name] for name in (FLOOR, OURS, PLAIN, SPREAD, EAGER, JAX)}
    return contest._replace(runs=kept)


def fit_part(task: Training, part: slice, d: Dataset) -> Array:
    layers: list[Any] = []
    for W in task.weights:
        layers += [Affine(W[part].copy()), Activate(relu)]
    network, optimizer, losses = Network(layers[:-1]), SGD(LR), []
    for rows in task.batches:
        loss, d_output = softmax_cross_entropy(
            network.forward(d.x_train[rows]), d.labels_train[rows]
        )
        network.gradients(d_output)
        optimizer.step(network)
        losses.append(loss)
    return np.array(losses)
