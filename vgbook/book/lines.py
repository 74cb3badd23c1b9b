"""線: 種のばらつきの帯、理論の線、活性化関数の曲線。"""

from typing import Any

import numpy as np

from vgbook._edge import Array
from vgbook.activations import Activation
from vgbook.book.looks import COLORS, look


def band(
    ax: Any,
    x: Array,
    samples: Array,
    *,
    label: str | None = None,
    series: int | str = 0,
    color: str | None = None,
    marks: int = 10,
) -> Any:
    """seed にわたる中央値を線で、最小から最大を帯で描く。

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        描く軸。
    x : ndarray, shape (T,)
        横軸。
    samples : ndarray, shape (seeds, T)
        縦軸の値。NaN の seed は除きます (全部 NaN の点は途切れます)。
    label : str, optional
        凡例の名前。
    series : int or str
        `SERIES` の何番目の色・印・線種を使うか。または `LOOKS` の言葉。
    color : str, optional
        色だけを替えるとき (`COLORS` の値)。
    marks : int
        印を付ける間隔のおよその数。

    Returns
    -------
    Line2D

    Raises
    ------
    ValueError
        ``samples`` が (seeds, T) でないとき。

    Examples
    --------
    >>> from vgbook.book.looks import figure
    >>> fig, ax = figure()
    >>> line = band(ax, np.arange(3), np.ones((10, 3)), label="例")
    >>> line.get_ydata()
    array([1., 1., 1.])
    """
    x, samples = np.asarray(x), np.asarray(samples, dtype=float)
    if samples.ndim != 2 or samples.shape[1:] != x.shape:
        raise ValueError(
            f"samples の形は (seeds, {len(x)}) でなければなりません。受け取った形: {samples.shape}"
        )
    alive = ~np.isnan(samples).all(axis=0)
    middle, low, high = np.full((3, len(x)), np.nan)
    middle[alive] = np.nanmedian(samples[:, alive], axis=0)
    low[alive], high[alive] = (f(samples[:, alive], axis=0) for f in (np.nanmin, np.nanmax))
    default, marker, dash = look(series)
    color = color or default
    every = max(1, len(x) // marks)
    (line,) = ax.plot(x, middle, color=color, ls=dash, marker=marker, markevery=every, label=label)
    ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    return line


def theory(ax: Any, x: Array, y: Array, label: str = "理論") -> Any:
    """理論の予測を、測定の上に灰色の破線で重ねる。

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        描く軸。
    x, y : ndarray, shape (T,)
        横軸と予測。
    label : str
        凡例の名前。

    Returns
    -------
    Line2D

    Examples
    --------
    >>> from vgbook.book.looks import figure
    >>> fig, ax = figure()
    >>> theory(ax, np.arange(3), np.arange(3)).get_label()
    '理論'
    """
    (line,) = ax.plot(x, y, color=COLORS["theory"], ls=(0, (4, 2)), lw=1.4, label=label, zorder=3)
    return line


def curve(ax: Any, activation: Activation, limits: tuple[float, float] = (-6.0, 6.0)) -> None:
    """活性化関数 φ(z) と導関数 φ′(z) を 1 つの軸に描く。

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        描く軸。
    activation : Activation
        活性化関数。
    limits : tuple of float
        z の範囲。

    Examples
    --------
    >>> from vgbook.activations import sigmoid
    >>> from vgbook.book.looks import figure
    >>> fig, ax = figure()
    >>> curve(ax, sigmoid)
    >>> ax.get_xlabel()
    'z'
    """
    z = np.linspace(*limits, 801)
    ax.plot(z, activation(z), color=COLORS["h"], label="φ(z)")
    ax.plot(z, activation.derivative(z), color=COLORS["delta"], ls="--", label="φ′(z)")
    ax.set(xlabel="z", title=activation.name)
