"""公開関数が、どの形・どの型・どの極端な値でも守る性質。答えではなく、答えどうしの関係を調べる。

`holds` に、性質が述べる関数の名前を書く。性質のない公開関数があれば、最後の試験が失敗する。
"""

import inspect
from collections.abc import Callable
from itertools import chain

import numpy as np
import pytest
from activation_table import ACTIVATIONS, SMOOTH
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import vgbook as vg
from vgbook.theory import moments, quadrature

COVERED: set[str] = set()
GAINED = [vg.normal, vg.xavier, vg.lecun, vg.glorot, vg.glorot_uniform, vg.he, vg.orthogonal]

dtypes = st.sampled_from([np.float32, np.float64])
sizes = st.integers(1, 6)
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
gains = st.floats(1e-3, 1e3)
norms = st.sampled_from([None, vg.BatchNorm, vg.LayerNorm])
few = settings(max_examples=20)


def holds(*names: str) -> Callable[[Callable], Callable]:
    COVERED.update(names)
    return lambda test: test


@st.composite
def batches(draw: st.DrawFn, *, least: int = 1) -> np.ndarray:
    """標本 × 特徴。同じ値の列も、桁の違う値もある。"""
    shape = draw(st.tuples(st.integers(least, 6), sizes))
    return draw(arrays.arrays(draw(dtypes), shape, elements=st.floats(-1e3, 1e3, width=32)))


@st.composite
def problems(draw: st.DrawFn, dtypes: st.SearchStrategy = dtypes) -> tuple:
    """3 つの小さなネットワークの集団と、その入力とラベル。"""
    rng, dtype = draw(seeds), draw(dtypes)
    widths = [draw(sizes), draw(st.integers(2, 5)), draw(st.integers(2, 4))]
    init = vg.he(gain=rng.uniform(0.5, 2, 3))
    norm, activation = draw(norms), draw(st.sampled_from([*SMOOTH, vg.relu]))
    network = vg.mlp(widths, activation, init, rng=rng, norm=norm, dtype=dtype)
    n = draw(st.integers(2, 6))
    return (
        network,
        rng.standard_normal((n, widths[0])).astype(dtype),
        rng.integers(widths[-1], size=n),
    )


def member(network: vg.Network, index: int) -> vg.Network:
    """集団の 1 つだけを取り出したネットワーク。"""
    layers = []
    for layer in network:
        if isinstance(layer, vg.Affine):
            layers.append(vg.Affine(*(layer.params[name][index].copy() for name in ("W", "b"))))
        elif isinstance(layer, vg.Activate):
            layers.append(vg.Activate(layer.activation))
        else:
            gamma = layer.params["gamma"]
            layers.append(type(layer)(gamma.shape[-1], dtype=gamma.dtype))
    return vg.Network(layers)


def close(a: np.ndarray, b: np.ndarray, dtype: np.dtype) -> None:
    tolerance = 200 * np.finfo(dtype).eps
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * (1 + np.abs(b).max()))


# --- 活性化関数 ---------------------------------------------------------------------------


@holds(*(a.name.partition("(")[0] for a in ACTIVATIONS), "Activation", "Activate")
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@given(z=arrays.arrays(dtypes, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0)))
def test_an_activation_works_on_each_element_alone(activation, z):
    z = np.where(np.isfinite(z), z / 2, z)  # SELU の 1.05 倍が、型の上限を超えないように
    for f in (activation, activation.derivative):
        y = f(z)
        assert (y.shape, y.dtype) == (z.shape, z.dtype)
        alone = np.array([f(value) for value in z.ravel()], z.dtype).reshape(z.shape)
        # ベクトル命令は、端の要素を別の命令で計算する。最後の桁だけが違ってよい
        np.testing.assert_array_max_ulp(y[np.isfinite(z)], alone[np.isfinite(z)], 4, z.dtype)
        assert np.array_equal(y[~np.isfinite(z)], alone[~np.isfinite(z)], equal_nan=True)
        assert not np.isnan(y[~np.isnan(z)]).any()
    layer, rows = vg.Activate(activation), z.reshape(1, -1)
    assert np.array_equal(layer.forward(rows), activation(rows), equal_nan=True)
    slopes = layer.backward(np.ones_like(rows))
    assert np.array_equal(slopes, activation.derivative(rows), equal_nan=True)


# --- 初期値 -------------------------------------------------------------------------------


