r"""活性化関数の性質を表す数: 入力が正規分布のときの平均・分散・利得。

プレ活性 u が N(0, q) に従うとき、信号の大きさは :math:`E[\varphi(u)^2]`、勾配の大きさは
:math:`E[\varphi'(u)^2]` で決まります。初期値の利得も、正規化したネットワークでの勾配の倍率も、
この 2 つと :math:`\mathrm{Var}[\varphi(u)]` の比です。
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vgbook.activations import Activation, Array
from vgbook.quadrature import gaussian_mean


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

    Examples
    --------
    >>> from vgbook import relu
    >>> mean_square(relu, [1.0, 4.0]).round(9)
    array([0.5, 2. ])
    """
    _check(activation)
    return gaussian_mean(lambda u: activation(u) ** 2, q, kinks=activation.kinks)


def slope_square(activation: Activation, q: ArrayLike = 1.0) -> Array:
    """E φ′(u)², u ~ N(0, q) を q の形で返します。

    Examples
    --------
    >>> from vgbook import relu
    >>> slope_square(relu, [1.0, 4.0]).round(9)
    array([0.5, 0.5])
    """
    _check(activation)
    return gaussian_mean(lambda u: activation.derivative(u) ** 2, q, kinks=activation.kinks)


def moments(activation: Activation, q: ArrayLike = 1.0) -> Moments:
    """E φ, E φ², Var φ, E φ′² を求めます。プレ活性は N(0, q) に従うとします。

    Examples
    --------
    >>> from vgbook import relu
    >>> print(f"{moments(relu).mean_square:.12f}")  # 折り返した半分だけが残る
    0.500000000000
    """
    _check(activation)
    center = activation(0.0)  # φ(0) からのずれで計算し、分散の桁落ちを避ける
    kinks = activation.kinks
    shift = gaussian_mean(lambda u: activation(u) - center, q, kinks=kinks)
    spread = gaussian_mean(lambda u: (activation(u) - center) ** 2, q, kinks=kinks)
    return Moments(
        mean=center + shift,
        mean_square=mean_square(activation, q),
        variance=spread - shift**2,
        slope_square=slope_square(activation, q),
    )


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
    重みの大きさに依らないので、初期値では消せません。出典: Yang ほか (2019)、
    定理 3.9 の、標本の数が多い極限。

    Examples
    --------
    >>> from vgbook import relu
    >>> print(f"{bn_explosion(relu):.6f}")
    1.466942
    """
    m = moments(activation)
    return m.slope_square / m.variance


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


def _check(activation: object) -> None:
    if not isinstance(activation, Activation):
        raise TypeError(
            "activation には Activation (relu, leaky_relu(0.01) など) を渡してください。"
            f"受け取った値: {activation!r}"
        )
