"""ネットワーク: 組み立て、順伝播と逆伝播、信号、推論。"""

import copy
from functools import partial

import numpy as np
import pytest
from peers import torch

from vgbook.activations import leaky_relu, relu, sigmoid, tanh
from vgbook.initializers import constant, he, normal, stack, xavier
from vgbook.layers.affine import Activate, Affine
from vgbook.layers.normalization import BatchNorm, LayerNorm
from vgbook.layers.recurrent import Recurrent
from vgbook.layers.residual import Residual
from vgbook.network import Network, check_network, mlp
from vgbook.signals import signals
from vgbook.training.losses import softmax_cross_entropy
from vgbook.training.optimizers import SGD


def rng(seed=0):
    return np.random.default_rng(seed)


def torch_mlp(network):
    """同じ重みの PyTorch のネットワーク (ReLU)。"""
    modules = []
    for affine in network.affines:
        linear = torch.nn.Linear(*affine.params["W"].shape).double()
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(affine.params["W"].T))
            linear.bias.copy_(torch.tensor(affine.params["b"][0]))
        modules += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*modules[:-1])


def test_a_whole_network_agrees_with_torch_autograd():
    network = mlp([5, 8, 7, 3], relu, he(), rng=rng())
    for affine in network.affines:
        affine.params["b"] += rng(7).standard_normal(affine.params["b"].shape)
    x, labels = rng(1).standard_normal((6, 5)), rng(2).integers(3, size=6)
    twin = torch_mlp(network)
    tx = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(twin(tx), torch.tensor(labels))
    expected.backward()

    loss, dy = softmax_cross_entropy(network.forward(x), labels)
    dx = network.backward(dy)
    assert loss == pytest.approx(expected.item(), rel=1e-13)
    np.testing.assert_allclose(dx, tx.grad, rtol=1e-10, atol=1e-15)
    linears = [module for module in twin if isinstance(module, torch.nn.Linear)]
    for affine, linear in zip(network.affines, linears, strict=True):
        np.testing.assert_allclose(affine.grads["W"], linear.weight.grad.T, rtol=1e-10, atol=1e-15)
        np.testing.assert_allclose(affine.grads["b"][0], linear.bias.grad, rtol=1e-10, atol=1e-15)


def test_normalization_sits_between_affine_and_activation_but_not_before_the_output():
    network = mlp([4, 5, 6, 3], tanh, xavier(), rng=rng(), norm=BatchNorm)
    kinds = [type(layer) for layer in network]
    assert kinds == [Affine, BatchNorm, Activate, Affine, BatchNorm, Activate, Affine]


def test_a_partial_passes_options_to_the_normalization():
    network = mlp([4, 5, 3], tanh, xavier(), rng=rng(), norm=partial(BatchNorm, eps=1e-3))
    assert network[1].eps == 1e-3
    assert isinstance(mlp([4, 5, 3], tanh, xavier(), rng=rng(), norm=LayerNorm)[1], LayerNorm)


def test_an_output_activation_can_close_the_network():
    network = mlp([4, 4], sigmoid, xavier(), rng=rng(), output=sigmoid)
    y = network.forward(rng().standard_normal((3, 4)))
    assert np.all((y > 0) & (y < 1))


@pytest.mark.parametrize("norm", [None, BatchNorm, LayerNorm])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_array_of_a_step_has_the_type_of_the_network(norm, dtype):
    network = mlp([4, 5, 3], relu, he(), rng=rng(), norm=norm, dtype=dtype)
    x, labels = rng(1).standard_normal((6, 4)).astype(dtype), rng(2).integers(3, size=6)
    s = signals(network, x, softmax_cross_entropy(network.forward(x), labels)[1])
    arrays = [*s.h, *s.z, *s.delta, *s.dW, *(a for pair in network.pairs() for a in pair)]
    assert {a.dtype for a in arrays} == {np.dtype(dtype)}


def test_layers_may_have_initializers_of_their_own():
    network = mlp([4, 5, 3], relu, [he(gain=[1.0, 2.0]), constant(0)], rng=rng())
    assert network.ensemble == (2,)
    assert np.all(network.affines[-1].params["W"] == 0)
    # broadcast しただけの配列なら、片方の更新がもう片方に漏れる
    network.affines[-1].params["W"][0] += 1
    assert np.all(network.affines[-1].params["W"][1] == 0)


