"""層: 値と勾配を PyTorch の自動微分と比べ、層の約束事を確かめる。"""

import numpy as np
import pytest
from peers import torch

from vgbook.activations import identity, relu, sigmoid, tanh
from vgbook.layers.affine import Activate, Affine
from vgbook.layers.normalization import BatchNorm, LayerNorm
from vgbook.layers.recurrent import Recurrent
from vgbook.layers.residual import Residual

LEADING = [(), (3,), (2, 3)]


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("leading", LEADING)
def test_affine_agrees_with_torch(leading):
    r = rng()
    W, b = r.standard_normal((*leading, 4, 5)), r.standard_normal((*leading, 1, 5))
    x, dy = r.standard_normal((*leading, 7, 4)), r.standard_normal((*leading, 7, 5))
    layer = Affine(W, b)
    y, dx = layer.forward(x), layer.backward(dy)

    t = {name: torch.tensor(a, requires_grad=True) for name, a in (("x", x), ("W", W), ("b", b))}
    out = t["x"] @ t["W"] + t["b"]
    out.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, out.detach(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dx, t["x"].grad, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(layer.grads["W"], t["W"].grad, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(layer.grads["b"], t["b"].grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", [relu, sigmoid, tanh, identity], ids=repr)
def test_activate_multiplies_by_the_derivative(activation):
    z, dy = rng().standard_normal((2, 6, 4))
    layer = Activate(activation)
    np.testing.assert_array_equal(layer.forward(z), activation(z))
    np.testing.assert_array_equal(layer.backward(dy), dy * activation.derivative(z))
    assert layer.z is z
    np.testing.assert_array_equal(layer.h, activation(z))


def test_shared_data_meets_an_ensemble_of_weights():
    """データ (N, n) は集団の全員が共有し、勾配は要素ごとに残る。"""
    W = rng().standard_normal((3, 4, 5))
    x, dy = rng(1).standard_normal((7, 4)), rng(2).standard_normal((3, 7, 5))
    layer = Affine(W)
    assert layer.forward(x).shape == (3, 7, 5)
    assert layer.backward(dy).shape == (3, 7, 4)
    for member in range(3):
        alone = Affine(W[member])
        alone.forward(x)
        alone.backward(dy[member])
        np.testing.assert_allclose(layer.grads["W"][member], alone.grads["W"], rtol=1e-13)


def layers_under_test(leading, dtype=float):
    W = rng().standard_normal((*leading, 4, 4)).astype(dtype)
    return [
        Affine(W),
        Activate(relu),
        Activate(tanh),
        BatchNorm(4, ensemble=leading, dtype=dtype),
        LayerNorm(4, ensemble=leading, dtype=dtype),
    ]


@pytest.mark.parametrize("leading", LEADING)
def test_params_and_grads_have_the_same_keys_and_shapes(leading):
    for layer in layers_under_test(leading):
        x = rng(1).standard_normal((*leading, 6, 4))
        layer.forward(x)
        layer.backward(np.ones_like(x))
        assert layer.grads.keys() == layer.params.keys()
        for name, param in layer.params.items():
            assert layer.grads[name].shape == param.shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_layer_writes_into_its_argument_or_changes_its_type(dtype):
    for layer in layers_under_test((), dtype):
        x, dy = rng(1).standard_normal((2, 6, 4)).astype(dtype)
        kept_x, kept_dy = x.copy(), dy.copy()
        y, dx = layer.forward(x), layer.backward(dy)
        np.testing.assert_array_equal(x, kept_x)
        np.testing.assert_array_equal(dy, kept_dy)
        assert y.dtype == dx.dtype == dtype
        assert all(grad.dtype == dtype for grad in layer.grads.values())


def test_the_bias_keeps_its_batch_axis_even_when_members_equal_the_batch():
    """集団の数とバッチの大きさが同じでも、バイアスを取り違えない。"""
    layer = Affine(np.zeros((5, 2, 3)), np.arange(5.0)[:, None, None] * np.ones((5, 1, 3)))
    y = layer.forward(np.zeros((5, 2)))  # バッチも 5
    np.testing.assert_array_equal(y[3], np.full((5, 3), 3.0))


ENSEMBLES = {
    "Affine": Affine(np.ones((2, 4, 4))),
    "LayerNorm": LayerNorm(4, ensemble=(2,)),
    "BatchNorm": BatchNorm(4, ensemble=(2,)),
    "Recurrent": Recurrent(np.ones((2, 4, 4)), np.ones((2, 4, 4)), tanh),
    "Residual": Residual([Affine(np.ones((2, 4, 4)))]),
}


@pytest.mark.parametrize("kind", ENSEMBLES)
def test_another_ensemble_is_refused_by_name(kind):
    layer = ENSEMBLES[kind]
    time = (5,) if kind == "Recurrent" else ()
    with pytest.raises(ValueError, match=r"x の先頭の軸は、集団の軸 \(2,\)"):
        layer.forward(np.ones((3, *time, 6, 4)))
    layer.forward(np.ones((2, *time, 6, 4)))
    with pytest.raises(ValueError, match="dy の先頭の軸"):
        layer.backward(np.ones((3, *time, 6, 4)))


def test_batch_norm_refuses_an_axis_of_time():
    """時刻ごとの統計を 1 つの移動平均に混ぜない。"""
    layer = BatchNorm(4)
    with pytest.raises(ValueError, match="時刻の軸をもつ列には、LayerNorm"):
        layer.forward(np.ones((5, 6, 4)))
