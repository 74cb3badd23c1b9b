"""頁の中で計算する図: 表紙、学習するネットワーク、点を動かせるバッチ。値は vgbook と同じ。"""

import gzip
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browsing import same_shapes

from vgbook import BatchNorm, digits
from vgbook.book.live import ACTIVATIONS, Trainer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.docs, pytest.mark.browser]
STEPS = 15


@contextmanager
def opened(chromium: "Browser", url: str, **options: Any) -> "Iterator[Page]":
    context = chromium.new_context(**{"viewport": {"width": 390, "height": 844}} | options)
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda m: m.type == "error" and troubles.append(m.text))
    page.goto(url)
    yield page
    context.close()
    assert troubles == []


def data(book: Path, name: str, mark: str) -> dict[str, Any]:
    text = (book / name).read_text(encoding="utf-8")
    found = re.search(
        rf'class="[^"]*{mark}".*?<script type="application/json">(.*?)</script>', text
    )
    assert found
    return json.loads(found[1])


# --- 表紙 --------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_cover_is_complete_on_the_first_screen_of_a_phone_without_javascript(
    site: str, chromium: "Browser", scheme: str
):
    options = {"java_script_enabled": False, "color_scheme": scheme}
    with opened(chromium, f"{site}index.html", **options) as page:
        box = page.locator(".vg-cover svg").bounding_box()
        said = page.locator(".vg-cover-readout").bounding_box()
        assert box is not None
        assert said is not None
        assert said["y"] + said["height"] <= 844
        assert page.locator(".vg-cover rect").count() == 20
        assert "シグモイド + Xavier では勾配が消える" in (page.text_content("article") or "")
        assert not page.locator(".vg-cover-controls").is_visible()


def test_the_cover_answers_the_keyboard_with_the_values_of_the_page(
    site: str, book: Path, chromium: "Browser"
):
    values = data(book, "index.html", "vg-cover")
    with opened(chromium, f"{site}index.html") as page:
        slider, said = page.get_by_role("slider"), page.locator(".vg-cover-readout")
        assert slider.bounding_box()["y"] < 844  # type: ignore[index]
        start = int(slider.input_value())
        slider.focus()
        for key, j in (("ArrowRight", start + 1), ("Home", 0), ("End", len(values["stds"]) - 1)):
            page.keyboard.press(key)
            assert said.text_content() == values["readout"][0][j]
            assert slider.get_attribute("aria-valuetext") == values["stds"][j]
        page.get_by_role("radio", name="ReLU").check()
        assert said.text_content() == values["readout"][2][-1]
        assert page.locator(".vg-cover").get_attribute("data-verdict") == values["verdicts"][2][-1]
        drawn = page.locator(".vg-cover rect").evaluate_all(
            "(bars) => bars.map((bar) => [+bar.getAttribute('y'), +bar.getAttribute('height')])"
        )
        tops = values["tops"][2][-1]
        assert [min(top, 91) - 1 for top in tops] == [y for y, _ in drawn]
        assert [abs(top - 91) + 2 for top in tops] == [h for _, h in drawn]


def test_the_first_page_is_light(book: Path):
    """表紙と、それが読み込むものを合わせて 150 KiB まで。"""
    html = (book / "index.html").read_text(encoding="utf-8")
    files = set(re.findall(r'(?:src|href)="([^"?#]+\.(?:js|css|svg|woff2))', html))
    assert any("cover.js" in name for name in files)
    sizes = {name: len(gzip.compress((book / name).read_bytes())) for name in files}
    assert len(gzip.compress(html.encode())) + sum(sizes.values()) <= 150 * 1024, sizes


# --- 学習するネットワーク -----------------------------------------------------------------


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    split = digits()
    x, labels = split.x_train[:100], split.labels_train[:100]
    return Trainer((x - x.mean()) / x.std(), labels, rng=np.random.default_rng(0), steps=STEPS)


TRAIN = """([chosen, steps]) => {
  const spec = JSON.parse(SPEC);
  const numbers = ({ rows, cols, v }) =>
    vgNetwork.matrix(rows, cols, Float64Array.from(v, (n) => n / spec.unit));
  const layers = vgNetwork.mlp(spec.base.map(numbers), chosen), x = numbers(spec.x);
  return Array.from({ length: steps }, () => vgNetwork.step(layers, x, spec.labels, spec.lr));
}"""


@pytest.mark.parametrize(
    ("activation", "depth", "gain", "norm"),
    [("sigmoid", 5, 1.0, False), ("tanh", 10, 2**0.5, False), ("relu", 2, 2**0.5, True),
     ("sigmoid", 2, 4.0, True), ("relu", 5, 0.25, False)],
)  # fmt: skip
def test_the_network_of_the_page_learns_like_vgbook(
    site: str, book: Path, chromium: "Browser", trainer: Trainer, activation, depth, gain, norm
):
    spec = json.dumps(data(book, "train.html", "vg-trainer"))
    with opened(chromium, f"{site}train.html", bypass_csp=True) as page:
        chosen = {"activation": activation, "depth": depth, "gain": gain, "norm": norm}
        history = page.evaluate(TRAIN.replace("SPEC", json.dumps(spec)), [chosen, STEPS])
    expected = trainer.run(ACTIVATIONS[activation], depth=depth, gain=gain, norm=norm)
    np.testing.assert_allclose([h["loss"] for h in history], expected.loss, rtol=1e-8)
    np.testing.assert_allclose([h["delta"] for h in history], expected.delta, rtol=1e-8)


