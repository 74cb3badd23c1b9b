"""最適化手法: torch.optim と多くのステップにわたって比べる。"""

import copy
import pickle

import numpy as np
import pytest
from peers import torch

from vgbook.layers.affine import Affine
from vgbook.network import Network
from vgbook.training.clipping import Clip
from vgbook.training.optimizers import (
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    Momentum,
    Nesterov,
    RMSProp,
)

PAIRS = [
    (SGD, lambda p, lr: torch.optim.SGD(p, lr=lr)),
    (Momentum, lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9)),
    (Nesterov, lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, nesterov=True)),
    (AdaGrad, lambda p, lr: torch.optim.Adagrad(p, lr=lr)),
    (RMSProp, lambda p, lr: torch.optim.RMSprop(p, lr=lr)),
    (Adam, lambda p, lr: torch.optim.Adam(p, lr=lr)),
    (AdamW, lambda p, lr: torch.optim.AdamW(p, lr=lr)),
]
NAMES = [ours.__name__ for ours, _ in PAIRS]
WITH_RECORD = [ours for ours, _ in PAIRS if ours is not SGD]
WITH_RECORD_NAMES = [ours.__name__ for ours in WITH_RECORD]
STEPS = 300


def gradients(leading):
    """どの最適化手法にも同じ勾配の列を見せる。"""
    r = np.random.default_rng(1)
    return r.standard_normal((STEPS, *leading, 3, 4)) * np.geomspace(1, 1e-3, STEPS).reshape(
        -1, *(1,) * (len(leading) + 2)
    )


def our_path(make, lr, leading=()):
    layer = Affine(np.ones((*leading, 3, 4)))
    network, optimizer, path = Network([layer]), make(lr), []
    for g in gradients(leading):
        layer.grads = {"W": g, "b": g.sum(axis=-2, keepdims=True)}
        optimizer.step(network)
        path.append(layer.params["W"].copy())
    return np.array(path)


def torch_path(make, lr, grads):
    W = torch.ones(3, 4, dtype=torch.float64, requires_grad=True)
    optimizer, path = make([W], lr), []
    for g in grads:
        W.grad = torch.tensor(g)
        optimizer.step()
        path.append(W.detach().numpy().copy())
    return np.array(path)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=NAMES)
def test_many_steps_agree_with_torch(ours, theirs):
    np.testing.assert_allclose(
        our_path(ours, 0.01), torch_path(theirs, 0.01, gradients(())), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=NAMES)
def test_every_member_may_have_a_learning_rate_of_its_own(ours, theirs):
    rates = np.array([[0.001], [0.1]])  # (2, 1) は集団 (2, 3) に広がる
    path, grads = our_path(ours, rates, (2, 3)), gradients((2, 3))
    for i in range(2):
        for j in range(3):
            expected = torch_path(theirs, rates[i, 0], grads[:, i, j])
            np.testing.assert_allclose(path[:, i, j], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=NAMES)
def test_the_bottom_of_a_parabola_is_reached(ours, theirs):
    layer = Affine(np.full((1, 1), 3.0))
    network, optimizer = Network([layer]), ours(0.1)
    for _ in range(3000):
        layer.grads = {"W": layer.params["W"] - 1.0, "b": layer.params["b"].copy()}
        optimizer.step(network)
    assert layer.params["W"].item() == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("make", [ours for ours, _ in PAIRS], ids=NAMES)
@pytest.mark.parametrize("lr", [0.01, np.array([0.01, 0.1])], ids=["one", "each"])
def test_float32_weights_stay_float32(make, lr):
    layer = Affine(np.ones((2, 3, 4), np.float32))
    W = layer.params["W"]
    layer.grads = {"W": np.ones_like(W), "b": np.ones_like(layer.params["b"])}
    make(lr).step(Network([layer]))
    assert layer.params["W"] is W  # その場で書き換える
    assert W.dtype == np.float32