@holds("normal", "xavier", "lecun", "glorot", "glorot_uniform", "he", "orthogonal", "constant")
@holds("Initializer", "stack")
@pytest.mark.parametrize("scheme", [*GAINED, vg.constant], ids=lambda scheme: scheme.__name__)
@given(n_in=sizes, n_out=sizes, gain=gains, copies=st.lists(sizes, max_size=2), seed=st.integers(0))
def test_weights_are_proportional_to_the_gain_with_the_same_noise(
    scheme, n_in, n_out, gain, copies, seed
):
    def draw(g, copies=()):
        init = scheme(gain=g, copies=copies) if scheme is vg.he else scheme(g, copies=copies)
        return init(n_in, n_out, rng=np.random.default_rng(seed))

    W = draw(np.array([1.0, gain]), tuple(copies))
    assert W.shape == (2, *copies, n_in, n_out)
    assert W.dtype == np.float64
    np.testing.assert_allclose(W[1], gain * W[0], rtol=1e-12)
    if scheme is vg.orthogonal:
        gram = W[0] @ W[0].swapaxes(-1, -2) if n_in <= n_out else W[0].swapaxes(-1, -2) @ W[0]
        np.testing.assert_allclose(
            gram, np.broadcast_to(np.eye(min(n_in, n_out)), gram.shape), atol=1e-12
        )
    elif scheme in (vg.glorot_uniform, vg.constant):
        limit = np.sqrt(6 / (n_in + n_out)) if scheme is vg.glorot_uniform else 1
        assert (np.abs(W[0]) <= limit).all()
    stacked = vg.stack(vg.constant(0.0), vg.constant(gain))(
        n_in, n_out, rng=np.random.default_rng(0)
    )
    assert np.array_equal(
        stacked, np.broadcast_to(np.array([0, gain])[:, None, None], stacked.shape)
    )


# --- 層とネットワーク ---------------------------------------------------------------------


@holds("Affine")
@given(x=batches(), n_out=sizes, rng=seeds)
def test_an_affine_layer_is_affine_and_its_backward_is_the_transpose(x, n_out, rng):
    W, b = (rng.standard_normal((n, n_out)).astype(x.dtype) for n in (x.shape[-1], 1))
    layer = vg.Affine(W, b)
    y = layer.forward(x)
    dy = rng.standard_normal(y.shape).astype(x.dtype)
    dx = layer.backward(dy)
    scale = np.finfo(x.dtype).eps * 100 * (1 + np.abs(x).max()) * y.size * x.shape[-1]
    assert abs(np.vdot(dy, y - b) - np.vdot(dx, x)) <= scale * (1 + np.abs(W).max())
    assert abs(np.vdot(layer.grads["W"], W) - np.vdot(dx, x)) <= scale * (1 + np.abs(W).max())


@holds("BatchNorm", "LayerNorm")
@pytest.mark.parametrize(("norm", "axis"), [(vg.BatchNorm, -2), (vg.LayerNorm, -1)])
@given(x=batches(least=2), shift=st.floats(-10, 10), dy=seeds)
def test_normalization_forgets_the_shift_and_its_gradient_is_orthogonal_to_it(
    norm, axis, x, shift, dy
):
    x = x.astype(float)
    assume(x.std(axis=axis).min() > 1e-2)  # 分散がほとんど 0 なら、ε が効いて別の話になる
    layer = norm(x.shape[-1])
    y = layer.forward(x)
    np.testing.assert_allclose(norm(x.shape[-1]).forward(x + shift), y, atol=1e-6)
    np.testing.assert_allclose(y.mean(axis=axis), 0, atol=1e-9)
    assert (y.std(axis=axis) <= 1 + 1e-9).all()
    dx = layer.backward(dy.standard_normal(y.shape))
    np.testing.assert_allclose(dx.sum(axis=axis), 0, atol=1e-8 * (1 + np.abs(dx).max()))


@holds("Residual", "Recurrent", "LastStep")
@given(x=batches(), rng=seeds, scale=st.floats(0.01, 2))
def test_a_residual_block_adds_and_a_recurrent_cell_without_memory_is_a_layer(x, rng, scale):
    n = x.shape[-1]
    W, b = (rng.standard_normal((m, n)).astype(x.dtype) for m in (n, 1))
    block = vg.Residual([vg.Affine(W, b)], scale=scale)
    close(block.forward(x), x + np.asarray(scale, x.dtype) * (x @ W + b), x.dtype)
    cell = vg.Recurrent(W, np.zeros_like(W), vg.tanh, b)
    sequence = np.stack([x, x])
    close(vg.LastStep().forward(cell.forward(sequence)), vg.tanh(x @ W + b), x.dtype)


