"""スレッド: 同じネットワークを同時に使っても、正しいか、断られる。"""

import copy
import pickle
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

from vgbook.activations import tanh
from vgbook.clinic.lsuv import lsuv
from vgbook.initializers import xavier
from vgbook.layers.affine import Affine
from vgbook.layers.normalization import BatchNorm
from vgbook.network import Network, mlp
from vgbook.signals import signals, trace
from vgbook.training.loop import fit
from vgbook.training.optimizers import SGD


@pytest.fixture(autouse=True)
def threads_take_turns_often():
    """スレッドの切り替えを増やし、割り込みを起こしやすくする。"""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def rng(seed=0):
    return np.random.default_rng(seed)


class Slow:
    """値を変えない、時間のかかる層。待つ間に、ほかのスレッドが割り込む。"""

    def __init__(self):
        self.params, self.grads = {}, {}

    def forward(self, x):
        time.sleep(1e-3)
        return x

    def backward(self, dy):
        return dy


def network():
    made = mlp([4, 8, 8, 3], tanh, xavier(), rng=rng(), norm=BatchNorm)
    for _ in range(3):
        made.forward(rng(1).standard_normal((20, 4)))
    return made


def test_predictions_from_several_threads_are_right():
    made = network()
    made.layers[1:1] = [Slow()]
    batches = [rng(i).standard_normal((5 + i % 3, 4)) for i in range(20)]
    before = copy.deepcopy(made)
    expected = [before.predict(x) for x in batches]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(made.predict, batches))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(made[2].running_mean, before[2].running_mean)


def go_back(network, x):
    """学習の順伝播から、勝手に逆伝播する。標本数が合わないときは断られる。"""
    with suppress(ValueError):
        network.backward(np.ones((10, 3)))


@pytest.mark.parametrize(
    "look", [Network.predict, lambda n, x: signals(n, x, np.ones((30, 3))), go_back]
)
def test_looking_at_a_network_while_fit_is_running_changes_no_update(look):
    x, labels = rng(2).standard_normal((30, 4)), rng(3).integers(3, size=30)
    options = {"steps": 150, "batch_size": 10, "progress": False}
    alone, watched = network(), network()
    expected = fit(alone, SGD(0.1), x, labels, rng=rng(4), **options)
    with ThreadPoolExecutor(2) as pool:
        training = pool.submit(fit, watched, SGD(0.1), x, labels, rng=rng(4), **options)
        while not training.done():
            look(watched, x)
    np.testing.assert_array_equal(training.result().loss, expected.loss)


def test_a_second_fit_of_a_network_in_training_is_refused():
    made = network()
    data = (rng(2).standard_normal((30, 4)), rng(3).integers(3, size=30))
    options = {"steps": 1, "batch_size": 10, "progress": False}

    def again(step, network):
        fit(network, SGD(0.1), *data, rng=rng(), **options)

    with pytest.raises(RuntimeError, match=r"別の fit が学習の途中.*受け取った network"):
        fit(made, SGD(0.1), *data, rng=rng(), watch=again, **options)
    fit(made, SGD(0.1), *data, rng=rng(), **options)  # 断られた後は、また学習できる


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_a_copy_made_in_the_middle_of_training_can_go_on(way):
    made, copies = network(), []
    data = (rng(2).standard_normal((30, 4)), rng(3).integers(3, size=30))
    options = {"steps": 1, "batch_size": 10, "progress": False}
    fit(made, SGD(0.1), *data, rng=rng(), watch=lambda _, n: copies.append(way(n)), **options)
    assert np.isfinite(fit(copies[0], SGD(0.1), *data, rng=rng(), **options).loss).all()


@pytest.mark.parametrize("measure", [signals, trace, lambda network, x, dy: lsuv(network, x)])
@pytest.mark.parametrize("shared", [True, False])
def test_a_measurement_between_forward_and_backward_is_noticed(measure, shared):
    layer = Affine(rng().standard_normal((4, 4)))
    a = Network([layer])
    b = Network([layer]) if shared else a
    dy = np.ones_like(a.forward(rng(1).standard_normal((5, 4))))
    measure(b, rng(2).standard_normal((5, 4)), dy)
    with pytest.raises(RuntimeError, match="もう一度 forward を呼んでから"):
        a.backward(dy)
