"""引数の食い違い、壊れたデータ、ファイル: 名前・期待・受け取った値を言う日本語のエラーになる。"""

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from vgbook import (
    SGD,
    Activate,
    AdaGrad,
    Adam,
    Affine,
    BatchNorm,
    Dataset,
    Initializer,
    Momentum,
    Network,
    RMSProp,
    accuracy,
    batch_norm_grid,
    check_gradients,
    compare_initializers,
    fit,
    gradient_flow,
    he,
    learning_speed,
    mean_squared_error,
    mlp,
    mnist,
    orthogonal,
    relu,
    sigmoid,
    sigmoid_cross_entropy,
    signals,
    softmax_cross_entropy,
    stack,
    trace,
    xavier,
)

N, N_IN, N_OUT = 6, 4, 3


def rng():
    return np.random.default_rng(0)


def network(**options):
    return mlp([N_IN, 5, N_OUT], relu, he(**options), rng=rng())


X = rng().standard_normal((N, N_IN))
LABELS = np.array([0, 1, 2, 2, 1, 0])
TARGETS = np.eye(N_OUT)[LABELS]
DATA = Dataset(X, LABELS, X, LABELS)


def refused(argument: str, call: Callable[[], object]) -> str:
    """``call()`` が、``argument`` と受け取った値を日本語で言うエラーになることを確かめる。"""
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    message = str(caught.value)
    assert re.search("[ぁ-ん]", message), message
    assert re.search(rf"(?<![A-Za-z_]){argument}(?![A-Za-z_])", message), message
    assert re.search("受け取った|個あります", message), message
    return message


# ---- 間違った値の集まり

nothing = st.none()
words = st.text(max_size=6)

not_counts = (
    st.integers(max_value=0)
    | st.floats()
    | st.booleans()
    | nothing
    | words
    | st.lists(st.integers(), max_size=3)
)


@st.composite
def not_dataset_parts(draw):
    part = draw(st.sampled_from(Dataset._fields))
    bad = draw(st.sampled_from([X[0], X[:0], X.astype(str), None, "x", X > 0]))
    if part.startswith("labels"):
        bad = draw(
            st.sampled_from([LABELS - 1, LABELS[:-1], LABELS[:0], TARGETS, None, LABELS / 1])
        )
    return part, DATA._replace(**{part: bad})


# ---- 引数 1 つずつの間違いは test_wall.py が調べる


def training():
    return {
        "network": network(),
        "optimizer": SGD(0.1),
        "x": X,
        "labels": LABELS,
        "x_test": X,
        "labels_test": LABELS,
        "steps": 2,
        "batch_size": 3,
        "rng": rng(),
    }


def experiment():
    return {"data": DATA, "rng": rng(), "hidden": (5,), "steps": 2, "batch_size": 3, "seeds": 1}


@given(bad=not_counts.filter(lambda value: value == value))
def test_the_message_shows_the_received_value(bad):
    assert repr(bad) in refused("n_in", lambda: he()(bad, 3, rng=rng()))
    assert repr([4, bad, 3]) in refused("widths", lambda: mlp([4, bad, 3], relu, he(), rng=rng()))


@pytest.mark.parametrize(("x", "advised"), [(X[0], True), (X[0, 0], False)])
def test_one_sample_and_only_that_is_told_to_add_an_axis(x, advised):
    """x[None] で直るのは、軸が 1 つの標本だけ。数 1 つは、軸を足しても行列にならない。"""
    assert ("x[None]" in refused("x", lambda: network().forward(x))) == advised


# ---- 引数どうしの食い違い


@given(not_dataset_parts())
def test_experiments_name_the_broken_part_of_the_data(broken):
    part, data = broken
    for run in (compare_initializers, batch_norm_grid, learning_speed):
        refused(part, lambda run=run: run(**{**experiment(), "data": data}))


@pytest.mark.parametrize("bad", [{"x": X * np.nan}, {"batch_size": N + 1}, {"labels": LABELS + 1}])
def test_a_refused_fit_leaves_the_network_and_the_rng_untouched(bad):
    arguments = training()
    before = [layer.params["W"].copy() for layer in arguments["network"].affines]
    refused(*bad, lambda: fit(**{**arguments, **bad}, progress=False))
    for layer, W in zip(arguments["network"].affines, before, strict=True):
        np.testing.assert_array_equal(layer.params["W"], W)
    assert arguments["rng"].random() == rng().random()


@pytest.mark.parametrize("only", [("x_test", X), ("labels_test", LABELS)])
def test_fit_refuses_half_a_test_set(only):
    arguments = {**training(), "x_test": None, "labels_test": None, **dict([only])}
    refused(only[0], lambda: fit(**arguments, progress=False))


