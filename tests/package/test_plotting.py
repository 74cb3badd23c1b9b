"""図: 豆腐のない日本語、帯と中央値、範囲の外の割合。"""

import warnings

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from vgbook.activations import sigmoid
from vgbook.book import plotting
from vgbook.clinic import Diagnosis, LayerRecord
from vgbook.clinic.record import finding
from vgbook.experiments.flow import Flow


@pytest.fixture(autouse=True)
def book_style():
    with mpl.rc_context():
        mpl.use("agg")
        plotting.style()
        yield
        plt.close("all")


def test_japanese_and_greek_letters_have_glyphs():
    fig, ax = plotting.figure()
    ax.set(title="勾配消失 δ φ′(z) −1 √χ₁", xlabel="層 (1 が入力側)", ylabel="重みの勾配 ∂L/∂W")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fig.canvas.draw()


def test_a_band_shows_median_minimum_and_maximum():
    _, ax = plotting.figure()
    samples = np.array([[1.0, 2.0], [3.0, 4.0], [8.0, 9.0]])
    line = plotting.band(ax, np.arange(2), samples, label="例")
    np.testing.assert_array_equal(line.get_ydata(), [3, 4])
    vertices = ax.collections[0].get_paths()[0].vertices
    assert vertices[:, 1].min() == 1
    assert vertices[:, 1].max() == 9


def test_a_band_skips_diverged_seeds_and_breaks_where_all_diverged():
    _, ax = plotting.figure()
    samples = np.array([[1.0, 2.0, np.nan], [3.0, np.nan, np.nan]])
    line = plotting.band(ax, np.arange(3), samples)
    np.testing.assert_array_equal(line.get_ydata(), [2, 2, np.nan])
    with pytest.raises(ValueError, match=r"\(seeds, 3\)"):
        plotting.band(ax, np.arange(3), samples[:, :2])


def test_series_differ_in_more_than_colour():
    assert len({(marker, str(dash)) for _, marker, dash in plotting.SERIES}) == len(plotting.SERIES)
    assert len({color for color, _, _ in plotting.SERIES}) == len(plotting.SERIES)


def test_histograms_tell_what_they_leave_out():
    _, axes = plotting.figure(1, 2)
    plotting.histograms(axes, [np.full(10, 0.5), np.array([0.5, 2.0, 3.0, -1.0])], (0, 1))
    assert axes[0].get_title() == "第 1 層"
    assert axes[1].get_title() == "第 2 層\n範囲外 75 %"
    heights = sum(patch.get_height() for patch in axes[1].patches)
    assert heights == pytest.approx(0.25)  # 縦軸は全体に対する割合
    with pytest.raises(ValueError, match=r"numbers には 2 個.*受け取った数: 1"):
        plotting.histograms(axes, [np.zeros(3)] * 2, (0, 1), numbers=[1])
    with pytest.raises(ValueError, match=r"空でない配列.*第 2 層"):
        plotting.histograms(axes, [np.zeros(3), np.zeros(0)], (0, 1))


GRID = (np.ones(4), np.arange(3), np.ones((10, 3, 4)), np.ones((10, 3, 4)))


@pytest.mark.parametrize(
    ("count", "draw"),
    [
        (2, lambda axes: plotting.histograms(axes, [np.zeros(3)] * 2, (0, 1))),
        (3, lambda axes: plotting.flow_panels(axes, Flow(*[np.ones((10, 20))] * 5))),
        (4, lambda axes: plotting.accuracy_grid(axes, *GRID)),
        (3, lambda axes: plotting.diagnosis_panels(axes, Diagnosis([LayerRecord("a", "A")], []))),
    ],
)
def test_every_drawing_of_panels_says_how_many_axes_it_needs(count, draw):
    with pytest.raises(ValueError, match=rf"axes には {count} 個の軸.*受け取った数: 5"):
        draw(plotting.figure(1, 5)[1])


def test_flow_panels_are_logarithmic_and_named():
    _, axes = plotting.figure(1, 3)
    values = np.geomspace(1, 1e-5, 6) * np.ones((4, 2, 6))
    plotting.flow_panels(axes, Flow(*[values] * 5), (1,), label="例")
    assert [ax.get_title() for ax in axes] == ["出力 h", "勾配 δ", "重みの勾配 dW"]
    assert {ax.get_yscale() for ax in axes} == {"log"}
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), values[0, 0])


def test_zero_gradients_leave_a_gap_instead_of_a_false_point():
    _, axes = plotting.figure(1, 3)
    values = np.array([[[0.0, 1.0]]])
    plotting.flow_panels(axes, Flow(*[values] * 5), (0,))
    assert np.isnan(axes[0].lines[0].get_ydata()[0])


def test_the_grid_says_where_training_diverged():
    _, axes = plotting.figure(1, 2)
    good = np.full((3, 4, 2), 0.9)
    bad = good.copy()
    bad[:, 1:, 0] = np.nan
    plotting.accuracy_grid(axes, [1.0, 0.1], np.arange(4), good, bad)
    assert [text.get_text() for text in axes[0].texts] == ["発散"]
    assert axes[0].texts[0].get_color() == axes[0].lines[1].get_color()  # BN なしの線の色
    assert not axes[1].texts


def test_curve_draws_the_function_and_its_derivative():
    _, ax = plotting.figure()
    plotting.curve(ax, sigmoid)
    f, df = ax.lines
    np.testing.assert_allclose(f.get_ydata(), sigmoid(f.get_xdata()))
    assert df.get_ydata().max() == pytest.approx(0.25, abs=1e-4)


def test_a_diagnosis_shades_the_layers_that_have_a_verdict():
    values = np.geomspace(1, 1e-6, 4)
    layers = [
        LayerRecord(f"{i}", "Affine", h=v, distinct=v, delta=v, dW=v, update=v)
        for i, v in enumerate(values, 1)
    ]
    report = Diagnosis(layers, [finding("vanishing", ("2",), "δ が小さい")])
    _, axes = plotting.figure(3, 1)
    plotting.diagnosis_panels(axes, report)
    spans = [patch.get_x() + patch.get_width() / 2 for patch in axes[1].patches]
    assert spans == [2]
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), values)
    assert [text.get_text() for text in axes[0].texts] == ["h", "標本間の差"]
