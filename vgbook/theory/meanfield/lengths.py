"""信号の大きさ q と、勾配の倍率 χ: 1 つの入力が層を進み、勾配がさかのぼるとき。"""

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, check_numbers, check_positive
from vgbook.activations import Activation, check_activation
from vgbook.theory.fixed_points import GRID, ROUNDING, follow
from vgbook.theory.moments import mean_square, slope_square
from vgbook.theory.rule import broadcast_shape, raw_mean_square, raw_slope_square, variances
from vgbook.theory.trust import only_where, resolved

_LARGEST = 1e100  # これより大きい σ は、2 乗などで桁あふれしかねない


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
    sigma_w, sigma_b = check_scales(sigma_w, sigma_b, q=variances(q))
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
    sigma_w, sigma_b = check_scales(sigma_w, sigma_b)
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
    sigma_w, _ = check_scales(sigma_w, 0.0, q=variances(q))
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
    return raw_chi(activation, q, sigma_w)


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
    _, sigma_b = check_scales(0.0, sigma_b)

    def curve(q: Array) -> Array:
        slope = np.maximum(raw_slope_square(activation, q), 1e-100)  # step では 0
        return raw_mean_square(activation, q) / slope

    q = follow(curve, np.ones_like(sigma_b), sigma_b**2, start=0.0)
    q = only_where(resolved(activation, q), q, repr(activation), q)
    sigma_w = 1 / np.sqrt(np.maximum(raw_slope_square(activation, q), 1e-100))
    above = q * 1.001 + 1e-6  # 少し大きい q が、大きくなり続けないこと
    growth = sigma_w**2 * raw_mean_square(activation, above) + sigma_b**2 - above
    return np.where(growth <= ROUNDING * above, sigma_w, np.nan)[()]


def raw_chi(activation: Activation, q: Array, sigma_w: ArrayLike) -> Array:
    """信号の大きさが q の層での χ を、精度を検査せずに返します。"""
    return np.square(sigma_w, dtype=float) * raw_slope_square(activation, q)


def _diverges(activation: Activation, sigma_w: Array) -> Array:
    """q が限りなく大きくなるか。E φ² が q に比例して増え続け、その倍率が 1 以上のときである。"""
    far = GRID[-1] ** np.array([1.0, 2.0])
    square = raw_mean_square(activation, far)
    grows = square[1] / far[1] >= 0.99 * square[0] / far[0]  # tanh のように頭打ちなら偽
    return np.asarray(grows & (sigma_w**2 * square[1] >= (1 - ROUNDING) * far[1]))


def check_scales(sigma_w: ArrayLike, sigma_b: ArrayLike, **others: Array) -> tuple[Array, Array]:
    """尺度が 0 以上の、大きすぎない実数で、``others`` とも形がそろうことを確かめます。"""
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
