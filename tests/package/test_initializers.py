"""初期値: 標準偏差、形、集団の軸、直交性。"""

import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from peers import torch
from scipy import stats

from vgbook.initializers import (
    constant,
    glorot,
    glorot_uniform,
    he,
    lecun,
    normal,
    orthogonal,
    stack,
    xavier,
)

N_IN, N_OUT = 400, 300


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("init", "std"),
    [
        (normal(0.3), 0.3),
        (xavier(), 1 / math.sqrt(N_IN)),
        (xavier(gain=5 / 3), 5 / 3 / math.sqrt(N_IN)),
        (glorot(), math.sqrt(2 / (N_IN + N_OUT))),
        (glorot_uniform(), math.sqrt(2 / (N_IN + N_OUT))),
        (he(), math.sqrt(2 / N_IN)),
        (he(slope=0.2), math.sqrt(2 / (1.04 * N_IN))),
        (he(gain=3), 3 * math.sqrt(2 / N_IN)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_spread_is_the_one_of_the_formula(init, std):
    W = init(N_IN, N_OUT, rng=rng())
    # 標本標準偏差の相対誤差は 1/√(2·120000) ≈ 0.002。5 倍まで許す
    assert W.std() == pytest.approx(std, rel=0.01)
    assert abs(W.mean()) < 5 * std / math.sqrt(W.size)


def test_gaussian_weights_are_gaussian_and_uniform_ones_are_bounded():
    z = he()(N_IN, N_OUT, rng=rng()).ravel() / math.sqrt(2 / N_IN)
    assert stats.kstest(z, "norm").pvalue > 1e-3
    a = math.sqrt(6 / (N_IN + N_OUT))
    u = glorot_uniform()(N_IN, N_OUT, rng=rng()).ravel()
    assert np.abs(u).max() <= a
    assert stats.kstest(u, "uniform", args=(-a, 2 * a)).pvalue > 1e-3


def test_the_spread_agrees_with_torch():
    torch.manual_seed(0)
    weight = torch.empty(N_OUT, N_IN, dtype=torch.float64)  # PyTorch は (n_out, n_in)
    pairs = [
        (he(), torch.nn.init.kaiming_normal_),
        (glorot(), torch.nn.init.xavier_normal_),
        (glorot_uniform(), torch.nn.init.xavier_uniform_),
    ]
    for init, torch_init in pairs:
        torch_init(weight)
        ours = init(N_IN, N_OUT, rng=rng())
        assert ours.std() == pytest.approx(weight.std().item(), rel=0.01)
    torch.nn.init.kaiming_normal_(weight, a=0.3, nonlinearity="leaky_relu")
    assert he(slope=0.3)(N_IN, N_OUT, rng=rng()).std() == pytest.approx(
        weight.std().item(), rel=0.01
    )


LIBRARY_NAMES = [  # 「初期値を選ぶ」の章の表
    ("xavier()", xavier(), 'kaiming_normal_(W, nonlinearity="linear")'),
    ("glorot()", glorot(), "xavier_normal_(W)"),
    ("glorot_uniform()", glorot_uniform(), "xavier_uniform_(W)"),
    ("he()", he(), "kaiming_normal_(W)"),
    ("he(slope=0.2)", he(slope=0.2), "kaiming_normal_(W, a=0.2)"),
    ("orthogonal()", orthogonal(), "orthogonal_(W)"),
]


@pytest.mark.parametrize(("ours", "init", "theirs"), LIBRARY_NAMES, ids=str)
def test_the_names_of_the_chapter_draw_the_same_weights_in_torch(ours, init, theirs):
    page = Path(__file__).parents[2] / "docs/part3/choosing.md"
    assert re.search(
        rf"^\| `{re.escape(ours)}` \|.*\| `{re.escape(theirs)}` \|",
        page.read_text(encoding="utf-8"),
        re.M,
    )
    torch.manual_seed(0)
    weight = torch.empty(N_OUT, N_IN, dtype=torch.float64)
    eval(f"torch.nn.init.{theirs}", {"torch": torch, "W": weight})
    assert init(N_IN, N_OUT, rng=rng()).std() == pytest.approx(weight.std().item(), rel=0.01)


def test_the_default_weights_of_torch_are_as_the_chapter_says():
    torch.manual_seed(0)
    layers = {N_IN: torch.nn.Linear(N_IN, N_OUT), 16 * 9: torch.nn.Conv2d(16, 400, 3)}
    for fan_in, layer in layers.items():
        W = layer.weight.detach().numpy().ravel() * math.sqrt(fan_in)
        assert stats.kstest(W, "uniform", args=(-1, 2)).pvalue > 1e-3
        assert np.abs(layer.bias.detach().numpy()).max() < 1 / math.sqrt(fan_in)
        torch.nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5))
        again = layer.weight.detach().numpy().ravel() * math.sqrt(fan_in)
        assert stats.kstest(again, "uniform", args=(-1, 2)).pvalue > 1e-3
    fans = torch.nn.init._calculate_fan_in_and_fan_out(torch.nn.Conv2d(16, 32, 3).weight)
    assert fans == (16 * 3 * 3, 32 * 3 * 3)


