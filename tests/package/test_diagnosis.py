"""診断: 病気のネットワークを見つけ、健康なネットワークを病気と呼ばない。"""

import numpy as np
import pytest

from vgbook.activations import Activation, leaky_relu, relu, sigmoid, step, tanh
from vgbook.clinic import LayerRecord, Thresholds, diagnose, text
from vgbook.clinic.court import Change, Court
from vgbook.clinic.numerical import numerical_gradient
from vgbook.clinic.numpy_measure import Hook, stale
from vgbook.clinic.record import Trial
from vgbook.clinic.symptoms import symptoms
from vgbook.experiments.datasets import digits
from vgbook.initializers import constant, he, normal, xavier
from vgbook.layers.affine import Activate, Affine
from vgbook.layers.normalization import BatchNorm
from vgbook.layers.residual import Residual
from vgbook.network import Network, mlp
from vgbook.signals import rms, signals
from vgbook.training.clipping import Clip
from vgbook.training.losses import (
    mean_squared_error,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from vgbook.training.optimizers import SGD, Adam, AdamW

DATA = digits()
X, LABELS = DATA.x_train[:200], DATA.labels_train[:200]
DEEP = [64, *[100] * 8, 10]


def network(activation, init, widths=DEEP, **options):
    return mlp(widths, activation, init, rng=np.random.default_rng(0), **options)


def verdicts(net, layer=None, **options):
    report = diagnose(net, X, LABELS, **options)
    records = report.layers if layer is None else [report.layers[layer - 1]]
    return {name for record in records for name in report.marks(record)}


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


def test_weights_that_are_all_zero_are_found_in_every_layer():
    found = diagnose(network(relu, constant(0.0)), X, LABELS).findings[0]
    assert found.slug == "zero-init"
    assert found.modules == tuple("123456789")


def test_vanishing_is_found_only_in_the_layers_far_below_the_last_hidden_one():
    deltas = [1e-6, 1e-4, 0.1, 0.5, 2.0, 1.0]
    layers = [LayerRecord(f"{d:g}", "Affine", delta_norm=d) for d in [*deltas, 1.0]]
    (found,) = symptoms(layers, Thresholds(gradient=1e-2))
    assert found.slug == "vanishing"
    assert found.modules == ("1e-06", "0.0001")


def test_divergence_names_the_first_layer():
    net = network(relu, he())
    net.affines[3].params["W"][:] = np.inf
    diagnosis = diagnose(net, X, LABELS)
    assert [(f.modules, f.name) for f in diagnosis.findings] == [(("4",), "発散")]
    assert not diagnosis.healthy


def test_rows_that_could_not_be_measured_are_not_called_healthy():
    net = network(relu, he())
    net.affines[3].params["W"][:] = np.inf
    d = diagnose(net, X, LABELS)
    rows = text.rows(d)
    assert [row[0] for row in rows] == ["1 .. 3 (3 層)", "4", "5 .. 9 (5 層)"]
    assert [row[-1] for row in rows] == ["-", "発散", "-"]
    assert [row[2] == "-" for row in rows] == [False, True, True]  # h は発散するまで測れる
    assert all(set(row[4:7]) == {"-"} for row in rows)
    assert d.notes == ["順伝播が有限でないので、逆伝播の値は測れません。"]


def test_an_overflow_that_the_next_activation_hides_is_divergence():
    net = Network([Affine(np.full((1, 1), w)) for w in (1e308, 1.0, 1.0)])
    net.layers.insert(2, Activate(tanh))
    x = np.array([[10.0], [20.0]])  # 第 1 層で ∞ になり、tanh で 1 に戻る
    with np.errstate(over="ignore"):
        assert np.isfinite(net.forward(x)).all()
    d = diagnose(net, x, np.zeros((2, 1)), loss=mean_squared_error)
    assert [(f.modules, f.name) for f in d.findings] == [(("1",), "発散")]
    assert not np.isfinite(d.h[0])


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
    assert d.findings[0].name == "発散"
    assert "1" in d.findings[0].modules
    assert d.layers[0].overflow == "δ、dW"
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
    dead = next(f for f in d.findings if f.name == "死")
    assert dead.modules == tuple(f"{2 * block} (枝 {block})" for block in range(1, 9))
    assert not d.healthy


def test_rows_of_a_branch_tell_the_number_of_the_residual_block():
    d = diagnose(residual(dead_branch, blocks=2), X, LABELS)
    names = [layer.name for layer in d.layers]
    assert names == ["1", "2 (枝 1)", "3 (枝 1)", "4 (枝 2)", "5 (枝 2)", "6"]
    assert "4 (枝 2)" in str(d)
    assert "4 (枝 2)" in d._repr_html_()


@pytest.mark.parametrize("seed", range(5))
def test_a_residual_network_with_the_right_initial_values_is_healthy(seed):
    d = diagnose(residual(plain_branch, blocks=6, seed=seed), X, LABELS)
    assert d.healthy
    assert {row[-1] for row in text.rows(d)} == {"良好"}


def test_blocks_inside_a_branch_belong_to_the_outer_block():
    net = residual(plain_branch, blocks=2)
    net[2].branch.append(Residual([Affine(np.eye(50)), Activate(relu)]))
    names = [layer.name for layer in diagnose(net, X, LABELS).layers]
    assert names[1:6] == ["2 (枝 1)", "3 (枝 1)", "4 (枝 2)", "5 (枝 2)", "6 (枝 2)"]


class Shift:
    """標本ごとに決まった数を足す層。"""

    def __init__(self, size):
        self.size, self.params, self.grads = size, {}, {}

    def forward(self, x):
        return x + self.size

    def backward(self, dy):
        return dy


def test_delta_and_dW_inside_a_branch_are_those_of_numerical_differentiation():
    net, x, labels = residual(plain_branch, blocks=2), X[:5], LABELS[:5]
    d = diagnose(net, x, labels)
    shift = Shift(np.zeros((5, 50)))
    net[2].branch.insert(1, shift)  # 第 4 層の出力を標本ごとにずらす。その勾配が δ

    def slope(a):
        return numerical_gradient(lambda _: softmax_cross_entropy(net.forward(x), labels)[0], a)

    assert d.dW[3] == pytest.approx(rms(slope(net[2].branch[0].params["W"])), rel=1e-6)
    assert d.delta[3] == pytest.approx(rms(slope(shift.size)), rel=1e-6)


@pytest.mark.parametrize(("options", "lr"), [({}, 0.01), ({"lr": 0.5}, 0.5)])
def test_the_numbers_are_those_of_the_signals(options, lr):
    net = network(relu, he())
    s = signals(net, X, softmax_cross_entropy(net.forward(X), LABELS)[1])
    d = diagnose(net, X, LABELS, **options)
    np.testing.assert_allclose(d.delta, [np.sqrt(np.mean(a**2)) for a in s.delta])
    np.testing.assert_allclose(d.h, [np.sqrt(np.mean(a**2)) for a in s.h])
    np.testing.assert_allclose(d.distinct, [np.sqrt(a.var(axis=0).mean()) for a in s.h])
    W = [np.sqrt(np.mean(a.params["W"] ** 2)) for a in net.affines]
    np.testing.assert_allclose(d.update, lr * d.dW / W)
    np.testing.assert_allclose(d.dead[:-1], [np.mean(np.all(a == 0, axis=0)) for a in s.h[:-1]])


@pytest.mark.parametrize("trial", [True, False])
def test_the_update_is_the_step_that_the_optimizer_really_makes(trial):
    net = network(relu, he(), [64, 20, 10])
    update = diagnose(net, X, LABELS, optimizer=Adam(0.01), trial=trial).update
    before = [a.params["W"].copy() for a in net.affines]
    net.gradients(softmax_cross_entropy(net.forward(X), LABELS)[1])
    Adam(0.01).step(net)
    after = [a.params["W"] for a in net.affines]
    ratios = [np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in zip(before, after, strict=True)]
    np.testing.assert_allclose(update, ratios)


def test_trials_stop_when_the_seconds_are_used_up():
    """途中でやめた試しから、病気とは決めない。"""
    slow = mlp([64, 50, 50, 50, 10], sigmoid, xavier(gain=0.5), rng=np.random.default_rng(0))
    assert diagnose(slow, X, LABELS).findings  # 症状はある
    report = diagnose(slow, X, LABELS, optimizer=Adam(0.01), seconds=1e-9)
    assert {len(trial.losses) for trial in report.trials} == {1}
    assert report.unknown
    assert any("seconds を大きく" in note for note in report.notes)


class Strict(SGD):
    """0 だけの勾配を受け取らない、自作の最適化手法。"""

    def step(self, network):
        if not all(grad.any() for _, grad in network.pairs()):
            raise FloatingPointError
        super().step(network)


def test_a_step_is_not_tried_with_gradients_that_are_known_to_be_broken():
    report = diagnose(network(relu, constant(0.0)), X, LABELS, optimizer=Strict(0.1))
    assert report.findings[0].slug == "zero-init"
    assert not np.isfinite(report.update).any()


def test_averages_kept_from_data_that_varied_are_stale_on_data_that_does_not():
    """どの標本でも同じ値のバッチの分散は 0。移動平均は 1 のままなら、外れている。"""
    norm = BatchNorm(4)
    norm.training = False
    hook = Hook(norm, 0)
    hook.forward(np.zeros((20, 4)))
    assert stale(hook)


def test_a_step_is_for_models_of_torch_alone():
    with pytest.raises(TypeError, match=r"step は PyTorch のモデルでだけ.*受け取った step"):
        diagnose(network(relu, he()), X, LABELS, optimizer=SGD(0.1), step=lambda model, x: 0.0)


def test_an_activation_with_a_list_of_kinks_is_diagnosed():
    hard = Activation("hard", lambda z: np.clip(z, -1, 1), lambda z: 1.0 * (np.abs(z) < 1), [-1, 1])
    assert hard.kinks == (-1.0, 1.0)
    assert len(diagnose(network(hard, he(), [64, 20, 10]), X, LABELS).layers) == 2


def test_every_finding_carries_its_rule_and_a_cure():
    for finding in diagnose(network(sigmoid, xavier()), X, LABELS).findings:
        assert any(sign in finding.evidence for sign in "<>")
        assert all(cure.endswith("。") for cure in finding.cures)


def test_thresholds_can_be_changed():
    net = network(relu, he())
    assert verdicts(net, thresholds=Thresholds(gradient=0.999)) >= {"消失"}


@pytest.mark.parametrize(("loss", "excused"), [(1.04, True), (1.06, False)])
def test_a_schedule_excuses_only_a_rate_that_does_not_raise_the_loss(loss, excused):
    """予定の最初の学習率でも損失が 5 % を超えて上がるなら、予定のせいにはしない。"""
    ends = {"そのまま": 1.0, "予定の最初": loss}
    court = Court(
        train=lambda name, *_: Trial(name, [1.0, *[ends[name]] * 5], reference=1.0),
        suspects=lambda base: [],
        symptoms=[],
        limits=Thresholds(),
        seconds=0.01,
        schedule=Change("予定の最初", lambda subject: None),
    )
    assert court.judge() is None
    assert any("予定" in note for note in court.notes) == excused


def test_it_prints_as_a_table_and_renders_as_html():
    d = diagnose(network(relu, normal(0.02)), X, LABELS)
    assert str(d).splitlines()[0] == d.summary
    html = d._repr_html_()
    assert html.count("<tr>") == 1 + len(text.rows(d))
    assert html.count('scope="row"') == len(text.rows(d))
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
    assert [(f.modules, f.name) for f in d.findings] == [(("9",), "無勾配")]
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
    with pytest.raises(TypeError, match="model"):
        diagnose([np.ones((3, 3))], X, LABELS)
    with pytest.raises(ValueError, match="x には 2 個以上の標本"):
        diagnose(network(relu, he(), norm=BatchNorm), X[:1], LABELS[:1])
    with pytest.raises(ValueError, match=r"x には 2 個以上の標本.*\(2, 200, 64\)"):
        diagnose(network(relu, he()), np.stack([X, X]), LABELS)
    with pytest.raises(TypeError, match="thresholds には Thresholds"):
        diagnose(network(relu, he()), X, LABELS, thresholds=(1, 2, 3, 4))
    with pytest.raises(ValueError, match="thresholds には正の"):
        diagnose(network(relu, he()), X, LABELS, thresholds=Thresholds(gradient=0))
    with pytest.raises(TypeError, match="optimizer には"):
        diagnose(network(relu, he()), X, LABELS, optimizer="SGD")
    with pytest.raises(ValueError, match=r"loss の返す ∂L/∂出力 の形は \(200, 10\)"):
        diagnose(network(relu, he()), X, LABELS, loss=lambda y, t: (0.0, y[:1]))


# --- 試しの学習 -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "init", "lr", "root", "cure"),
    [
        (relu, normal(0.02), 0.03, "消失", "He の初期値"),
        (tanh, normal(2.0), 0.03, "飽和", "He の初期値"),
        (relu, he(gain=3.0), 0.03, "爆発", "He の初期値"),
        (relu, he(), 1e-9, "更新が小さすぎる", "学習率 1e+07 倍"),
        (relu, he(), 100.0, "更新が大きすぎる", "学習率 1/1000"),
    ],
)
def test_the_root_is_the_one_change_that_makes_it_learn(activation, init, lr, root, cure):
    d = diagnose(network(activation, init), X, LABELS, optimizer=SGD(lr))
    assert d.findings[0].name == root
    before, after = d.findings[0].trials
    assert (before.name, after.name) == ("そのまま", cure)
    assert after.score < 0.9 <= before.score


