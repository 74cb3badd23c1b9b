"""変えても答えの変わらないもの: 標本の順、バッチの分け方、入力の倍率、入れ子、型、集団。

層は ``vgbook.layers`` から、実験は ``vgbook.experiments`` から見つける。増えた層や実験に関係を
書き忘れると、最後の試験が失敗する。
"""

import copy
import inspect

import numpy as np
import pytest

import vgbook as vg
from vgbook import experiments, layers

N, T, WIDTH = 6, 3, 4
MEMBERS = 2


def rng(seed=0):
    return np.random.default_rng(seed)


def weights(seed, dtype, ensemble, shape=(WIDTH, WIDTH)):
    return rng(seed).standard_normal((*ensemble, *shape)).astype(dtype) / 2


def affine(dtype=float, ensemble=()):
    return vg.Affine(weights(1, dtype, ensemble), weights(2, dtype, ensemble, (1, WIDTH)))


def branch(dtype=float, ensemble=()):
    return vg.Residual([affine(dtype, ensemble), vg.Activate(vg.tanh)], scale=0.5)


def normalized(kind):
    def make(dtype=float, ensemble=()):
        layer = kind(WIDTH, ensemble=ensemble, dtype=dtype)
        layer.params["gamma"][...] = weights(3, dtype, ensemble, (1, WIDTH))
        return layer

    return make


MAKE = {
    "Affine": affine,
    "Activate": lambda dtype=float, ensemble=(): vg.Activate(vg.gelu_tanh),
    "BatchNorm": normalized(vg.BatchNorm),
    "LayerNorm": normalized(vg.LayerNorm),
    "Residual": branch,
    "Recurrent": lambda dtype=float, ensemble=(): vg.Recurrent(
        weights(4, dtype, ensemble), weights(5, dtype, ensemble), vg.tanh
    ),
    "LastStep": lambda dtype=float, ensemble=(): vg.LastStep(),
}
IN_TIME = {"Recurrent", "LastStep"}
every_layer = pytest.mark.parametrize("name", MAKE)


def inputs(name, ensemble=()):
    time = (T,) if name in IN_TIME else ()
    return rng(7).standard_normal((*ensemble, *time, N, WIDTH))


def run(layer, x, dy=None):
    """出力、入力での勾配、重みの勾配。"""
    y = layer.forward(x)
    dy = np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype) if dy is None else dy
    dx = layer.backward(dy)
    return y, dx, {key: grad.copy() for key, grad in layer.grads.items()}