@pytest.mark.parametrize(("n_in", "n_out"), [(6, 6), (8, 3), (3, 8)])
def test_orthogonal_weights_have_equal_singular_values(n_in, n_out):
    W = orthogonal(1.5, copies=(2,))(n_in, n_out, rng=rng())
    assert W.shape == (2, n_in, n_out)
    np.testing.assert_allclose(np.linalg.svd(W, compute_uv=False), 1.5, rtol=1e-12)


def test_orthogonal_weights_are_uniform_over_the_group():
    """Haar 測度なら、トレースの二乗の期待値は 1 (符号を直さない QR では 1 にならない)。"""
    W = orthogonal(copies=(20000,))(3, 3, rng=rng())
    trace = np.trace(W, axis1=-2, axis2=-1)
    assert np.mean(trace**2) == pytest.approx(1, abs=0.06)
    assert np.mean(trace) == pytest.approx(0, abs=0.04)


def test_arrays_of_gains_and_copies_open_the_ensemble_axes():
    gains = np.array([[0.5, 1.0, 2.0], [3.0, 4.0, 5.0]])
    W = xavier(gains, copies=(4,))(10, 7, rng=rng())
    assert W.shape == (2, 3, 4, 10, 7)
    np.testing.assert_allclose(W / gains[..., None, None, None], np.broadcast_to(W[0, 1], W.shape))


def test_a_member_of_an_ensemble_equals_the_single_draw():
    many = he(gain=[0.1, 1.0])(20, 10, rng=rng(3))
    np.testing.assert_array_equal(many[1], he()(20, 10, rng=rng(3)))


def test_stack_puts_different_rules_side_by_side_with_the_same_noise():
    W = stack(normal(0.01), xavier(), he())(50, 20, rng=rng(1))
    for member, init in zip(W, (normal(0.01), xavier(), he()), strict=True):
        np.testing.assert_allclose(member, init(50, 20, rng=rng(1)), rtol=1e-15)
    with pytest.raises(ValueError, match="乱数の引き方"):
        stack(normal(1.0), orthogonal())
    with pytest.raises(ValueError, match="copies は空"):
        stack(normal([1.0, 2.0]))
    with pytest.raises(ValueError, match="集団の軸"):
        stack(stack(he(), xavier()))
    with pytest.raises(ValueError, match="集団の軸"):
        stack(normal([1.0, 2.0]).members(slice(0, 1)), normal(1.0))


def test_constant_is_constant_and_lecun_is_another_name():
    assert np.all(constant(0)(3, 4, rng=rng()) == 0)
    assert constant([0.0, 0.1])(3, 4, rng=rng()).shape == (2, 3, 4)
    assert lecun is xavier


def test_initializers_survive_pickling():
    for init in (normal(0.1), he(), orthogonal(), stack(xavier(), he())):
        twin = pickle.loads(pickle.dumps(init))
        np.testing.assert_array_equal(twin(5, 4, rng=rng()), init(5, 4, rng=rng()))


@pytest.mark.parametrize("bad", [-0.1, math.nan, [1.0, -1.0], "0.1", None, 1j])
def test_negative_or_strange_spreads_are_refused(bad):
    for factory in (normal, xavier, glorot, glorot_uniform, orthogonal):
        with pytest.raises(ValueError, match="受け取った値"):
            factory(bad)
    with pytest.raises(ValueError, match="gain"):
        he(gain=bad)


@pytest.mark.parametrize("init", [normal(1e308), xavier([1.0, 1.7e308])])
def test_weights_too_large_to_be_numbers_are_refused(init):
    with pytest.raises(ValueError, match=r"有限な数になりません.*受け取った標準偏差"):
        init(1, 100, rng=rng())
    with pytest.raises(ValueError, match="gain には有限な実数"):
        he(gain=[1.0, 1.7e308])


def test_fans_and_generators_are_checked():
    with pytest.raises(ValueError, match=r"n_in には 1 以上の整数.*0"):
        he()(0, 3, rng=rng())
    with pytest.raises(ValueError, match=r"n_out .*2\.5"):
        he()(3, 2.5, rng=rng())
    with pytest.raises(TypeError, match=r"numpy\.random\.Generator"):
        he()(3, 3, rng=0)
    with pytest.raises(ValueError, match="slope"):
        he(slope=math.inf)


def test_he_takes_any_slope_that_is_a_number():
    W, steep = (he(slope=s)(50, 50, rng=np.random.default_rng(0)) for s in (0.0, 1e200))
    np.testing.assert_allclose(steep, W / 1e200, rtol=1e-12)