TRAINED = """() => {
  const box = document.querySelector(".vg-trainer");
  return box.history?.length && box.querySelector("[role=status]").textContent.includes("更新の後");
}"""  # はじめの文は、組むときの記録。学習の終わりと取り違えない


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])  # 描きながらと、終わってから
def test_the_page_trains_at_once_and_again_after_a_choice(
    site: str, book: Path, chromium: "Browser", motion: str
):
    options = {"bypass_csp": True, "reduced_motion": motion}
    with opened(chromium, f"{site}train.html", **options) as page:
        said = page.locator(".vg-trainer").get_by_role("status")
        html = (book / "train.html").read_text(encoding="utf-8")
        recorded = re.search(r'role="status" id="touch-trainer-readout">([^<]*)<', html)
        assert recorded
        page.wait_for_function(TRAINED, timeout=20_000)
        stuck = said.text_content()
        assert stuck == recorded[1]  # 同じ重みからの学習は、組むときの記録と同じ
        page.locator(".vg-trainer").get_by_role("radio", name="あり").focus()
        page.keyboard.press("Space")
        page.wait_for_function(TRAINED, timeout=20_000)
        assert said.text_content() != stuck
        assert page.evaluate("document.querySelector('.vg-trainer').history.at(-1).loss") < 0.5


def test_a_training_that_diverges_is_said_to_diverge(site: str, chromium: "Browser"):
    with opened(chromium, f"{site}train.html", bypass_csp=True) as page:
        box = page.locator(".vg-trainer")
        box.get_by_role("radio", name="ReLU").check()
        box.get_by_role("group", name="√n × 標準偏差").get_by_role(
            "radio", name="4", exact=True
        ).check()
        box.get_by_role("group", name="隠れ層").get_by_role("radio", name="5").check()
        said = box.get_by_role("status").filter(has_text="学習は発散しました。")
        said.wait_for(timeout=20_000)
        assert not re.search("NaN|Infinity|undefined", box.inner_html())


def test_without_javascript_a_recorded_run_stands(site: str, chromium: "Browser"):
    with opened(chromium, f"{site}train.html", java_script_enabled=False) as page:
        assert not page.locator(".vg-trainer .vg-controls").is_visible()
        assert "回の更新の後：損失" in (page.locator(".vg-trainer").text_content() or "")
        assert page.locator(".vg-trainer .plot .line").count() == 2
        assert page.locator("figure img").count() == 1


# --- バッチ正規化 ---------------------------------------------------------------------------


def normalized(x: list[float], dy: list[float]) -> tuple[np.ndarray, np.ndarray]:
    layer = BatchNorm(1)
    y = layer.forward(np.array(x)[:, None])
    return y[:, 0], layer.backward(np.array(dy)[:, None])[:, 0]


def test_points_of_a_batch_move_by_keyboard_and_by_hand_and_match_vgbook(
    site: str, book: Path, chromium: "Browser"
):
    spec = data(book, "part4/batchnorm.html", "vg-batch")
    with opened(chromium, f"{site}part4/batchnorm.html", bypass_csp=True) as page:
        box = page.locator(".vg-batch")
        box.scroll_into_view_if_needed()
        sliders = box.get_by_role("slider")
        x = spec["x"]

        def check() -> None:
            now = [float(sliders.nth(i).input_value()) for i in range(len(x))]
            result = box.evaluate("(box) => box.result")
            y, dx = normalized(now, spec["dy"])
            np.testing.assert_allclose(result["y"], y, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(result["dx"], dx, rtol=1e-9, atol=1e-12)

        check()
        drawn = page.locator(".vg-batch .drawn").inner_html()
        html = (book / "part4/batchnorm.html").read_text(encoding="utf-8")
        built = re.search(r'vg-batch".*?<g class="drawn">(.*?)</g>', html)
        assert built
        assert same_shapes(built[1], drawn)
        sliders.nth(0).focus()
        page.keyboard.press("ArrowRight")
        assert float(sliders.nth(0).input_value()) == pytest.approx(x[0] + spec["step"])
        check()
        point = box.locator("circle[data-mark=x]").nth(4).bounding_box()
        assert point is not None
        page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
        page.mouse.down()
        page.mouse.move(point["x"] - 60, point["y"] + 5)
        page.mouse.up()
        assert float(sliders.nth(4).input_value()) < x[4] - 0.5
        check()
