"""診断: 病気のネットワークを見つけ、健康なネットワークを病気と呼ばない。"""

import re
from pathlib import Path

import numpy as np
import pytest

import vgbook
from vgbook.activations import leaky_relu, relu, sigmoid, tanh
from vgbook.datasets import digits
from vgbook.diagnosis import Thresholds, diagnose, from_state_dict
from vgbook.initializers import constant, he, normal, xavier
from vgbook.network import mlp, signals
from vgbook.normalization import BatchNorm

DATA = digits()
X, LABELS = DATA.x_train[:200], DATA.labels_train[:200]
DEEP = [64, *[100] * 8, 10]


def network(activation, init, widths=DEEP, **options):
    return mlp(widths, activation, init, rng=np.random.default_rng(0), **options)


def verdicts(net, layer=None, **options):
    found = diagnose(net, X, LABELS, **options).findings
    return {f.verdict for f in found if layer is None or f.layer == layer}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("activation", "init"), [(relu, he()), (leaky_relu(0.1), he(0.1)), (tanh, xavier())]
)
def test_networks_with_the_right_initial_values_are_healthy(activation, init, seed):
    net = mlp(DEEP, activation, init, rng=np.random.default_rng(seed))
    assert diagnose(net, X, LABELS).healthy


@pytest.mark.parametrize(
    ("activation", "init", "layer", "verdict"),
    [
        (relu, normal(0.02), 1, "消失"),
        (sigmoid, xavier(), 1, "消失"),
        (sigmoid, xavier(), 8, "埋没"),
        (tanh, normal(2.0), 8, "飽和"),
        (relu, he(gain=3.0), 1, "爆発"),
        (relu, constant(0.0), 1, "埋没"),
        (relu, constant(-0.1), 1, "死"),
    ],
)
def test_sick_networks_are_found_where_they_are_sick(activation, init, layer, verdict):
    assert verdict in verdicts(network(activation, init), layer)


def test_divergence_names_the_first_layer():
    net = network(relu, he())
    net.affines[3].params["W"][:] = np.inf
    diagnosis = diagnose(net, X, LABELS)
    assert [(f.layer, f.verdict) for f in diagnosis.findings] == [(4, "発散")]
    assert not diagnosis.healthy


def test_the_numbers_are_those_of_the_signals():
    net = network(relu, he())
    from vgbook.losses import softmax_cross_entropy

    s = signals(net, X, softmax_cross_entropy(net.forward(X), LABELS)[1])
    d = diagnose(net, X, LABELS, lr=0.5)
    np.testing.assert_allclose(d.delta, [np.sqrt(np.mean(a**2)) for a in s.delta])
    np.testing.assert_allclose(d.h, [np.sqrt(np.mean(a**2)) for a in s.h])
    np.testing.assert_allclose(d.distinct, [np.sqrt(a.var(axis=0).mean()) for a in s.h])
    W = [np.sqrt(np.mean(a.params["W"] ** 2)) for a in net.affines]
    np.testing.assert_allclose(d.update, 0.5 * d.dW / W)
    np.testing.assert_allclose(d.dead[:-1], [np.mean(np.all(a == 0, axis=0)) for a in s.h[:-1]])


def test_every_finding_carries_its_rule_and_a_cure():
    for finding in diagnose(network(sigmoid, xavier()), X, LABELS).findings:
        assert any(sign in finding.rule for sign in "<>")
        assert finding.cure.endswith("。")


def test_thresholds_can_be_changed():
    net = network(relu, he())
    assert verdicts(net, thresholds=Thresholds(gradient=0.999)) >= {"消失"}


def test_it_prints_as_a_table_and_renders_as_html():
    d = diagnose(network(relu, normal(0.02)), X, LABELS)
    lines = str(d).splitlines()
    assert lines[0].startswith("層\th")
    assert len(lines) == 1 + 9 + len(d.findings)
    html = d._repr_html_()
    assert html.count("<tr>") == 10
    assert html.count('scope="row"') == 9
    assert "&lt;" in html  # 規則の < が HTML を壊さない


@pytest.mark.parametrize("bias", [True, False])
def test_a_real_pytorch_model_can_be_diagnosed(bias):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 50, bias=bias), torch.nn.ReLU(), torch.nn.Linear(50, 10, bias=bias)
    ).double()
    net = from_state_dict(model.state_dict(), relu)
    np.testing.assert_allclose(net.forward(X), model(torch.tensor(X)).detach(), rtol=1e-12)

    outputs = model[0](torch.tensor(X))
    outputs.retain_grad()
    loss = torch.nn.functional.cross_entropy(model[2](model[1](outputs)), torch.tensor(LABELS))
    loss.backward()
    d = diagnose(net, X, LABELS)
    assert d.delta[0] == pytest.approx(outputs.grad.square().mean().sqrt().item(), rel=1e-10)
    assert d.dW[1] == pytest.approx(model[2].weight.grad.square().mean().sqrt().item(), rel=1e-10)
    net.affines[0].params["W"][:] = 0
    assert model[0].weight.abs().max() > 0  # 写しなので、元のモデルは変わらない


@pytest.mark.docs
def test_the_pytorch_code_of_the_chapter_runs_and_measures_the_same_delta():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    page = Path(__file__).parents[1] / "docs" / "part6" / "diagnosis.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    names = {"vg": vgbook, "x": X, "labels": LABELS}
    for block in blocks:
        exec(block, names)
    expected = diagnose(from_state_dict(names["state"], relu), X, LABELS).delta
    measured = [names["delta"][name] for name in ("0", "2")]  # 逆伝播なので、出力側から届く
    np.testing.assert_allclose(measured, expected, rtol=1e-4)


def test_batch_norm_networks_can_be_diagnosed_and_are_left_alone():
    net = network(relu, he(), norm=BatchNorm)
    assert diagnose(net, X, LABELS).healthy
    assert np.all(net[1].running_mean == 0)
    assert all(not layer.grads for layer in net)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "重み"),
        ({"0.weight": np.ones((3, 2)), "1.weight": np.ones((3, 4))}, "つながりません"),
        ({"0.weight": np.ones((3, 2, 5, 5))}, "全結合"),
        ({"0.weight": np.ones((3, 2)), "0.bias": np.ones(4)}, "0.bias"),
        ({"0.running_mean": np.ones(3)}, "running_mean"),
    ],
)
def test_other_states_are_refused(state, message):
    with pytest.raises(ValueError, match=message):
        from_state_dict(state, relu)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="集団"):
        diagnose(network(relu, he(gain=[1.0, 2.0])), X, LABELS)
    with pytest.raises(ValueError, match="lr"):
        diagnose(network(relu, he()), X, LABELS, lr=0)
    with pytest.raises(ValueError, match="x の特徴数は 64"):
        diagnose(network(relu, he()), X[:, :3], LABELS)
    with pytest.raises(TypeError, match="network"):
        diagnose([np.ones((3, 3))], X, LABELS)
