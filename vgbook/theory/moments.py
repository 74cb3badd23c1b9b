r"""活性化関数の性質を表す数: 入力が正規分布のときの平均・分散・利得。

プレ活性 u が N(0, q) に従うとき、信号の大きさは :math:`E[\varphi(u)^2]`、勾配の大きさは
:math:`E[\varphi'(u)^2]` で決まります。初期値の利得も、正規化したネットワークでの勾配の倍率も、
この 2 つと :math:`\mathrm{Var}[\varphi(u)]` の比です。

平均は数値積分です。このパッケージの活性化関数なら、:math:`10^{-12} \leq q \leq 10^{12}` で
相対誤差は :math:`10^{-10}` 以下です。自作の活性化関数では、細かく分けた求積との一致と、
φ と φ′ の部分積分の関係を、どちらも :math:`10^{-9}` まで確かめます。成り立たない q では、
``RuntimeWarning`` で知らせて NaN を返します。
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, check_positive
from vgbook.activations import Activation, check_activation
from vgbook.theory.rule import raw_mean, raw_mean_square, raw_slope_square
from vgbook.theory.trust import jumps, verified


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


def mean_square(activation: Activation, q: ArrayLike = 1.0) -> Array:
    """E φ(u)², u ~ N(0, q) を q の形で返します。

    Raises
    ------
    TypeError
        ``activation`` が Activation でないとき。
    ValueError
        ``q`` が 0 以上の実数でないとき。

    Examples
    --------
    >>> from vgbook import relu
    >>> mean_square(relu, [1.0, 4.0]).round(9)
    array([0.5, 2. ])
    """
    check_activation("activation", activation)
    return verified(activation, raw_mean_square(activation, q), q)


def slope_square(activation: Activation, q: ArrayLike = 1.0) -> Array:
    """E φ′(u)², u ~ N(0, q) を q の形で返します。

    Raises
    ------
    TypeError
        ``activation`` が Activation でないとき。
    ValueError
        ``q`` が 0 以上の実数でないとき。

    Examples
    --------
    >>> from vgbook import relu
    >>> slope_square(relu, [1.0, 4.0]).round(9)
    array([0.5, 0.5])
    """
    check_activation("activation", activation)
    return verified(activation, raw_slope_square(activation, q), q)


def moments(activation: Activation, q: ArrayLike = 1.0) -> Moments:
    """E φ, E φ², Var φ, E φ′² を求めます。プレ活性は N(0, q) に従うとします。

    Raises
    ------
    TypeError
        ``activation`` が Activation でないとき。
    ValueError
        ``q`` が 0 以上の実数でないとき。

    Examples
    --------
    >>> from vgbook import relu
    >>> print(f"{moments(relu).mean_square:.12f}")  # 折り返した半分だけが残る
    0.500000000000
    """
    check_activation("activation", activation)
    center = activation(0.0)  # φ(0) からのずれで計算し、分散の桁落ちを避ける
    kinks = activation.kinks
    shift = raw_mean(lambda u: activation(u) - center, q, kinks=kinks)
    spread = raw_mean(lambda u: (activation(u) - center) ** 2, q, kinks=kinks)
    mean = verified(activation, center + shift, q)
    return Moments(
        mean=mean,
        mean_square=np.where(np.isnan(mean), mean, raw_mean_square(activation, q))[()],
        variance=np.where(np.isnan(mean), mean, spread - shift**2)[()],
        slope_square=np.where(np.isnan(mean), mean, raw_slope_square(activation, q))[()],
    )


def gain(activation: Activation, q: ArrayLike = 1.0) -> Array:
    r"""信号の大きさ q を保つ利得 :math:`\sqrt{q / E[\varphi(\sqrt{q} Z)^2]}` を求めます。

    幅が広くバイアスが 0 で、重みの標準偏差が ``gain / √n_in`` なら、q は次の層でも q のままです。
    ReLU では He の :math:`\sqrt2` です。

    Raises
    ------
    TypeError
        ``activation`` が Activation でないとき。
    ValueError
        ``q`` が正の有限な実数でないとき。

    Examples
    --------
    >>> from vgbook import relu, tanh
    >>> print(f"{gain(relu):.6f} {gain(tanh):.6f}")
    1.414214 1.592537
    """
    check_positive("q", q, many=True)
    size = mean_square(activation, q)
    return np.sqrt(np.asarray(q) / size)


def bn_explosion(activation: Activation) -> Array:
    r"""バッチ正規化のネットワークで、勾配の二乗ノルムが 1 層ごとに何倍になるかを求めます。

    :math:`E[\varphi'(Z)^2] / \mathrm{Var}[\varphi(Z)]`。ReLU では :math:`\pi / (\pi - 1)` です。
    独立な正規乱数の重みで ε を無視できれば、標準偏差によりません。φ が連続で、有限個の点を除いて
    微分できれば、1 以上です (ポアンカレの不等式)。step のように φ が跳ぶと、φ′ が跳びを数えない
    ので NaN です。出典: Yang ほか (2019)、定理 3.9 の、標本の数が多い極限。

    Raises
    ------
    TypeError
        ``activation`` が Activation でないとき。

    Examples
    --------
    >>> from vgbook import relu, step
    >>> print(f"{bn_explosion(relu):.6f} {bn_explosion(step)}")
    1.466942 nan
    """
    m = moments(activation)
    return np.where(jumps(activation), np.nan, m.slope_square / m.variance)[()]


def ln_factor(activation: Activation) -> Array:
    r"""層正規化のネットワークで、勾配の二乗ノルムが 1 層ごとに何倍になるかを求めます。

    :math:`E[\varphi'(Z)^2] / E[\varphi(Z)^2]`。ReLU では 1 です。

    Raises
    ------
    TypeError
        ``activation`` が Activation でないとき。

    Examples
    --------
    >>> from vgbook import sigmoid
    >>> print(f"{ln_factor(sigmoid):.4f}")
    0.1528
    """
    m = moments(activation)
    return m.slope_square / m.mean_square
