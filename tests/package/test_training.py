"""学習: 集団 ≡ 1 つずつの学習、記録、発散、誤りの知らせ方。"""

import copy
import io
import sys
from functools import partial

import numpy as np
import pytest
from peers import torch

from vgbook._progress import progress_bar
from vgbook.activations import relu, tanh
from vgbook.clinic.gradcheck import check_gradients
from vgbook.initializers import he, normal, xavier
from vgbook.layers.normalization import BatchNorm, LayerNorm
from vgbook.network import Network, mlp
from vgbook.signals import signals
from vgbook.training.clipping import Clip
from vgbook.training.loop import accuracy, fit
from vgbook.training.losses import mean_squared_error, softmax_cross_entropy
from vgbook.training.optimizers import SGD, AdaGrad, Adam, Momentum, RMSProp


def rng(seed=0):
    return np.random.default_rng(seed)


def blobs(n=120, dtype=float):
    """3 つの山からなる、分けやすいデータ。"""
    r = rng(42)
    labels = r.integers(3, size=n)
    return (r.standard_normal((n, 4)) + 3 * np.eye(4)[labels]).astype(dtype), labels


OPTIMIZERS = [SGD, Momentum, AdaGrad, RMSProp, Adam]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("norm", [None, BatchNorm, LayerNorm])
@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_an_ensemble_trains_like_its_members_alone(optimizer, norm, leading):
    x, labels = blobs()
    gains = np.geomspace(0.5, 2, 6)[: int(np.prod(leading))].reshape(leading)
    run = {"steps": 12, "batch_size": 16, "evaluate_every": 5, "x_test": x, "labels_test": labels}

    def train(gain):
        network = mlp([4, 8, 3], tanh, xavier(gain), rng=rng(1), norm=norm)
        history = fit(network, optimizer(0.01), x, labels, rng=rng(2), **run)
        return network, history

    together, history = train(gains if leading else float(gains))
    for index in np.ndindex(leading):
        alone, own = train(float(gains[index]))
        np.testing.assert_allclose(history.loss[:, *index], own.loss, rtol=1e-9)
        np.testing.assert_allclose(history.train_accuracy[:, *index], own.train_accuracy)
        for (param, _), (single, _) in zip(together.pairs(), alone.pairs(), strict=True):
            np.testing.assert_allclose(param[index], single, rtol=1e-9, atol=1e-12)


def test_a_training_run_agrees_with_torch():
    x, labels = blobs()
    network = mlp([4, 8, 3], relu, he(), rng=rng(1))
    twin = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    twin = twin.double()
    with torch.no_grad():
        for affine, linear in zip(network.affines, (twin[0], twin[2]), strict=True):
            linear.weight.copy_(torch.tensor(affine.params["W"].T))
            linear.bias.zero_()
    history = fit(network, SGD(0.1), x, labels, steps=50, batch_size=16, rng=rng(2))

    draw, optimizer = rng(2), torch.optim.SGD(twin.parameters(), lr=0.1)
    for step in range(50):
        batch = draw.integers(len(x), size=16)
        loss = torch.nn.functional.cross_entropy(
            twin(torch.tensor(x[batch])), torch.tensor(labels[batch])
        )
        assert history.loss[step] == pytest.approx(loss.item(), rel=1e-10)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    np.testing.assert_allclose(
        network.affines[0].params["W"], twin[0].weight.detach().T, rtol=1e-9, atol=1e-12
    )


def test_the_data_are_learned():
    x, labels = blobs()
    network = mlp([4, 16, 3], relu, he(), rng=rng(1))
    history = fit(network, Adam(0.01), x, labels, steps=200, batch_size=32, rng=rng(2))
    assert accuracy(network, x, labels) > 0.97
    assert history.loss[-20:].mean() < 0.1 * history.loss[0]


def test_accuracies_are_measured_after_the_first_update_and_every_k():
    x, labels = blobs()
    network = mlp([4, 8, 3], relu, he(), rng=rng(1))
    history = fit(
        network, SGD(0.1), x, labels, steps=21, batch_size=16, rng=rng(2), evaluate_every=10
    )
    np.testing.assert_array_equal(history.at, [0, 10, 20])
    assert history.train_accuracy[-1] == accuracy(network, x, labels)
    assert np.isnan(history.test_accuracy).all()


