"""信号の流れ: 分散の理論と、6.2.2・6.2.3 について本が述べることを、種をまたいで確かめる。"""

import tracemalloc

import numpy as np
import pytest
from scipy import integrate, stats

import vgbook.experiments.flow as flow_module
from vgbook.activations import Activation, identity, relu, sigmoid, tanh
from vgbook.experiments.flow import activation_distribution, gradient_flow, measure
from vgbook.initializers import he, normal, stack, xavier
from vgbook.layers.normalization import BatchNorm, LayerNorm
from vgbook.signals import per_layer, rms


def rng(seed=0):
    return np.random.default_rng(seed)


def gaussian_mean(f, q):
    return integrate.quad(lambda z: f(np.sqrt(q) * z) * stats.norm.pdf(z), -12, 12, limit=500)[0]


def test_the_distribution_experiment_has_the_shape_of_the_book():
    flow = activation_distribution(sigmoid, normal(1.0), rng=rng())
    assert [h.shape for h in flow.h] == [(1000, 100)] * 5
    many = activation_distribution(relu, stack(normal(0.01), he()), rng=rng(), samples=20)
    assert many.h[0].shape == (2, 20, 100)


def test_sigmoid_with_std_one_piles_up_at_both_ends_and_with_001_at_the_middle():
    wide = activation_distribution(sigmoid, normal(1.0), rng=rng()).h[0]
    narrow = activation_distribution(sigmoid, normal(0.01), rng=rng()).h[-1]
    assert np.mean((wide < 1e-3) | (wide > 1 - 1e-3)) > 0.4
    assert np.abs(narrow - 0.5).max() < 0.06


def test_relu_values_beyond_the_range_of_the_book_figure_exist():
    """元の図の範囲 (0, 1) は、He の ReLU の値のおよそ 4 分の 1 を捨てる。"""
    layers = activation_distribution(relu, he(), rng=rng()).h
    shares = [np.mean(h > 1) for h in layers]
    assert all(0.15 < share < 0.3 for share in shares)


def test_relu_halves_the_second_moment_and_he_restores_it():
    """1 層あたりの倍率は √(n σ²/2)。He なら 1、Xavier なら 1/√2、0.01 なら 0.0707。"""
    flow = gradient_flow(relu, stack(normal(0.01), xavier(), he()), rng=rng(), depth=10)
    factor = (flow.h[..., -1] / flow.h[..., 0]) ** (1 / 9)
    theory = np.sqrt(100 * np.array([0.01**2, 1 / 100, 2 / 100]) / 2)
    np.testing.assert_allclose(np.exp(np.log(factor).mean(axis=0)), theory, rtol=0.03)
    back = (flow.delta[..., 0] / flow.delta[..., -1]) ** (1 / 9)
    np.testing.assert_allclose(np.exp(np.log(back).mean(axis=0)), theory, rtol=0.04)


def test_sigmoid_gradients_follow_chi():
    """δ の二乗は 1 層ごとに χ₁ = n·std²·E[σ′(z)²] 倍になる (幅 100、深い層の前活性の分散で)。"""
    stds = {"1": 1.0, "xavier": 0.1}
    flow = gradient_flow(sigmoid, normal(list(stds.values())), rng=rng(), depth=12, samples=100)
    for member, std in enumerate(stds.values()):
        q = 100 * std**2 * 0.5
        for _ in range(50):  # 長さの写像の不動点
            q = 100 * std**2 * gaussian_mean(lambda z: sigmoid(z) ** 2, q)
        chi = 100 * std**2 * gaussian_mean(lambda z: sigmoid.derivative(z) ** 2, q)
        ratio = (flow.delta[:, member, 1] / flow.delta[:, member, 9]) ** (1 / 8)
        assert np.exp(np.log(ratio).mean()) == pytest.approx(np.sqrt(chi), rel=0.05)


def test_the_bad_example_of_622_does_not_vanish_but_xavier_does():
    """幅 100・5 層のシグモイドでは、std=1 の勾配は残り、Xavier の勾配は千分の一以下になる。"""
    flow = gradient_flow(
        sigmoid, stack(normal(1.0), xavier()), rng=rng(), depth=5, samples=1000, seeds=10
    )
    ratio = flow.delta[..., 0] / flow.delta[..., -1]
    assert ratio[:, 0].min() > 0.5
    assert ratio[:, 1].max() < 5e-3


def test_a_wide_histogram_is_not_information():
    """シグモイド + Xavier: 全体の標準偏差は保たれるが、データにわたる標準偏差は消える。"""
    flow = gradient_flow(sigmoid, xavier(), rng=rng(), depth=5, samples=1000)
    assert (flow.h_std[:, -1] / flow.h_std[:, 1]).min() > 0.8
    assert (flow.h_data_std[:, -1] / flow.h_data_std[:, 1]).max() < 0.03


