"""動かせる図の試験が共に使う、δ の図と読み取りの文の比べ方。"""

import re

import numpy as np

from vgbook.book.interactive import Interactive, Series


def first_and_last(series: Series, at: tuple[int, ...]) -> float:
    """いちばん浅い層の値 ÷ いちばん深い層の値。"""
    values = series.y[at]
    return values[0] / values[~np.isnan(values)][-1]


def ratio_in(text: str) -> float:
    """文に書かれた「第 1 層の δ は第 … 層の … 倍」。"""
    found = re.search(r"第 1 層の δ は第 \d+ 層の ([\d.e+]+)(?: × 10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))? 倍", text)
    assert found, text
    power = (found[2] or "⁰").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    return float(found[1]) * 10.0 ** int(power)


def delta_series(made: Interactive) -> tuple[Series, Series]:
    """δ を描いた図の、測定の線と理論の線。"""
    measured, theory = next(panel for panel in made.panels if "δ" in panel.title).series
    return measured, theory


def worst_theory(made: Interactive) -> float:
    """δ の減り方を、理論が何倍まで外すか。つまみのどの位置でも、その対数の大きさ以下。"""
    measured, theory = delta_series(made)
    return max(
        abs(np.log(first_and_last(measured, at) / first_and_last(theory, at)))
        for at in np.ndindex(made.states)
    )


def worst_sentence(made: Interactive) -> float:
    """文に書かれた比が、描いた線の比を何倍まで外すか。その対数の大きさ。"""
    measured, _ = delta_series(made)
    return max(
        abs(np.log(ratio_in(made.readout[at]) / first_and_last(measured, at)))
        for at in np.ndindex(made.states)
    )
