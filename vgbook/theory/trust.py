r"""数値積分を信じてよいか: 細かく分けた求積と、部分積分の関係で確かめます。

小区間の中で急に変わる関数では、求積は必要な精度で求まりません。そこで、小区間を 16 等分した
求積と比べ、一致しなければ警告して NaN を返します。活性化関数では、φ と φ′ の部分積分の関係も
確かめます。
"""

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgbook._edge import Array
from vgbook.activations import Activation, check_activation
from vgbook.theory.rule import raw_mean, variances

_CUT = 1.5e-23  # P(|Z| > 10)。求積が見ない裾
_PARTS = 16  # 検査の求積では、小区間をさらに等分する
_AGREEMENT = 1e-9  # 検査の求積と一致したとみなす相対誤差


def agrees(
    f: Callable[[Array], Array], q: ArrayLike, *, kinks: Sequence[float] = ()
) -> NDArray[np.bool_]:
    """q での平均が、小区間を 16 等分した求積と一致するかを調べます。

    Examples
    --------
    >>> agrees(np.square, [1.0, 4.0])
    array([ True,  True])
    """
    value, size = (raw_mean(g, q, kinks=kinks) for g in (f, lambda u: np.abs(f(u))))
    finer = raw_mean(f, q, kinks=kinks, parts=_PARTS)
    return np.asarray(np.abs(value - finer) <= _AGREEMENT * size + _CUT)


def at_ticks(test: Callable[[Array], NDArray[np.bool_]], q: ArrayLike) -> NDArray[np.bool_]:
    """q をはさむ 2 つの目盛り (10 のべきの 10 等分) の両方で、``test`` が真かを調べます。

    q ごとに調べるより、q が多いときに速くなります。q が NaN や ``inf`` のときは真とします。

    Examples
    --------
    >>> at_ticks(lambda q: q > 1.0, [0.9, 1.1, 1.3, np.inf])
    array([False, False,  True,  True])
    """
    q = variances(q)
    finite = np.isfinite(q)
    level = np.floor(10 * np.log10(np.clip(np.where(finite, q, 1.0), 1e-30, 1e30)))
    ticks, index = np.unique([level, level + 1], return_inverse=True)
    return np.asarray(test(10 ** (ticks / 10))[index].reshape(2, *q.shape).all(axis=0) | ~finite)


def only_where(good: NDArray[np.bool_], value: Array, name: str, q: ArrayLike) -> Array:
    """``good`` が偽のところを NaN にして返し、警告します。

    Warns
    -----
    RuntimeWarning
        ``good`` に偽があるとき。

    Examples
    --------
    >>> only_where(np.array([True, True]), np.array([0.25, 4.0]), "f", [0.25, 4.0])
    array([0.25, 4.  ])
    """
    if not np.all(good):
        first = np.broadcast_to(q, np.shape(good))[~good][0]
        warnings.warn(
            f"{name} の平均は、q = {first:.4g} では数値積分の桁が出ないので、NaN を返します。"
            "折れ目や急に変わる点を kinks に書き、導関数が正しいことも確かめてください。",
            RuntimeWarning,
            stacklevel=3,
        )
    return np.where(good, value, np.nan)[()]


def converged(
    f: Callable[[Array], Array], q: ArrayLike, *, kinks: Sequence[float] = ()
) -> NDArray[np.bool_]:
    r"""平均 :math:`E[f(\sqrt{q} Z)]` が、小区間を 16 等分した求積と一致するかを調べます。

    q をはさむ 2 つの目盛り (10 のべきの 10 等分) の両方で、:math:`10^{-9} E|f|` まで一致すれば
    真です。:math:`|Z| > 10` の裾は見ないので、:math:`10^{-23}` ほどの差は問いません。
    q が NaN や ``inf`` のときは真とします。幅が :math:`\sqrt{q}` の 1000 分の 1 より狭く、
    ``kinks`` にない山や谷は、見つからないことがあります。

    Returns
    -------
    ndarray of bool, shape (...)

    Examples
    --------
    >>> converged(np.cos, [1.0, 1e4])  # √q = 100 では、細かく振動する
    array([ True, False])
    """
    return at_ticks(lambda ticks: agrees(f, ticks, kinks=kinks), q)


def resolved(activation: Activation, q: ArrayLike = 1.0) -> NDArray[np.bool_]:
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
    >>> resolved(wall, [0.01, 16.0])
    array([ True, False])
    """
    check_activation("activation", activation)
    test: Callable[[Activation, float], bool] = _remembered
    try:
        hash(activation)
    except TypeError:  # 中の関数が、辞書のキーになれないとき
        test = _resolved_at
    return at_ticks(lambda ticks: np.array([test(activation, q) for q in ticks.tolist()]), q)


def _resolved_at(activation: Activation, q: float) -> bool:
    phi, slope, kinks = activation, activation.derivative, activation.kinks

    def mean(f: Callable[[Array], Array]) -> float:
        return float(raw_mean(f, q, kinks=kinks))

    density = np.exp(-np.square(kinks) / (2 * q)) / np.sqrt(2 * np.pi * q)
    left = mean(lambda u: u * phi(u)) / q
    right = mean(slope) + float(np.sum(jump_heights(activation) * density))
    size = mean(lambda u: np.abs(u * phi(u))) / q + mean(lambda u: np.abs(slope(u)))
    return abs(left - right) <= _AGREEMENT * size + _CUT and all(
        agrees(partial(_squared, g), q, kinks=kinks) for g in (phi, slope)
    )


# 層を進むたびに、同じ q を調べ直さないように
_remembered = lru_cache(maxsize=4096)(_resolved_at)


def _squared(f: Callable[[Array], Array], u: Array) -> Array:
    return f(u) ** 2


def jump_heights(activation: Activation) -> Array:
    """``kinks`` の各点で φ が跳ぶ高さを返します。

    Examples
    --------
    >>> from vgbook.activations import step, tanh
    >>> jump_heights(step), jump_heights(tanh)
    (array([1.]), array([], dtype=float64))
    """
    with np.errstate(under="ignore"):  # 0 の隣は、最も小さな非正規化数
        sides = np.nextafter(np.array(activation.kinks)[:, np.newaxis], [-np.inf, np.inf])
    return np.asarray(np.diff(activation(sides))[:, 0])


def jumps(activation: Activation) -> bool:
    """φ が跳ぶか。

    Examples
    --------
    >>> from vgbook.activations import relu, step
    >>> jumps(step), jumps(relu)
    (True, False)
    """
    return bool(np.any(np.abs(jump_heights(activation)) > 1e-6))


def verified(activation: Activation, value: Array, q: ArrayLike) -> Array:
    """φ と φ′ の平均を信じてよい q でだけ ``value`` を返し、ほかは NaN にして警告します。"""
    return only_where(resolved(activation, q), value, repr(activation), q)
