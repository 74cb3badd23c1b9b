r"""活性化関数の性質を表す数: 入力が正規分布のときの平均・分散・利得。

プレ活性 u が N(0, q) に従うとき、信号の大きさは :math:`E[\varphi(u)^2]`、勾配の大きさは
:math:`E[\varphi'(u)^2]` で決まります。初期値の利得も、正規化したネットワークでの勾配の倍率も、
この 2 つと :math:`\mathrm{Var}[\varphi(u)]` の比です。

平均は数値積分です。このパッケージの活性化関数なら、:math:`10^{-12} \leq q \leq 10^{12}` で
相対誤差は :math:`10^{-10}` 以下です。自作の活性化関数では、細かく分けた求積との一致と、
φ と φ′ の部分積分の関係を、どちらも :math:`10^{-9}` まで確かめます。成り立たない q では、
``RuntimeWarning`` で知らせて NaN を返します。
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgbook._edge import Array
from vgbook.activations import Activation, check_activation
from vgbook.theory.quadrature import (
    _AGREEMENT,
    _CUT,
    _agrees,
    _at_ticks,
    _only_where,
    _unchecked_mean,
)


class Moments(NamedTuple):
    """入力が N(0, q) のときの φ と φ′ の統計量。どれも q の形です。"""

    mean: Array
    """φ の平均。"""
    mean_square: Array
    """φ の二乗平均。"""
    variance: Array
    """φ の分散。"""
    slope_square: Array
    """φ′ の二乗平均。"""


def mean_square(activation: Activation, q: ArrayLike = 1.0, *, check: bool = True) -> Array:
    """E φ(u)², u ~ N(0, q) を q の形で返します。``check=False`` なら精度を検査しません。

    Examples
    --------
    >>> from vgbook import relu
    >>> mean_square(relu, [1.0, 4.0]).round(9)
    array([0.5, 2. ])
    """
    check_activation("activation", activation)
    value = _unchecked_mean(lambda u: activation(u) ** 2, q, kinks=activation.kinks)
    return _verified(activation, value, q) if check else value


def slope_square(activation: Activation, q: ArrayLike = 1.0, *, check: bool = True) -> Array:
    """E φ′(u)², u ~ N(0, q) を q の形で返します。``check=False`` なら精度を検査しません。

    Examples
    --------
    >>> from vgbook import relu
    >>> slope_square(relu, [1.0, 4.0]).round(9)
    array([0.5, 0.5])
    """
    check_activation("activation", activation)
    value = _unchecked_mean(lambda u: activation.derivative(u) ** 2, q, kinks=activation.kinks)
    return _verified(activation, value, q) if check else value


def moments(activation: Activation, q: ArrayLike = 1.0) -> Moments:
    """E φ, E φ², Var φ, E φ′² を求めます。プレ活性は N(0, q) に従うとします。

    Examples
    --------
    >>> from vgbook import relu
    >>> print(f"{moments(relu).mean_square:.12f}")  # 折り返した半分だけが残る
    0.500000000000
    """
    check_activation("activation", activation)
    center = activation(0.0)  # φ(0) からのずれで計算し、分散の桁落ちを避ける
    kinks = activation.kinks
    shift = _unchecked_mean(lambda u: activation(u) - center, q, kinks=kinks)
    spread = _unchecked_mean(lambda u: (activation(u) - center) ** 2, q, kinks=kinks)
    mean = _verified(activation, center + shift, q)
    return Moments(
        mean=mean,
        mean_square=np.where(np.isnan(mean), mean, mean_square(activation, q, check=False))[()],
        variance=np.where(np.isnan(mean), mean, spread - shift**2)[()],
        slope_square=np.where(np.isnan(mean), mean, slope_square(activation, q, check=False))[()],
    )


def _resolved(activation: Activation, q: ArrayLike = 1.0) -> NDArray[np.bool_]:
    r"""N(0, q) にわたる φ と φ′ の平均を、数値積分で求められるかを調べます。

    φ² と φ′² の求積が細かく分けたものと一致し、部分積分の恒等式
    :math:`E[u \varphi(u)] / q = E[\varphi'(u)] + \sum_k J_k\, p(k)` も :math:`10^{-9}` まで
    成り立てば真です。:math:`J_k` は ``kinks`` の点 k での φ の跳び、p は N(0, q) の密度です。
    ``kinks`` に書き忘れた跳びや、狭すぎて見えない立ち上がりは、この式を破ります。
    答えは活性化関数と q ごとに覚えておき、2 度目からは調べ直しません。

    Examples
    --------
    >>> from vgbook.activations import Activation, tanh
    >>> wall = Activation(
    ...     "wall", lambda z: tanh(50 * (z - 3)), lambda z: 50 * tanh.derivative(50 * (z - 3))
    ... )
    >>> _resolved(wall, [0.01, 16.0])
    array([ True, False])
    """
    check_activation("activation", activation)
    test: Callable[[Activation, float], bool] = _remembered
    try:
        hash(activation)
    except TypeError:  # 中の関数が、辞書のキーになれないとき
        test = _resolved_at
    return _at_ticks(lambda ticks: np.array([test(activation, q) for q in ticks.tolist()]), q)


def _resolved_at(activation: Activation, q: float) -> bool:
    phi, slope, kinks = activation, activation.derivative, activation.kinks

    def mean(f: Callable[[Array], Array]) -> float:
        return float(_unchecked_mean(f, q, kinks=kinks))

    density = np.exp(-np.square(kinks) / (2 * q)) / np.sqrt(2 * np.pi * q)
    left = mean(lambda u: u * phi(u)) / q
    right = mean(slope) + float(np.sum(_jump_heights(activation) * density))
    size = mean(lambda u: np.abs(u * phi(u))) / q + mean(lambda u: np.abs(slope(u)))
    return abs(left - right) <= _AGREEMENT * size + _CUT and all(
        _agrees(partial(_squared, g), q, kinks=kinks) for g in (phi, slope)
    )


# 層を進むたびに、同じ q を調べ直さないように
_remembered = lru_cache(maxsize=4096)(_resolved_at)


def _squared(f: Callable[[Array], Array], u: Array) -> Array:
    return f(u) ** 2


def _jump_heights(activation: Activation) -> Array:
    """``kinks`` の各点で φ が跳ぶ高さを返します。

    Examples
    --------
    >>> from vgbook.activations import step, tanh
    >>> _jump_heights(step), _jump_heights(tanh)
    (array([1.]), array([], dtype=float64))
    """
    sides = np.nextafter(np.array(activation.kinks)[:, np.newaxis], [-np.inf, np.inf])
    return np.asarray(np.diff(activation(sides))[:, 0])


def _jumps(activation: Activation) -> bool:
    """φ が跳ぶか。

    Examples
    --------
    >>> from vgbook.activations import relu, step
    >>> _jumps(step), _jumps(relu)
    (True, False)
    """
    return bool(np.any(np.abs(_jump_heights(activation)) > 1e-6))


def gain(activation: Activation, q: ArrayLike = 1.0) -> Array:
    r"""信号の大きさ q を保つ利得 :math:`\sqrt{q / E[\varphi(\sqrt{q} Z)^2]}` を求めます。

    標準偏差 ``gain / √n_in`` の重みなら、q は次の層でも q のままです。
    ReLU では He の :math:`\sqrt2` です。

    Examples
    --------
    >>> from vgbook import relu, tanh
    >>> print(f"{gain(relu):.6f} {gain(tanh):.6f}")
    1.414214 1.592537
    """
    return np.sqrt(np.asarray(q) / mean_square(activation, q))


def bn_explosion(activation: Activation) -> Array:
    r"""バッチ正規化のネットワークで、勾配の二乗ノルムが 1 層ごとに何倍になるかを求めます。

    :math:`E[\varphi'(Z)^2] / \mathrm{Var}[\varphi(Z)]`。ReLU では :math:`\pi / (\pi - 1)` です。
    重みの大きさに依らないので、初期値では消せません。φ が連続なら 1 以上です (ポアンカレの不等式)。
    step のように φ が跳ぶと、φ′ が跳びを数えないので NaN です。出典: Yang ほか (2019)、
    定理 3.9 の、標本の数が多い極限。

    Examples
    --------
    >>> from vgbook import relu, step
    >>> print(f"{bn_explosion(relu):.6f} {bn_explosion(step)}")
    1.466942 nan
    """
    m = moments(activation)
    return np.where(_jumps(activation), np.nan, m.slope_square / m.variance)[()]


def ln_factor(activation: Activation) -> Array:
    r"""層正規化のネットワークで、勾配の二乗ノルムが 1 層ごとに何倍になるかを求めます。

    :math:`E[\varphi'(Z)^2] / E[\varphi(Z)^2]`。ReLU では 1 です。

    Examples
    --------
    >>> from vgbook import sigmoid
    >>> print(f"{ln_factor(sigmoid):.4f}")
    0.1528
    """
    m = moments(activation)
    return m.slope_square / m.mean_square


def _verified(activation: Activation, value: Array, q: ArrayLike) -> Array:
    return _only_where(_resolved(activation, q), value, repr(activation), q)