def test_weight_gradients_hide_what_delta_shows():
    """tanh + 0.01: δ は 10 桁以上縮むのに、dW は入力側と出力側でほとんど同じ。"""
    flow = gradient_flow(tanh, normal(0.01), rng=rng(), depth=10)
    assert (flow.delta[:, 0] / flow.delta[:, -1]).max() < 1e-8
    ratio = flow.dW[:, 0] / flow.dW[:, -1]
    assert np.all((ratio > 0.2) & (ratio < 5))


def test_batch_norm_makes_gradients_explode_at_initialization():
    """ReLU + BN: 二乗で 1 層あたりおよそ π/(π−1) = 1.467 倍 (Yang et al., 2019)。"""
    flow = gradient_flow(
        relu, he(), rng=rng(), depth=15, width=300, samples=128, norm=BatchNorm, seeds=4
    )
    growth = (flow.delta[:, 2] / flow.delta[:, 12]) ** (2 / 10)
    assert np.exp(np.log(growth).mean()) == pytest.approx(np.pi / (np.pi - 1), rel=0.05)


def test_rms_survives_numbers_whose_squares_underflow():
    tiny = np.full((2, 3, 4), 1e-200)
    np.testing.assert_allclose(rms(tiny), 1e-200, rtol=1e-15)
    assert rms(np.zeros((3, 4))) == 0
    a = rng().standard_normal((5, 3, 4))
    np.testing.assert_allclose(rms(a), np.sqrt(np.mean(a**2, axis=(-2, -1))), rtol=1e-14)
    assert per_layer(rms, [a, a]).shape == (5, 2)


@pytest.mark.parametrize("size", [1e-200, 1e-155, 1e200, 1e308])
def test_rms_scales_with_its_values_where_squares_leave_the_range_of_floats(size):
    a = rng().uniform(0.1, 1, (2, 30, 40))
    np.testing.assert_allclose(rms(size * a), size * rms(a), rtol=1e-14)


def test_rms_of_small_integers_does_not_wrap_around():
    assert rms(np.full((3, 4), 100, np.int8)) == 100


def test_rms_of_a_member_does_not_depend_on_its_neighbours():
    """隣に測り直す要素があってもなくても、同じビット。チャンクの切り方で答えが変わらないため。"""
    a = rng().standard_normal((3, 30, 40))
    a[1] *= 1e-200
    for i in range(3):
        assert rms(a)[i] == rms(a[i])


@pytest.mark.parametrize("norm", [None, BatchNorm])
@pytest.mark.parametrize("activation", [identity, relu, sigmoid])
def test_the_sizes_are_those_of_the_signals(activation, norm):
    """測りながら流した大きさは、流し終えてから信号そのもので測った大きさと同じ。"""
    options = {"depth": 3, "width": 10, "samples": 50, "norm": norm}
    flow = gradient_flow(activation, xavier(), rng=rng(), seeds=1, **options)
    one = activation_distribution(activation, xavier(), rng=rng().spawn(1)[0], **options)
    sizes = {
        "h": [np.sqrt(np.mean(h**2)) for h in one.h],
        "h_std": [h.std() for h in one.h],
        "h_data_std": [np.sqrt(h.var(axis=0).mean()) for h in one.h],
        "delta": [np.sqrt(np.mean(delta**2)) for delta in one.delta],
        "dW": [np.sqrt(np.mean(dW**2)) for dW in one.dW],
    }
    for name, expected in sizes.items():
        np.testing.assert_allclose(getattr(flow, name)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("size", [1e-200, 1e200, np.inf, np.nan])
def test_the_spread_survives_numbers_whose_squares_leave_the_range_of_floats(size):
    """+∞ や NaN の出力から、有限の広がりは作らない。"""
    push = Activation("push", lambda z: size * np.sign(z), np.ones_like)
    flow = gradient_flow(push, he(), rng=rng(), depth=2, width=8, samples=30, seeds=2)
    first = flow.h_std[:, 0]
    np.testing.assert_allclose(first, size if size < np.inf else np.nan, rtol=0.1)
    np.testing.assert_allclose(flow.h[:, 0], abs(size), rtol=1e-12)


@pytest.mark.parametrize("norm", [None, BatchNorm, LayerNorm])
@pytest.mark.parametrize(("depth", "samples"), [(30, 20), (30, 200), (5, 1000), (1, 1000)])
def test_the_memory_is_known_before_the_run(monkeypatch, norm, depth, samples):
    asked = []
    monkeypatch.setattr(flow_module, "over_members", lambda *_, nbytes, **__: asked.append(nbytes))
    options = {"depth": depth, "width": 100, "samples": samples, "norm": norm}
    gradient_flow(relu, he(), rng=rng(), **options)
    tracemalloc.start()
    measure(relu, he(), rng(), **options)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.8 * asked[0] < most < 1.2 * asked[0]


@pytest.mark.parametrize("name", ["depth", "width", "samples", "seeds"])
def test_counts_are_checked(name):
    with pytest.raises(ValueError, match=f"{name} には 1 以上の整数"):
        gradient_flow(relu, he(), rng=rng(), **{name: 0})
