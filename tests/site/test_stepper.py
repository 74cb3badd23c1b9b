"""計算グラフを 1 手ずつ進める図: JavaScript の値を Python と比べ、キーボードと読み上げを試す。

頁は file:// で開く。ファイルを渡されただけの人にも動くことを、合わせて確かめる。
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vgbook as vg

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

from vg.figures.stepper import problem


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ([{"name": "x", "at": [0, 0]}], "value か op が要ります"),
        ([{"name": "x", "value": 1}], "name と at"),
        ([{"name": "z", "op": "+", "of": ["x"], "at": [0, 0]}], "z の入力 x が、z より前に"),
    ],
)
def test_a_slip_in_a_graph_is_told(graph: list[dict[str, Any]], message: str):
    assert message in str(problem(graph))


# --- ブラウザーの中 -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(book: Path, chromium: "Browser") -> "Iterator[Page]":
    page = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
    troubles: list[str] = []
    page.on("console", lambda m: m.type == "error" and troubles.append(m.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto((book / "part1" / "chain-rule.html").as_uri())
    page.evaluate("document.querySelectorAll('article details').forEach(box => box.open = true)")
    yield page
    page.context.close()
    assert troubles == []


def stepper(page: "Page", title: str) -> "Locator":
    return page.get_by_role("group", name=title)


def p10(a: np.ndarray) -> np.ndarray:
    return (a[0] + a[1]) ** 2


def two_paths(a: np.ndarray) -> np.ndarray:
    return (a[0] + a[1]) * a[0]


def twice(a: np.ndarray) -> np.ndarray:
    return a[0] ** 4


def neuron(a: np.ndarray) -> np.ndarray:
    return (vg.sigmoid(a[0] * a[1] + a[2]) - a[3]) ** 2 / 2


GRAPHS: dict[str, tuple[list[str], str, Callable[[np.ndarray], np.ndarray]]] = {
    "2 乗を 2 回続ける計算を 1 手ずつ": (["a"], "c", twice),
    "P10 の計算グラフを 1 手ずつ": (["x", "y"], "z", p10),
    "(x + y) x の計算グラフを 1 手ずつ": (["x", "y"], "z", two_paths),
    "ニューロン 1 個の計算グラフを 1 手ずつ": (["w", "x", "b", "y"], "L", neuron),
}


def results(box: "Locator", names: list[str], points: np.ndarray) -> list[dict[str, Any]]:
    """数の欄に打ち込むたびの、値と勾配。"""
    return box.evaluate(
        """(box, [names, points]) => points.map((point) => {
             names.forEach((name, i) => {
               const label = [...box.querySelectorAll("label")]
                 .find((label) => label.textContent.startsWith(name));
               label.control.value = point[i];
               label.control.dispatchEvent(new Event("input"));
             });
             return { value: { ...box.result.value }, grad: { ...box.result.grad } };
           })""",
        [names, points.tolist()],
    )


@pytest.mark.parametrize("title", GRAPHS)
def test_values_and_gradients_are_those_of_python(page: "Page", title: str):
    names, output, function = GRAPHS[title]
    points = np.random.default_rng(5).uniform(-4, 4, (100, len(names)))
    for point, result in zip(points, results(stepper(page, title), names, points), strict=True):
        assert result["value"][output] == pytest.approx(float(function(point)), rel=1e-12)
        gradient = [result["grad"].get(name, np.nan) for name in names]
        free = ~np.isnan(gradient)
        assert free.sum() >= min(2, len(names))
        numeric = vg.numerical_gradient(function, point)
        np.testing.assert_allclose(np.array(gradient)[free], numeric[free], rtol=1e-6, atol=1e-8)


def test_the_neuron_is_the_network_of_the_package(page: "Page"):
    title = "ニューロン 1 個の計算グラフを 1 手ずつ"
    points = np.random.default_rng(6).uniform(-20, 20, (50, 4))  # 飽和するところまで
    for point, result in zip(
        points, results(stepper(page, title), GRAPHS[title][0], points), strict=True
    ):
        w, x, b, y = point.reshape(4, 1, 1)
        network = vg.Network([vg.Affine(w, b), vg.Activate(vg.sigmoid)])
        loss, d_output = vg.mean_squared_error(network.forward(x), y)
        dx = network.backward(d_output)
        dw, db = (grad for _, grad in network.pairs())
        assert result["value"]["L"] == pytest.approx(float(loss), rel=1e-12)
        for name, expected in {"w": dw, "x": dx, "b": db}.items():
            assert result["grad"][name] == pytest.approx(expected.item(), rel=1e-12)
        assert "y" not in result["grad"]


@pytest.mark.parametrize("title", GRAPHS)
def test_any_number_that_is_typed_gives_numbers(page: "Page", title: str):
    box, names = stepper(page, title), GRAPHS[title][0]
    box.get_by_role("button", name="最後").click()
    for typed in (1e308, -1e308, 1e-300, -0.0):
        results(box, names, np.full((1, len(names)), typed))
        assert not re.search(r"NaN|Infinity|\de[-+]?\d|[-−]0(?![.\d])", box.inner_text())
    results(box, names, np.ones((1, len(names))))


def test_each_step_is_told_and_shown(page: "Page"):
    page.reload()
    box = stepper(page, "P10 の計算グラフを 1 手ずつ")
    status, picture = box.get_by_role("status"), box.get_by_role("img")
    shown = "g[visibility=visible] text"
    said = [status.inner_text()]
    counts = [picture.locator(shown).count()]
    box.get_by_role("button", name="次へ").focus()
    for _ in range(5):
        page.keyboard.press("Enter")
        said.append(status.inner_text())
        counts.append(picture.locator(shown).count())
    assert said[1:] == [
        "順伝播：t = x + y = 1 + 2 = 3",
        "順伝播：z = t² = 3² = 9",
        "逆伝播：出力 z の勾配は 1 です。ここから右から左へ戻ります。",
        "逆伝播：t の勾配は 1 × 2t = 1 × 6 = 6",
        "逆伝播：x の勾配は 6 × 1 = 6、y の勾配は 6 × 1 = 6",
    ]
    assert counts == [2, 3, 4, 5, 6, 8]  # 入力の 2 つ、t、z、出力の 1、t の勾配、x と y の勾配
    assert said[-1] in str(picture.get_attribute("aria-label"))
    assert box.locator(".grad").all_inner_texts() == ["∂z/∂x = 6", "∂z/∂y = 6"]
    page.keyboard.press("Enter")  # 最後の手より先へは進まず、焦点も失わない
    assert status.inner_text() == said[-1]
    page.keyboard.press("ArrowLeft")
    assert status.inner_text() == said[-2]


def test_a_slider_moves_the_values_at_once_by_keyboard(page: "Page"):
    page.reload()
    box = stepper(page, "P10 の計算グラフを 1 手ずつ")
    box.get_by_role("button", name="最後").click()
    box.get_by_label("x のつまみ").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert box.get_by_label("x =").input_value() == "1.3"
    texts = box.locator("g[visibility=visible] text").all_text_contents()
    assert {"x = 1.3", "t = 3.3", "z = 10.89", "6.6"} <= set(texts)
    size = box.evaluate("box => box.getBoundingClientRect().height")
    box.get_by_role("button", name="最初").click()
    assert box.evaluate("box => box.getBoundingClientRect().height") == size  # 下の文が動かない


def test_nodes_are_pressed_and_inputs_are_dragged_on_the_picture(page: "Page"):
    page.reload()
    box = stepper(page, "P10 の計算グラフを 1 手ずつ")
    box.scroll_into_view_if_needed()
    status = box.get_by_role("status")

    def press(name: str, along: int = 0) -> None:
        node = box.locator(f"circle[data-node={name}]").bounding_box()
        assert node is not None
        x, y = node["x"] + node["width"] / 2, node["y"] + node["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + along, y)
        page.mouse.up()

    press("t")
    assert status.inner_text() == "順伝播：t = x + y = 1 + 2 = 3"
    press("t")  # もう 1 度押すと、逆伝播
    assert status.inner_text().startswith("逆伝播：x の勾配は")
    press("出力")
    assert status.inner_text().startswith("逆伝播：出力 z の勾配は 1 です。")
    press("x")  # 入力では、その勾配がそろう手
    assert status.inner_text().startswith("逆伝播：x の勾配は")
    press("x", along=40)
    assert box.get_by_label("x =").input_value() == "3"
    assert "x = 3" in box.locator("g[visibility=visible] text").all_text_contents()
    press("x", along=900)
    assert box.get_by_label("x =").input_value() == "5"  # つまみの端で止まる
    assert status.inner_text().startswith("逆伝播：x の勾配は")  # 引いても、手は変わらない


@pytest.mark.parametrize("width", [360, 390, 1280])
@pytest.mark.parametrize("name", ["chain-rule", "backprop"])
def test_the_drawing_fits_and_no_labels_overlap(
    book: Path, chromium: "Browser", name: str, width: int
):
    page = chromium.new_context(viewport={"width": width, "height": 800}).new_page()
    page.goto((book / "part1" / f"{name}.html").as_uri())
    page.evaluate("document.querySelectorAll('article details').forEach(box => box.open = true)")
    overlaps = page.evaluate(
        """["value", "min", "max"].flatMap((end) => {
             for (const range of document.querySelectorAll(".stepper input[type=range]")) {
               range.value = range[end];
               range.dispatchEvent(new Event("input", { bubbles: true }));
             }
             return [...document.querySelectorAll(".stepper svg")].flatMap((picture) => {
               const texts = [...picture.querySelectorAll("text")];
               const boxes = texts.map((text) => text.getBoundingClientRect());
               return texts.flatMap((text, i) => texts.slice(i + 1).filter((_, k) => {
                 const [a, b] = [boxes[i], boxes[i + 1 + k]];
                 return a.left < b.right - 1 && b.left < a.right - 1
                   && a.top + 3 < b.bottom - 3 && b.top + 3 < a.bottom - 3;
               }).map((other) => `${text.textContent} と ${other.textContent}`));
             });
           })"""
    )
    wide = page.evaluate(
        "[...document.querySelectorAll('.stepper, .stepper .picture')]"
        ".filter(b => b.scrollWidth > b.clientWidth)"
        ".map(b => b.ariaLabel)"
    )
    letters = page.evaluate(
        "[...document.querySelectorAll('.stepper svg')].map((picture) =>"
        " 13 * picture.clientWidth / picture.viewBox.baseVal.width)"
    )
    page.context.close()
    assert overlaps == []
    assert wide == []
    assert min(letters) >= (10 if width >= 390 else 9)


def test_without_javascript_only_the_still_figures_remain(book: Path, chromium: "Browser"):
    page = chromium.new_context(java_script_enabled=False).new_page()
    page.goto((book / "part1" / "chain-rule.html").as_uri())
    boxes, images = page.locator(".stepper"), page.locator("article img")
    assert boxes.count() == len(GRAPHS)
    assert not any(box.is_visible() for box in boxes.all())
    assert images.count() > 0
    page.context.close()


def test_other_pages_do_not_load_it(book: Path):
    loading = [p.name for p in book.rglob("*.html") if "stepper.js" in p.read_text("utf-8")]
    assert sorted(loading) == ["backprop.html", "chain-rule.html"]
