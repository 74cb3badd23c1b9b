r"""平均場の理論: 幅が無限に広い、初期値のままのネットワークの予言です。

層 l のプレ活性は、幅が広ければ分散 :math:`q_l` の正規分布に従います。重みを
:math:`W_{ij} \sim N(0, \sigma_w^2 / n_\mathrm{in})`、バイアスを :math:`b_j \sim N(0, \sigma_b^2)`
とすると、信号の大きさ q と、2 つの入力の相関 c は、1 層ごとに次の写像で移ります。

.. math::

   q \mapsto \sigma_w^2 E[\varphi(\sqrt{q} Z)^2] + \sigma_b^2, \qquad
   c \mapsto \frac{\sigma_w^2 E[\varphi(u_1) \varphi(u_2)] + \sigma_b^2}{q^*}

逆伝播では、勾配の二乗ノルムが 1 層ごとに
:math:`\chi_1 = \sigma_w^2 E[\varphi'(\sqrt{q^*} Z)^2]` 倍になります。:math:`\chi_1 < 1` なら消失、
:math:`\chi_1 > 1` なら爆発、その境目が臨界線です。
出典: Poole ほか (2016)、Schoenholz ほか (2017)。

``sigma_w``, ``sigma_b``, ``q`` は互いにそろう (broadcast できる) 配列なら何でもかまいません。
求まらない値は NaN、無限に大きくなる q は ``inf`` と返します。

期待値は数値積分です。このパッケージの活性化関数なら、:math:`10^{-12} \leq q \leq 10^{12}` で桁が
出ます。自作の活性化関数では、求めた q で :mod:`vgbook.theory.moments` の検査をし、必要な精度で
求まらないときは、``RuntimeWarning`` で知らせて NaN を返します。
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, as_array, check_numbers, check_positive
from vgbook.activations import Activation, check_activation
from vgbook.theory.fixed_points import GRID, ROUNDING, find_root, follow
from vgbook.theory.moments import mean_square, slope_square
from vgbook.theory.quadrature import pair_mean
from vgbook.theory.rule import (
    broadcast_shape,
    raw_mean,
    raw_mean_square,
    raw_slope_square,
    variances,
)
from vgbook.theory.trust import jumps, only_where, resolved

_LARGEST = 1e100  # これより大きい σ は、2 乗などで桁あふれしかねない


class DepthScales(NamedTuple):
    """深さの尺度 ξ (層の数)。どれも (σ_w, σ_b) の形です。"""

    length: Array
    """信号の大きさ q が不動点に近づく尺度。"""
    correlation: Array
    """2 つの入力の相関 c が不動点に近づく尺度。"""
    gradient: Array
    """勾配が変わる尺度。"""


def length_map(
    activation: Activation, q: ArrayLike, sigma_w: ArrayLike, sigma_b: ArrayLike = 0.0
) -> Array:
    r"""次の層の信号の大きさ :math:`\sigma_w^2 E[\varphi(\sqrt{q} Z)^2] + \sigma_b^2` を求めます。

    期待値の桁が出ない q では、警告して NaN を返します。

    Raises
    ------
    TypeError
        ``activation`` が Activation でないとき。
    ValueError
        ``sigma_w`` と ``sigma_b`` が 0 以上 :math:`10^{100}` 以下の実数でないとき、``q`` が 0 以上
        の実数でないとき、形がそろわないとき。

    Examples
    --------
    >>> from vgbook import tanh
    >>> print(f"{length_map(tanh, 1.0, 1.0):.4f}")
    0.3943
    """
    sigma_w, sigma_b = _scales(sigma_w, sigma_b, q=variances(q))
    length: Array = sigma_w**2 * mean_square(activation, q) + sigma_b**2
    return length


def fixed_point(
    activation: Activation, sigma_w: ArrayLike, sigma_b: ArrayLike = 0.0, *, start: float = 1.0
) -> Array:
    r"""q を ``start`` から何層も移したときの行き先、不動点 :math:`q^*` を求めます。

    E φ² が q とともに増えること (このパッケージの活性化関数ではすべて成り立ちます) を前提とします。

    Returns
    -------
    ndarray, shape (...)
        :math:`q^*`。ReLU と He の初期値のように、どの q も動かないときは ``start``。
        q が限りなく大きくなるなら ``inf``。有限でも :math:`10^{12}` を超えるときは NaN です。
        期待値の相対誤差は、このパッケージの活性化関数なら :math:`10^{-10}` 以下です。
        ``start`` か :math:`q^*` で期待値の桁が出ないときは、警告して NaN を返します。
        ``kinks`` になく、幅が :math:`\sqrt{q}` の 1000 分の 1 より狭い山や谷は、
        見つからないことがあります。

    Raises
    ------
    TypeError
        ``activation`` が Activation でないとき。
    ValueError
        ``sigma_w`` か ``sigma_b`` が 0 以上 :math:`10^{100}` 以下の実数でないとき。
        2 つの形がそろわないとき。``start`` が正の有限な実数でないとき。

    Warns
    -----
    RuntimeWarning
        期待値の桁が出ないとき。

    Examples
    --------
    >>> from vgbook import relu, tanh
    >>> print(f"{fixed_point(tanh, 2**0.5, 0.05**0.5):.5f}")
    0.72176
    >>> fixed_point(relu, [1.0, 2.0])
    array([ 0., inf])
    """
    check_activation("activation", activation)
    sigma_w, sigma_b = _scales(sigma_w, sigma_b)
    check_positive("start", start)
    _bounded("start", start)
    q = follow(lambda q: raw_mean_square(activation, q), sigma_w**2, sigma_b**2, start)
    q = np.where(np.isnan(q) & _diverges(activation, sigma_w), np.inf, q)
    # 途中の q から見える急な変化は、両端のうち広い方からも見える
    checked = q if resolved(activation, start) else np.full_like(q, start)
    return only_where(resolved(activation, checked), q, repr(activation), checked)


def chi_at(activation: Activation, q: ArrayLike, sigma_w: ArrayLike) -> Array:
    r"""信号の大きさが q の層での :math:`\chi = \sigma_w^2 E[\varphi'(\sqrt{q} Z)^2]` を求めます。

    期待値の桁が出ない q では、警告して NaN を返します。

    Raises
    ------
    TypeError
        ``activation`` が Activation でないとき。
    ValueError
        ``sigma_w`` が 0 以上 :math:`10^{100}` 以下の実数でないとき、``q`` が 0 以上
        の実数でないとき、形がそろわないとき。

    Examples
    --------
    >>> from vgbook import sigmoid
    >>> print(f"{chi_at(sigmoid, 0.0, 1.0):.4f}")  # 飽和していなくても、1 層で勾配の二乗は 1/16
    0.0625
    """
    sigma_w, _ = _scales(sigma_w, 0.0, q=variances(q))
    return sigma_w**2 * slope_square(activation, q)


def chi(activation: Activation, sigma_w: ArrayLike, sigma_b: ArrayLike = 0.0) -> Array:
    r"""不動点での :math:`\chi_1`、すなわち勾配の二乗ノルムの 1 層あたりの倍率を求めます。

    q* が ``inf`` のときは、q → ∞ の極限です (ReLU なら :math:`\sigma_w^2 / 2`)。
    精度と、警告して NaN を返すときは、:func:`fixed_point` と同じです。

    Raises
    ------
    TypeError
        ``activation`` が Activation でないとき。
    ValueError
        ``sigma_w`` と ``sigma_b`` が 0 以上 :math:`10^{100}` 以下の実数でないとき、形がそろわない
        とき。

    Examples
    --------
    >>> from vgbook import sigmoid
    >>> print(f"{chi(sigmoid, 1.0):.4f} {chi(sigmoid, 10.0):.3f}")  # Xavier と、幅 100 で std = 1
    0.0557 0.986
    """
    q = fixed_point(activation, sigma_w, sigma_b)
    return _chi(activation, q, sigma_w)


def critical_sigma_w(activation: Activation, sigma_b: ArrayLike = 0.0) -> Array:
    r"""臨界線 :math:`\chi_1 = 1` の上の σ_w を求めます。

    臨界線では :math:`\sigma_w^2 = 1 / E[\varphi'^2]` なので、
    :math:`\sigma_b^2 = q - E[\varphi^2] / E[\varphi'^2]` を q について解けば足ります。
    q が最も小さい解を採ります。解がないか、その q が安定な不動点でなければ NaN です。
    その q で期待値の桁が出ないときは、警告して NaN を返します。

    Raises
    ------
    TypeError
        ``activation`` が Activation でないとき。
    ValueError
        ``sigma_b`` が 0 以上 :math:`10^{100}` 以下の実数でないとき、形がそろわない
        とき。

    Examples
    --------
    >>> from vgbook import relu, tanh
    >>> print(f"{critical_sigma_w(relu) ** 2:.6f} {critical_sigma_w(tanh, 0.05**0.5) ** 2:.5f}")
    2.000000 1.76095
    """
    check_activation("activation", activation)
    _, sigma_b = _scales(0.0, sigma_b)

    def curve(q: Array) -> Array:
        slope = np.maximum(raw_slope_square(activation, q), 1e-100)  # step では 0
        return raw_mean_square(activation, q) / slope

    q = follow(curve, np.ones_like(sigma_b), sigma_b**2, start=0.0)
    q = only_where(resolved(activation, q), q, repr(activation), q)
    sigma_w = 1 / np.sqrt(np.maximum(raw_slope_square(activation, q), 1e-100))
    above = q * 1.001 + 1e-6  # 少し大きい q が、大きくなり続けないこと
    growth = sigma_w**2 * raw_mean_square(activation, above) + sigma_b**2 - above
    return np.where(growth <= ROUNDING * above, sigma_w, np.nan)[()]


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
    sigma_w, sigma_b = _scales(sigma_w, sigma_b)
    if q is None:
        q = fixed_point(activation, sigma_w, sigma_b)
    else:
        q = variances(q)
        q = only_where(resolved(activation, q), q, repr(activation), q)
    broadcast_shape(sigma_w=sigma_w, sigma_b=sigma_b, q=q, c=as_array("c", c))
    return _correlation(activation, c, sigma_w, sigma_b, q)


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
    sigma_w, sigma_b = np.broadcast_arrays(*_scales(sigma_w, sigma_b))
    q = fixed_point(activation, sigma_w, sigma_b)
    defined = (q > 0) & np.isfinite(q)
    ordered = (_chi(activation, q, sigma_w) <= 1) & (not jumps(activation))
    q = np.where(ordered, np.nan, q)  # 秩序相では計算しない

    def growth(c: Array, sw: Array, sb: Array, q: Array) -> Array:
        return _correlation(activation, c, sw, sb, q) - c

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
    sigma_w, sigma_b = _scales(sigma_w, sigma_b)
    q = fixed_point(activation, sigma_w, sigma_b)
    c = fixed_correlation(activation, sigma_w, sigma_b)
    chi_1 = _chi(activation, q, sigma_w)
    pair = pair_mean(activation.derivative, np.where(c < 1, q, np.nan), c, kinks=activation.kinks)
    chi_c = np.where(c < 1, sigma_w**2 * pair, np.where(c == 1, chi_1, np.nan))
    smooth = np.where(np.isfinite(q) & (not jumps(activation)), 1.0, np.nan)
    return DepthScales(
        length=smooth * _depth(np.abs(_length_slope(activation, q, sigma_w))),
        correlation=smooth * _depth(chi_c),
        gradient=_depth(chi_1),
    )


def _chi(activation: Activation, q: Array, sigma_w: ArrayLike) -> Array:
    return np.square(sigma_w, dtype=float) * raw_slope_square(activation, q)


def _correlation(
    activation: Activation, c: ArrayLike, sigma_w: Array, sigma_b: Array, q: Array
) -> Array:
    q = np.where((q > 0) & np.isfinite(q), q, np.nan)
    product = pair_mean(activation, q, c, kinks=activation.kinks)
    length = sigma_w**2 * raw_mean_square(activation, q) + sigma_b**2
    correlation: Array = (sigma_w**2 * product + sigma_b**2) / length
    return correlation


def _diverges(activation: Activation, sigma_w: Array) -> Array:
    """q が限りなく大きくなるか。E φ² が q に比例して増え続け、その倍率が 1 以上のときである。"""
    far = GRID[-1] ** np.array([1.0, 2.0])
    square = raw_mean_square(activation, far)
    grows = square[1] / far[1] >= 0.99 * square[0] / far[0]  # tanh のように頭打ちなら偽
    return np.asarray(grows & (sigma_w**2 * square[1] >= (1 - ROUNDING) * far[1]))


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


def _scales(sigma_w: ArrayLike, sigma_b: ArrayLike, **others: Array) -> tuple[Array, Array]:
    checked = {}
    for name, value in (("sigma_w", sigma_w), ("sigma_b", sigma_b)):
        checked[name] = np.asarray(check_numbers(name, value, least=0), dtype=float)
        _bounded(name, value)
    broadcast_shape(**checked, **others)
    return checked["sigma_w"], checked["sigma_b"]


def _bounded(name: str, value: ArrayLike) -> None:
    if np.any(np.asarray(value) > _LARGEST):
        raise ValueError(
            f"{name} には {_LARGEST:g} 以下の実数を渡してください。受け取った値: {value!r}"
        )