def test_batch_normalization_refuses_to_learn_from_a_batch_of_one():
    net = mlp([N_IN, 5, N_OUT], relu, he(), rng=rng(), norm=BatchNorm)
    refused("batch_size", lambda: fit(**{**training(), "network": net, "batch_size": 1}))
    message = refused("", lambda: check_gradients(net, X[:1], LABELS[:1]))
    assert "大きさ 1 のバッチ" in message


@pytest.mark.parametrize(
    ("ensemble", "lr"), [((), (1,)), ((), (3,)), ((3,), (2,)), ((3,), (2, 3)), ((2, 3), (2,))]
)
def test_fit_refuses_learning_rates_that_do_not_fit_the_ensemble(ensemble, lr):
    net = network(gain=np.ones(ensemble))
    for optimizer in (SGD, Momentum, AdaGrad, RMSProp, Adam):
        arguments = {**training(), "network": net, "optimizer": optimizer(np.full(lr, 0.1))}
        message = refused("lr", lambda arguments=arguments: fit(**arguments, progress=False))
        assert str(ensemble) in message
        assert str(lr) in message


def test_mlp_refuses_initializers_of_different_ensembles():
    inits = [he(gain=[1.0, 2.0]), he(gain=[1.0, 2.0, 3.0])]
    message = refused("init", lambda: mlp([4, 5, 3], relu, inits, rng=rng()))
    assert "(2,), (3,)" in message


@pytest.mark.parametrize(
    "inits",
    [
        (),
        (he(), orthogonal()),
        (he(), xavier(gain=[1.0, 2.0])),
        (he(copies=(2,)),),
        (he, xavier),
        (he(), "xavier"),
        ([he(), xavier()],),
    ],
)
def test_stack_refuses_what_it_cannot_pile(inits):
    refused("inits", lambda: stack(*inits))


@pytest.mark.parametrize("leading", [(2,), (4,), (2, 4)])
def test_signals_refuses_leading_axes_that_are_not_the_ensemble(leading):
    net = mlp([N_IN, 5, N_OUT], sigmoid, he(gain=[1.0, 2.0, 3.0]), rng=rng())
    refused("x", lambda: signals(net, np.broadcast_to(X, (*leading, N, N_IN)), TARGETS))
    refused("d_output", lambda: signals(net, X, np.broadcast_to(TARGETS, (*leading, N, N_OUT))))


def test_a_layer_that_cannot_go_back_is_no_layer():
    class OneWay:
        def forward(self, x):
            return x

    refused("layers", lambda: Network([Affine(np.eye(N_IN)), OneWay()]))


@pytest.mark.parametrize("gain", [np.nan, np.inf, "1", [1.0, np.nan], []])
def test_an_initializer_of_ones_own_refuses_a_gain_that_is_no_number(gain):
    own = Initializer("own", lambda rng, shape: rng.standard_normal(shape), lambda i, o: 1.0)
    refused("gain", lambda: replace(own, gain=gain))


def test_labels_beyond_the_classes_of_an_ensemble_are_refused():
    net = mlp([N_IN, N_IN, N_OUT], relu, he(gain=[1.0, 2.0, 3.0]), rng=rng())
    refused("labels", lambda: accuracy(net, X, LABELS + 1))


@pytest.mark.parametrize("shapes", [((N, 3), (2, N, 3)), ((2, N, 3), (4, N, 3)), ((N, 3), (N, 1))])
def test_mean_squared_error_refuses_targets_that_would_widen_the_gradient(shapes):
    y, t = map(np.zeros, shapes)
    refused("t", lambda: mean_squared_error(y, t))


# ---- ファイル


@given(name=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20))
def test_an_unknown_mnist_folder_is_named(name):
    with pytest.raises(
        FileNotFoundError, match=r"folder には MNIST のフォルダを.*受け取った値"
    ) as error:
        mnist(f"no-such-folder/{name}")
    assert name in str(error.value)


@given(folder=nothing | st.integers() | st.binary() | st.lists(st.text()))
def test_an_mnist_folder_that_is_no_path_is_refused(folder):
    refused("folder", lambda: mnist(folder))


