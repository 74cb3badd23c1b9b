"""数値微分の刻みと差分: 配列の要素を 1 つずつ動かし、差と、その誤差の見積もりを求める。"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from vgbook._edge import Array


def _default_step(dtype: Any) -> float:
    """切り捨て h² と丸め ε/h がつり合う ∛ε を、10 のべきに丸めた刻み幅。float64 なら 1e-5。"""
    return float(10.0 ** round(math.log10(np.cbrt(np.finfo(dtype).eps))))


def steps_of(a: Array, h: float | None, dtype: Any) -> Array:
    """要素ごとの刻み幅。自動なら、大きな値では値に比例させて、丸めに消えないようにする。"""
    if h is not None:
        return np.full(a.shape, h)
    steps: Array = _default_step(dtype) * np.maximum(1.0, np.abs(a).astype(float))
    return steps


def shaken(
    f: Callable[[], Any], a: Array, steps: Array, members: int
) -> Iterator[tuple[Any, Any, Any, Any]]:
    """``members`` 本の集団の軸の後の要素を 1 つずつ動かし、(位置, f(+h), f(−h), 幅) を返す。

    幅は、丸めた後に実際に動いた長さ。2h で割ると、丸めで縮んだり消えたりした刻みに気づけない。
    """
    for index in np.ndindex(a.shape[members:]):
        at = (..., *index)
        kept, step = a[at].copy(), steps[at]
        ends, values = [], []
        try:
            for sign in (1, -1):
                a[at] = kept + sign * step
                ends.append(a[at].astype(np.result_type(a, float)))
                values.append(f())
        finally:
            a[at] = kept
        yield at, *values, ends[0] - ends[1]


class Point(NamedTuple):
    """微分する点: 動かす配列、要素ごとの刻み、集団の軸の数、損失と折れ目の側を返す関数。"""

    a: Array
    steps: Array
    members: int
    f: Callable[[], tuple[Any, Array]]


class Differences(NamedTuple):
    """ある刻みでの数値微分、比べられる要素か、丸めの雑音。"""

    numeric: Array
    smooth: Array
    noise: float


def measured_rounding(point: Point) -> float:
    """損失の丸めの大きさ。打ち消し合いで大きくなった丸めは、ε|L| より大きい。

    ごく近い 8 点の値の高階の差分は、滑らかな変化なら消え、丸めの雑音だけが残る。どの階から求めても
    ほぼ同じ大きさになる間隔のうち、最も狭いものを使う。見つからなければ 0。
    出典: Moré and Wild (2011), Estimating computational noise, 3 節。
    """
    for finer in (1e6, 1e4, 1e2):
        values = _nearby(point, point.steps / finer)
        levels = [
            float(np.sqrt(np.square(np.diff(values, n=k, axis=0)).mean(axis=0).max()))
            / math.sqrt(math.comb(2 * k, k))
            for k in (4, 5, 6)
        ]
        if 0 < max(levels) <= 4 * min(levels):
            return 3 * max(levels)
    return 0.0


def _nearby(point: Point, spacing: Array) -> Array:
    """どの要素も一斉に ``spacing`` ずつ動かした 8 点の損失。"""
    kept = point.a.copy()
    signs = np.random.default_rng(0).choice([-1, 1], kept.shape)
    values = []
    try:
        for k in range(8):
            point.a[...] = kept + k * signs * spacing
            values.append(np.asarray(point.f()[0], float))
    finally:
        point.a[...] = kept
    return np.array(values)


def differences(point: Point, finer: int, rounding: float) -> Differences:
    """刻みを 1/``finer`` にした数値微分。"""
    a, steps, members, f = point._replace(steps=point.steps / finer)
    numeric, smooth = np.zeros(a.shape), np.zeros(a.shape, dtype=bool)
    for at, (plus, sides_plus), (minus, sides_minus), width in shaken(f, a, steps, members):
        numeric[at] = np.subtract(plus, minus) / np.where(width == 0, np.inf, width)
        smooth[at] = np.all(sides_plus == sides_minus, axis=-1) & (width != 0)
    return Differences(numeric, smooth, rounding / float(steps.min()))


def doubt(found: list[Differences], i: int) -> float:
    """i 番目の刻みの誤差の見積もり: 丸めの雑音と、より細かい刻みとの食い違いの和。

    すぐ下の刻みとは食い違いのすべてを、もっと細かい刻みとは、その雑音を超える分だけを数える。
    """
    here = found[i]
    gaps = [
        float(np.abs(finer.numeric - here.numeric)[finer.smooth & here.smooth].max(initial=0.0))
        - (finer.noise if distance else 0.0)
        for distance, finer in enumerate(found[i + 1 :])
    ]
    return here.noise + max([0.0, *gaps])
