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

from vgbook.theory.meanfield.correlations import correlation_map, fixed_correlation
from vgbook.theory.meanfield.depths import DepthScales, depth_scales
from vgbook.theory.meanfield.lengths import (
    chi,
    chi_at,
    critical_sigma_w,
    fixed_point,
    length_map,
)

__all__ = [  # noqa: RUF022  # 読む順
    "length_map",
    "fixed_point",
    "chi_at",
    "chi",
    "critical_sigma_w",
    "correlation_map",
    "fixed_correlation",
    "depth_scales",
    "DepthScales",
]