def test_half_of_the_units_being_0_in_a_deep_relu_is_no_root():
    """深い ReLU では標本の向きがそろい、He でも、半分ほどのユニットがどの標本でも 0 になる。"""
    net = network(relu, normal(0.05), [64, *[20] * 40, 10])
    found = list(diagnose(net, X[:30], LABELS[:30]).everything())
    assert [f.name for f in found][:2] == ["消失", "死"]


def test_a_signal_that_became_exactly_0_is_lost_and_not_dead():
    net = network(relu, normal(1e-3), [64, *[50] * 20, 10], dtype=np.float32)
    report = diagnose(net, X.astype(np.float32), LABELS)
    assert report.findings[0].name == "埋没"
    assert report.dead[-2] == 0


def test_saturated_units_are_not_dead():
    net = network(tanh, normal(1e3), [64, 50, 10], dtype=np.float32)
    report = diagnose(net, X.astype(np.float32), LABELS)
    assert report.saturated[0] > 0.9
    assert report.dead[0] == 0
    assert report.findings[0].name == "飽和"


def test_two_classes_with_one_logit_can_be_tried():
    net = network(tanh, xavier(), [64, 20, 1])
    labels = (LABELS > 7).astype(int)
    report = diagnose(net, X, labels, loss=sigmoid_cross_entropy, optimizer=SGD(0.3))
    assert report.healthy
    share = labels.mean()
    entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    assert report.trials[0].reference == pytest.approx(entropy)