@pytest.mark.parametrize("norm", [None, BatchNorm])
def test_signals_are_the_gradients_with_respect_to_each_affine_output(norm):
    """δ_l を、アフィン変換の出力に足した小さなずれで数値的に確かめる。"""
    network = mlp([3, 4, 4, 2], tanh, xavier(), rng=rng(), norm=norm)
    x, d_output = rng(1).standard_normal((5, 3)), rng(2).standard_normal((5, 2))
    s = signals(network, x, d_output)
    starts = [i for i, layer in enumerate(network) if isinstance(layer, Affine)]
    h = 1e-6
    for number, start in enumerate(starts):
        ahead = Network(copy.deepcopy(network.layers[start + 1 :]))
        before = Network(network.layers[: start + 1])
        z = before.forward(x)
        for index in [(0, 0), (3, 1)]:
            up, down = z.copy(), z.copy()
            up[index] += h
            down[index] -= h
            slope = np.sum((ahead.forward(up) - ahead.forward(down)) * d_output) / (2 * h)
            assert s.delta[number][index] == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_signals_name_pre_activations_and_outputs():
    network = mlp([3, 4, 2], relu, he(), rng=rng())
    x, d_output = rng(1).standard_normal((5, 3)), rng(2).standard_normal((5, 2))
    s = signals(network, x, d_output)
    assert len(s.h) == len(s.z) == len(s.delta) == len(s.dW) == 2
    np.testing.assert_array_equal(s.h[0], relu(s.z[0]))
    np.testing.assert_array_equal(s.z[1], s.h[1])  # 出力層には活性化関数がない
    np.testing.assert_array_equal(s.delta[1], d_output)
    np.testing.assert_allclose(s.dW[1], s.h[0].T @ d_output)


def test_predict_uses_running_statistics_and_returns_to_training():
    network = mlp([3, 4, 2], relu, he(), rng=rng(), norm=BatchNorm)
    x = rng(1).standard_normal((8, 3))
    network.forward(x)
    kept = network[1].running_mean.copy()
    y = network.predict(x)
    # ほかの標本によらない (行列積の丸めだけは標本数で変わる)
    np.testing.assert_allclose(network.predict(x[:1]), y[:1], rtol=1e-13)
    np.testing.assert_array_equal(network[1].running_mean, kept)
    assert network[1].training


def test_inference_is_left_even_when_something_fails_inside():
    network = mlp([3, 4, 2], relu, he(), rng=rng(), norm=BatchNorm)
    with pytest.raises(ValueError, match="特徴数は 3"):
        network.predict(np.zeros((2, 99)))
    assert network[1].training


def test_a_stack_of_initializers_gives_one_network_per_rule():
    network = mlp([6, 5, 3], relu, stack(normal(0.01), xavier(), he()), rng=rng(4))
    alone = mlp([6, 5, 3], relu, he(), rng=rng(4))
    x = rng(1).standard_normal((7, 6))
    np.testing.assert_allclose(network.forward(x)[2], alone.forward(x), rtol=1e-13)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"widths": [784]}, ValueError, r"widths には 2 個以上の正の整数.*\[784\]"),
        ({"widths": [784, 0]}, ValueError, "widths"),
        ({"widths": [784, -3]}, ValueError, "widths"),
        ({"widths": [784, 1.5]}, ValueError, r"1\.5"),
        ({"widths": 784}, ValueError, "widths"),
        ({"activation": "relu"}, TypeError, "activation には Activation"),
        ({"activation": leaky_relu}, TypeError, "activation には Activation"),
        ({"output": None}, TypeError, "output には Activation"),
        ({"init": [he()]}, ValueError, "2 個"),
        ({"init": "he"}, TypeError, "init には Initializer"),
        ({"init": he}, (TypeError, ValueError), "init|iterable"),
        ({"rng": 0}, TypeError, "rng には"),
    ],
)
def test_bad_parts_are_named(changes, error, message):
    parts = {"widths": [4, 5, 3], "activation": relu, "init": he(), "rng": rng(), **changes}
    with pytest.raises(error, match=message):
        mlp(
            parts["widths"],
            parts["activation"],
            parts["init"],
            rng=parts["rng"],
            **{key: value for key, value in parts.items() if key == "output"},
        )


def test_signals_refuse_data_that_do_not_fit():
    network = mlp([3, 4, 2], relu, he(), rng=rng())
    x, d_output = np.zeros((5, 3)), np.zeros((5, 2))
    with pytest.raises(ValueError, match="x の特徴数は 3"):
        signals(network, np.zeros((5, 4)), d_output)
    with pytest.raises(ValueError, match="d_output の特徴数は 2"):
        signals(network, x, np.zeros((5, 3)))
    with pytest.raises(ValueError, match="標本数は同じ"):
        signals(network, x, d_output[:4])
    with pytest.raises(ValueError, match="NaN"):
        signals(network, np.full((5, 3), np.nan), d_output)


