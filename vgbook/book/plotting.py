"""図: 配列を受け取り、軸に描く。計算はしません。

色と字の大きさ (`vgbook.book.looks`)、線 (`vgbook.book.lines`)、線の名前 (`vgbook.book.names`)、
計算グラフ (`vgbook.book.graph`) も、ここから使えます。ここにあるのは、いくつもの軸に描くものです。
ばらつきは「中央値の線」と「最小から最大の帯」です。
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vgbook._edge import Array, check_count, check_real
from vgbook.book.graph import computation_graph
from vgbook.book.lines import band, curve, theory
from vgbook.book.looks import COLORS, LOOKS, SERIES, WIDTH, figure, look, style
from vgbook.book.names import key, name_lines
from vgbook.experiments.flow import Flow

if TYPE_CHECKING:
    from vgbook.clinic.report import Diagnosis

__all__ = [
    "COLORS",
    "LOOKS",
    "SERIES",
    "WIDTH",
    "accuracy_grid",
    "band",
    "computation_graph",
    "curve",
    "diagnosis_panels",
    "figure",
    "flow_panels",
    "histograms",
    "key",
    "look",
    "name_lines",
    "style",
    "theory",
]


def histograms(
    axes: Sequence[Any],
    layers: Sequence[Array],
    limits: tuple[float, float],
    bins: int = 30,
    *,
    numbers: Sequence[int] | None = None,
) -> None:
    r"""層ごとのヒストグラムを横に並べる。範囲の外にある値の割合も書く。

    元の本の図は範囲の外を黙って捨てます。ここでは、どれだけ捨てたかを題に書きます。

    Parameters
    ----------
    axes : sequence of matplotlib.axes.Axes
        層の数だけの軸。
    layers : sequence of ndarray
        各層の値 (形は問いません)。
    limits : tuple of float
        描く範囲。
    bins : int
        区間の数。
    numbers : sequence of int, optional
        題に書く層の番号。省略すると 1 から順に付けます。

    Raises
    ------
    ValueError
        軸と層と番号の数が違うとき。

    Examples
    --------
    >>> fig, axes = figure(1, 2)
    >>> histograms(axes, [np.zeros(10), np.full(10, 2.0)], (0, 1))
    >>> axes[1].get_title()
    '第 2 層\n範囲外 100 %'
    """
    check_count("bins", bins)
    numbers = range(1, len(layers) + 1) if numbers is None else numbers
    axes = _axes(axes, len(layers))
    if len(numbers) != len(layers):
        raise ValueError(
            f"numbers には {len(layers)} 個の番号を渡してください。受け取った数: {len(numbers)}"
        )
    for number, ax, values in zip(numbers, axes, layers, strict=True):
        values = check_real("layers の各要素", values).ravel()
        if not values.size:
            raise ValueError(f"layers の各要素は空でない配列です。受け取った層: 第 {number} 層")
        inside = (limits[0] <= values) & (values <= limits[1])
        weights = np.full(np.count_nonzero(inside), 1 / values.size)
        ax.hist(values[inside], bins, range=limits, weights=weights, color=COLORS["h"])
        outside = 1 - inside.mean()
        note = f"\n範囲外 {100 * outside:.0f} %" if outside >= 0.005 else ""
        ax.set(title=f"第 {number} 層{note}", xlim=limits, xlabel="出力 h")
    axes[0].set_ylabel("割合")


def flow_panels(
    axes: Sequence[Any],
    flow: Flow,
    member: tuple[int, ...] = (),
    *,
    label: str | None = None,
    series: int | str = 0,
) -> None:
    """h・δ・dW の RMS を、層を横軸にとって 3 つの軸に対数で描く。

    Parameters
    ----------
    axes : sequence of matplotlib.axes.Axes
        3 つの軸。
    flow : Flow
        `vgbook.experiments.flow.gradient_flow` の結果。配列の形は (seeds, ..., 層)。
    member : tuple of int
        集団の軸 ``...`` のどの要素を描くか。
    label : str, optional
        凡例の名前。
    series : int or str
        `SERIES` の何番目を使うか。または `LOOKS` の言葉。

    Examples
    --------
    >>> fig, axes = figure(1, 3)
    >>> ones = np.ones((10, 20))
    >>> flow_panels(axes, Flow(ones, ones, ones, ones, ones))
    >>> [ax.get_title() for ax in axes]
    ['出力 h', '勾配 δ', '重みの勾配 dW']
    """
    index: tuple[Any, ...] = (slice(None), *member)
    panels = (("出力 h", flow.h), ("勾配 δ", flow.delta), ("重みの勾配 dW", flow.dW))
    axes = _axes(axes, len(panels))
    for ax, (title, rms) in zip(axes, panels, strict=True):
        values = np.where(rms > 0, rms, np.nan)[index]  # 0 は対数軸に描けない
        band(ax, np.arange(1, values.shape[-1] + 1), values, label=label, series=series)
        ax.set(title=title, xlabel="層 (1 が入力側)", yscale="log")
    axes[0].set_ylabel("RMS")


def accuracy_grid(axes: Any, stds: Array, epochs: Array, with_norm: Array, without: Array) -> None:
    """6.3.2 の図。標準偏差ごとに、正規化の有無で正解率を比べる。

    Parameters
    ----------
    axes : ndarray of matplotlib.axes.Axes
        標準偏差の数だけの軸 (4 × 4 など)。
    stds : ndarray, shape (S,)
        重みの標準偏差。
    epochs : ndarray, shape (T,)
        横軸。
    with_norm, without : ndarray, shape (seeds, T, S)
        正規化あり・なしの正解率 (0〜1)。NaN は発散で、途中から線が切れます。

    Examples
    --------
    >>> fig, axes = figure(1, 2)
    >>> accuracy_grid(axes, [1.0, 0.1], np.arange(3), np.ones((10, 3, 2)), np.zeros((10, 3, 2)))
    >>> axes[0].get_title()
    'W: 1'
    """
    for i, (ax, std) in enumerate(zip(_axes(axes, len(stds)), stds, strict=True)):
        band(ax, epochs, with_norm[..., i], label="BN あり", series="BN あり", marks=4)
        band(ax, epochs, without[..., i], label="BN なし", series="BN なし", marks=4)
        if np.isnan(without[:, -1, i]).all():
            note = {"ha": "right", "color": look("BN なし")[0], "transform": ax.transAxes}
            ax.text(0.98, 0.06, "発散", **note)
        ax.set(title=f"W: {std:.3g}", ylim=(-0.03, 1.03))


def diagnosis_panels(axes: Sequence[Any], report: Diagnosis) -> None:
    """診断書を 3 つの軸に描く。判定の付いた層は塗る。

    Parameters
    ----------
    axes : sequence of matplotlib.axes.Axes
        縦に並べた 3 つの軸 (h と標本間の差、δ、更新の比)。
    report : Diagnosis
        `vgbook.diagnose` の結果。

    Examples
    --------
    >>> from vgbook import diagnose, digits, mlp, sigmoid, xavier
    >>> data, rng = digits(), np.random.default_rng(0)
    >>> network = mlp([64, 50, 50, 50, 50, 10], sigmoid, xavier(), rng=rng)
    >>> report = diagnose(network, data.x_train[:100], data.labels_train[:100])
    >>> fig, axes = figure(3, 1)
    >>> diagnosis_panels(axes, report)
    >>> [ax.get_ylabel() for ax in axes]
    ['出力', '勾配 δ', '更新の比']
    """
    layers = np.arange(1, len(report.h) + 1)
    rows = (
        ("出力", ((report.h, "h", 0), (report.distinct, "標本間の差", 2))),
        ("勾配 δ", ((report.delta, None, 1),)),
        ("更新の比", ((report.update, None, 3),)),
    )
    axes = _axes(axes, len(rows))
    for ax, (name, lines) in zip(axes, rows, strict=True):
        for values, label, series in lines:
            color, marker, dash = SERIES[series]
            drawable = np.where(values > 0, values, np.nan)  # 0 は対数軸に描けない
            ax.plot(layers, drawable, color=color, marker=marker, ls=dash, label=label)
        for layer in (i for i, record in enumerate(report.layers, 1) if report.marks(record)):
            ax.axvspan(layer - 0.5, layer + 0.5, color="#B0B0B0", alpha=0.25, linewidth=0)
        ax.set(ylabel=name, yscale="log", xticks=layers)
    name_lines(axes[0])
    axes[-1].set_xlabel("層 (1 が入力側)")


def _axes(axes: Any, count: int) -> list[Any]:
    """``axes`` の軸を 1 列に並べる。軸 1 つでも、``plt.subplots`` の返す表でもよい。"""
    given = list(np.ravel(axes))
    if len(given) != count:
        raise ValueError(f"axes には {count} 個の軸を渡してください。受け取った数: {len(given)}")
    return given