def test_a_network_that_learns_is_healthy_whatever_its_delta():
    net = network(relu, he(gain=6**-0.5))  # PyTorch の Linear の既定の大きさ
    assert not diagnose(net, X, LABELS).healthy  # δ だけなら「消失」の症状
    d = diagnose(net, X, LABELS, optimizer=Adam(0.001))
    assert d.healthy


def test_a_trial_leaves_the_network_and_the_optimizer_alone():
    net, optimizer = network(relu, he()), Adam(0.01)
    before = [p.copy() for layer in net for p in layer.params.values()]
    diagnose(net, X, LABELS, optimizer=optimizer)
    after = [p for layer in net for p in layer.params.values()]
    assert all(map(np.array_equal, before, after))
    assert diagnose(net, X, LABELS, optimizer=optimizer).healthy  # 記録も残らない


def test_pixels_from_0_to_255_are_the_root():
    d = diagnose(network(relu, he()), 255 * np.abs(X), LABELS, optimizer=SGD(0.03))
    assert [f.name for f in d.findings] == ["入力の尺度"]


@pytest.mark.parametrize("optimizer", [AdamW(1e3), Clip(AdamW(1e3), 1.0), AdamW(1e-9)], ids=repr)
def test_every_optimizer_can_be_tried_at_other_rates(optimizer):
    r = np.random.default_rng(0)
    network = mlp([4, 20, 20, 3], relu, he(), rng=r)
    x, labels = 3 * r.standard_normal((30, 4)), r.integers(0, 3, 30)
    report = diagnose(network, x, labels, optimizer=optimizer)
    assert report.findings[0].slug in ("step-large", "step-small")


