"""診断: 病気のネットワークを見つけ、健康なネットワークを病気と呼ばない。"""

import numpy as np
import pytest

from vgbook.activations import Activation, leaky_relu, relu, sigmoid, tanh
from vgbook.clinic.diagnosis import Thresholds, diagnose
from vgbook.clinic.gradcheck import numerical_gradient
from vgbook.experiments.datasets import digits
from vgbook.initializers import constant, he, normal, xavier
from vgbook.layers.affine import Activate, Affine
from vgbook.layers.normalization import BatchNorm
from vgbook.layers.residual import Residual
from vgbook.network import Network, mlp
from vgbook.signals import rms, signals
from vgbook.training.losses import mean_squared_error, softmax_cross_entropy

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
    ("activation", "init"), [(relu, he()), (leaky_relu(0.1), he(slope=0.1)), (tanh, xavier())]
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


def test_rows_that_could_not_be_measured_are_not_called_healthy():
    net = network(relu, he())
    net.affines[3].params["W"][:] = np.inf
    rows = diagnose(net, X, LABELS).rows()
    assert [row[-1] for row in rows] == ["―"] * 3 + ["発散"] + ["―"] * 5
    assert [row[1] == "―" for row in rows] == [False] * 3 + [True] * 6  # h は発散するまで測れる
    assert all(set(row[2:-1]) == {"―"} for row in rows)


def test_an_overflow_that_the_next_activation_hides_is_divergence():
    net = Network([Affine(np.full((1, 1), w)) for w in (1e308, 1.0, 1.0)])
    net.layers.insert(2, Activate(tanh))
    x = np.array([[10.0], [20.0]])  # 第 1 層で ∞ になり、tanh で 1 に戻る
    with np.errstate(over="ignore"):
        assert np.isfinite(net.forward(x)).all()
    d = diagnose(net, x, np.zeros((2, 1)), loss=mean_squared_error)
    rules = [f.rule for f in d.findings if (f.layer, f.verdict) == (1, "発散")]
    assert [rule.split("、")[0] for rule in rules] == ["h"]
    assert d.rows()[0][1] == "―"


def overflowing_backward():
    """順伝播は有限で、逆伝播だけが float32 の範囲を超えるネットワーク。"""
    net = network(relu, he(), [64, 50, 50, 10], dtype=np.float32)
    for affine, scale in zip(net.affines, (1e-20, 1e20, 1e25), strict=True):
        affine.params["W"] *= np.float32(scale)
    return net


def test_a_gradient_that_overflows_is_divergence_even_if_the_output_is_finite():
    net, x = overflowing_backward(), X.astype(np.float32)
    assert np.isfinite(net.forward(x)).all()
    d = diagnose(net, x, LABELS)
    assert ("発散", "δ、dW が有限でない") in [
        (f.verdict, f.rule) for f in d.findings if f.layer == 1
    ]
    assert d.rows()[0][3:6] == ["―"] * 3
    assert d.rows()[0][-1] == "発散"
    assert not d.healthy


def residual(branch, blocks=8, seed=0):
    rng, init = np.random.default_rng(seed), he()
    middle = [Residual(branch(lambda: Affine(init(50, 50, rng=rng)))) for _ in range(blocks)]
    return Network([Affine(init(64, 50, rng=rng)), *middle, Affine(init(50, 10, rng=rng))])


def plain_branch(affine):
    return [affine(), Activate(relu), affine()]


def dead_branch(affine):
    layers = plain_branch(affine)
    layers[0].params["b"][:] = -1000
    return layers


def test_dead_units_inside_residual_branches_are_found():
    d = diagnose(residual(dead_branch), X, LABELS)
    assert {f.layer for f in d.findings if f.verdict == "死"} == set(range(2, 18, 2))
    assert not d.healthy


def test_rows_of_a_branch_tell_the_number_of_the_residual_block():
    d = diagnose(residual(dead_branch, blocks=2), X, LABELS)
    names = [row[0] for row in d.rows()]
    assert names == ["1", "2 (枝 1)", "3 (枝 1)", "4 (枝 2)", "5 (枝 2)", "6"]
    assert "第 4 層 (枝 2) 死" in str(d)
    assert "第 4 層 (枝 2) <strong>死" in d._repr_html_()