@few
@holds("mlp", "Network", "Layer", "signals", "Signals", "trace", "accuracy")
@given(problems())
def test_an_ensemble_is_its_members(case):
    network, x, labels = case
    _, d_output = vg.softmax_cross_entropy(network.forward(x), labels)
    together = vg.signals(network, x, d_output)
    _, deltas = vg.trace(network, x, d_output)
    assert len(deltas) >= len(together.delta)
    score = vg.accuracy(network, x, labels)
    order = np.random.default_rng(0).permutation(len(x))
    assert np.array_equal(vg.accuracy(network, x[order], labels[order]), score)
    assert ((score >= 0) & (score <= 1)).all()
    for index in range(3):
        alone = vg.signals(member(network, index), x, d_output[index])
        for a, b in zip(chain(*alone), chain(*together), strict=True):
            close(a, b[index], x.dtype)


@holds("softmax_cross_entropy")
@given(logits=batches().filter(lambda y: y.shape[1] > 1), shift=st.floats(-100, 100), rng=seeds)
def test_cross_entropy_ignores_a_common_shift_and_its_gradient_sums_to_zero(logits, shift, rng):
    labels = rng.integers(logits.shape[-1], size=len(logits))
    loss, d_logits = vg.softmax_cross_entropy(logits, labels)
    assert loss >= 0
    np.testing.assert_allclose(d_logits.sum(axis=-1), 0, atol=8 * np.finfo(logits.dtype).eps)
    assert (d_logits[np.arange(len(labels)), labels] <= 0).all()
    shifted, _ = vg.softmax_cross_entropy(logits + np.asarray(shift, logits.dtype), labels)
    close(shifted, loss, np.dtype(np.float32))  # ずらす足し算そのものの丸め


@holds("sigmoid_cross_entropy")
@given(z=batches(), rng=seeds)
def test_the_sigmoid_loss_is_the_softmax_loss_of_two_classes(z, rng):
    z = z[:, :1].astype(float)
    labels = rng.integers(2, size=len(z))
    loss, dz = vg.sigmoid_cross_entropy(z, labels)
    both, d_both = vg.softmax_cross_entropy(np.hstack([np.zeros_like(z), z]), labels)
    np.testing.assert_allclose(loss, both, rtol=1e-12)
    np.testing.assert_allclose(dz, d_both[:, 1:], rtol=1e-9, atol=1e-15)


@holds("mean_squared_error")
@given(y=batches(), scale=st.sampled_from([0.5, 2.0, -4.0]))
def test_squared_error_is_quadratic_and_symmetric(y, scale):
    t = y[::-1].copy()
    loss, dy = vg.mean_squared_error(y, t)
    other, dt = vg.mean_squared_error(t, y)
    assert loss == pytest.approx(other, rel=1e-6)
    assert np.array_equal(dy, -dt)
    factor = np.asarray(scale, y.dtype)
    assert vg.mean_squared_error(factor * y, factor * t)[0] == pytest.approx(
        scale**2 * loss, rel=1e-6
    )


# --- 学習 ---------------------------------------------------------------------------------


@few
@holds("SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam", "AdamW", "fit", "History")
@pytest.mark.parametrize(
    "optimizer",
    [vg.SGD, vg.Momentum, vg.Nesterov, vg.AdaGrad, vg.RMSProp, vg.Adam, vg.AdamW],
)
@given(
    case=problems(st.just(np.float64)),  # float32 では、丸めの違いが更新のたびに広がる
    rates=st.lists(st.floats(1e-3, 0.1), min_size=3, max_size=3),
)
def test_training_an_ensemble_is_training_its_members(optimizer, case, rates):
    network, x, labels = case

    def train(one, lr):
        rng = np.random.default_rng(0)
        return vg.fit(one, optimizer(lr), x, labels, steps=3, batch_size=len(x), rng=rng)

    members = [member(network, index) for index in range(3)]  # 学習で変わる前に写す
    together = train(network, np.array(rates))
    for index, (one, lr) in enumerate(zip(members, rates, strict=True)):
        alone = train(one, lr)
        assert np.array_equal(alone.at, together.at)
        np.testing.assert_allclose(alone.loss, together.loss[:, index], rtol=1e-6, atol=1e-9)


