"""深さの尺度 ξ: 不動点に近づくまでと、勾配が変わるまでの、層の数。"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array
from vgbook.activations import Activation
from vgbook.theory.fixed_points import ROUNDING
from vgbook.theory.meanfield.correlations import fixed_correlation
from vgbook.theory.meanfield.lengths import check_scales, fixed_point, raw_chi
from vgbook.theory.quadrature import pair_mean
from vgbook.theory.rule import raw_mean
from vgbook.theory.trust import jumps


class DepthScales(NamedTuple):
    """深さの尺度 ξ (層の数)。どれも (σ_w, σ_b) の形です。"""

    length: Array
    """信号の大きさ q が不動点に近づく尺度。"""
    correlation: Array
    """2 つの入力の相関 c が不動点に近づく尺度。"""
    gradient: Array
    """勾配が変わる尺度。"""


def depth_scales(
    activation: Activation, sigma_w: ArrayLike, sigma_b: ArrayLike = 0.0
) -> DepthScales:
    r"""不動点への近づき方と、勾配の減り方を、深さの尺度 ξ (層の数) で表します。

    どれも :math:`e^{-l/\xi}` の形の ξ です。1 層あたりの倍率を λ として
    :math:`\xi = -1 / \ln\lambda` です。q には
    :math:`\lambda = \chi_1 + \sigma_w^2 E[\varphi\varphi'']`、
    c には :math:`\lambda = \sigma_w^2 E[\varphi'(u_1)\varphi'(u_2)]` (c = c*)、勾配には
    :math:`\xi = 1 / |\ln\chi_1|` を使います。Schoenholz ほか (2017) によれば、学習できる深さは
    相関の ξ の 6 倍ほどまでです。

    Returns
    -------
    DepthScales
        ``length``, ``correlation``, ``gradient``。倍率が 1 なら ``inf``。不動点が定まらないときと、
        step のように φ が跳ぶときの ``length`` と ``correlation`` は NaN です。

    Raises
    ------
    TypeError
        ``activation`` が Activation でないとき。
    ValueError
        ``sigma_w`` と ``sigma_b`` が 0 以上 :math:`10^{100}` 以下の実数でないとき、形がそろわない
        とき。

    Examples
    --------
    >>> from vgbook import tanh
    >>> scales = depth_scales(tanh, 1.5**0.5, 0.05**0.5)
    >>> print(f"{scales.length:.2f} {scales.correlation:.2f} {scales.gradient:.2f}")
    1.68 15.79 15.79
    """
    sigma_w, sigma_b = check_scales(sigma_w, sigma_b)
    q = fixed_point(activation, sigma_w, sigma_b)
    c = fixed_correlation(activation, sigma_w, sigma_b)
    chi_1 = raw_chi(activation, q, sigma_w)
    pair = pair_mean(activation.derivative, np.where(c < 1, q, np.nan), c, kinks=activation.kinks)
    chi_c = np.where(c < 1, sigma_w**2 * pair, np.where(c == 1, chi_1, np.nan))
    smooth = np.where(np.isfinite(q) & (not jumps(activation)), 1.0, np.nan)
    return DepthScales(
        length=smooth * _depth(np.abs(_length_slope(activation, q, sigma_w))),
        correlation=smooth * _depth(chi_c),
        gradient=_depth(chi_1),
    )


def _length_slope(activation: Activation, q: Array, sigma_w: Array) -> Array:
    """長さの写像の傾き。φ″ を使わずに済むよう、√q で直接微分した形で求める。"""
    q = np.clip(q, 1e-20, 1e12)
    product = raw_mean(
        lambda u: activation(u) * activation.derivative(u) * u, q, kinks=activation.kinks
    )
    slope: Array = sigma_w**2 * product / q
    return slope


def _depth(factor: Array) -> Array:
    factor = np.where(np.abs(factor - 1) <= ROUNDING, 1.0, factor)
    with np.errstate(divide="ignore"):  # 倍率 1 なら ξ = inf、倍率 0 なら ξ = 0
        return 1 / np.abs(np.log(factor))
