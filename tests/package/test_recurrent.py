"""再帰の層: PyTorch の RNN との一致と、時間をさかのぼる勾配の指数法則。"""

import numpy as np
import pytest
from peers import torch

from vgbook.activations import identity, tanh
from vgbook.initializers import orthogonal
from vgbook.layers.affine import Affine
from vgbook.layers.recurrent import LastStep, Recurrent
from vgbook.network import Network
from vgbook.signals import signals
from vgbook.training.clipping import Clip
from vgbook.training.losses import softmax_cross_entropy
from vgbook.training.optimizers import Adam

T, N, n_in, n = 6, 4, 3, 5


def rng(seed=0):
    return np.random.default_rng(seed)


def weights(leading=()):
    r = rng(1)
    return (
        r.standard_normal((*leading, n_in, n)),
        r.standard_normal((*leading, n, n)) / np.sqrt(n),
        r.standard_normal((*leading, 1, n)),
    )


def test_values_and_gradients_agree_with_torch():
    Wx, Wh, b = weights()
    x, dy = rng(2).standard_normal((T, N, n_in)), rng(3).standard_normal((T, N, n))
    layer = Recurrent(Wx, Wh, tanh, b)

    twin = torch.nn.RNN(n_in, n).double()
    with torch.no_grad():
        twin.weight_ih_l0.copy_(torch.tensor(Wx.T))
        twin.weight_hh_l0.copy_(torch.tensor(Wh.T))
        twin.bias_ih_l0.copy_(torch.tensor(b[0]))
        twin.bias_hh_l0.zero_()
    tx = torch.tensor(x, requires_grad=True)
    ty, _ = twin(tx)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer.forward(x), ty.detach(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(layer.backward(dy), tx.grad, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(layer.grads["Wx"], twin.weight_ih_l0.grad.T, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(layer.grads["Wh"], twin.weight_hh_l0.grad.T, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(layer.grads["b"][0], twin.bias_ih_l0.grad, rtol=1e-11)


def test_a_readout_after_the_last_step_learns_as_in_torch():
    Wx, Wh, b = weights()
    x, labels = rng(2).standard_normal((T, N, n_in)), np.array([0, 1, 1, 0])
    W = rng(3).standard_normal((n, 2))
    network = Network([Recurrent(Wx, Wh, tanh, b), LastStep(), Affine(W)])
    optimizer = Clip(Adam(0.01), max_norm=0.5)

    cell, readout = torch.nn.RNN(n_in, n).double(), torch.nn.Linear(n, 2).double()
    with torch.no_grad():
        for theirs, ours in (
            (cell.weight_ih_l0, Wx.T), (cell.weight_hh_l0, Wh.T), (cell.bias_ih_l0, b[0]),
            (cell.bias_hh_l0, np.zeros(n)), (readout.weight, W.T), (readout.bias, np.zeros(2)),
        ):  # fmt: skip
            theirs.copy_(torch.tensor(ours))
    cell.bias_hh_l0.requires_grad_(False)  # この本の再帰の層では、バイアスは 1 つ
    params = [p for p in (*cell.parameters(), *readout.parameters()) if p.requires_grad]
    adam = torch.optim.Adam(params, lr=0.01)

    for _ in range(30):
        loss, dy = softmax_cross_entropy(network.forward(x), labels)
        network.gradients(dy)
        optimizer.step(network)
        adam.zero_grad()
        value = torch.nn.functional.cross_entropy(
            readout(cell(torch.tensor(x))[0][-1]), torch.tensor(labels)
        )
        value.backward()
        torch.nn.utils.clip_grad_norm_(params, 0.5)
        adam.step()
        assert loss == pytest.approx(value.item(), rel=1e-5)
    np.testing.assert_allclose(network[0].params["Wh"], cell.weight_hh_l0.detach().T, rtol=1e-4)
    np.testing.assert_allclose(network[2].params["W"], readout.weight.detach().T, rtol=1e-4)


@pytest.mark.parametrize("leading", [(2,), (2, 3)])
def test_an_ensemble_equals_its_members(leading):
    Wx, Wh, b = weights(leading)
    x, dy = rng(2).standard_normal((T, N, n_in)), rng(3).standard_normal((*leading, T, N, n))
    together = Recurrent(Wx, Wh, tanh, b)
    y, dx = together.forward(x), together.backward(dy)
    for index in np.ndindex(leading):
        alone = Recurrent(Wx[index], Wh[index], tanh, b[index])
        np.testing.assert_allclose(y[index], alone.forward(x), rtol=1e-12)
        np.testing.assert_allclose(dx[index], alone.backward(dy[index]), rtol=1e-12)
        for name, grad in together.grads.items():
            assert grad[index].shape == alone.params[name].shape
            np.testing.assert_allclose(grad[index], alone.grads[name], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("leading", [(), (2,), (4, 2)])
def test_without_a_bias_every_member_starts_from_zeros(leading):
    Wx, Wh, _ = weights(leading)
    np.testing.assert_array_equal(Recurrent(Wx, Wh, tanh).params["b"], np.zeros((*leading, 1, n)))


@pytest.mark.parametrize("radius", [0.5, 1.0, 1.2])
def test_gradients_through_time_follow_the_power_of_the_radius(radius):
    """直交行列の r 倍なら、線形の RNN の δ はちょうど r のべきになる。"""
    Wh = orthogonal(radius)(n, n, rng=rng())
    layer = Recurrent(np.zeros((n_in, n)), Wh, identity)
    layer.forward(np.zeros((T, N, n_in)))
    dy = np.zeros((T, N, n))
    dy[-1] = rng(3).standard_normal((N, n))
    layer.backward(dy)
    size = np.linalg.norm(layer.delta, axis=(-2, -1))
    np.testing.assert_allclose(size / size[-1], radius ** np.arange(T - 1, -1, -1), rtol=1e-12)


def test_float32_stays_float32():
    Wx, Wh, b = (a.astype(np.float32) for a in weights())
    layer = Recurrent(Wx, Wh, tanh, b)
    y = layer.forward(np.ones((T, N, n_in), np.float32))
    dx = layer.backward(np.ones_like(y))
    assert {a.dtype for a in (y, dx, layer.delta, *layer.grads.values())} == {np.dtype(np.float32)}


@pytest.mark.parametrize("members", [(), (3,)])
@pytest.mark.parametrize("leading", [(), (3,)])
def test_signals_go_through_a_sequence(members, leading):
    """時刻の軸は、集団の軸にそろわなくてよい。"""
    last = Affine(rng().standard_normal((*members, n, 2)))
    network = Network([Recurrent(*weights(members)[:2], tanh), LastStep(), last])
    x = rng(2).standard_normal((*leading, T, N, n_in))
    (delta,) = signals(network, x, rng(3).standard_normal((N, 2))).delta
    assert delta.shape == network.forward(x).shape


def test_signals_may_end_in_a_recurrent_layer():
    """出力の幅を決めるのは、最後の層。アフィン変換とは限らない。"""
    first = Affine(rng().standard_normal((n_in, n_in)))
    network = Network([first, Recurrent(*weights()[:2], tanh), LastStep()])
    (h,) = signals(network, rng(2).standard_normal((T, N, n_in)), np.ones((N, n))).h
    assert h.shape == (N, n)
