"""長い学習: 1 万回の更新で、答えがずれず、メモリーが増えない。"""

import gc
import sys
from functools import partial

import numpy as np
import pytest

from vgbook import (
    SGD,
    AdaGrad,
    Adam,
    BatchNorm,
    LayerNorm,
    Momentum,
    fit,
    he,
    identity,
    mean_squared_error,
    mlp,
    normal,
    relu,
)

STEPS = 10_000


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize(
    "optimizer",
    [partial(SGD, 0.1), partial(Momentum, 0.01), partial(AdaGrad, 0.5), partial(Adam, 0.01)],
    ids=lambda optimizer: optimizer.func.__name__,
)
def test_a_linear_network_ends_at_the_weights_that_made_the_data(optimizer, dtype, tolerance):
    rng = np.random.default_rng(0)
    x, W, b = (rng.standard_normal(shape).astype(dtype) for shape in [(20, 3), (3, 2), (1, 2)])
    network = mlp([3, 2], identity, normal([0.1, 1.0]), rng=rng, dtype=dtype)
    options = {"steps": STEPS, "batch_size": 20, "rng": rng, "loss": mean_squared_error}
    fit(network, optimizer(), x, x @ W + b, **options)
    for learned, true in zip(network.affines[0].params.values(), (W, b), strict=True):
        np.testing.assert_allclose(learned, np.broadcast_to(true, learned.shape), atol=tolerance)


@pytest.mark.parametrize(("optimizer", "norm"), [(Momentum, BatchNorm), (Adam, LayerNorm)])
def test_nothing_is_left_behind_by_a_step(optimizer, norm):
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((8, 4)), rng.integers(3, size=8)
    network = mlp([4, 5, 3], relu, he(), rng=rng, norm=norm)
    steps = 2_000
    held: list[int] = []

    def count(step: int, _: object) -> None:
        if step % (steps // 10) == 0:
            gc.collect()
            held.append(sys.getallocatedblocks())

    options = {"steps": steps, "batch_size": 4, "rng": rng, "watch": count}
    history = fit(network, optimizer(0.01), x, labels, **options)
    assert len(held) == 10
    # 更新のたびに 1 つ残れば、1600 増える。NumPy が使い回すために残す分は、増え続けない
    assert held[-1] - held[1] < steps / 4
    assert np.isfinite(history.loss).all()
    assert all(np.isfinite(p).all() for p, _ in network.pairs())


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-6)])
def test_running_statistics_of_a_constant_stream_do_not_drift(dtype, tolerance):
    x = np.random.default_rng(0).standard_normal((8, 3)).astype(dtype)
    layer = BatchNorm(3, dtype=dtype)
    for _ in range(STEPS):
        layer.forward(x)
    exact = x.astype(float)
    np.testing.assert_allclose(layer.running_mean, [exact.mean(axis=0)], atol=tolerance)
    np.testing.assert_allclose(layer.running_var, [exact.var(axis=0, ddof=1)], rtol=tolerance)
