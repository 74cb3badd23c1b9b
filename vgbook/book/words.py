"""動かせる図の読み取りの文: 判定、倍率、つまみの組み合わせごとの文。"""

from collections.abc import Callable
from typing import Any

import numpy as np

from vgbook._edge import Array
from vgbook.book.numerals import power
from vgbook.clinic.record import Thresholds

LAYER = "層 (1 が入力側)"
"""層を並べた横軸の名前。"""


def verdict(ratio: float) -> str:
    """δ の比 (入力側 ÷ 出力側) の判定。閾値は `vgbook.diagnose` と同じ。

    Examples
    --------
    >>> verdict(1e-3), verdict(0.5), verdict(200.0)
    ('消失', '良好', '爆発')
    """
    limit = Thresholds().gradient
    return "消失" if ratio < limit else "爆発" if ratio > 1 / limit else "良好"


def times(ratio: float) -> str:
    """倍率を、読める長さで書く。

    Examples
    --------
    >>> times(0.0435), times(1.2e-12)
    ('0.0435 倍', '1.2 × 10⁻¹² 倍')
    """
    if 1e-3 <= ratio < 1e3 or not ratio > 0:
        return f"{ratio:.3g} 倍"
    return f"{power(ratio, 1)} 倍"


def median_ratio(samples: Array, at: tuple[int, ...], start: int, end: int) -> float:
    """つまみの位置 ``at`` での、層 ``start`` ÷ 層 ``end`` の、種にわたる中央値。

    ``samples`` の形は (seeds, つまみ 1, つまみ 2, ..., 層) です。

    Examples
    --------
    >>> median_ratio(np.array([[[1.0, 4.0]], [[2.0, 4.0]], [[3.0, 4.0]]]), (0,), 0, 1)
    0.5
    """
    index: tuple[Any, ...] = (slice(None), *at)
    one = samples[index]
    return float(np.median(one[:, start] / one[:, end]))


def sentences(sentence: Callable[..., str], states: tuple[int, ...]) -> Array:
    """つまみの組み合わせごとの文。形は ``states``。

    Examples
    --------
    >>> sentences(lambda i, j: f"{i} と {j}", (1, 2)).tolist()
    [['0 と 0', '0 と 1']]
    """
    return np.array([sentence(*state) for state in np.ndindex(states)]).reshape(states)