def test_reevaluation_measures_the_same_batch_after_the_update():
    x, labels = blobs()
    run = {"steps": 5, "batch_size": len(x)}
    before = fit(mlp([4, 3], relu, he(), rng=rng(1)), SGD(0.5), x, labels, rng=rng(2), **run)
    after = fit(
        mlp([4, 3], relu, he(), rng=rng(1)), SGD(0.5), x, labels, rng=rng(2), reevaluate=True, **run
    )
    assert np.all(after.loss < before.loss)


def test_reevaluation_does_not_move_the_averages_of_batch_norm():
    x, labels = blobs()
    run = {"steps": 5, "batch_size": 10, "progress": False}
    plain, again = (mlp([4, 6, 3], relu, he(), rng=rng(1), norm=BatchNorm) for _ in range(2))
    fit(plain, SGD(0.5), x, labels, rng=rng(2), **run)
    fit(again, SGD(0.5), x, labels, rng=rng(2), reevaluate=True, **run)
    np.testing.assert_array_equal(again.predict(x), plain.predict(x))


def test_averages_that_are_not_moving_may_be_read_only_while_reevaluating():
    x, labels = blobs()
    network = mlp([4, 6, 3], relu, he(), rng=rng(1), norm=BatchNorm)
    network.training = False
    network[1].running_mean.flags.writeable = False
    run = {"steps": 2, "batch_size": 10, "progress": False, "reevaluate": True}
    assert np.isfinite(fit(network, SGD(0.5), x, labels, rng=rng(2), **run).loss).all()


class Doubled:
    """値を 2 倍する、属性の辞書をもたない層。"""

    __slots__ = ("_pass", "grads", "params")

    def __init__(self):
        self.params, self.grads = {}, {}

    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


def test_a_layer_with_slots_can_be_watched():
    x, labels = blobs()
    network = Network([*mlp([4, 3], relu, he(), rng=rng(1)), Doubled()])
    seen = []
    fit(
        network, SGD(0.1), x, labels, steps=2, batch_size=10, rng=rng(),
        watch=lambda step, _: seen.append(step), progress=False,
    )  # fmt: skip
    assert seen == [0, 1]


def test_watch_sees_the_gradients_of_every_step():
    x, labels = blobs()
    seen = []
    fit(
        mlp([4, 8, 3], relu, he(), rng=rng(1)),
        SGD(0.1),
        x,
        labels,
        steps=4,
        batch_size=16,
        rng=rng(2),
        watch=lambda step, network: seen.append((step, network[0].grads["W"].std())),
    )
    assert [step for step, _ in seen] == [0, 1, 2, 3]
    assert all(size > 0 for _, size in seen)


def test_a_diverging_member_is_reported_and_disturbs_nobody(recwarn):
    x, labels = blobs()
    # 標準偏差が大きすぎる要素は、最初の数ステップであふれる
    many = mlp([4, 50, 50, 3], relu, normal([0.1, 1e80]), rng=rng(1))
    history = fit(many, SGD(0.1), x, labels, steps=30, batch_size=16, rng=rng(2), evaluate_every=29)
    alone = mlp([4, 50, 50, 3], relu, normal(0.1), rng=rng(1))
    own = fit(alone, SGD(0.1), x, labels, steps=30, batch_size=16, rng=rng(2))
    np.testing.assert_array_equal(history.diverged, [False, True])
    assert history.diverged_at[0] == -1
    assert history.diverged_at[1] in (0, 1)
    np.testing.assert_allclose(history.loss[:, 0], own.loss, rtol=1e-12)
    assert np.isnan(history.loss[history.diverged_at[1] :, 1]).all()
    assert np.isnan(history.train_accuracy[-1, 1])
    assert not recwarn.list


def test_nan_outputs_do_not_count_as_class_zero():
    network = mlp([4, 3], relu, normal(1.0), rng=rng(1))
    network[0].params["W"][:] = np.nan
    x, labels = blobs()
    assert np.isnan(accuracy(network, x, np.zeros_like(labels)))


def test_float32_data_give_float32_losses():
    x, labels = blobs(dtype=np.float32)
    network = mlp([4, 8, 3], relu, he(), rng=rng(1), norm=BatchNorm, dtype=np.float32)
    history = fit(network, Adam(0.01), x, labels, steps=3, batch_size=16, rng=rng(2))
    assert history.loss.dtype == np.float32
    assert {param.dtype for param, _ in network.pairs()} == {np.dtype(np.float32)}


