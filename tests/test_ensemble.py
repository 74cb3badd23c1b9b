"""繰り返し: 乱数列の独立、実行の場所によらない結果、構造の保存。"""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

from vgbook.activations import tanh
from vgbook.ensemble import over_seeds
from vgbook.flow import _flow, gradient_flow
from vgbook.initializers import xavier


class Pair(NamedTuple):
    a: np.ndarray
    b: tuple[np.ndarray, np.ndarray]


def draw(rng):
    return Pair(rng.standard_normal(3), (rng.standard_normal(2), np.array(1)))


def fail(rng):
    raise RuntimeError("実験の失敗")


def rng():
    return np.random.default_rng(0)


def test_every_array_gets_a_seed_axis_in_the_same_structure():
    result = over_seeds(draw, rng=rng(), seeds=4)
    assert isinstance(result, Pair)
    assert result.a.shape == (4, 3)
    assert [b.shape for b in result.b] == [(4, 2), (4,)]


def test_each_seed_has_a_stream_of_its_own():
    a = over_seeds(draw, rng=rng(), seeds=50).a
    assert len(np.unique(a)) == a.size
    assert abs(np.corrcoef(a[:-1].ravel(), a[1:].ravel())[0, 1]) < 0.25


def test_more_seeds_extend_the_same_experiment():
    np.testing.assert_array_equal(
        over_seeds(draw, rng=rng(), seeds=3).a, over_seeds(draw, rng=rng(), seeds=5).a[:3]
    )


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_the_place_of_execution_does_not_change_a_bit(kind):
    run = {"rng": None, "depth": 4, "width": 20, "samples": 10, "seeds": 3}
    here = gradient_flow(tanh, xavier(gain=[0.5, 1.0]), **{**run, "rng": rng()})
    serial = [
        _flow(tanh, xavier(gain=[0.5, 1.0]), 4, 20, 10, None, child) for child in rng().spawn(3)
    ]
    with kind(2) as executor:
        there = gradient_flow(
            tanh, xavier(gain=[0.5, 1.0]), **{**run, "rng": rng()}, executor=executor
        )
    for ours, theirs, alone in zip(here, there, zip(*serial, strict=True), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(ours, np.stack(alone))


def test_a_failure_in_one_seed_is_not_swallowed():
    with pytest.raises(RuntimeError, match="実験の失敗"):
        over_seeds(fail, rng=rng(), seeds=2)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="seeds には 1 以上の整数"):
        over_seeds(draw, rng=rng(), seeds=0)
    with pytest.raises(TypeError, match="rng"):
        over_seeds(partial(draw), rng=np.random.RandomState(0), seeds=2)
