"""ガウス積分: mpmath と閉じた式と比べる。"""

import math

import mpmath as mp
import numpy as np
import pytest
from closed_forms import erf

from vgbook.activations import relu
from vgbook.theory.quadrature import gaussian_mean, pair_mean
from vgbook.theory.rule import raw_mean
from vgbook.theory.trust import converged

pytestmark = pytest.mark.usefixtures("no_floating_point_warnings")

C = np.array([-1, -0.9, -0.3, 0.0, 0.2, 0.7, 0.99, 1 - 1e-6, 1])


def test_quadrature_splits_at_kinks_away_from_zero():
    for q in (1e-2, 1.0, 1e4):
        s = mp.sqrt(mp.mpf(q))
        expected = s * mp.sqrt(2 / mp.pi) * mp.exp(-9 / (2 * s**2)) + 3 * mp.erf(
            3 / (s * mp.sqrt(2))
        )
        got = gaussian_mean(lambda u: np.abs(u - 3), q, kinks=[3.0])
        np.testing.assert_allclose(got, float(expected), rtol=1e-12)


def test_an_omitted_variance_is_one():
    for mean in (gaussian_mean, raw_mean):
        np.testing.assert_allclose(mean(np.square), 1.0, rtol=1e-12)


def test_gaussian_mean_broadcasts_and_a_member_alone_is_the_same():
    q = np.geomspace(1e-3, 1e3, 2400).reshape(4, 600)
    together = gaussian_mean(lambda u: np.tanh(u) ** 2, q)
    assert together.shape == q.shape
    for i, j in [(0, 0), (2, 17), (3, 599)]:
        np.testing.assert_allclose(
            together[i, j], gaussian_mean(lambda u: np.tanh(u) ** 2, q[i, j]), rtol=1e-14
        )


def test_the_variance_is_one_unless_another_is_given():
    np.testing.assert_allclose(gaussian_mean(np.square), 1.0, rtol=1e-14)
    np.testing.assert_allclose(gaussian_mean(np.square, 2.0), 2.0, rtol=1e-14)


@pytest.mark.parametrize("q", [1e-4, 1.0, 1e4])
def test_pair_means_agree_with_closed_forms(q):
    angle = np.arccos(C)
    np.testing.assert_allclose(  # Cho & Saul (2009) の 1 次の arc-cosine カーネル
        pair_mean(relu, q, C, kinks=[0.0]),
        q / (2 * np.pi) * (np.sqrt(1 - C**2) + C * (np.pi - angle)),
        rtol=1e-10, atol=1e-14 * q,
    )  # fmt: skip
    np.testing.assert_allclose(  # 0 次
        pair_mean(relu.derivative, q, C, kinks=[0.0]), (np.pi - angle) / (2 * np.pi), atol=1e-12
    )
    np.testing.assert_allclose(
        pair_mean(erf, q, C), 2 / np.pi * np.arcsin(2 * q * C / (1 + 2 * q)), rtol=1e-9, atol=1e-14
    )
    np.testing.assert_allclose(
        pair_mean(erf.derivative, q, C),
        4 / np.pi / np.sqrt((1 + 2 * q) ** 2 - (2 * q * C) ** 2),
        rtol=1e-10,
    )


def test_a_mean_that_does_not_converge_is_reported_and_not_a_number():
    q = np.array([1.0, 1e4, np.nan])  # E cos(u) = e^{-q/2}
    with pytest.warns(RuntimeWarning, match=r"q = 1e\+04 では数値積分の桁が出ない"):
        got = gaussian_mean(np.cos, q)
    np.testing.assert_allclose(got, [np.exp(-0.5), np.nan, np.nan], rtol=1e-14)
    np.testing.assert_array_equal(converged(np.cos, q), [True, False, True])
    wrong = raw_mean(np.cos, 1e4)  # 検査がなければ、黙って間違える
    assert abs(wrong - np.exp(-5000.0)) > 1e-4


@pytest.mark.parametrize("width", [1.0, 0.1, 0.01, 1e-3])
def test_what_is_not_reported_is_right(width):
    """細い正規分布の山の平均は、閉じた式になる。"""
    q = np.geomspace(1e-3, 1e3, 61)

    def hill(u):
        return np.exp(-(((u - 1.3) / width) ** 2) / 2)

    fine = converged(hill, q)
    exact = width / np.sqrt(q + width**2) * np.exp(-(1.3**2) / 2 / (q + width**2))
    np.testing.assert_allclose(raw_mean(hill, q)[fine], exact[fine], rtol=1e-8, atol=1.5e-23)
    if width == 1:
        assert fine.all()
    if width < 0.1:
        assert not fine[q > 0.3].any()


def test_bad_arguments_are_errors():
    with pytest.raises(ValueError, match="q には 0 以上"):
        gaussian_mean(np.square, -1.0)
    with pytest.raises(ValueError, match="q には 0 以上"):
        pair_mean(np.square, -1.0, 0.5)
    with pytest.raises(ValueError, match="q には 0 以上"):
        pair_mean(np.square, [1.0, -1.0], 0.5)
    for bad in (None, "1", 1j, [[1.0], [1.0, 2.0]], [1.0, -1.1]):
        with pytest.raises(ValueError, match=r"q には.*受け取った値"):
            gaussian_mean(np.square, bad)
        with pytest.raises(ValueError, match=r"c には.*受け取った値"):
            pair_mean(np.square, 1.0, bad)
    with pytest.raises(ValueError, match=r"q と c には互いにそろう.*\(2,\), \(3,\)"):
        pair_mean(np.square, np.ones(2), np.ones(3))


@pytest.mark.parametrize(
    "f", [math.tanh, lambda z: z.sum(), lambda z: 1.0, lambda z: np.square(z, out=z), np.ravel]
)
@pytest.mark.parametrize("mean", [gaussian_mean, lambda f: pair_mean(f, 1.0, 0.5)])
def test_a_function_that_is_not_elementwise_is_refused(f, mean):
    with pytest.raises(TypeError, match=r"f は、浮動小数点数の配列.*受け取った値"):
        mean(f)