def test_a_diverged_member_does_not_disturb_the_others():
    layer = Affine(np.ones((2, 1, 1)))
    network, optimizer = Network([layer]), Adam(0.1)
    for _ in range(5):
        layer.grads = {
            "W": np.array([[[np.nan]], [[1.0]]]),
            "b": np.zeros((2, 1, 1)),
        }
        optimizer.step(network)
    assert np.isnan(layer.params["W"][0]).all()
    assert layer.params["W"][1].item() == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [0, -0.1, np.nan, np.inf, "0.1", [0.1, 0.0], None])
def test_learning_rates_must_be_positive(bad):
    for kind, _ in PAIRS:
        with pytest.raises(ValueError, match="lr には正の"):
            kind(bad)


def test_coefficients_must_be_fractions():
    for make in (
        lambda: Momentum(0.1, momentum=1.0),
        lambda: RMSProp(0.1, alpha=-0.1),
        lambda: Adam(0.1, betas=(0.9, 1.0)),
        lambda: AdaGrad(0.1, eps=0),
        lambda: Momentum(0.1, momentum=False),
        lambda: AdamW(0.1, weight_decay=-0.1),
    ):
        with pytest.raises(ValueError, match="受け取った値"):
            make()


@pytest.mark.parametrize("kind", WITH_RECORD)
def test_a_record_of_one_network_is_not_carried_to_another(kind):
    first, second = (Network([Affine(np.ones((3, 4)))]) for _ in range(2))
    for network in (first, second):
        network[0].grads = {"W": np.ones((3, 4)), "b": np.ones((1, 4))}
    optimizer = kind(0.1)
    optimizer.step(first)
    with pytest.raises(ValueError, match="1 つのネットワークにつき 1 つ"):
        optimizer.step(second)
    np.testing.assert_array_equal(second[0].params["W"], 1.0)


def test_clipping_agrees_with_torch_member_by_member():
    r = np.random.default_rng(0)
    W, grads = np.zeros((3, 4, 5)), r.standard_normal((3, 4, 5)) * [[[0.01]], [[1.0]], [[100.0]]]
    layer = Affine(W)
    layer.grads = {"W": grads.copy(), "b": np.zeros((3, 1, 5))}
    Clip(SGD(1.0), max_norm=2.0).step(Network([layer]))
    for member in range(3):
        p = torch.zeros(4, 5, dtype=torch.float64, requires_grad=True)
        p.grad = torch.tensor(grads[member])
        torch.nn.utils.clip_grad_norm_([p], 2.0)
        # PyTorch は分母に 1e-6 を足すので、その分だけ違う
        np.testing.assert_allclose(layer.params["W"][member], -p.grad, rtol=1e-6)


class Made(Affine):
    """勾配の辞書を、呼ばれるたびに作り直す層。"""

    grads = property(lambda self: dict(self.made), lambda self, grads: setattr(self, "made", grads))


def test_gradients_that_cannot_be_clipped_are_refused():
    network = Network([Made(np.eye(4))])
    network.backward(np.ones_like(network.forward(np.ones((2, 4)))))
    with pytest.raises(RuntimeError, match=r"切り詰められません.*受け取った network"):
        Clip(SGD(1.0), max_norm=1e-3).step(network)
    np.testing.assert_array_equal(network[0].params["W"], np.eye(4))


def test_clipping_leaves_small_and_zero_gradients_alone():
    layer = Affine(np.ones((2, 3, 4)))
    layer.grads = {
        "W": np.stack([np.zeros((3, 4)), np.full((3, 4), 0.1)]),
        "b": np.zeros((2, 1, 4)),
    }
    Clip(SGD(1.0), max_norm=5.0).step(Network([layer]))
    np.testing.assert_array_equal(layer.params["W"][0], 1.0)
    np.testing.assert_array_equal(layer.params["W"][1], 0.9)
    with pytest.raises(ValueError, match="max_norm"):
        Clip(SGD(1.0), max_norm=0)
    for bad in (SGD, None, 0.1):
        with pytest.raises(TypeError, match="optimizer"):
            Clip(bad, max_norm=1.0)


