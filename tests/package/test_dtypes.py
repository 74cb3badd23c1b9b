"""型: 学習の 1 歩に現れる配列は、どれもデータの型のままである。"""

import numpy as np
import pytest
from activation_table import ACTIVATIONS

from vgbook import (
    SGD,
    AdaGrad,
    Adam,
    BatchNorm,
    LayerNorm,
    Momentum,
    RMSProp,
    fit,
    he,
    mean_squared_error,
    mlp,
    relu,
    softmax_cross_entropy,
)

OPTIMIZERS = [SGD, Momentum, AdaGrad, RMSProp, Adam]


def arrays(value):
    """オブジェクトが抱えている浮動小数の配列を、中までたどって集める。"""
    if isinstance(value, np.ndarray | np.generic):
        return [value] if value.dtype.kind == "f" else []
    if isinstance(value, dict):
        return [a for item in value.values() for a in arrays(item)]
    if isinstance(value, list | tuple):
        return [a for item in value for a in arrays(item)]
    return arrays(vars(value)) if hasattr(value, "__dict__") and not callable(value) else []


def kept(network, optimizer):
    return arrays([vars(layer) for layer in network]) + arrays(
        [vars(state) for name, state in vars(optimizer).items() if hasattr(state, "arrays")]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("norm", [None, BatchNorm, LayerNorm])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_every_array_of_a_training_step_has_the_dtype_of_the_data(activation, norm, dtype):
    rng = np.random.default_rng(0)
    network = mlp([5, 4, 3], activation, he(gain=[1, 2]), rng=rng, norm=norm, dtype=dtype)
    x, labels = rng.standard_normal((6, 5)).astype(dtype), rng.integers(3, size=6)
    for loss, target in (
        (softmax_cross_entropy, labels),
        (mean_squared_error, np.eye(3, dtype=dtype)[labels]),
    ):
        value, dy = loss(network.forward(x), target)
        assert {value.dtype, dy.dtype, network.backward(dy).dtype} == {np.dtype(dtype)}
    assert {a.dtype for a in kept(network, SGD(0.1))} == {np.dtype(dtype)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lr", [0.1, np.array([0.1, 0.2])], ids=["lr", "lr の配列"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_optimizer_changes_the_dtype(optimizer, lr, dtype):
    rng = np.random.default_rng(0)
    network = mlp([5, 4, 3], relu, he(gain=[1, 2]), rng=rng, norm=BatchNorm, dtype=dtype)
    x, labels = rng.standard_normal((6, 5)).astype(dtype), rng.integers(3, size=6)
    optimizer = optimizer(lr)
    history = fit(network, optimizer, x, labels, steps=3, batch_size=4, rng=rng)
    assert {a.dtype for a in kept(network, optimizer)} == {np.dtype(dtype)}
    assert history.loss.dtype == dtype
