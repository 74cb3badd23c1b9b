"""正規化: PyTorch の BatchNorm1d・LayerNorm と比べ、規約の違いを両方とも再現する。"""

from inspect import signature

import numpy as np
import pytest
from conftest import ROOT
from peers import torch

from vgbook.layers.normalization import BatchNorm, LayerNorm

N, n = 8, 5


def data(seed=0, dtype=float):
    r = np.random.default_rng(seed)
    return (3 + 2 * r.standard_normal((N, n))).astype(dtype), r.standard_normal((N, n))


def randomize(layer, seed=5):
    r = np.random.default_rng(seed)
    for name in layer.params:
        layer.params[name] += r.standard_normal(layer.params[name].shape)
    return layer


def torch_twin(layer, kind):
    twin = kind(n, eps=layer.eps).double()
    with torch.no_grad():
        twin.weight.copy_(torch.tensor(layer.params["gamma"][0]))
        twin.bias.copy_(torch.tensor(layer.params["beta"][0]))
    return twin


@pytest.mark.parametrize("kind", [BatchNorm, LayerNorm])
def test_values_and_gradients_agree_with_torch(kind):
    layer = randomize(kind(n))
    twin = torch_twin(layer, torch.nn.BatchNorm1d if kind is BatchNorm else torch.nn.LayerNorm)
    x, dy = data()
    tx = torch.tensor(x, requires_grad=True)
    ty = twin(tx)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer.forward(x), ty.detach(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(layer.backward(dy), tx.grad, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(layer.grads["gamma"][0], twin.weight.grad, rtol=1e-12)
    np.testing.assert_allclose(layer.grads["beta"][0], twin.bias.grad, rtol=1e-12)


def test_running_statistics_and_inference_follow_torch_by_default():
    layer = randomize(BatchNorm(n))
    twin = torch_twin(layer, torch.nn.BatchNorm1d)
    for seed in range(7):
        x, _ = data(seed)
        layer.forward(x)
        twin(torch.tensor(x))
    np.testing.assert_allclose(layer.running_mean[0], twin.running_mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var[0], twin.running_var, rtol=1e-12)

    layer.training = False
    twin.eval()
    x, dy = data(99)
    tx = torch.tensor(x, requires_grad=True)
    ty = twin(tx)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer.forward(x), ty.detach(), rtol=1e-12)
    np.testing.assert_allclose(layer.backward(dy), tx.grad, rtol=1e-12)


def test_the_convention_of_the_book_is_expressible():
    """『ゼロから作る』: running ← 0.9·running + 0.1·batch、偏りのある分散、初期値 0、ε = 10e-7。"""
    layer = BatchNorm(n, eps=10e-7, momentum=0.1, unbiased=False, running_var=0.0)
    mean, var = np.zeros(n), np.zeros(n)
    for seed in range(5):
        x, _ = data(seed)
        layer.forward(x)
        mean = 0.9 * mean + 0.1 * x.mean(axis=0)
        var = 0.9 * var + 0.1 * x.var(axis=0)
    np.testing.assert_allclose(layer.running_mean[0], mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var[0], var, rtol=1e-12)


READ_ONLY = np.broadcast_to(1.0, (1, n))


@pytest.mark.parametrize("name", ["running_mean", "running_var"])
@pytest.mark.parametrize(
    ("training", "value"),
    [
        (True, np.ones((n, n))),
        (False, np.ones((n, 1))),  # 標本が n 個なら、広がって別の値になる
        (True, np.ones((1, n), int)),
        (False, [[1.0] * n]),
        (True, READ_ONLY),
    ],
    ids=["正方", "縦", "整数", "リスト", "書き込み禁止"],
)
def test_running_statistics_put_in_by_hand_are_checked(name, training, value):
    layer = BatchNorm(n)
    setattr(layer, name, value)
    layer.training = training
    with pytest.raises(ValueError, match=rf"{name} には、形 \(1, {n}\).*受け取った値"):
        layer.forward(np.ones((n, n)))


def test_running_statistics_that_cannot_be_written_serve_inference():
    layer = BatchNorm(n)
    layer.running_mean, layer.training = READ_ONLY, False
    np.testing.assert_allclose(layer.forward(np.full((2, n), 3.0)), 2.0, rtol=1e-5)


def table_of_conventions() -> dict[str, str]:
    """『バッチ正規化の計算』の規約の表の、「この本・PyTorch」の列。"""
    text = (ROOT / "docs/part4/batchnorm.md").read_text(encoding="utf-8")
    table = text[text.index("| 規約 | この本・PyTorch |") :].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {name: ours for name, ours, *_ in rows[2:]}


def test_the_torch_column_of_the_book_is_what_torch_does():
    told = table_of_conventions()
    twin, default = torch.nn.BatchNorm1d(1).double(), BatchNorm(1)
    for name in ("BatchNorm1d", "BatchNorm2d"):
        arguments = signature(getattr(torch.nn, name)).parameters
        assert told["`momentum` の既定値"] == f"`{arguments['momentum'].default}`"
        assert float(told[r"$\varepsilon$ の既定値"].strip("`")) == arguments["eps"].default
    assert [name for name, _ in twin.named_parameters()] == ["weight", "bias"]
    assert told[r"$\gamma$、$\beta$"] == "`weight`、`bias` (PyTorch)"
    assert (
        told["分散の初期値"] == f"{twin.running_var.item():g}" == f"{default.running_var.item():g}"
    )
    assert told["推論への切り替え"] == "`net.eval()` (PyTorch)"
    assert not twin.eval().training

    twin.train()
    batch = np.array([[10.0], [14.0]])  # 偏りのある分散は 4、不偏なら 8
    twin(torch.tensor(batch))
    default.forward(batch)
    weight = {"新しい値": 0.1, "古い値": 0.9}[told["`momentum` が掛かるのは"]]
    variance = {"不偏 ($N-1$ で割る)": 8.0, "偏りあり ($N$ で割る)": 4.0}[told["移動平均する分散"]]
    for mean, var in (
        (twin.running_mean, twin.running_var),
        (default.running_mean, default.running_var),
    ):
        assert mean.item() == pytest.approx(weight * 12)
        assert var.item() == pytest.approx((1 - weight) * 1 + weight * variance)


def test_normalized_values_have_mean_zero_and_variance_one():
    x, _ = data()
    y = BatchNorm(n, eps=1e-300).forward(x)
    np.testing.assert_allclose(y.mean(axis=-2), 0, atol=1e-14)
    np.testing.assert_allclose(y.var(axis=-2), 1, rtol=1e-12)
    y = LayerNorm(n, eps=1e-300).forward(x)
    np.testing.assert_allclose(y.mean(axis=-1), 0, atol=1e-14)
    np.testing.assert_allclose(y.var(axis=-1), 1, rtol=1e-12)


def test_the_gradient_has_no_part_along_what_normalization_removed():
    """Σ dx = 0、ε → 0 で Σ dx·x̂ = 0。"""
    layer = randomize(BatchNorm(n, eps=1e-300))
    x, dy = data()
    layer.forward(x)
    dx = layer.backward(dy)
    np.testing.assert_allclose(dx.sum(axis=-2), 0, atol=1e-13)
    np.testing.assert_allclose((dx * layer.x_hat).sum(axis=-2), 0, atol=1e-13)


def test_statistics_never_cross_members():
    xs = np.stack([data(seed)[0] for seed in range(3)])
    _, dy = data(9)
    together = BatchNorm(n, ensemble=(3,))
    y, dx = together.forward(xs), together.backward(np.stack([dy] * 3))
    for member in range(3):
        alone = BatchNorm(n)
        np.testing.assert_array_equal(y[member], alone.forward(xs[member]))
        np.testing.assert_array_equal(dx[member], alone.backward(dy))
        np.testing.assert_array_equal(together.running_var[member], alone.running_var)


def test_a_batch_of_one_is_refused_when_learning_and_taken_when_inferring():
    """学習時の出力は β だけになり、勾配は 0、移動平均の分散も縮んでしまう。"""
    layer = randomize(BatchNorm(n))
    kept = layer.running_var.copy()
    with pytest.raises(ValueError, match="2 つ以上の標本"):
        layer.forward(data()[0][:1])
    np.testing.assert_array_equal(layer.running_var, kept)
    layer.training = False
    assert layer.forward(data()[0][:1]).shape == (1, n)


def test_layer_norm_of_a_single_unit_is_refused():
    """ユニットが 1 つなら、出力はいつも β で、勾配は 0。"""
    with pytest.raises(ValueError, match="n には 2 以上"):
        LayerNorm(1)


@pytest.mark.parametrize(
    "bad", [{"n": 0}, {"eps": 0.0}, {"eps": -1}, {"momentum": 1.0}, {"momentum": float("nan")}]
)
def test_arguments_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match="受け取った値"):
        BatchNorm(**{"n": n, **bad})
    with pytest.raises(ValueError, match="eps"):
        LayerNorm(n, eps=0)


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e20), (np.float64, 1e200)])
@pytest.mark.parametrize("kind", [BatchNorm, LayerNorm])
def test_a_variance_that_overflows_is_nan_and_never_a_silent_zero(kind, dtype, size):
    layer = kind(3, dtype=dtype)
    x = (size * np.random.default_rng(0).standard_normal((6, 3))).astype(dtype)
    assert np.isnan(layer.forward(x)).all()
    if kind is BatchNorm:
        layer.training = False
        assert np.isnan(layer.forward(x)).all()
