"""数値微分: 連鎖律を使わずに、関数の値の差から勾配を求める。

刻みが大きすぎれば切り捨て、小さすぎれば丸めで桁が出ません。どちらも測って知らせます。
"""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from vgbook._edge import Array, as_array, check_callable, check_positive, check_real
from vgbook._progress import progress_bar
from vgbook.clinic.differences import shaken, steps_of

TRUNCATION = 1e-3
"""刻みを半分にしたとき、勾配が自分の何倍より変われば、切り捨てが大きいと見るか。"""


def numerical_gradient(f: Callable[[Array], Any], a: Array, h: float | None = None) -> Array:
    r"""中心差分による数値微分。

    .. math:: \frac{\partial f}{\partial a_i} \approx
              \frac{f(a + h e_i) - f(a - h e_i)}{2h}

    誤差は、切り捨てが :math:`O(h^2)`、丸めが :math:`O(\epsilon |f| / h)` です。

    Parameters
    ----------
    f : callable
        ``a`` から 1 つの数を返す関数。``a`` が集団の配列 (..., m, n) なら、要素ごとの値 (...) を
        返してもかまいません。要素の値は、自分の (m, n) だけで決まるものとします。
    a : ndarray
        微分する点。どんな形でもかまいません。計算の間だけ書き換え、終わると元に戻します。
    h : float, optional
        刻み幅 (正)。省略すると、``a`` の型と値の大きさに合わせます (float64 の 1 以下の値なら
        1e-5、float32 なら 1e-2)。

    Returns
    -------
    ndarray
        ``a`` と同じ形の勾配。

    Raises
    ------
    ValueError
        ``a`` が空か有限でないか書き込み禁止のとき、``h`` が正でないか丸めで消えるとき、``f`` の値の
        形が違うとき。
    TypeError
        ``a`` が浮動小数点数の配列でないとき、``f`` が関数でないか実数を返さないとき。

    Warns
    -----
    RuntimeWarning
        ``h`` が ``a`` の丸めの 100 倍より小さいか、省いた ``h`` が ``f`` の変わり方に対して
        大きすぎて、勾配の桁が出ないとき。

    Examples
    --------
    >>> a = np.array([1.0, 2.0, 3.0])
    >>> numerical_gradient(lambda a: np.sum(a**2), a).round(6)
    array([2., 4., 6.])
    """
    check_callable("f", f)
    if h is not None:
        check_positive("h", h)
    point = _movable(a)
    steps = steps_of(point, h, a.dtype)
    _check_steps(point, steps)
    kept = a.copy()
    value = check_real("f の値", f(a))
    _check_function(f, a, kept, value)
    if value.size != 1 and value.shape != point.shape[:-2]:
        raise ValueError(
            "f は 1 つの数か、集団の要素ごとの値を返さなければなりません。"
            f"a の形は {point.shape}、受け取った値の形: {value.shape}"
        )
    members = 0 if value.size == 1 else value.ndim
    gradient, moved = np.empty_like(point), False
    with progress_bar(math.prod(point.shape[members:]), "数値微分") as bar:
        for at, plus, minus, width in shaken(lambda: f(a), point, steps, members):
            change = np.subtract(plus, minus)
            gradient[at] = (change if members else change.reshape(width.shape)) / width
            moved = moved or not (np.array_equal(plus, minus) and np.array_equal(plus, value))
            bar.update()
    if members:
        _check_independence(f, a, point, steps, value)
    _warn_of_rounding(point, steps, value, gradient, moved)
    if h is None:
        _warn_of_truncation(f, a, point, steps, gradient)
    return gradient


def _movable(a: Array) -> Array:
    """要素を 1 つずつ動かせる配列であることを確かめる。"""
    if not isinstance(a, np.ndarray) or a.dtype.kind != "f":
        raise TypeError(f"a には浮動小数点数の配列を渡してください。受け取った値: {a!r}")
    point = as_array("a", a)
    low, high = byte_bounds(a)
    overlaps = high - low < a.nbytes  # sliding_window_view のように、要素が場所を分け合う
    if a.size == 0 or not np.all(np.isfinite(a)) or not a.flags.writeable or overlaps:
        raise ValueError(
            "a には空でなく有限で、要素を 1 つずつ書き換えられる配列を渡してください。"
            f"受け取った値: {a!r}"
        )
    return point