def test_regression_with_squared_error_needs_no_labels():
    r = rng(3)
    x = r.standard_normal((100, 4))
    t = x @ r.standard_normal((4, 2))
    network = mlp([4, 2], relu, xavier(), rng=r)
    history = fit(network, SGD(0.1), x, t, steps=300, batch_size=50, rng=r, loss=mean_squared_error)
    assert history.loss[-1] < 1e-6 * history.loss[0]


def test_an_ensemble_learns_a_regression_and_names_targets_of_another_width():
    r = rng(4)
    x = r.standard_normal((60, 2))
    network = mlp([2, 9, 3], tanh, xavier(gain=[0.5, 1.0]), rng=r)
    options = {"steps": 50, "batch_size": 20, "rng": r, "loss": mean_squared_error}
    history = fit(network, SGD(0.1), x, np.repeat(x[:, :1], 3, axis=1), **options)
    assert np.all(history.loss[-10:].mean(axis=0) < history.loss[:10].mean(axis=0))
    with pytest.raises(ValueError, match="3"):
        fit(network, SGD(0.1), x, np.repeat(x[:, :1], 9, axis=1), **options)


@pytest.mark.parametrize("leading", [(), (3,)])
def test_clipping_bounds_every_update_of_a_training_run(leading):
    x, labels = blobs()
    network = mlp([4, 8, 3], relu, he(gain=np.full(leading, 20.0)), rng=rng())
    weights = []
    fit(
        network,
        Clip(SGD(0.5), max_norm=0.01),
        x,
        labels,
        steps=10,
        batch_size=16,
        rng=rng(),
        watch=lambda step, network: weights.append(
            np.concatenate([p.reshape(*leading, -1) for p, _ in network.pairs()], axis=-1)
        ),
    )
    moved = np.linalg.norm(np.diff(weights, axis=0), axis=-1)
    np.testing.assert_allclose(moved, 0.5 * 0.01, rtol=1e-6)  # どの更新も上限に達する大きさ


def test_a_clipped_optimizer_shows_its_learning_rate_to_the_check_of_shapes():
    x, labels = blobs()
    network = mlp([4, 3], relu, he(), rng=rng())
    optimizer = Clip(SGD([0.1, 0.2]), max_norm=1.0)
    with pytest.raises(ValueError, match="lr の形"):
        fit(network, optimizer, x, labels, steps=1, batch_size=8, rng=rng())


def test_any_object_with_a_step_may_be_the_optimizer():
    class Frozen:
        def step(self, network):
            pass

    x, labels = blobs()
    network = mlp([4, 8, 3], relu, he(gain=[1.0, 2.0]), rng=rng())
    before = network[0].params["W"].copy()
    fit(network, Frozen(), x, labels, steps=2, batch_size=8, rng=rng())
    np.testing.assert_array_equal(network[0].params["W"], before)


def test_a_loss_of_ones_own_may_take_labels_or_targets():
    x, labels = blobs()
    run = {"steps": 5, "batch_size": 16}

    def trained(loss, t):
        network = mlp([4, 8, 3], relu, he(), rng=rng())
        return fit(network, SGD(0.1), x, t, rng=rng(), loss=loss, **run).loss

    np.testing.assert_array_equal(
        trained(partial(softmax_cross_entropy), labels), trained(softmax_cross_entropy, labels)
    )
    targets = np.eye(3)[labels]
    np.testing.assert_array_equal(
        trained(partial(mean_squared_error), targets), trained(mean_squared_error, targets)
    )


def test_narrow_data_do_not_narrow_the_losses_of_a_wide_network():
    """float32 に収まらない損失も、float64 のネットワークなら発散ではない。"""
    x, labels = blobs(dtype=np.float32)
    network = mlp([4, 6, 3], relu, he(gain=1e21), rng=rng())
    history = fit(network, SGD(1e-30), x, labels, steps=2, batch_size=5, rng=rng())
    assert history.loss.dtype == np.float64
    assert history.loss.max() > np.finfo(np.float32).max
    assert not history.diverged


