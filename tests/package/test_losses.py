"""損失: PyTorch と比べ、極端な値でもあふれないことを確かめる。"""

import numpy as np
import pytest
from peers import torch

from vgbook.training.losses import (
    mean_squared_error,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_cross_entropy_agrees_with_torch(leading):
    r = np.random.default_rng(0)
    logits, labels = r.standard_normal((*leading, 6, 4)), r.integers(4, size=6)
    loss, d = softmax_cross_entropy(logits, labels)
    assert np.shape(loss) == leading
    for index in np.ndindex(leading):
        t = torch.tensor(logits[index], requires_grad=True)
        expected = torch.nn.functional.cross_entropy(t, torch.tensor(labels))
        expected.backward()
        assert loss[index] == pytest.approx(expected.item(), rel=1e-12)
        np.testing.assert_allclose(d[index], t.grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_give_exact_losses_without_warnings(dtype):
    logits = np.array([[1000.0, -1000.0], [-1000.0, 1000.0]], dtype)
    loss, d = softmax_cross_entropy(logits, np.array([0, 1]))
    assert loss == 0
    assert loss.dtype == d.dtype == dtype
    loss, d = softmax_cross_entropy(logits, np.array([1, 0]))
    assert loss == 2000
    np.testing.assert_array_equal(d, np.array([[0.5, -0.5], [-0.5, 0.5]], dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_outputs_and_infinities_pass_under_any_numpy_setting(dtype):
    top = np.finfo(dtype).max
    y = np.array([[top, -top], [-np.inf, np.inf], [np.nan, 0], [np.finfo(dtype).tiny, 0]], dtype)
    labels = np.array([1, 0, 0, 1])
    with np.errstate(all="raise"):
        softmax = [softmax_cross_entropy(y[i : i + 1], labels[i : i + 1])[0] for i in range(4)]
        logistic = [sigmoid_cross_entropy(y[i : i + 1, :1], labels[i : i + 1])[0] for i in range(4)]
        squared, _ = mean_squared_error(y[:1], -y[:1])
    np.testing.assert_array_equal(softmax[:3], [np.inf, np.nan, np.nan])
    np.testing.assert_allclose(logistic, [0, 0, np.nan, np.log(2)], rtol=1e-6)
    assert squared == np.inf


def test_a_confident_answer_is_not_rounded_to_zero_loss():
    """log(p + 1e-7) ではなく log-sum-exp なので、小さな損失も相対誤差なしに残る。"""
    loss, _ = softmax_cross_entropy(np.array([[0.0, -30.0]]), np.array([0]))
    assert loss == pytest.approx(np.log1p(np.exp(-30.0)), rel=1e-3)
    assert loss > 0


def test_one_diverged_member_does_not_disturb_the_others():
    logits = np.array([[[1.0, 2.0]], [[np.nan, 0.0]]])
    loss, d = softmax_cross_entropy(logits, np.array([1]))
    alone, d_alone = softmax_cross_entropy(logits[0], np.array([1]))
    assert loss[0] == alone
    assert np.isnan(loss[1])
    np.testing.assert_array_equal(d[0], d_alone)


def test_squared_error_agrees_with_torch():
    r = np.random.default_rng(0)
    y, t = r.standard_normal((3, 6, 4)), r.standard_normal((6, 4))
    loss, dy = mean_squared_error(y, t)
    ty = torch.tensor(y, requires_grad=True)
    expected = 0.5 * ((ty - torch.tensor(t)) ** 2).sum(dim=-1).mean(dim=-1)
    expected.sum().backward()
    np.testing.assert_allclose(loss, expected.detach(), rtol=1e-13)
    np.testing.assert_allclose(dy, ty.grad, rtol=1e-13)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 4], ValueError, "0 以上 4 未満"),
        ([0, -1], ValueError, "-1"),
        ([0.0, 1.0], TypeError, "整数"),
        ([0], ValueError, r"\(2,\)"),
        ([[0], [1]], ValueError, r"\(2, 1\)"),
    ],
)
def test_bad_labels_are_named(labels, error, message):
    with pytest.raises(error, match=message):
        softmax_cross_entropy(np.zeros((2, 4)), np.array(labels))


def test_bad_shapes_are_named():
    with pytest.raises(ValueError, match="logits"):
        softmax_cross_entropy(np.zeros((0, 4)), np.array([], dtype=int))
    with pytest.raises(ValueError, match="logits"):
        softmax_cross_entropy(np.zeros(4), np.array([0]))
    with pytest.raises(ValueError, match="y と t"):
        mean_squared_error(np.zeros((2, 3)), np.zeros((2, 4)))


@pytest.mark.parametrize(("dtype", "low"), [(np.int8, -100), (np.uint8, 0), (np.int64, -100)])
def test_small_integers_do_not_wrap_around(dtype, low):
    logits, y = np.array([[low, 100]], dtype), np.array([[0]], dtype)
    exact, d_exact = softmax_cross_entropy(logits.astype(float), np.array([0]))
    loss, d = softmax_cross_entropy(logits, np.array([0]))
    assert loss == exact == 100 - low
    np.testing.assert_array_equal(d, d_exact)
    loss, dy = mean_squared_error(y, np.array([[1]], dtype))
    assert (loss, dy) == (0.5, [[-1.0]])


def test_an_impossible_class_costs_nothing_unless_it_is_the_answer():
    logits = np.array([[-np.inf, 0.0, 0.0]])
    assert softmax_cross_entropy(logits, np.array([1]))[0] == pytest.approx(np.log(2))
    assert softmax_cross_entropy(logits, np.array([0]))[0] == np.inf