def test_an_optimizer_of_ones_own_without_a_rate_is_told_what_was_not_tried():
    class Mine:
        def step(self, network):
            for param, grad in network.pairs():
                param -= 1e3 * grad

    r = np.random.default_rng(0)
    network = mlp([4, 20, 3], relu, he(), rng=r)
    x, labels = r.standard_normal((30, 4)), r.integers(0, 3, 30)
    report = diagnose(network, x, labels, optimizer=Mine())
    assert any("lr がない" in note for note in report.notes)


def test_the_norm_of_a_tiny_delta_is_not_rounded_to_zero():
    r = np.random.default_rng(0)
    network = mlp([4, *[20] * 150, 3], sigmoid, normal(1e-2), rng=r)
    layers = diagnose(network, r.standard_normal((30, 4)), r.integers(0, 3, 30)).layers
    assert all(layer.delta <= layer.delta_norm <= 5 * layer.delta for layer in layers)
    assert layers[0].delta_norm > 0


def test_a_sigmoid_before_a_loss_of_logits_is_found():
    net = network(relu, he(), [64, 20, 1], output=sigmoid)
    report = diagnose(net, X, (LABELS > 4).astype(int), loss=sigmoid_cross_entropy)
    assert report.findings[0].slug == "softmax-twice"
    targets = np.eye(10)[LABELS]
    net = network(relu, he(), [64, 20, 10], output=sigmoid)
    assert diagnose(net, X, targets, loss=mean_squared_error).healthy


