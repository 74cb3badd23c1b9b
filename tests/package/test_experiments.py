"""学習の実験: 6.2.4 と 6.3.2 について本が述べることを、種をまたいで確かめる。"""

import math
from typing import ClassVar

import numpy as np
import pytest

from vgbook.activations import sigmoid
from vgbook.experiments.datasets import Dataset, digits
from vgbook.experiments.schedule import Schedule, Training
from vgbook.experiments.trainings import (
    BOOK_STDS,
    BatchNormGrid,
    batch_norm_grid,
    compare_initializers,
    learning_speed,
)
from vgbook.initializers import normal, stack, xavier


def rng(seed=0):
    return np.random.default_rng(seed)


# 種をまたいで成り立つことは、章 (he、batchnorm-experiment、sigmoid-xavier) のセルが確かめる。
# ここでは、関数がその結果を返すことを、小さく確かめる。
@pytest.fixture(scope="module")
def initializers():
    return compare_initializers(rng=rng(), steps=900, seeds=2)


STDS = BOOK_STDS[[0, 1, 2, 3, 7, 11, 15]]


@pytest.fixture(scope="module")
def grid():
    return batch_norm_grid(rng=rng(), stds=STDS, seeds=2)


def test_624_small_weights_do_not_learn_and_he_learns_before_xavier(initializers):
    loss = initializers.loss[:, -100:].mean(axis=1)  # (seeds, 3)
    small, xavier_loss, he_loss = loss.T
    np.testing.assert_allclose(small, math.log(10), atol=0.01)
    assert np.all(he_loss < xavier_loss)
    assert np.all(xavier_loss < 0.5)  # ReLU に Xavier でも、遅れて学習はする


def test_624_has_the_schedule_of_the_book(initializers):
    assert initializers.loss.shape == (2, 900, 3)
    np.testing.assert_array_equal(initializers.at[0], np.arange(0, 900, 100))
    assert not initializers.diverged.any()


def test_632_batch_norm_trains_at_almost_every_scale(grid):
    final = grid.normalized.train_accuracy[:, -1].mean(axis=0)
    assert np.all(final[3:6] > 0.9)
    plain = grid.plain.train_accuracy[:, -1].mean(axis=0)
    assert np.all(plain[4:] < 0.2)  # BN なしでは、小さい初期値では学習しない


def test_632_batch_norm_loses_at_one_scale(grid):
    """W = 0.293 では、BN なしの方が正解率が高い。"""
    assert STDS[2] == pytest.approx(0.293, abs=0.001)
    plain, normalized = (h.train_accuracy[:, -1, 2] for h in grid)
    assert np.all(plain > normalized)


def test_632_large_weights_without_batch_norm_diverge_and_are_reported_as_nan(grid):
    assert grid.plain.diverged[:, :2].all()
    assert np.isnan(grid.plain.train_accuracy[:, -1, :2]).all()
    assert not grid.normalized.diverged.any()


def test_632_has_191_updates_and_20_evaluations(grid):
    assert grid.plain.loss.shape == (2, 191, 7)
    np.testing.assert_array_equal(grid.plain.at[0], np.arange(0, 200, 10))


class Nothing:
    """何もしない「正規化」。"""

    params: ClassVar = {}
    grads: ClassVar = {}

    def __init__(self, n, *, ensemble, dtype):
        pass

    def forward(self, x):
        return x

    def backward(self, dy):
        return dy


def test_632_both_networks_start_from_the_same_weights_and_batches():
    """正規化を「何もしない層」に替えれば、2 つの学習は同じになるはず。"""
    pair = batch_norm_grid(rng=rng(), stds=0.1, steps=5, seeds=2, norm=Nothing)
    np.testing.assert_array_equal(pair.plain.loss, pair.normalized.loss)
    assert pair.plain.loss.shape == (2, 5)  # 標準偏差 1 つなら集団の軸はない


def test_sigmoid_with_xavier_does_not_learn_but_with_std_one_it_does():
    history = compare_initializers(
        rng=rng(),
        init=stack(xavier(), normal(1.0)),
        activation=sigmoid,
        hidden=(100,) * 5,
        lr=0.1,
        steps=800,
        seeds=2,
    )
    loss = history.loss[:, -50:].mean(axis=1)
    assert np.all(loss[:, 0] > 2.2)
    assert np.all(loss[:, 1] < 0.5)


def test_lower_layers_of_a_sigmoid_network_learn_slowly():
    speed = learning_speed(rng=rng(), steps=51, every=25, seeds=3)
    assert speed.dW.shape == (3, 3, 5)
    assert np.all(np.diff(speed.dW, axis=-1) > 0)  # 出力に近い層ほど勾配が大きい
    assert np.all(speed.dW[..., 0] < 0.05 * speed.dW[..., -1])
    np.testing.assert_array_equal(speed.at[0], [0, 25, 50])


def test_other_data_can_be_given():
    data = digits(np.float64)
    history = compare_initializers(data, rng=rng(), steps=2, seeds=1)
    assert history.loss.dtype == np.float64
    with pytest.raises(TypeError, match="data には Dataset"):
        compare_initializers((data.x_train, data.labels_train), rng=rng(), steps=2, seeds=1)


@pytest.mark.parametrize("part", ["labels_train", "labels_test"])
def test_a_label_in_either_part_of_the_data_has_an_output(part):
    x = np.zeros((3, 2))
    data = Dataset(x, np.array([0, 1, 2]), x, np.array([0, 1, 2]))
    data = data._replace(**{part: np.array([0, 1, 4])})
    plan = Schedule(0.1, steps=1, batch_size=3)
    assert Training(data, xavier(), [7], plan).widths == [2, 7, 5]


@pytest.mark.parametrize("experiment", [compare_initializers, batch_norm_grid, learning_speed])
def test_an_experiment_is_repeated_ten_times_unless_told_otherwise(experiment):
    data = Dataset(np.eye(2), np.arange(2), np.eye(2), np.arange(2))
    result = experiment(data, rng=rng(), hidden=[3], steps=1, batch_size=2)
    history = result.plain if isinstance(result, BatchNormGrid) else result
    assert len(history.loss) == 10


def test_a_seed_of_an_experiment_equals_the_same_training_alone():
    history = compare_initializers(rng=rng(), steps=10, seeds=3)
    child = rng().spawn(3)[1]
    init = stack(normal(0.01), xavier(), xavier(gain=math.sqrt(2)))
    schedule = Schedule(0.01, 10, 128, reevaluate=True)
    alone = Training(digits(np.float32), init, (100,) * 4, schedule).run(child)
    np.testing.assert_allclose(history.loss[1], alone.loss, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"seeds": 0}, "seeds"),
        ({"batch_size": 10**6}, "batch_size"),
        ({"lr": -1}, "lr"),
        ({"hidden": (0,)}, "hidden"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    arguments = {"steps": 2, "seeds": 1, **changes}
    with pytest.raises(ValueError, match=message):
        compare_initializers(rng=rng(), **arguments)
    with pytest.raises(ValueError, match="std"):
        batch_norm_grid(rng=rng(), stds=[0.1, -1], steps=2, seeds=1)
    with pytest.raises(ValueError, match="every"):
        learning_speed(rng=rng(), every=0, steps=2, seeds=1)