@pytest.mark.parametrize("make", [ours for ours, _ in PAIRS], ids=NAMES)
def test_a_step_before_the_gradients_is_refused_and_leaves_no_trace(make):
    network = Network([Affine(np.ones((2, 1)))])
    optimizer = make(0.1)
    with pytest.raises(RuntimeError, match="勾配がまだありません"):
        optimizer.step(network)
    network.forward(np.ones((3, 2)))
    network.gradients(np.ones((3, 1)))
    optimizer.step(network)
    assert np.all(network[0].params["W"] < 1)


# ---- 保存して、続きから


def prepared(weights=1.0, size=(3, 4)):
    network = Network([Affine(np.full(size, weights))])
    network[0].grads = {"W": np.full(size, 0.5), "b": np.full((1, size[1]), 0.5)}
    return network


@pytest.mark.parametrize("make", [*WITH_RECORD, lambda lr: Clip(Adam(lr), 1.0)])
def test_training_goes_on_from_files_as_if_it_had_never_stopped(make):
    network, optimizer = prepared(), make(0.1)
    for _ in range(3):
        optimizer.step(network)
    again, loaded = (pickle.loads(pickle.dumps(it)) for it in (network, optimizer))
    for _ in range(3):
        optimizer.step(network)
        loaded.step(again)
    np.testing.assert_array_equal(again[0].params["W"], network[0].params["W"])
    assert len(pickle.dumps(optimizer)) < len(pickle.dumps([network, optimizer]))


@pytest.mark.parametrize("make", [*WITH_RECORD, lambda lr: Clip(Adam(lr), 1.0)])
def test_the_record_goes_over_to_a_copy_when_it_is_told_so(make):
    network, optimizer = prepared(), make(0.1)
    optimizer.step(network)
    best, same = copy.deepcopy(network), copy.deepcopy(optimizer)
    with pytest.raises(ValueError, match="bind"):
        optimizer.step(best)
    optimizer.bind(best)
    optimizer.step(best)
    same.step(network)
    np.testing.assert_array_equal(best[0].params["W"], network[0].params["W"])
    with pytest.raises(ValueError, match="記録の形"):
        optimizer.bind(prepared(size=(4, 3)))


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_method_without_a_record_goes_over_to_any_network(wrapped):
    optimizer = Clip(SGD(0.1), 100.0) if wrapped else SGD(0.1)
    optimizer.step(prepared())
    other = prepared(size=(4, 3))
    optimizer.bind(other)
    optimizer.step(other)
    np.testing.assert_allclose(other[0].params["W"], 1 - 0.1 * 0.5)
    with pytest.raises(TypeError, match=r"network には.*受け取った値: 'net'"):
        optimizer.bind("net")
    with pytest.raises(ValueError, match="2 度現れた層"):
        optimizer.bind(doubled())


def doubled():
    network = prepared(size=(3, 3))
    network.layers *= 2
    return network


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_a_refused_step_changes_nothing_and_is_not_counted(kind):
    first, second = prepared(), prepared()
    optimizer, twin = kind(0.1), kind(0.1)
    optimizer.step(first)
    with pytest.raises(ValueError, match="1 つのネットワーク"):
        optimizer.step(second)
    optimizer.step(first)
    for _ in range(2):
        twin.step(second)
    np.testing.assert_array_equal(first[0].params["W"], second[0].params["W"])


# ---- 大きすぎる勾配


