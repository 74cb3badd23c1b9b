"""2 つの入力の相関 c: 層を進むと、見分けがつかなくなるか、離れていくか。"""

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, as_array
from vgbook.activations import Activation
from vgbook.theory.fixed_points import ROUNDING, find_root
from vgbook.theory.meanfield.lengths import check_scales, fixed_point, raw_chi
from vgbook.theory.quadrature import pair_mean
from vgbook.theory.rule import broadcast_shape, raw_mean_square, variances
from vgbook.theory.trust import jumps, only_where, resolved


def correlation_map(
    activation: Activation,
    c: ArrayLike,
    sigma_w: ArrayLike,
    sigma_b: ArrayLike = 0.0,
    *,
    q: ArrayLike | None = None,
) -> Array:
    r"""相関 c の 2 つの入力が、次の層でもつ相関を求めます。

    Parameters
    ----------
    activation : Activation
        活性化関数。
    c : array_like, shape (...)
        プレ活性の相関。-1 以上 1 以下。
    sigma_w, sigma_b : array_like, shape (...)
        重みとバイアスの尺度。
    q : array_like, shape (...), optional
        2 つの入力に共通の、信号の大きさ。省けば不動点 q* を使います。

    Returns
    -------
    ndarray, shape (...)
        次の層の相関。q が 0 や ``inf`` のときは定まらないので NaN です。
        期待値の桁が出ない q では、警告して NaN を返します。

    Raises
    ------
    TypeError
        ``activation`` が Activation でないとき。
    ValueError
        ``sigma_w`` と ``sigma_b`` が 0 以上 :math:`10^{100}` 以下の実数でないとき、``c`` が -1 以上
        1 以下でないとき、``q`` が 0 以上の実数でないとき、形がそろわないとき。

    Examples
    --------
    >>> from vgbook import relu
    >>> print(f"{correlation_map(relu, 0.0, 2**0.5):.6f}")  # 1/π
    0.318310
    """
    sigma_w, sigma_b = check_scales(sigma_w, sigma_b)
    if q is None:
        q = fixed_point(activation, sigma_w, sigma_b)
    else:
        q = variances(q)
        q = only_where(resolved(activation, q), q, repr(activation), q)
    broadcast_shape(sigma_w=sigma_w, sigma_b=sigma_b, q=q, c=as_array("c", c))
    return raw_correlation(activation, c, sigma_w, sigma_b, q)


def fixed_correlation(
    activation: Activation, sigma_w: ArrayLike, sigma_b: ArrayLike = 0.0
) -> Array:
    r"""0 以上の相関から始めたときの行き先、不動点 :math:`c^*` を求めます。

    秩序相 (:math:`\chi_1 \le 1`) では 2 つの入力の見分けがつかなくなり、c* = 1 です。
    カオス相では、よく似た入力も離れていき、c* < 1 です。恒等関数の :math:`\sigma_w = 1`、
    :math:`\sigma_b = 0` のように、どの相関も動かないときも 1 とします。

    Returns
    -------
    ndarray, shape (...)
        :math:`c^*`。c* が 1 から :math:`10^{-6}` ほどしか離れない臨界線の間際では 1 とします。
        q* が 0 や ``inf`` のときと、:func:`fixed_point` が NaN のときは NaN です。

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
    >>> print(f"{fixed_correlation(tanh, 2**0.5, 0.05**0.5):.5f}")
    0.74408
    """
    sigma_w, sigma_b = np.broadcast_arrays(*check_scales(sigma_w, sigma_b))
    q = fixed_point(activation, sigma_w, sigma_b)
    defined = (q > 0) & np.isfinite(q)
    ordered = (raw_chi(activation, q, sigma_w) <= 1) & (not jumps(activation))
    q = np.where(ordered, np.nan, q)  # 秩序相では計算しない

    def growth(c: Array, sw: Array, sb: Array, q: Array) -> Array:
        return raw_correlation(activation, c, sw, sb, q) - c

    # 写像は [0, 1] で下に凸なので、c* < 1 があれば、1 のすぐ下で c は減る
    below_one = 1 - np.array([0.5, 0.1, 1e-2, 1e-4, 1e-6, 1e-8])
    args = (sigma_w, sigma_b, q)
    table = growth(below_one, *(a[..., np.newaxis] for a in args))
    lowest = np.where(np.isnan(table), np.inf, table)
    upper = below_one[np.argmin(lowest, axis=-1)]
    uncorrelated = growth(np.zeros_like(upper), *args) <= ROUNDING
    # c = 0 から動かなければ、根は 0。0 に向けて区間を縮め続けないように、探さない
    args = (sigma_w, sigma_b, np.where(uncorrelated, np.nan, q))
    root = np.where(uncorrelated, 0.0, find_root(growth, np.zeros_like(upper), upper, args))
    c = np.where(np.min(lowest, axis=-1) < -1e-13, root, 1.0)
    return np.where(defined, c, np.nan)[()]


def raw_correlation(
    activation: Activation, c: ArrayLike, sigma_w: Array, sigma_b: Array, q: Array
) -> Array:
    """相関の写像を、精度を検査せずに返します。"""
    q = np.where((q > 0) & np.isfinite(q), q, np.nan)
    product = pair_mean(activation, q, c, kinks=activation.kinks)
    length = sigma_w**2 * raw_mean_square(activation, q) + sigma_b**2
    correlation: Array = (sigma_w**2 * product + sigma_b**2) / length
    return correlation
