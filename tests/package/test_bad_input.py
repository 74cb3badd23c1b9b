"""公開関数の入り口: 間違った引数は、名前・期待・受け取った値を言う日本語のエラーになる。

表 `EDGE` に、正しい引数の組と、引数ごとの間違った値の集まりを並べる。Hypothesis が 1 つの引数だけを
間違った値に取り替えるので、エラーが出るならその引数のせいである。
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgbook import (
    SGD,
    Activate,
    Activation,
    AdaGrad,
    Adam,
    Affine,
    BatchNorm,
    Dataset,
    Initializer,
    LayerNorm,
    Momentum,
    Network,
    RMSProp,
    accuracy,
    activation_distribution,
    batch_norm_grid,
    check_gradients,
    compare_initializers,
    constant,
    digits,
    elu,
    fit,
    gaussian,
    glorot,
    glorot_uniform,
    gradient_flow,
    he,
    leaky_relu,
    learning_speed,
    mean_squared_error,
    mlp,
    mnist,
    normal,
    numerical_gradient,
    orthogonal,
    over_seeds,
    relu,
    sigmoid,
    signals,
    softmax_cross_entropy,
    stack,
    xavier,
)
from vgbook.theory import meanfield

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
not_finite = st.sampled_from([np.nan, np.inf, -np.inf, np.float32("nan")])
ragged = st.just([[1.0], [1.0, 2.0]])

not_counts = (
    st.integers(max_value=0)
    | st.floats()
    | st.booleans()
    | nothing
    | words
    | st.lists(st.integers(), max_size=3)
)
not_positive = (
    st.floats(max_value=0) | not_finite | st.booleans() | nothing | words | ragged
) | st.sampled_from([1j, [], {}, object()])
not_positive_number = not_positive | st.lists(st.floats(min_value=0.1, max_value=1), min_size=1)
not_rates = not_positive | st.lists(st.floats(max_value=0) | not_finite, min_size=1, max_size=3)
not_fractions = (
    (st.floats(min_value=1) | st.floats(max_value=0, exclude_max=True) | not_finite)
    | (nothing | words | ragged)
    | st.sampled_from([True, 1j, [0.5], np.array([0.5])])
)
not_finite_numbers = (
    not_finite | nothing | words | ragged | st.sampled_from([1j, [], [1.0, np.nan]])
)
not_spreads = not_finite_numbers | st.floats(max_value=0, exclude_max=True) | st.just([1.0, -1.0])
not_variances = (
    st.floats(max_value=-1, exclude_max=True)
    | words
    | ragged
    | st.sampled_from([1j, {}, object(), [1.0, -1.1]])
)
not_slopes = not_finite | nothing | words | st.sampled_from([1j, [0.1], np.array([0.1]), True])
TOO_LARGE = 10**400  # float で表せない整数
not_shapes = st.integers() | nothing | words | st.tuples(not_counts)
not_functions = st.integers() | words | st.just(X)
not_rngs = (
    st.integers()
    | nothing
    | words
    | st.sampled_from([np.random, np.random.default_rng, np.random.PCG64(0)])
    | st.builds(np.random.RandomState, st.just(0))
)
not_dtypes = st.sampled_from(
    [int, bool, complex, object, str, np.float16, np.uint8, "bogus", np.longdouble]
)
not_activations = (
    st.sampled_from([leaky_relu, elu, Activation, np.tanh, "relu", Activate(relu), [relu]])
    | st.integers()
    | nothing
    | words
)
not_inits = (
    st.sampled_from([he, normal, he().draw, 0.01, "he", np.ones((N_IN, 5)), ["he", "he"], []])
    | nothing
    | st.integers(3, 6).map(lambda count: [he()] * count)
    | st.just([he(), xavier])
)
not_norms = (
    st.sampled_from([BatchNorm(5), LayerNorm(5), [BatchNorm], relu, he(), True, "batch"])
    | st.integers()
    | words
)
not_widths = (
    st.lists(st.integers(1, 9), max_size=1)
    | st.lists(st.integers(1, 9), min_size=1, max_size=3).flatmap(
        lambda good: st.tuples(st.just(good), st.integers(0, len(good)), not_counts).map(
            lambda parts: [*parts[0][: parts[1]], parts[2], *parts[0][parts[1] :]]
        )
    )
    | st.sampled_from([{4, 5, 3}, {4: 5, 3: 2}, np.array([4.0, 3.0]), np.ones((2, 2), int)])
    | st.integers()
    | nothing
    | words
)
not_networks = (
    st.sampled_from([mlp, Network, Network([]), Network([Activate(relu)]), [Affine(np.eye(4))]])
    | nothing
    | words
)
not_layers = st.sampled_from(
    [relu, [relu], [Affine], [None], Affine(np.eye(4)), Affine, [1, 2], {Affine(np.eye(4))}, [he()]]
) | (nothing | words.filter(bool))
not_optimizers = st.sampled_from([SGD, Adam, "sgd", 0.1, [SGD(0.1)], print]) | nothing | words
not_executors = st.sampled_from([4, "threads", print, [], object()])
not_datasets = st.sampled_from([digits, X, (X, LABELS, X, LABELS), "mnist", [X, LABELS]])


@st.composite
def not_data(draw, good=X, *, exact=False):
    """形・型・値のどこか 1 か所が壊れた行列。``exact`` なら集団の軸を足したものも間違い。"""
    spoil = draw(st.sampled_from([*SPOILED, *([lambda x: x[None]] if exact else [])]))
    if draw(st.booleans()):
        return spoil(good)
    bad = good.astype(draw(st.sampled_from([np.float32, np.float64])))
    where = tuple(draw(st.integers(0, size - 1)) for size in bad.shape)
    bad[where] = draw(not_finite)
    return bad


SPOILED = [
    lambda x: x[:, :-1],
    lambda x: np.hstack([x, x]),
    lambda x: x[:0],
    lambda x: x[:, :0],
    lambda x: x[0],
    lambda x: x[0, 0],
    lambda x: x.astype(str),
    lambda x: x.astype(object),
    lambda x: x.astype(complex),
    lambda x: x > 0,
    lambda x: None,
    lambda x: "x.npy",
    lambda x: [[1.0], [1.0, 2.0]],
]


@st.composite
def not_labels(draw):
    """範囲・個数・型・形のどれかが壊れた正解。"""
    kind = draw(st.integers(0, 2))
    if kind == 0:
        bad = LABELS.copy()
        out_of_range = st.integers(N_OUT, 10**6) | st.integers(-(10**6), -1)
        bad[draw(st.integers(0, N - 1))] = draw(out_of_range)
        return bad
    if kind == 1:
        length = draw(st.integers(0, 2 * N).filter(lambda length: length != N))
        return np.resize(LABELS, length)
    return draw(
        st.sampled_from(
            [
                LABELS.astype(float),
                LABELS.astype(str),
                LABELS.astype(object),
                LABELS > 0,
                LABELS[:, None],
                LABELS[None],
                TARGETS,
                TARGETS.astype(int),
                LABELS + 0j,
                1,
                None,
                "012210",
                [[0], [1, 2]],
            ]
        )
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


# ---- 入り口の表: 名前、呼ぶもの、正しい引数、間違った引数


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


def mean_of_three(rng):
    return rng.standard_normal(3).mean()


not_learning = {
    "data": not_datasets,
    "rng": not_rngs,
    "hidden": not_shapes,
    "steps": not_counts,
    "batch_size": not_counts,
    "seeds": not_counts,
    "executor": not_executors,
}
not_flow = {
    "activation": not_activations,
    "init": not_inits.filter(lambda init: not isinstance(init, list)),
    "rng": not_rngs,
    "depth": not_counts,
    "width": not_counts,
    "samples": not_counts,
    "norm": not_norms,
}
flow = {"activation": relu, "init": he(), "depth": 2, "width": 4, "samples": 3}

EDGE = {
    "relu": (relu, dict, {"z": nothing | words | ragged | st.sampled_from([1j, object()])}),
    "leaky_relu": (leaky_relu, dict, {"slope": not_spreads | st.floats(1, exclude_min=True)}),
    "elu": (elu, dict, {"alpha": not_spreads | st.sampled_from([True, TOO_LARGE])}),
    "constant": (
        constant,
        lambda: {"value": 1},
        {"value": not_finite_numbers, "copies": not_shapes},
    ),
    "normal": (normal, lambda: {"std": 1.0}, {"std": not_spreads, "copies": not_shapes}),
    "he": (
        he,
        dict,
        {"gain": not_spreads, "copies": not_shapes, "slope": not_slopes | st.just(TOO_LARGE)},
    ),
    **{
        init.__name__: (init, dict, {"gain": not_spreads, "copies": not_shapes})
        for init in (xavier, glorot, glorot_uniform, orthogonal)
    },
    "Initializer": (
        he(),
        lambda: {"n_in": 3, "n_out": 2, "rng": rng()},
        {"n_in": not_counts, "n_out": not_counts, "rng": not_rngs},
    ),
    "mlp": (
        mlp,
        lambda: {"widths": [N_IN, 5, N_OUT], "activation": relu, "init": he(), "rng": rng()},
        {
            "widths": not_widths,
            "activation": not_activations,
            "init": not_inits,
            "rng": not_rngs,
            "norm": not_norms,
            "output": not_activations,
            "dtype": not_dtypes,
        },
    ),
    "BatchNorm": (
        BatchNorm,
        lambda: {"n": 3},
        {
            "n": not_counts,
            "ensemble": not_shapes,
            "eps": not_positive_number,
            "momentum": not_fractions,
            "running_var": not_spreads | st.just([1.0, 2.0]),
            "dtype": not_dtypes,
        },
    ),
    "LayerNorm": (
        LayerNorm,
        lambda: {"n": 3},
        {
            "n": not_counts,
            "ensemble": not_shapes,
            "eps": not_positive_number,
            "dtype": not_dtypes,
        },
    ),
    "Network": (Network, lambda: {"layers": [Affine(np.eye(4))]}, {"layers": not_layers}),
    "softmax_cross_entropy": (
        softmax_cross_entropy,
        lambda: {"logits": TARGETS, "labels": LABELS},
        {
            "labels": not_labels(),
            "logits": st.sampled_from(
                [TARGETS[0], TARGETS[:0], TARGETS[:, :0], TARGETS + 0j, TARGETS.astype(str)]
            )
            | (nothing | words | ragged),
        },
    ),
    "mean_squared_error": (
        mean_squared_error,
        lambda: {"y": TARGETS, "t": TARGETS},
        {
            name: st.sampled_from([TARGETS[:-1], TARGETS[:, :-1], TARGETS[0], TARGETS[:0]])
            | st.sampled_from([TARGETS + 0j, TARGETS.astype(str), TARGETS > 0])
            | (nothing | words | ragged)
            for name in "yt"
        },
    ),
    "SGD": (SGD, lambda: {"lr": 0.1}, {"lr": not_rates}),
    "Momentum": (Momentum, lambda: {"lr": 0.1}, {"lr": not_rates, "momentum": not_fractions}),
    "AdaGrad": (AdaGrad, lambda: {"lr": 0.1}, {"lr": not_rates, "eps": not_positive_number}),
    "RMSProp": (
        RMSProp,
        lambda: {"lr": 0.1},
        {"lr": not_rates, "alpha": not_fractions, "eps": not_positive_number},
    ),
    "Adam": (
        Adam,
        lambda: {"lr": 0.1},
        {
            "lr": not_rates,
            "betas": st.lists(st.floats(0, 0.9)).filter(lambda betas: len(betas) != 2)
            | st.tuples(not_fractions, st.floats(0, 0.9))
            | st.tuples(st.floats(0, 0.9), not_fractions)
            | (st.floats() | nothing | words),
            "eps": not_positive_number,
        },
    ),
    "fit": (
        partial(fit, progress=False),
        training,
        {
            "network": not_networks,
            "optimizer": not_optimizers,
            "x": not_data(exact=True),
            "labels": not_labels(),
            "x_test": not_data(exact=True).filter(lambda x: x is not None),
            "labels_test": not_labels().filter(lambda labels: labels is not None),
            "steps": not_counts,
            "batch_size": not_counts | st.integers(min_value=N + 1),
            "rng": not_rngs,
            "loss": not_functions | nothing,
            "evaluate_every": not_counts.filter(lambda every: every is not None),
            "watch": not_functions,
        },
    ),
    "fit (mean_squared_error)": (
        partial(fit, loss=mean_squared_error, x_test=None, labels_test=None, progress=False),
        lambda: {**training(), "labels": TARGETS, "x_test": None, "labels_test": None},
        {"x": not_data(exact=True), "labels": not_data(TARGETS)},
    ),
    "accuracy": (
        accuracy,
        lambda: {"network": network(), "x": X, "labels": LABELS},
        {"network": not_networks, "x": not_data(exact=True), "labels": not_labels()},
    ),
    "signals": (
        signals,
        lambda: {"network": network(), "x": X, "d_output": TARGETS},
        {
            "network": not_networks,
            "x": not_data() | st.just(X[:-1]),
            "d_output": not_data(TARGETS) | st.just(TARGETS[:-1]) | st.just(TARGETS[None]),
        },
    ),
    "check_gradients": (
        check_gradients,
        lambda: {"network": network(), "x": X, "labels": LABELS},
        {
            "network": not_networks,
            "x": not_data(exact=True),
            "labels": not_labels(),
            "loss": not_functions | nothing,
            "h": not_positive_number,
        },
    ),
    "numerical_gradient": (
        numerical_gradient,
        lambda: {"f": np.sum, "a": np.ones(3)},
        {
            "f": not_functions | nothing,
            "h": not_positive_number,
            "a": st.sampled_from(
                [
                    [1.0, 2.0],
                    np.ones(3, int),
                    np.ones(3, complex),
                    np.ones(0),
                    np.array([np.nan]),
                    1.0,
                ]
            )
            | (nothing | words),
        },
    ),
    "over_seeds": (
        over_seeds,
        lambda: {"run": mean_of_three, "rng": rng(), "seeds": 2},
        {
            "run": not_functions | nothing,
            "rng": not_rngs,
            "seeds": not_counts,
            "executor": not_executors,
        },
    ),
    "activation_distribution": (activation_distribution, lambda: {**flow, "rng": rng()}, not_flow),
    "gradient_flow": (
        gradient_flow,
        lambda: {**flow, "rng": rng(), "seeds": 1},
        {**not_flow, "seeds": not_counts, "executor": not_executors},
    ),
    "compare_initializers": (
        compare_initializers,
        experiment,
        {
            **not_learning,
            "init": not_inits.filter(lambda init: init is not None),
            "activation": not_activations,
            "lr": not_rates,
        },
    ),
    "batch_norm_grid": (
        batch_norm_grid,
        lambda: {**experiment(), "stds": [0.1]},
        {**not_learning, "stds": not_spreads, "lr": not_rates, "norm": not_norms},
    ),
    "learning_speed": (
        learning_speed,
        experiment,
        {
            **not_learning,
            "init": not_inits.filter(lambda init: init is not None),
            "activation": not_activations,
            "lr": not_positive_number,
            "every": not_counts,
            "norm": not_norms,
        },
    ),
    "gaussian": (
        gaussian,
        lambda: {"n": 3, "d": 2, "rng": rng()},
        {"n": not_counts, "d": not_counts, "rng": not_rngs, "dtype": not_dtypes},
    ),
    "digits": (
        digits,
        lambda: {"n_train": 100},
        {
            "n_train": not_counts | st.integers(0, 9) | st.integers(min_value=1788),
            "dtype": not_dtypes,
        },
    ),
    "fixed_point": (
        meanfield.fixed_point,
        lambda: {"activation": relu, "sigma_w": 1.2, "sigma_b": 0.1, "start": 1.0},
        {
            "activation": not_activations,
            "sigma_w": not_spreads | st.just(1e160),
            "sigma_b": not_spreads | st.just(1e160),
            "start": not_positive_number,
        },
    ),
    "chi_at": (
        meanfield.chi_at,
        lambda: {"activation": relu, "q": 1.0, "sigma_w": 1.2},
        {"activation": not_activations, "q": not_variances, "sigma_w": not_spreads},
    ),
    "critical_sigma_w": (
        meanfield.critical_sigma_w,
        lambda: {"activation": relu, "sigma_b": 0.0},
        {"activation": not_activations, "sigma_b": not_spreads},
    ),
    "correlation_map": (
        meanfield.correlation_map,
        lambda: {"activation": relu, "c": 0.5, "sigma_w": 1.2, "sigma_b": 0.1, "q": 1.0},
        {
            "activation": not_activations,
            "c": not_variances | st.just(1.5),
            "sigma_w": not_spreads,
            "sigma_b": not_spreads,
            "q": not_variances,
        },
    ),
}
# 別の言い方で名指すもの: 中で呼ぶ関数の引数の名前がそのまま出る
ALIASES = {("batch_norm_grid", "stds"): "std"}

CASES = [(name, argument) for name, (_, _, bad) in EDGE.items() for argument in bad]


@pytest.mark.parametrize("name", EDGE)
def test_the_good_arguments_are_accepted(name):
    function, good, _ = EDGE[name]
    required = {"z": 0.5} if name == "relu" else good()
    function(**required)


@pytest.mark.parametrize(("name", "argument"), CASES, ids=map(".".join, CASES))
@settings(max_examples=30)
@given(data=st.data())
def test_a_bad_argument_is_refused_by_name(name, argument, data):
    function, good, bad = EDGE[name]
    arguments = {**good(), argument: data.draw(bad[argument], label=argument)}
    refused(ALIASES.get((name, argument), argument), lambda: function(**arguments))


@given(bad=not_counts.filter(lambda value: value == value))
def test_the_message_shows_the_received_value(bad):
    assert repr(bad) in refused("n_in", lambda: he()(bad, 3, rng=rng()))
    assert repr([4, bad, 3]) in refused("widths", lambda: mlp([4, bad, 3], relu, he(), rng=rng()))


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