@pytest.mark.parametrize(
    ("dtype", "size"),
    [(np.float32, 1e20), (np.float32, 7e37), (np.float64, 1e200), (np.float64, 4e307)],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_clipping_holds_for_gradients_whose_squares_overflow(dtype, size, sign):
    layer = Affine(np.zeros((2, 1), dtype))
    g = sign * np.array([[3 * size], [4 * size]], dtype)
    layer.grads = {"W": g, "b": np.zeros((1, 1), dtype)}
    Clip(SGD(1.0), 5.0).step(Network([layer]))
    np.testing.assert_allclose(layer.params["W"].ravel(), [-3 * sign, -4 * sign], rtol=1e-5)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_gradient_that_is_not_finite_marks_its_member_and_no_other(bad):
    layer = Affine(np.ones((2, 1, 1)))
    layer.grads = {"W": np.array([[[bad]], [[30.0]]]), "b": np.full((2, 1, 1), 40.0)}
    Clip(SGD(1.0), 5.0).step(Network([layer]))
    assert np.isnan(layer.params["W"][0])
    assert np.isnan(layer.params["b"][0])
    np.testing.assert_allclose(layer.params["W"][1], 1 - 3.0)


@pytest.mark.parametrize("make", [AdaGrad, RMSProp, Adam, AdamW])
def test_squares_that_overflow_are_not_taken_for_a_network_that_rests(make):
    """√∞ で割ると更新が 0 になり、重みは動かず、損失も有限のまま。発散の印 NaN を残す。"""
    layer = Affine(np.ones((2, 1, 1), np.float32))
    network, optimizer = Network([layer]), make(0.1)
    layer.grads = {"W": np.float32([[[1e25]], [[1.0]]]), "b": np.zeros((2, 1, 1), np.float32)}
    with np.errstate(over="ignore"):
        optimizer.step(network)
    assert np.isnan(layer.params["W"][0])
    assert layer.params["W"][1] < 1


@pytest.mark.parametrize("optimizer", [ours(0.1) for ours in WITH_RECORD], ids=WITH_RECORD_NAMES)
@pytest.mark.parametrize("change", ["足す", "並べ替える", "重みの形を変える"])
def test_a_record_refuses_layers_that_changed_under_it(optimizer, change):
    network, optimizer = prepared(size=(3, 3)), copy.deepcopy(optimizer)
    network.layers.append(Affine(np.eye(3)))
    learn(network, optimizer)
    if change == "足す":
        network.layers.append(Affine(np.eye(3)))
    elif change == "並べ替える":
        network.layers.reverse()
    else:
        network[1].params = Affine(np.ones((3, 2))).params
    with pytest.raises(ValueError, match="新しく作って"):
        learn(network, optimizer)


def learn(network, optimizer):
    network.gradients(np.ones_like(network.forward(np.ones((2, 3)))))
    optimizer.step(network)


def test_clipping_leaves_the_gradients_that_were_kept():
    network = prepared(size=(3, 3))
    learn(network, SGD(0.1))
    kept = network[0].grads["W"]
    before = kept.copy()
    Clip(SGD(0.1), 1e-3).step(network)
    np.testing.assert_array_equal(kept, before)


class Given:
    """重みと勾配だけをもつ、自作の層。"""

    def __init__(self, weight, gradient):
        self.params, self.grads = {"k": weight}, {"k": gradient}

    def forward(self, x):
        return x

    backward = forward


@pytest.mark.parametrize("shape", [(), (4,), (2, 2, 3)])
@pytest.mark.parametrize("ours", [ours for ours, _ in PAIRS], ids=NAMES)
def test_weights_of_any_dimension_are_learned_and_clipped(ours, shape):
    torch_step = dict(PAIRS)[ours]
    layer = Given(np.ones(shape), np.full(shape, 3.0))
    Clip(ours(0.1), 1.0).step(Network([layer]))
    theirs = torch.ones(shape, dtype=torch.float64, requires_grad=True)
    theirs.grad = torch.full(shape, 3.0, dtype=torch.float64)
    torch.nn.utils.clip_grad_norm_([theirs], 1.0)
    torch_step([theirs], 0.1).step()
    np.testing.assert_allclose(layer.params["k"], theirs.detach(), rtol=1e-5)


@pytest.mark.parametrize("weight", [1.0, np.float64(1.0), np.ones(2, int)], ids=repr)
def test_weights_that_cannot_be_rewritten_are_refused(weight):
    layer = Given(weight, np.ones(np.shape(weight)))
    with pytest.raises(TypeError, match="params の値"):
        SGD(0.1).step(Network([layer]))


@pytest.mark.parametrize("ours", [ours for ours, _ in PAIRS], ids=NAMES)
def test_the_representation_can_be_typed_again(ours):
    text = repr(Clip(ours(0.1), 5.0))
    assert "lr=0.1" in text
    assert repr(eval(text)) == text


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("bad", [0, -0.1, np.nan, "0.1", [0.1, -0.1], None, True, 1j])
def test_a_learning_rate_that_is_set_later_must_be_positive_too(wrapped, bad):
    for kind, _ in PAIRS:
        optimizer = Clip(kind(0.1), 1.0) if wrapped else kind(0.1)
        with pytest.raises(ValueError, match="lr には正の"):
            optimizer.lr = bad
        assert optimizer.lr == 0.1


@pytest.mark.parametrize(
    ("optimizer", "name", "bad"),
    [
        (Momentum(0.1), "momentum", np.nan),
        (Nesterov(0.1), "momentum", 1.5),
        (AdaGrad(0.1), "eps", "x"),
        (RMSProp(0.1), "alpha", 2.0),
        (Adam(), "betas", (0.9, 1.5)),
        (AdamW(), "weight_decay", np.nan),
        (Clip(SGD(0.1), 1.0), "max_norm", -1),
    ],
    ids=repr,
)
def test_a_coefficient_that_is_set_later_is_checked_too(optimizer, name, bad):
    with pytest.raises(ValueError, match=f"{name}.*受け取った値"):
        setattr(optimizer, name, bad)


def test_a_rate_reaches_the_optimizer_inside_a_clip():
    inner = SGD(0.1)
    Clip(inner, 1.0).lr = 0.5
    assert inner.lr == 0.5
    own = type("Own", (), {"step": lambda self, network: None})()
    with pytest.raises(TypeError, match="lr がない"):
        Clip(own, 1.0).lr = 0.5


def test_coefficients_of_adamw_that_are_set_later_are_used():
    new, changed = AdamW(0.1, betas=(0.5, 0.5), eps=0.1), AdamW(0.1)
    changed.betas, changed.eps = (0.5, 0.5), 0.1
    weights = []
    for optimizer in (new, changed):
        network = Network([Affine(np.ones((1, 1)))])
        for grad in (1.0, -3.0):
            network[0].grads = {"W": np.full((1, 1), grad), "b": np.zeros((1, 1))}
            optimizer.step(network)
        weights.append(network[0].params["W"].item())
    assert weights[0] == weights[1]


def test_a_step_with_rates_of_another_ensemble_is_refused():
    network = Network([Affine(np.ones((2, 1, 1)))])
    network[0].grads = {"W": np.ones((2, 1, 1)), "b": np.zeros((2, 1, 1))}
    with pytest.raises(ValueError, match=r"集団の軸 \(2,\)"):
        SGD([0.1, 0.2, 0.3]).step(network)


class Scheduled(SGD):
    """自分の名前を足した派生クラス。"""

    def __init__(self, lr, *, warmup=10):
        super().__init__(lr)
        self.warmup = warmup
        self.history = []


@pytest.mark.parametrize("optimizer", [SGD(0.1), Momentum(0.1), Adam(), AdamW(), Clip(Adam(), 1.0)])
@pytest.mark.parametrize("name", ["learning_rate", "Lr", "beta1", "eta"])
def test_a_name_that_nobody_reads_cannot_be_set(optimizer, name):
    with pytest.raises(AttributeError, match=rf"{name} はない.*変えられるのは .*受け取った値: 0.5"):
        setattr(optimizer, name, 0.5)
    optimizer.lr = 0.5
    assert Scheduled(0.1).warmup == 10  # 自作の派生クラスは、何を足してもよい