@few
@holds("Clip")
@given(case=problems(), limit=st.floats(1e-4, 10))
def test_a_clipped_gradient_keeps_its_direction_and_has_the_length_of_the_limit(case, limit):
    network, x, labels = case
    eps = np.finfo(x.dtype).eps
    _, dy = vg.softmax_cross_entropy(network.forward(x), labels)
    network.backward(dy)
    before = [(p.copy(), g.copy()) for p, g in network.pairs()]
    vg.Clip(vg.SGD(1.0), limit).step(network)
    for index in range(3):
        steps = np.concatenate(
            [(p - q[0])[index].ravel() for (p, _), q in zip(before, network.pairs(), strict=True)]
        )
        grads = np.concatenate([g[index].ravel() for _, g in before])
        rounding = 100 * eps * max(np.abs(p).max() for p, _ in before) * np.sqrt(grads.size)
        length = min(limit, np.linalg.norm(grads))
        assert np.linalg.norm(steps) == pytest.approx(length, rel=1e-5, abs=rounding)
        lengths = np.linalg.norm(steps) * np.linalg.norm(grads)
        assert np.dot(steps, grads) >= lengths * (1 - 1e-4) - rounding * np.linalg.norm(grads)


@few
@holds("check_gradients", "Check", "numerical_gradient")
@given(rng=seeds, activation=st.sampled_from(SMOOTH), norm=norms, n=st.integers(3, 6))
def test_every_smooth_network_passes_the_gradient_check(rng, activation, norm, n):
    network = vg.mlp([3, 4, 2], activation, vg.xavier(), rng=rng, norm=norm)
    x, labels = rng.standard_normal((n, 3)), rng.integers(2, size=n)
    for check in vg.check_gradients(network, x, labels):
        assert check.error <= 1e-5 or check.error * check.scale <= 100 * check.noise, check
    a, A = rng.standard_normal(4), rng.standard_normal((4, 4))
    gradient = vg.numerical_gradient(lambda v: v @ A @ v, a.copy())
    np.testing.assert_allclose(gradient, (A + A.T) @ a, atol=1e-7)


# --- 理論 ---------------------------------------------------------------------------------


@holds("gaussian_mean", "pair_mean")
@given(q=st.floats(1e-3, 1e3), c=st.floats(-1, 1))
def test_gaussian_means_of_polynomials_are_exact(q, c):
    assert quadrature.gaussian_mean(np.square, q) == pytest.approx(q, rel=1e-10)
    assert quadrature.gaussian_mean(lambda u: u**4, q) == pytest.approx(3 * q**2, rel=1e-10)
    assert quadrature.pair_mean(lambda u: u, q, c) == pytest.approx(c * q, rel=1e-8, abs=1e-10 * q)


@few
@holds("mean_square", "slope_square", "moments", "Moments", "gain", "bn_explosion", "ln_factor")
@given(q=st.floats(0.05, 20), activation=st.sampled_from([*SMOOTH, vg.relu, vg.leaky_relu()]))
def test_moments_satisfy_their_inequalities(q, activation):
    m = moments.moments(activation, q)
    assert m.variance == pytest.approx(m.mean_square - m.mean**2, rel=1e-9, abs=1e-12)
    assert m.mean_square == moments.mean_square(activation, q)
    assert m.slope_square == moments.slope_square(activation, q)
    assert m.variance <= q * m.slope_square * (1 + 1e-9)  # ポアンカレの不等式
    assert moments.gain(activation, q) ** 2 * m.mean_square == pytest.approx(q, rel=1e-9)
    assert moments.bn_explosion(activation) >= 1 - 1e-12
    assert moments.ln_factor(activation) <= moments.bn_explosion(activation) * (1 + 1e-12)


# --- 実験 ---------------------------------------------------------------------------------


