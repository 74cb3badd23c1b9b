"""対数の目盛り: 狭い範囲は数、広い範囲は 10 の累乗。"""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from vgbook.book import plotting
from vgbook.book.powers import PowerFormatter


@pytest.fixture(autouse=True)
def book_style():
    with mpl.rc_context():
        mpl.use("agg")
        plotting.style()
        yield
        plt.close("all")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((0.01, 100), ["0.01", "1", "100"]),
        ((1, 1.5e4), ["1", "100", "10000"]),
        ((1e-6, 1), ["$10^{-6}$", "$10^{-4}$", "$10^{0}$"]),
    ],
)
def test_log_ticks_are_numbers_in_a_short_range_and_powers_in_a_long_one(limits, expected):
    fig, ax = plotting.figure()
    ax.set(yscale="log", ylim=limits)
    fig.draw_without_rendering()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert set(expected) <= set(labels)
    assert not [label for label in ax.get_yticklabels(minor=True) if label.get_text()]


def test_a_range_within_one_decade_still_shows_numbers():
    fig, ax = plotting.figure()
    ax.set(yscale="log", ylim=(0.15, 0.9))
    fig.draw_without_rendering()
    shown = [label.get_text() for label in ax.get_yticklabels(minor=True) if label.get_text()]
    assert shown == ["0.2", "0.5"]


def test_a_formatter_without_an_axis_says_so():
    with pytest.raises(ValueError, match="軸"):
        PowerFormatter()(1.0)