def same(ours, theirs, rtol=1e-10, atol=1e-12):
    for a, b in zip(ours[:2], theirs[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
    assert ours[2].keys() == theirs[2].keys()
    for key, grad in ours[2].items():
        np.testing.assert_allclose(grad, theirs[2][key], rtol=rtol, atol=atol)


@every_layer
def test_the_order_of_the_samples_does_not_matter(name):
    x, order = inputs(name), rng(8).permutation(N)
    y, dx, grads = run(MAKE[name](), x)
    dy = np.cos(np.arange(y.size)).reshape(y.shape)
    shuffled = run(MAKE[name](), x[..., order, :], dy[..., order, :])
    same(shuffled, (y[..., order, :], dx[..., order, :], grads))


@pytest.mark.parametrize("name", [name for name in MAKE if name != "BatchNorm"])
def test_a_batch_may_be_split(name):
    """バッチの統計を使わない層なら、半分ずつ流しても同じ値で、重みの勾配は和になる。"""
    x = inputs(name)
    whole = run(MAKE[name](), x)
    dy = np.cos(np.arange(whole[0].size)).reshape(whole[0].shape)
    parts = [
        run(MAKE[name](), x[..., half, :], dy[..., half, :]) for half in np.split(np.arange(N), 2)
    ]
    joined = [np.concatenate([part[i] for part in parts], axis=-2) for i in (0, 1)]
    same(whole, (*joined, {key: parts[0][2][key] + parts[1][2][key] for key in whole[2]}))


@pytest.mark.parametrize("factor", [1e-150, 3.0, 1e150])
def test_linear_layers_keep_the_scale_and_normalization_forgets_it(factor):
    x = inputs("Affine")
    plain = vg.Affine(weights(1, float, ()))
    for layer in (plain, vg.Activate(vg.relu), vg.Residual([plain, vg.Activate(vg.relu)])):
        y = layer.forward(x).copy()
        np.testing.assert_allclose(layer.forward(factor * x), factor * y, rtol=1e-12)
    if factor == 3.0:
        for kind in (vg.BatchNorm, vg.LayerNorm):
            layer = kind(WIDTH, eps=1e-14)
            y = layer.forward(x).copy()
            np.testing.assert_allclose(layer.forward(factor * x), y, rtol=1e-8)


@pytest.mark.parametrize("name", [name for name in MAKE if name not in IN_TIME])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_layer_inside_residual_blocks_is_the_same_layer(name, depth):
    x = inputs(name)
    y, dx, grads = run(MAKE[name](), x)
    nested = MAKE[name]()
    for _ in range(depth):  # 枝の枝の枝: y = x + (x + (x + F(x)))
        nested = vg.Residual([nested])
    dy = np.cos(np.arange(y.size)).reshape(y.shape)
    got = run(nested, x)
    np.testing.assert_allclose(got[0], y + depth * x, rtol=1e-12)
    np.testing.assert_allclose(got[1], dx + depth * dy, rtol=1e-10)
    for ours, theirs in zip(got[2].values(), grads.values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_prediction_and_the_gradient_check_see_into_nested_blocks(depth):
    block = [normalized(vg.BatchNorm)(), vg.Activate(vg.relu), affine()]
    for _ in range(depth):
        block = [vg.Residual(block)]
    network, x = vg.Network([affine(), *block, affine()]), inputs("Affine")
    network.forward(x)
    kept = copy.deepcopy([leaf.running_mean for leaf in network.leaves() if hasattr(leaf, "eps")])
    np.testing.assert_allclose(network.predict(x)[:2], network.predict(x[:2]), rtol=1e-10)
    moved = [leaf.running_mean for leaf in network.leaves() if hasattr(leaf, "eps")]
    np.testing.assert_array_equal(moved, kept)
    with pytest.raises(ValueError, match="大きさ 1 のバッチ"):
        vg.check_gradients(network, x[:1], np.array([0]))
    checks = vg.check_gradients(network, x, rng(9).integers(WIDTH, size=N))
    assert all(check.ok() for check in checks)


@every_layer
def test_float32_agrees_with_float64_and_stays_float32(name):
    x = inputs(name)
    wide, narrow = run(MAKE[name](), x), run(MAKE[name](np.float32), x.astype(np.float32))
    same(narrow, wide, rtol=2e-4, atol=2e-5)
    assert all(a.dtype == np.float32 for a in (*narrow[:2], *narrow[2].values()))


@every_layer
def test_a_member_alone_is_the_member_in_the_ensemble(name):
    """集団の大きさをバッチの大きさや時刻の数と同じにして、軸の取り違えも見る。"""
    for members in (MEMBERS, T, N):
        x = inputs(name, (members,))
        together = MAKE[name](ensemble=(members,))
        y, dx, grads = run(together, x)
        for i in range(members):
            alone = copy.deepcopy(together)
            for key in alone.params if name != "Residual" else []:
                alone.params[key] = alone.params[key][i]
            if name == "Residual":
                for leaf in vg.Network(alone.branch).leaves():
                    for key in leaf.params:
                        leaf.params[key] = leaf.params[key][i]
            if name == "BatchNorm":
                alone.running_mean, alone.running_var = alone.running_mean[i], alone.running_var[i]
            dy = np.cos(np.arange(y.size)).reshape(y.shape)[i]
            same(run(alone, x[i], dy), (y[i], dx[i], {k: g[i] for k, g in grads.items()}))


# ---- 実験

DATA = vg.Dataset(
    rng(1).random((40, 5)), rng(2).integers(3, size=40), rng(3).random((20, 5)), np.arange(20) % 3
)
LEARN = {"hidden": (6, 6), "steps": 4, "batch_size": 8, "data": DATA}
FLOW = {"depth": 3, "width": 8, "samples": 7}


def flow(init, **options):
    options.pop("dtype", None)
    return vg.gradient_flow(vg.tanh, init, **FLOW, **options)


def shown(init, *, seeds, **options):
    options.pop("dtype", None)
    return vg.activation_distribution(vg.tanh, init, **FLOW, **options)


EXPERIMENTS = {
    "gradient_flow": (flow, lambda result: [result.h, result.delta, result.dW], 1),
    "compare_initializers": (
        lambda init, **options: vg.compare_initializers(init=init, **LEARN, **options),
        lambda history: [history.loss],
        2,
    ),
    "learning_speed": (
        lambda init, **options: vg.learning_speed(init=init, every=2, **LEARN, **options),
        lambda speed: [speed.dW, speed.update],
        2,
    ),
    "batch_norm_grid": (
        lambda init, **options: vg.batch_norm_grid(
            stds=init.gain, evaluate_every=2, **LEARN, **options
        ),
        lambda grid: [grid.plain.loss, grid.normalized.loss],
        2,
    ),
    "activation_distribution": (
        shown,
        lambda result: [result.h[-1][None], result.delta[0][None]],
        1,
    ),
}
every_experiment = pytest.mark.parametrize("name", EXPERIMENTS)


@every_experiment
def test_a_member_of_an_experiment_runs_alone_with_the_same_numbers(name):
    experiment, values, axis = EXPERIMENTS[name]
    stds = [0.3, 0.7]
    many = values(experiment(vg.normal(stds), rng=rng(), seeds=2))
    for i, std in enumerate(stds):
        one = values(experiment(vg.normal(std), rng=rng(), seeds=2))
        for a, b in zip(many, one, strict=True):
            np.testing.assert_allclose(np.take(a, i, axis=axis), b, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name[0] != "a"])
def test_more_seeds_do_not_change_the_first_ones(name):
    experiment, values, _ = EXPERIMENTS[name]
    few, more = (values(experiment(vg.normal(0.5), rng=rng(), seeds=seeds)) for seeds in (2, 3))
    for a, b in zip(few, more, strict=True):
        np.testing.assert_array_equal(a, b[:2])


def test_the_order_of_the_test_data_does_not_change_the_accuracy():
    order = rng(4).permutation(20)
    mixed = DATA._replace(x_test=DATA.x_test[order], labels_test=DATA.labels_test[order])
    options = {**LEARN, "seeds": 2, "evaluate_every": 2, "init": vg.he()}
    a, b = (
        vg.compare_initializers(rng=rng(), **{**options, "data": data}) for data in (DATA, mixed)
    )
    np.testing.assert_array_equal(a.test_accuracy, b.test_accuracy)


def test_experiments_in_float32_follow_those_in_float64():
    narrow = DATA._replace(
        x_train=DATA.x_train.astype(np.float32), x_test=DATA.x_test.astype(np.float32)
    )
    a, b = (
        vg.compare_initializers(rng=rng(), init=vg.he(), seeds=2, **{**LEARN, "data": data})
        for data in (DATA, narrow)
    )
    assert b.loss.dtype == np.float32
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-4)


def test_every_layer_and_every_experiment_has_its_relations():
    assert set(MAKE) == set(layers.__all__) - {"Layer"}
    found = {
        name
        for name in experiments.__all__
        if inspect.isfunction(function := getattr(experiments, name))
        and "rng" in inspect.signature(function).parameters
    }
    assert set(EXPERIMENTS) == found - {"gaussian"}  # 乱数を引くだけのもの
