"""線の名前: 線の横か図の上にあり、どの名前も読める。"""

from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from vgbook.book import plotting


@pytest.fixture(autouse=True)
def book_style():
    with mpl.rc_context():
        mpl.use("agg")
        plotting.style()
        yield
        plt.close("all")


def boxes(ax):
    return [mpl.text.Text.get_window_extent(text) for text in ax.texts]  # 結ぶ線は除く


@pytest.mark.parametrize("ends", [(1, 1, 1, 1), (0, 0, 1, 1), (1e-9, 1e-3, 1e-3, 1)])
def test_names_of_lines_stand_beside_the_axes_and_never_over_each_other(ends):
    fig, ax = plotting.figure()
    for i, end in enumerate(ends):
        ax.plot([0, 1], [1, end], label=f"線 {i}")
    ax.set(yscale="log" if min(ends) else "linear")
    plotting.name_lines(ax)
    fig.draw_without_rendering()
    heights = sorted((box.y0, box.y1) for box in boxes(ax))
    assert all(above[0] >= below[1] - 1 for below, above in pairwise(heights))
    assert all(box.x0 > ax.get_window_extent().x1 for box in boxes(ax))
    assert max(box.x1 for box in boxes(ax)) <= fig.bbox.x1 + 1
    order = sorted(range(len(ends)), key=lambda i: boxes(ax)[i].y0)
    assert [ends[i] for i in order] == sorted(ends)


def test_a_line_that_ends_early_or_in_nothing_is_named_where_it_ends():
    _, ax = plotting.figure()
    ax.plot([0, 1, 2], [1, 3, np.nan], label="途切れる")
    ax.plot([0, 1, 2], [np.nan] * 3, label="何もない")
    ax.set(xlim=(0, 2))
    plotting.name_lines(ax)
    assert [text.get_text() for text in ax.texts] == ["途切れる"]
    assert 0.4 < ax.texts[0].xy[0] < 0.6


def test_a_key_names_each_line_once_outside_the_axes():
    fig, axes = plotting.figure(1, 2)
    for ax in axes:
        for series, label in enumerate(("標準偏差 0.01", "Xavier", "He")):
            plotting.band(ax, np.arange(2), np.ones((3, 2)), label=label, series=series)
    plotting.key(fig)
    fig.draw_without_rendering()
    (legend,) = fig.legends
    assert [text.get_text() for text in legend.get_texts()] == ["標準偏差 0.01", "Xavier", "He"]
    assert legend.get_window_extent().y0 >= max(ax.get_window_extent().y1 for ax in axes) - 1
    assert legend.get_window_extent().x1 <= fig.bbox.x1 + 1