STANDARD = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-6)
FAR_TARGETS = 1e4 * STANDARD[:, 20:21] + 5e4


@pytest.mark.parametrize(
    ("x", "y", "loss", "optimizer", "root"),
    [
        (STANDARD + 1000, LABELS, softmax_cross_entropy, SGD(0.05), "input-scale"),
        (STANDARD, FAR_TARGETS, mean_squared_error, Adam(1e-3), "target-scale"),
        (STANDARD, LABELS, softmax_cross_entropy, AdamW(3e-3, weight_decay=200), "weight-decay"),
        (
            STANDARD,
            LABELS,
            softmax_cross_entropy,
            Clip(AdamW(3e-3, weight_decay=200), 1.0),
            "weight-decay",
        ),
    ],
    ids=["離れた入力", "大きな目標", "強い減衰", "包んだ減衰"],
)
def test_what_is_wrong_outside_the_network_is_the_root(x, y, loss, optimizer, root):
    net = network(relu, he(), [64, 32, y.shape[-1] if y.ndim == 2 else 10])
    report = diagnose(net, x, y, loss=loss, optimizer=optimizer)
    assert [f.slug for f in report.findings] == [root]


def frozen(net):
    for layer in net.leaves():
        if isinstance(layer, BatchNorm):
            layer.training = False
    return net


def test_running_averages_that_never_followed_the_data_are_the_root():
    net = frozen(mlp([64, *[64] * 4, 10], relu, he(), rng=np.random.default_rng(0), norm=BatchNorm))
    report = diagnose(net, 20 * STANDARD + 30, LABELS, optimizer=SGD(0.05))
    assert [f.slug for f in report.findings] == ["batch-norm"]
    assert report.findings[0].trials[1].name == "BN をもう一方のモードに"
    assert not net[1].training


def test_running_averages_that_followed_the_data_are_not_accused():
    net = mlp([64, *[64] * 2, 10], relu, he(), rng=np.random.default_rng(0), norm=BatchNorm)
    for _ in range(100):
        net.forward(STANDARD)
    assert diagnose(frozen(net), STANDARD, LABELS, optimizer=SGD(0.05)).healthy


def test_too_few_samples_for_batch_norm_are_told():
    net = mlp([64, 32, 10], relu, he(), rng=np.random.default_rng(0), norm=BatchNorm)
    found = diagnose(net, X[:3], LABELS[:3]).findings
    assert [(f.slug, f.evidence) for f in found] == [
        ("batch-norm", "学習モードで標本が 3 個 < 4 個")
    ]
    assert not any(f.slug == "batch-norm" for f in diagnose(net, X[:4], LABELS[:4]).everything())


def test_answers_that_are_all_the_same_do_not_make_the_network_sick():
    """入力を見ない答えがすべて正しいので、基準は最初の損失になる。"""
    net = network(relu, he(), [64, 64, 10])
    report = diagnose(net, STANDARD[:2], np.array([3, 3]), optimizer=SGD(0.05))
    assert report.summary.startswith("良好")
    assert any("正解がどの標本でも同じ" in note for note in report.notes)
    assert not diagnose(net, STANDARD, LABELS, optimizer=SGD(0.05)).notes


def test_a_clip_that_stops_every_step_is_the_root():
    net = network(relu, he(), [64, 64, 10])
    report = diagnose(net, STANDARD, LABELS, optimizer=Clip(SGD(0.1), 1e-12))
    assert report.findings[0].slug == "step-small"
    assert report.findings[0].trials[1].name == "勾配を切り詰めずに"
    assert "切り詰める" in report.findings[0].cures[0]
    plain = diagnose(net, STANDARD, LABELS, optimizer=SGD(1e-9))
    assert not any("切り詰め" in cure for cure in plain.findings[0].cures)


def test_an_activation_without_slope_lets_no_gradient_through():
    net = network(step, he(), [64, 64, 64, 10])
    report = diagnose(net, STANDARD, LABELS, optimizer=SGD(0.05))
    assert (report.findings[0].slug, report.findings[0].modules) == ("no-gradient", ("1", "2"))
    assert not report.dead.any()  # 1 を出すユニットは死んでいない