def test_nothing_is_printed_where_there_is_no_terminal(capfd):
    x, labels = blobs()
    assert not sys.stderr.isatty()
    fit(mlp([4, 3], relu, he(), rng=rng(1)), SGD(0.1), x, labels, steps=5, batch_size=8, rng=rng())
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stderr", "shown"),
    [(Terminal(), True), (io.StringIO(), False), (None, False)],
    ids=["端末", "ファイル", "出力先なし"],
)
def test_progress_is_shown_on_a_terminal_and_not_in_a_file(stderr, shown, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.setattr(sys, "stderr", stderr)
    with progress_bar(3, "学習") as bar:
        assert bar.disable is not shown


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"x": np.zeros((0, 4)), "labels": np.zeros(0, int)}, ValueError, "x には空でない"),
        ({"x": np.zeros((5, 3)), "labels": np.zeros(5, int)}, ValueError, "x の特徴数は 4"),
        ({"x": np.full((5, 4), np.nan), "labels": np.zeros(5, int)}, ValueError, "x に有限でない"),
        ({"labels": np.full(120, 3)}, ValueError, "labels には 0 以上 3 未満"),
        ({"labels": np.zeros(120)}, TypeError, "labels には整数"),
        ({"labels": np.zeros(119, int)}, ValueError, r"labels の形は \(120,\)"),
        ({"batch_size": 121}, ValueError, "batch_size は標本数 120 以下"),
        ({"batch_size": 0}, ValueError, "batch_size には 1 以上"),
        ({"steps": 0}, ValueError, "steps には 1 以上"),
        ({"steps": 1.5}, ValueError, "steps"),
        ({"evaluate_every": 0}, ValueError, "evaluate_every"),
        ({"rng": 0}, TypeError, "rng"),
        ({"x_test": np.zeros((5, 4))}, ValueError, "両方"),
        (
            {"labels": np.eye(3)[:1].repeat(120, 0), "loss": mean_squared_error}
            | {"evaluate_every": 1},
            ValueError,
            "正解率は、labels がクラスの番号",
        ),
    ],
)
def test_bad_input_is_named(changes, error, message):
    x, labels = blobs()
    network = mlp([4, 8, 3], relu, he(), rng=rng())
    before = copy.deepcopy([param for param, _ in _params(network)])
    call = {"x": x, "labels": labels, "steps": 2, "batch_size": 8, "rng": rng(), **changes}
    with pytest.raises(error, match=message):
        fit(network, SGD(0.1), call.pop("x"), call.pop("labels"), **call)
    for kept, (param, _) in zip(before, _params(network), strict=True):
        np.testing.assert_array_equal(kept, param)  # 半端な更新を残さない


def _params(network):
    return [(param, None) for layer in network for param in layer.params.values()]


def test_batch_norm_refuses_batches_of_one():
    x, labels = blobs()
    network = mlp([4, 8, 3], relu, he(), rng=rng(), norm=BatchNorm)
    with pytest.raises(ValueError, match="大きさ 2 以上"):
        fit(network, SGD(0.1), x, labels, steps=2, batch_size=1, rng=rng())


def measured(network):
    signals(network, np.ones((2, 2)), np.ones((2, 2)))


@pytest.mark.parametrize(
    ("look", "refused"),
    [
        (measured, True),
        (lambda network: network.backward(np.ones_like(network.forward(np.ones((2, 2))))), True),
        (lambda network: measured(copy.deepcopy(network)), False),
        (lambda network: network.predict(np.ones((2, 2))), False),
        (lambda network: network.forward(np.ones((2, 2))), False),
        (lambda network: check_gradients(network, np.ones((2, 2)), np.zeros(2, int)), False),
    ],
)
def test_a_look_at_the_training_does_not_change_it(look, refused):
    """``watch`` の中で測った値の勾配で更新しない。"""

    def train(watch):
        network = mlp([2, 4, 2], relu, he(), rng=np.random.default_rng(0))
        x = np.random.default_rng(1).standard_normal((20, 2))
        labels = (x[:, 0] > 0).astype(int)
        options = {"steps": 3, "batch_size": 5, "rng": np.random.default_rng(2), "progress": False}
        return fit(network, SGD(0.1), x, labels, watch=watch, **options).loss

    if refused:
        with pytest.raises(RuntimeError, match=r"watch の間に.*受け取った watch"):
            train(lambda _, network: look(network))
    else:
        np.testing.assert_array_equal(train(lambda _, network: look(network)), train(None))
