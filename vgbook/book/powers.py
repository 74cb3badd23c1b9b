"""対数の目盛り: 狭い範囲は 0.1、1、10 と数で、広い範囲は 10 の累乗で書きます。"""

from typing import Any

import numpy as np
from matplotlib.scale import LogScale
from matplotlib.ticker import Formatter

SIZE = 14.2
"""字の大きさ [pt]。累乗の指数は 0.7 倍になるので、指数も 10 pt を下回らないように大きくします。"""


class PowerFormatter(Formatter):
    """10 の累乗の目盛り。1 桁に満たない範囲では、2 と 5 の目盛りにも数を書きます。

    Examples
    --------
    >>> PowerFormatter().label(1e-5, 1e-8, 1.0), PowerFormatter().label(0.1, 0.01, 10.0)
    ('$10^{-5}$', '0.1')
    """

    def __init__(self, *, minor: bool = False) -> None:
        self.minor = minor

    def __call__(self, x: float, pos: int | None = None) -> str:
        """値 ``x`` に書く字。"""
        if self.axis is None:
            raise ValueError("目盛りは、軸に付けてから使ってください。")
        low, high = sorted(self.axis.get_view_interval())
        return self.label(x, low, high)

    def label(self, x: float, low: float, high: float) -> str:
        """範囲が ``low`` から ``high`` の軸で、値 ``x`` に書く字。"""
        exponent = np.floor(np.log10(x) + 1e-9)
        first = round(x / 10**exponent)
        if self.minor and (high > 10 * low or first not in (2, 5)):
            return ""
        if low >= 5e-4 and high <= 2e4:
            return f"{x:g}"
        power = f"10^{{{exponent:.0f}}}"
        return f"${power}$" if first == 1 else rf"${first}\times{power}$"


class PowerScale(LogScale):
    """Matplotlib の対数目盛りに、`PowerFormatter` を使わせたもの。"""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # 引数 axis は Matplotlib 3.11 から要らず、3.10 では要る

    def set_default_locators_and_formatters(self, axis: Any) -> None:
        """目盛りの字と大きさを決める。"""
        super().set_default_locators_and_formatters(axis)
        axis.set_major_formatter(PowerFormatter())
        axis.set_minor_formatter(PowerFormatter(minor=True))
        axis.set_tick_params(labelsize=SIZE)
