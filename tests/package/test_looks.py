"""図の見た目: 言葉ごとに 1 つで、電話でも読める大きさ。"""

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


def test_a_word_has_one_look_in_the_whole_book():
    _, axes = plotting.figure(1, 2)
    first = plotting.band(axes[0], np.arange(2), np.ones((3, 2)), series="Xavier")
    again = plotting.band(axes[1], np.arange(2), np.ones((3, 2)), series="Xavier")
    for look in ("get_color", "get_marker", "get_linestyle"):
        assert getattr(first, look)() == getattr(again, look)()
    with pytest.raises(ValueError, match="xavier"):
        plotting.look("xavier")


@pytest.mark.parametrize(
    "family",
    [
        ("h", "δ", "dW"),
        ("標準偏差 1", "標準偏差 0.01", "Xavier", "He", "4/√n", "直交", "LSUV"),
        ("シグモイド", "tanh", "ReLU", "恒等関数", "GELU", "SELU", "SiLU"),
        ("BN あり", "BN なし"),
    ],
)
def test_words_drawn_together_look_different(family: tuple[str, ...]):
    assert len({plotting.look(word) for word in family}) == len(family)


def test_the_smallest_letters_are_10_pixels_at_the_width_of_a_phone():
    """図は本文の幅 358 ピクセルに縮められる。指数は 0.7 倍の字になる。"""
    from vgbook.book.powers import SIZE

    scale = 358 / (72 * plotting.WIDTH + 8.4)  # 切り抜きの余白
    assert 0.7 * SIZE * scale >= 10
    assert mpl.rcParams["font.size"] * scale >= 10
