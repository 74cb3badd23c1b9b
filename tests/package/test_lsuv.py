"""LSUV: どの活性化関数でも、各層の出力の分散を 1 に合わせる。"""

import numpy as np
import pytest

from vgbook.activations import gelu, relu, sigmoid, silu, tanh
from vgbook.clinic.lsuv import lsuv
from vgbook.initializers import constant, normal, orthogonal
from vgbook.layers.affine import Activate, Affine
from vgbook.layers.normalization import BatchNorm
from vgbook.layers.residual import Residual
from vgbook.network import Network, mlp
from vgbook.signals import signals


def rng(seed=0):
    return np.random.default_rng(seed)


def variances(network, x):
    found = []
    for layer in network:
        x = layer.forward(x)
        if isinstance(layer, Affine):
            found.append(x.var(axis=(-2, -1)))
    return np.array(found)


@pytest.mark.parametrize("activation", [relu, tanh, sigmoid, gelu, silu], ids=repr)
@pytest.mark.parametrize("init", [orthogonal(), normal(5.0), normal([0.01, 3.0])])
def test_every_affine_output_has_variance_one(activation, init):
    x = rng(1).standard_normal((200, 30))
    network = lsuv(mlp([30] * 12, activation, init, rng=rng()), x)
    np.testing.assert_allclose(variances(network, x), 1, atol=0.011)


def test_biases_and_normalization_are_allowed():
    x = rng(1).standard_normal((200, 30))
    network = mlp([30] * 6, relu, orthogonal(), rng=rng(), norm=BatchNorm)
    for affine in network.affines:
        affine.params["b"] += 0.5
    np.testing.assert_allclose(variances(lsuv(network, x), x), 1, atol=0.011)


def test_it_is_invariant_to_the_scale_of_the_start():
    x = rng(1).standard_normal((50, 20))
    a, b = (lsuv(mlp([20] * 5, relu, normal(s), rng=rng()), x) for s in (0.01, 10.0))
    for first, second in zip(a.affines, b.affines, strict=True):
        np.testing.assert_allclose(first.params["W"], second.params["W"], rtol=1e-10)


def test_it_keeps_silu_alive_where_the_plain_start_dies():
    """SiLU の利得は 1 ではないので、直交行列のままでは深い層で信号が消える。"""
    x, d = rng(1).standard_normal((2, 100, 30))
    plain = signals(mlp([30] * 30, silu, orthogonal(), rng=rng()), x, d)
    fixed = signals(lsuv(mlp([30] * 30, silu, orthogonal(), rng=rng()), x), x, d)
    assert np.std(plain.h[-1]) < 1e-4
    assert np.std(fixed.h[-1]) > 0.1


def test_what_cannot_be_scaled_is_named():
    x = rng(1).standard_normal((50, 20))
    with pytest.raises(ValueError, match="0 番目の層は、出力の分散が 0"):
        lsuv(mlp([20, 20, 3], relu, constant(0.0), rng=rng()), x)
    network = mlp([20, 20, 3], relu, orthogonal(), rng=rng())
    with pytest.raises(ValueError, match="x の特徴数は 20"):
        lsuv(network, x[:, :5])
    network.affines[1].params["b"][0, 0] = 10.0  # バイアスだけで分散が 1 を超える
    kept = network.affines[1].params["W"].copy()
    with pytest.raises(ValueError, match="2 番目の層は、バイアスだけで"):
        lsuv(network, x)
    np.testing.assert_array_equal(network.affines[1].params["W"], kept)


def test_a_block_whose_order_is_unknown_is_refused():
    """中の層を素通りして、分散が 1 でないまま返さない。"""
    block = Residual([Affine(normal(3.0)(20, 20, rng=rng()))])
    box = type("Box", (), {"__init__": lambda self: None})()
    box.branch, box.forward, box.backward = block.branch, block.forward, block.backward
    box.params, box.grads = block.params, {}
    network = Network([Affine(3 * np.eye(20)), box])
    with pytest.raises(ValueError, match=r"1 番目の層の中は.*Residual にして.*受け取った層"):
        lsuv(network, rng(1).standard_normal((50, 20)))
    np.testing.assert_array_equal(network[0].params["W"], 3 * np.eye(20))  # 断る前に、何も変えない


@pytest.mark.parametrize("shape", [(2, 5, 20), (20,), ()])
def test_data_that_are_no_matrix_are_refused(shape):
    network = mlp([20, 20, 3], relu, orthogonal(), rng=rng())
    kept = network.affines[0].params["W"].copy()
    with pytest.raises(ValueError, match=r"x .*受け取った形"):
        lsuv(network, rng(1).standard_normal(shape))
    np.testing.assert_array_equal(network.affines[0].params["W"], kept)


@pytest.mark.parametrize("size", [0.1, 0.9])
def test_a_bias_is_taken_into_account_exactly(size):
    x = rng(1).standard_normal((50, 20))
    network = mlp([20] * 4, tanh, orthogonal(gain=[0.1, 3.0]), rng=rng())
    for affine in network.affines:
        b = rng(2).standard_normal(affine.params["b"].shape)
        affine.params["b"][:] = size * (b - b.mean(-1, keepdims=True)) / b.std(-1, keepdims=True)
    signs = [np.sign(affine.params["W"]) for affine in network.affines]
    np.testing.assert_allclose(variances(lsuv(network, x), x), 1, rtol=1e-9)
    for affine, sign in zip(network.affines, signs, strict=True):  # 2 次方程式の、正の解
        np.testing.assert_array_equal(np.sign(affine.params["W"]), sign)


def test_the_branches_of_residual_blocks_are_scaled_too():
    x = rng(1).standard_normal((50, 20))

    def affine(seed):
        return Affine(normal(3.0)(20, 20, rng=rng(seed)))

    inner = Residual([affine(1), Activate(tanh), affine(2)], scale=0.5)
    network = lsuv(Network([affine(0), Residual([Activate(tanh), inner, affine(3)])]), x)
    for layer in network.leaves():
        if isinstance(layer, Affine):
            assert layer.forward(layer.x).var() == pytest.approx(1)
