"""動かせる図の Python 側: 頁に渡る値が配列と同じ。間違った入力は日本語のエラーになる。"""

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vgbook.book import plotting
from vgbook.book.interactive import (
    Control,
    Interactive,
    Panel,
    bars,
    line,
    measured,
    theory,
)
from vgbook.book.specs import DIGITS

CONTROLS = [Control("活性化", ["a", "b"], slider=False), Control("幅", ["1", "2", "3"], start=1)]
READOUT = [[f"{i}{j}" for j in range(3)] for i in range(2)]
SAMPLES = np.random.default_rng(0).lognormal(sigma=5.0, size=(4, 2, 3, 6))


def figure(*series: Any, x: Any = range(6), readout: Any = READOUT, **options: Any) -> Interactive:
    panel = Panel("題", np.asarray(x), series, "横", "縦", **options)
    return Interactive("touch", "図", CONTROLS, [panel], readout)


def data(made: Interactive) -> dict[str, Any]:
    """頁が読むもの: HTML の中の JSON。"""
    found = re.search(r'<script type="application/json">(.*?)</script>', made._repr_html_())
    assert found
    return json.loads(found[1])


def test_the_page_receives_the_arrays_within_rounding():
    spec = data(figure(measured("h", SAMPLES), theory(SAMPLES[0]), ylog=True))
    sent, prediction = spec["panels"][0]["series"]
    assert DIGITS >= 3
    half = 0.5 * 10.0 ** (1 - DIGITS)
    np.testing.assert_allclose(sent["y"], np.median(SAMPLES, axis=0), rtol=half)
    np.testing.assert_allclose(sent["low"], SAMPLES.min(axis=0), rtol=half)
    np.testing.assert_allclose(sent["high"], SAMPLES.max(axis=0), rtol=half)
    np.testing.assert_allclose(prediction["y"], SAMPLES[0], rtol=half)
    assert sent["x"] == list(range(6))
    assert spec["readout"] == READOUT


def test_a_series_may_ignore_controls():
    fixed, by_width = data(figure(line("a", range(6)), line("b", SAMPLES[0][:1])))["panels"][0][
        "series"
    ]
    assert fixed["y"] == list(range(6))
    assert np.shape(by_width["y"]) == (1, 3, 6)


def test_values_that_cannot_be_drawn_are_null():
    y = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0, 2.0])
    assert data(figure(line("a", y)))["panels"][0]["series"][0]["y"] == [None] * 3 + [0, 1, 2]


def test_a_diverged_seed_leaves_the_band_of_the_others():
    samples = np.array([[1.0, np.nan, np.nan], [3.0, 2.0, np.nan]])
    s = measured("a", samples)
    np.testing.assert_array_equal(s.y, [2, 2, np.nan])
    np.testing.assert_array_equal(s.high, [3, 2, np.nan])


def test_axes_hold_every_state_and_do_not_move():
    panel = data(figure(measured("h", SAMPLES), ylog=True))["panels"][0]
    low, high = panel["y"]["limits"]
    assert low < SAMPLES.min()
    assert SAMPLES.max() < high
    assert low > SAMPLES.min() / 1e3
    panel = data(figure(bars("割合", np.full((2, 3, 5), 0.5))))["panels"][0]
    assert panel["y"]["limits"][0] == 0
    assert panel["x"]["limits"] == [0, 5]


def test_lines_look_like_those_of_the_static_figures():
    for i, (color, marker, _) in enumerate(plotting.SERIES):
        made = line("a", range(6), i)
        sent = data(figure(made))["panels"][0]["series"][0]
        assert (sent["color"], sent["marker"], sent["dash"]) == (color, marker, made.dash)
    strokes = [line("a", [0.0], i).dash for i in range(len(plotting.SERIES))]
    assert len(set(strokes)) == len(strokes)
    assert theory([0.0]).color == plotting.COLORS["theory"]
    assert theory([0.0]).dash


def test_text_cannot_end_the_script():
    texts = np.full((2, 3), "</script><b>", dtype=object)
    html = figure(line("a", range(6)), readout=texts)._repr_html_()
    assert html.count("</script>") == 1
    assert data(figure(line("a", range(6)), readout=texts))["readout"][0][0] == "</script><b>"


def test_the_page_has_the_first_picture_its_words_and_its_controls_before_the_script():
    html = figure(line("a", [0, 1, 2, 3, 4, 5], 0), line("b", SAMPLES[0], 2))._repr_html_()
    assert 'role="group" aria-label="図"' in html
    assert re.search(r'role="status" id="touch-readout">01<', html)  # はじめの位置 (0, 1) の文
    assert html.count('type="radio"') == 2
    assert re.search(r'type="range" min="0" max="2" step="1" value="1"', html)
    assert html.count('class="mark"') == 12  # 線 2 本の、6 つの点


def test_room_is_kept_for_the_longest_words():
    texts = np.array([["短い", "とても長い文", "短い"], ["短い"] * 3])
    html = figure(line("a", range(6)), readout=texts)._repr_html_()
    assert 'data-longest="とても長い文"' in html


def test_a_broken_line_and_values_outside_the_axes_are_not_drawn():
    broken = figure(line("a", [1, np.nan, 2, 3, 99, 3]), ylimits=(0, 5))._repr_html_()
    path = re.search(r'class="line"[^>]* d="([^"]*)"', broken)
    assert path
    assert path[1].count("M") == 2  # 値のない点で切れる
    assert broken.count('class="mark"') == 4  # 値のない点と、軸の外の点には、印がない


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: figure(line("δ", np.ones(5))), r"「δ」の y の形は \(6,\) か .*\(5,\)"),
        (lambda: figure(line("δ", np.ones((2, 2, 6)))), r"「δ」の y の形は"),
        (lambda: figure(measured("δ", np.ones((3, 6)), 0), x=range(7)), r"「δ」の y の形は"),
        (lambda: figure(bars("δ", np.ones(6))), r"「δ」の y の形は \(5,\)"),
        (lambda: figure(line("δ", np.full(6, -1.0)), ylog=True), r"「縦」の軸に描ける値"),
        (lambda: figure(line("δ", np.ones(6)), readout=["a", "b"]), r"readout には.*\(2, 3\)"),
        (lambda: figure(line("δ", np.ones(6)), readout=np.ones((2, 3))), r"readout には"),
        (lambda: figure(line("δ", np.ones(6)), notes=["a"]), r"notes には.*\(2, 3\)"),
        (
            lambda: Interactive("t", "図", [Control("幅", ["1"])], [], [""]),
            r"「幅」の選択肢の数 には 2 以上",
        ),
        (
            lambda: Interactive("t", "図", [Control("幅", ["1", "2"], 2)], [], ["", ""]),
            r"「幅」の始まりには 2 未満",
        ),
    ],
)
def test_bad_input_is_explained_in_japanese(make: Callable[[], Interactive], message: str):
    with pytest.raises(ValueError, match=message):
        make()