@pytest.mark.parametrize(
    ("loss", "labels", "advice"),
    [
        (mean_squared_error, X[:, 0], "labels[:, None]"),
        (sigmoid_cross_entropy, LABELS > 0, "labels.astype(int)"),
        (softmax_cross_entropy, LABELS / 1, "labels.astype(int)"),
        (softmax_cross_entropy, TARGETS, "labels.argmax(axis=1)"),
    ],
    ids=["1 列の目標", "真偽値", "実数の番号", "one-hot"],
)
def test_labels_of_another_form_are_told_how_to_change(loss, labels, advice):
    net = mlp([N_IN, 5, 1 if loss is not softmax_cross_entropy else N_OUT], relu, he(), rng=rng())
    bad = {"network": net, "loss": loss, "x_test": None, "labels_test": None, "labels": labels}
    assert advice in refused("labels", lambda: fit(**{**training(), **bad}, progress=False))


def test_labels_with_missing_values_are_told_so():
    """``astype(int)`` は、NaN を大きな負の番号にしてしまう。"""
    holes = np.where(LABELS == 1, np.nan, LABELS)
    message = refused("labels", lambda: fit(**{**training(), "labels": holes}, progress=False))
    assert "値の欠けた標本 (NaN) が 2 個" in message
    assert "astype" not in message


@pytest.mark.parametrize(
    ("objects", "change"),
    [
        (sparse.csr_array(X), lambda x: x.toarray()),
        (np.array([[Decimal(float(v)) for v in row] for row in X]), lambda x: np.asarray(x, float)),
    ],
    ids=["疎行列", "Decimal"],
)
def test_objects_are_told_how_to_become_numbers(objects, change):
    net = network()
    message = refused("x", lambda: net.forward(objects))
    assert "x.toarray()" in message
    assert "np.asarray(x, float)" in message
    np.testing.assert_array_equal(net.forward(change(objects)), net.forward(X))


def test_a_loss_of_torch_is_refused_by_name():
    torch = pytest.importorskip("torch")
    loss = torch.nn.CrossEntropyLoss()
    refused("loss", lambda: fit(**{**training(), "loss": loss}, progress=False))


# ---- 読み込み直したクラス


def reloaded(kind):
    """``importlib.reload`` の後に残る、同じ名前の別のクラス。"""
    old = type(kind.__name__, kind.__bases__, dict(vars(kind)))
    old.__module__, old.__qualname__ = kind.__module__, kind.__qualname__
    return old


def before_reload(made):
    """``made`` と同じ中身の、読み込み直す前に作ったもの。"""
    old = object.__new__(reloaded(type(made)))
    for name, value in vars(made).items():
        object.__setattr__(old, name, value)
    return old


@pytest.mark.parametrize(
    ("kind", "argument", "call"),
    [
        ("Network", "network", lambda: signals(before_reload(network()), X, TARGETS)),
        ("Network", "network", lambda: trace(before_reload(network()), X, TARGETS)),
        ("Network", "network", lambda: SGD(0.1).step(before_reload(network()))),
        ("Activation", "activation", lambda: Activate(before_reload(relu))),
        ("Initializer", "init", lambda: mlp([2, 3], relu, before_reload(he()), rng=rng())),
        ("Initializer", "init", lambda: gradient_flow(relu, before_reload(he()), rng=rng())),
    ],
)
def test_what_was_made_before_a_reload_is_told_to_be_made_again(kind, argument, call):
    assert f"vgbook を読み込み直す前の {kind} なので、作り直して" in refused(argument, call)


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("network", lambda: signals(relu, X, TARGETS)),
        ("network", lambda: SGD(0.1).step(Network([]))),
        ("init", lambda: mlp([2, 3, 2], relu, [he()], rng=rng())),
        ("network", lambda: fit(**training() | {"network": Network([Activate(relu)])})),
    ],
)
def test_what_was_made_since_the_reload_is_not_told_so(argument, call):
    assert "読み込み直す" not in refused(argument, call)


# ---- 割合は、どの実数の型でもよい


@pytest.mark.parametrize("kind", [Fraction, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize(
    "rule",
    [
        lambda half: Momentum(0.1, momentum=half),
        lambda half: RMSProp(0.1, alpha=half),
        lambda half: Adam(0.1, betas=[half, half]),
    ],
    ids=["Momentum", "RMSProp", "Adam"],
)
def test_a_fraction_of_any_real_type_trains_the_same(rule, kind):
    losses = [fit(**{**training(), "optimizer": rule(half)}).loss for half in (0.5, kind(0.5))]
    np.testing.assert_array_equal(*losses)
    norms = [BatchNorm(N_IN, momentum=half) for half in (0.5, kind(0.5))]
    np.testing.assert_array_equal(*(norm.forward(X) for norm in norms))
    np.testing.assert_array_equal(*(norm.running_var for norm in norms))