def test_weights_beyond_the_type_are_refused_instead_of_becoming_infinite():
    with pytest.raises(ValueError, match="float32 で表せません"):
        mlp([4, 3], relu, normal(1e39), rng=np.random.default_rng(0), dtype=np.float32)


def test_a_layer_placed_twice_after_the_network_was_made_is_refused_before_a_wrong_gradient():
    network = mlp([4, 4, 4, 3], tanh, xavier(), rng=np.random.default_rng(0))
    network.layers[2] = network.layers[0]
    dy = np.ones_like(network.forward(np.ones((2, 4))))
    for back in (network.backward, network.gradients):
        with pytest.raises(ValueError, match="2 度現れた層"):
            back(dy)


def test_vanishing_values_pass_under_any_numpy_setting():
    networks = [
        mlp([4] * 200, activation, normal(1e-3), rng=np.random.default_rng(0), norm=norm)
        for activation in (tanh, sigmoid)
        for norm in (None, BatchNorm, LayerNorm)
    ]
    x = np.random.default_rng(1).standard_normal((5, 4))
    for network in networks:
        with np.errstate(all="raise"):
            network.forward(x)
            network.backward(np.full((5, 4), 1e-300))


def tied(kind):
    a, b = Affine(np.eye(3)), Affine(np.eye(3))
    match kind:
        case "同じ辞書":
            b.params = a.params
        case "同じ配列":
            b.params["W"] = a.params["W"]
        case "転置":
            b.params["W"] = a.params["W"].T
    return a, b


@pytest.mark.parametrize("kind", ["同じ辞書", "同じ配列", "転置"])
def test_layers_that_share_an_array_are_refused(kind):
    a, b = tied(kind)
    with pytest.raises(ValueError, match="どれも別の配列"):
        Network([a, Activate(tanh), Residual([b])])
    network = Network([a, Activate(tanh)])
    network.layers.append(b)
    with pytest.raises(ValueError, match="どれも別の配列"):
        check_network(network)


def test_columns_of_one_array_are_different_weights():
    """LSTM の 4 つのゲートのように、1 つの配列を列で分けても、同じ値は分け合わない。"""
    a, b, packed = Affine(np.eye(3)), Affine(np.eye(3)), np.zeros((3, 6))
    a.params["W"], b.params["W"] = packed[:, :3], packed[:, 3:]
    assert len(Network([a, Activate(tanh), b]).affines) == 2
    b.params["W"] = packed[:, 2:5]
    with pytest.raises(ValueError, match="どれも別の配列"):
        Network([a, Activate(tanh), b])


def test_weights_that_cannot_be_written_are_refused_by_name():
    network = Network([Affine(np.eye(3))])
    network[0].params["W"] = np.broadcast_to(np.ones(3), (3, 3))
    network.forward(np.ones((2, 3)))
    network.backward(np.ones((2, 3)))
    with pytest.raises(TypeError, match="書き込み禁止"):
        SGD(0.1).step(network)


@pytest.mark.parametrize("changed", ["入力", "出力"])
@pytest.mark.parametrize("kind", ["Affine", "Recurrent"])
def test_rewriting_the_input_or_the_output_does_not_spoil_the_gradients(kind, changed):
    """同じ配列に次のバッチを読み込んでも、``y -= t`` と誤差を作っても、勾配は変わらない。"""

    def gradients(rewrite):
        W = rng().standard_normal((3, 3))
        network = Network([Affine(W) if kind == "Affine" else Recurrent(W, W / 2, tanh)])
        x = rng(1).standard_normal((4, 5, 3))
        y = network.forward(x)
        dy = np.ones_like(y)
        if rewrite:
            (x if changed == "入力" else y)[...] = 9.0
        return [network.backward(dy), *network[0].grads.values()]

    for found, expected in zip(gradients(True), gradients(False), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_training_switches_every_layer_and_those_of_the_branches():
    """PyTorch の癖で ``network.training = False`` と書いても、黙って学習の計算を続けない。"""
    W = rng().standard_normal((3, 3))
    network = Network([Affine(W), BatchNorm(3), Residual([BatchNorm(3), Affine(W)])])
    x = rng(1).standard_normal((6, 3))
    expected = network.predict(x)
    assert network.training
    network.training = False
    np.testing.assert_array_equal(network.forward(x), expected)
    np.testing.assert_array_equal(network.predict(x), expected)
    assert not network.training
    network.training = True
    assert not np.allclose(network.forward(x), expected)
    with pytest.raises(TypeError, match="training には True か False"):
        network.training = "eval"