def _check_function(f: Callable[[Array], Any], a: Array, kept: Array, value: Array) -> None:
    """f が a を書き換えず、同じ a には同じ値を返すこと。"""
    if not np.array_equal(a, kept):
        a[...] = kept
        raise ValueError(
            "f は、渡された a を書き換えずに値を返さなければなりません。a -= 1 のような、その場での"
            f"計算を a = a - 1 に変えてください。受け取った a の形: {a.shape}"
        )
    again = np.asarray(f(a))
    if not np.array_equal(again, value, equal_nan=True):
        raise ValueError(
            "f は、同じ a に同じ値を返さなければなりません。ドロップアウトのような乱数は、種を"
            f"決めて引き直すか、止めてください。受け取った値: {value} と {again}"
        )


def _check_steps(a: Array, steps: Array) -> None:
    ends = [(a + sign * steps).astype(a.dtype) for sign in (1, -1)]
    if np.any(ends[0] == ends[1]):
        raise ValueError(
            f"h が小さすぎて、{a.dtype} の a に足しても丸めで消えます。h を大きくするか、"
            f"a を float64 にしてください。受け取った h: {steps.min():g}、"
            f"|a| の最大値: {np.abs(a).max():g}"
        )


def _warn_of_rounding(a: Array, steps: Array, value: Array, gradient: Array, moved: bool) -> None:
    """刻みか勾配が、a や f の値の丸めに埋もれるなら知らせる。"""
    rounding = np.finfo(a.dtype).eps * np.abs(a).astype(float)
    noise = np.finfo(value.dtype).eps * float(np.abs(value).max()) / float(steps.min())
    top = float(np.abs(gradient).max())
    remedy = "h を大きくするか、a を float64 にして、値の大きさをそろえてください。"
    if np.any(steps < 100 * rounding):
        message = (
            f"h = {steps.min():g} は {a.dtype} の a の丸め {rounding.max():.1g} の 100 倍より小さい"
            f"ので、勾配の桁が出ません。{remedy}"
        )
    elif 0 < top < noise:
        message = (
            f"f の値の丸めの雑音 {noise:.1g} が、勾配の最大値 {top:.1g} より大きいので、勾配の桁が"
            f"出ません。{remedy}"
        )
    elif not moved:
        message = (
            "a のどの要素を ±h 動かしても f の値がまったく変わらないので、勾配はすべて 0 です。"
            "f が a を使っているか (層は重みの写しをもちます)、変化が f の値の丸め"
            f" {noise * steps.min():.1g} に埋もれていないかを確かめてください。"
        )
    else:
        return
    warnings.warn(message, RuntimeWarning, stacklevel=3)


def _warn_of_truncation(
    f: Callable[[Array], Any], a: Array, point: Array, steps: Array, gradient: Array
) -> None:
    """いちばん大きな勾配を半分の刻みで測り直し、刻みが大きすぎるなら知らせる。"""
    at = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)  # NaN があれば、そこ
    kept, step, ends = point[at], float(steps[at]) / 2, []
    try:
        for sign in (1, -1):
            point[at] = kept + sign * step
            values = np.asarray(f(a), float)
            ends.append(values.item() if values.size == 1 else values[at[: values.ndim]])
    finally:
        point[at] = kept
    found = float(gradient[at])
    gap = abs((ends[0] - ends[1]) / (2 * step) - found)
    noise = 10 * float(np.finfo(a.dtype).eps) * abs(ends[0]) / step
    if not gap <= TRUNCATION * abs(found) + noise:
        warnings.warn(
            f"刻み h = {2 * step:g} を半分にすると、勾配の最大値 {found:.3g} が {gap:.1g} 変わり"
            "ます。h が大きすぎるか、f が a のそばで滑らかでないか、有限でありません。h を"
            "小さくして、勾配が変わらなくなることを確かめてください。",
            RuntimeWarning,
            stacklevel=3,
        )


def _check_independence(
    f: Callable[[Array], Any], a: Array, point: Array, steps: Array, value: Array
) -> None:
    """集団の 1 番目の要素だけを動かしたとき、ほかの要素の値が変わらないこと。"""
    first = (0,) * value.ndim
    kept = point[first].copy()
    point[first] += steps[first].astype(point.dtype)
    try:
        moved = np.not_equal(np.asarray(f(a)), value)
    finally:
        point[first] = kept
    moved[first] = False
    if moved.any():
        raise ValueError(
            "f の値は、集団の要素ごとに、自分の配列だけで決まらなければなりません。配列の全体から"
            f" 1 つの数を求めるなら、その数だけを返してください。受け取った値の形: {value.shape}"
        )
