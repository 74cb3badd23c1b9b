"""残差ブロック: PyTorch との一致、検算、推論、集団、深さに対する勾配。"""

import numpy as np
import pytest
from peers import torch

from vgbook.activations import relu, tanh
from vgbook.clinic.gradcheck import check_gradients
from vgbook.initializers import he, xavier
from vgbook.layers.affine import Activate, Affine
from vgbook.layers.normalization import BatchNorm
from vgbook.layers.residual import Residual
from vgbook.network import Network, mlp
from vgbook.signals import trace
from vgbook.training.loop import fit
from vgbook.training.optimizers import SGD


def rng(seed=0):
    return np.random.default_rng(seed)


def resnet(depth, width=8, activation=tanh, init=None, norm=False, ensemble=()):
    r, init = rng(1), init or xavier()
    blocks = []
    for _ in range(depth):
        branch = [Activate(activation), Affine(init(width, width, rng=r))]
        blocks.append(Residual([BatchNorm(width, ensemble=ensemble), *branch] if norm else branch))
    return Network([Affine(init(4, width, rng=r)), *blocks, Affine(init(width, 3, rng=r))])


def test_a_block_agrees_with_torch():
    W, x, dy = rng().standard_normal((3, 5, 5))
    block = Residual([Activate(tanh), Affine(W.copy())], scale=0.3)
    tx, tW = torch.tensor(x, requires_grad=True), torch.tensor(W, requires_grad=True)
    ty = tx + 0.3 * (torch.tanh(tx) @ tW)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(block.forward(x), ty.detach(), rtol=1e-12)
    np.testing.assert_allclose(block.backward(dy), tx.grad, rtol=1e-12)
    np.testing.assert_allclose(block.grads["1.W"], tW.grad, rtol=1e-12, atol=1e-15)
    assert block.grads.keys() == block.params.keys() == {"1.W", "1.b"}


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("activation", [tanh, relu], ids=repr)
def test_residual_networks_pass_the_gradient_check(norm, activation):
    network = resnet(3, activation=activation, norm=norm)
    checks = check_gradients(network, rng(2).standard_normal((6, 4)), np.array([0, 1, 2, 0, 1, 2]))
    assert all(check.ok() for check in checks)
    assert any("Residual" in check.name for check in checks)


def test_a_batch_of_one_is_refused_inside_blocks_too():
    x, labels = rng(2).standard_normal((6, 4)), np.array([0, 1, 2, 0, 1, 2])
    with pytest.raises(ValueError, match="大きさ 1"):
        check_gradients(resnet(1, norm=True), x[:1], labels[:1])
    with pytest.raises(ValueError, match="大きさ 2 以上"):
        fit(resnet(1, norm=True), SGD(0.1), x, labels, steps=1, batch_size=1, rng=rng())


def test_inference_reaches_the_normalization_inside_blocks():
    network = resnet(2, norm=True)
    x = rng(2).standard_normal((6, 4))
    network.forward(x)
    y = network.predict(x)
    np.testing.assert_allclose(network.predict(x[:1]), y[:1], rtol=1e-12)
    assert all(layer.training for layer in network.leaves() if isinstance(layer, BatchNorm))


def test_training_moves_the_weights_inside_blocks():
    r = rng(3)
    x = r.standard_normal((200, 4))
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    network = resnet(3)
    before = network[1].branch[1].params["W"].copy()
    history = fit(network, SGD(0.3), x, labels, steps=400, batch_size=50, rng=r)
    assert np.abs(network[1].branch[1].params["W"] - before).max() > 0.01
    assert history.loss[-50:].mean() < 0.5 * history.loss[:10].mean()


def test_an_ensemble_of_residual_networks_equals_its_members():
    many = resnet(2, init=xavier(gain=[0.5, 1.0]), norm=True, ensemble=(2,))
    alone = resnet(2, init=xavier(gain=1.0), norm=True)
    x = rng(2).standard_normal((6, 4))
    np.testing.assert_allclose(many.forward(x)[1], alone.forward(x), rtol=1e-12)


def test_the_shortcut_keeps_gradients_that_a_plain_network_loses():
    depth, x, d = 40, rng(2).standard_normal((10, 8)), rng(3).standard_normal((10, 8))
    plain = mlp([8] * (depth + 1), tanh, xavier(gain=0.5), rng=rng(1))
    blocks = [
        Residual([Activate(tanh), Affine(xavier(gain=0.5)(8, 8, rng=rng(seed)))])
        for seed in range(depth)
    ]
    lost = np.std(plain.backward(d) if plain.forward(x) is not None else 0)
    _, gradients = trace(Network(blocks), x, d)
    assert lost < 1e-8
    assert 0.1 < np.std(gradients[0]) < 1e4


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="branch"):
        Residual([])
    with pytest.raises(ValueError, match="scale"):
        Residual([Activate(relu)], scale=0)
    assert Residual([Affine(he()(3, 3, rng=rng()))]).scale == 1.0