@pytest.mark.parametrize("seed", range(5))
def test_a_residual_network_with_the_right_initial_values_is_healthy(seed):
    d = diagnose(residual(plain_branch, seed=seed), X, LABELS)
    assert d.healthy
    assert {row[-1] for row in d.rows()} == {"良好"}


def test_blocks_inside_a_branch_belong_to_the_outer_block():
    net = residual(plain_branch, blocks=2)
    net[2].branch.append(Residual([Affine(np.eye(50)), Activate(relu)]))
    d = diagnose(net, X, LABELS)
    assert d.blocks == {2: 1, 3: 1, 4: 2, 5: 2, 6: 2}


def test_delta_and_dW_inside_a_branch_are_those_of_numerical_differentiation():
    net, x, labels = residual(plain_branch, blocks=2), X[:5], LABELS[:5]
    d = diagnose(net, x, labels)
    inner = net[2].branch[0].params  # 第 4 層

    def slope(name):
        return numerical_gradient(
            lambda _: softmax_cross_entropy(net.forward(x), labels)[0], inner[name]
        )

    assert d.dW[3] == pytest.approx(rms(slope("W")), rel=1e-6)
    inner["b"] = np.zeros((5, 50))  # 標本ごとのバイアスの勾配が δ
    assert d.delta[3] == pytest.approx(rms(slope("b")), rel=1e-6)


def test_the_numbers_are_those_of_the_signals():
    net = network(relu, he())
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


def test_a_decreasing_activation_is_as_healthy_as_its_mirror_image():
    mirrored = Activation("−tanh", lambda z: -tanh.f(z), lambda z: -tanh.df(z))
    one, other = (network(phi, normal(0.5)) for phi in (tanh, mirrored))
    np.testing.assert_allclose(
        diagnose(one, X, LABELS).saturated, diagnose(other, X, LABELS).saturated
    )
    assert diagnose(network(mirrored, xavier()), X, LABELS).healthy


def test_every_activation_of_a_layer_is_examined():
    net = network(relu, he(), [64, 50, 10])
    dead = Activation("0", np.zeros_like, np.zeros_like)
    net.layers.insert(2, Activate(dead))
    assert "死" in verdicts(net, 1)


def test_without_a_gradient_at_the_output_nothing_is_called_vanishing_or_healthy():
    net = network(relu, he())
    d = diagnose(net, X, net.forward(X), loss=mean_squared_error)
    assert [(f.layer, f.verdict) for f in d.findings] == [(9, "無勾配")]
    assert [row[-1] for row in d.rows()] == ["―"] * 8 + ["無勾配"]
    assert not d.healthy


def test_batch_norm_networks_can_be_diagnosed_and_are_left_alone():
    net = network(relu, he(), norm=BatchNorm)
    assert diagnose(net, X, LABELS).healthy
    assert np.all(net[1].running_mean == 0)
    assert all(not layer.grads for layer in net)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="集団"):
        diagnose(network(relu, he(gain=[1.0, 2.0])), X, LABELS)
    with pytest.raises(ValueError, match="lr"):
        diagnose(network(relu, he()), X, LABELS, lr=0)
    with pytest.raises(ValueError, match="x の特徴数は 64"):
        diagnose(network(relu, he()), X[:, :3], LABELS)
    with pytest.raises(TypeError, match="network"):
        diagnose([np.ones((3, 3))], X, LABELS)
    with pytest.raises(ValueError, match="x には 2 個以上の標本"):
        diagnose(network(relu, he(), norm=BatchNorm), X[:1], LABELS[:1])
    with pytest.raises(ValueError, match=r"x には 2 個以上の標本.*\(2, 200, 64\)"):
        diagnose(network(relu, he()), np.stack([X, X]), LABELS)
    with pytest.raises(TypeError, match="thresholds には Thresholds"):
        diagnose(network(relu, he()), X, LABELS, thresholds=(1, 2, 3, 4))
    with pytest.raises(ValueError, match="thresholds には正の"):
        diagnose(network(relu, he()), X, LABELS, thresholds=Thresholds(gradient=0))
    with pytest.raises(ValueError, match=r"loss の返す ∂L/∂出力 の形は \(200, 10\)"):
        diagnose(network(relu, he()), X, LABELS, loss=lambda y, t: (0.0, y[:1]))