@few
@holds("gradient_flow", "Flow", "activation_distribution", "over_seeds", "over_members")
@given(depth=st.integers(1, 4), width=sizes, samples=st.integers(2, 5), chunk=st.integers(1, 5))
def test_a_flow_does_not_depend_on_its_chunks(depth, width, samples, chunk):
    def flow(size):
        init, rng = vg.normal([0.1, 1.0]), np.random.default_rng(0)
        options = {"depth": depth, "width": width, "samples": samples, "seeds": 3, "chunk": size}
        return vg.gradient_flow(vg.tanh, init, rng=rng, **options)

    whole, parts = flow(None), flow(chunk)
    for name in ("h", "h_std", "h_data_std", "delta", "dW"):
        a, b = getattr(whole, name), getattr(parts, name)
        assert a.shape == (3, 2, depth)
        assert np.array_equal(a, b)
    rng = np.random.default_rng(0)
    shown = vg.activation_distribution(
        vg.tanh, vg.xavier(), rng=rng, depth=depth, width=width, samples=samples
    )
    assert [h.shape for h in shown.h] == [(samples, width)] * depth


@few
@holds("lsuv")
@given(rng=seeds, gain=gains, width=st.integers(4, 12))
def test_lsuv_forgets_the_initial_scale(rng, gain, width):
    network = vg.mlp([width] * 4, vg.tanh, vg.normal(gain), rng=rng)
    x = rng.standard_normal((50, width))
    vg.lsuv(network, x)
    for z in vg.signals(network, x, np.ones((50, width))).z:
        assert z.var() == pytest.approx(1, abs=0.02)


@few
@holds("diagnose", "Diagnosis", "from_state_dict")
@given(rng=seeds, activation=st.sampled_from([vg.relu, vg.tanh]), depth=st.integers(2, 5))
def test_a_diagnosis_is_the_same_for_the_same_weights(rng, activation, depth):
    network = vg.mlp([4] * depth + [3], activation, vg.he(), rng=rng)
    state = {}
    for index, layer in enumerate(network.affines):
        state |= {
            f"{2 * index}.weight": layer.params["W"].T,
            f"{2 * index}.bias": layer.params["b"][0],
        }
    x, labels = rng.standard_normal((20, 4)), rng.integers(3, size=20)
    one = vg.diagnose(network, x, labels)
    other = vg.diagnose(vg.from_state_dict(state, activation), x, labels)
    assert str(one) == str(other)
    assert ((one.dead >= 0) & (one.dead <= 1)).all()
    assert ((one.saturated >= 0) & (one.saturated <= 1)).all()


@few
@holds("gaussian", "digits", "Dataset")
@given(n=sizes, d=sizes, dtype=dtypes, seed=st.integers(0, 9), n_train=st.integers(10, 1787))
def test_datasets_have_the_asked_shape_and_dtype(n, d, dtype, seed, n_train):
    x = vg.gaussian(n, d, rng=np.random.default_rng(seed), dtype=dtype)
    assert (x.shape, x.dtype) == ((n, d), dtype)
    data = vg.digits(dtype, n_train=n_train)
    assert data.x_train.shape == (n_train, 64)
    assert data.x_train.dtype == data.x_test.dtype == dtype
    assert len(data.x_train) + len(data.x_test) == 1797


@pytest.mark.slow
@holds("compare_initializers", "batch_norm_grid", "learning_speed")
@settings(max_examples=5)
@given(chunk=st.integers(1, 4), steps=st.integers(1, 3))
def test_experiments_do_not_depend_on_their_chunks(chunk, steps):
    small = {"hidden": (5, 4), "steps": steps, "batch_size": 20, "seeds": 2}
    for experiment in (vg.compare_initializers, vg.learning_speed):
        whole, parts = (
            experiment(rng=np.random.default_rng(0), chunk=size, **small) for size in (None, chunk)
        )
        assert np.array_equal(whole.loss, parts.loss)
    whole, parts = (
        vg.batch_norm_grid(rng=np.random.default_rng(0), stds=[0.1, 1.0], chunk=size, **small)
        for size in (None, chunk)
    )
    assert np.array_equal(whole.plain.loss, parts.plain.loss)
    assert np.array_equal(whole.normalized.test_accuracy, parts.normalized.test_accuracy)


def test_every_public_name_has_a_property():
    theory = {
        name
        for module in (quadrature, moments)
        for name, value in vars(module).items()
        if inspect.isroutine(value) and value.__module__ == module.__name__ and name[0] != "_"
    }
    elsewhere = {"mnist"}  # ファイルを壊す性質は test_datasets.py にある
    names = {name for name in vg.__all__ if not inspect.ismodule(getattr(vg, name))}
    assert names | theory <= COVERED | elsewhere
