"""本の動かせる図: つまみで絵と文が変わり、描いた点は頁の値と同じで、スクリプトがなくても読める。"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browsing import opened, same_shapes

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

FIGURES = [  # 頁と図の id
    "part1/vanishing.html#touch-depth",
    "part3/sigmoid-xavier.html#touch-distributions",
    "part3/he.html#touch-distributions",
    "part4/batchnorm-experiment.html#touch-batchnorm",
    "part5/meanfield.html#touch-phase",
    "part5/rnn.html#touch-rnn",
    "part2/sigmoid.html#touch-slope",
    "part2/relu.html#touch-dead",
    "part3/variance.html#touch-widening",
    "part3/xavier.html#touch-sums",
    "part3/he.html#touch-halves",
    "part3/orthogonal.html#touch-circle",
    "part5/meanfield.html#touch-cobweb",
    "part5/residual.html#touch-residual",
]
NO_NUMBER = re.compile(r"\b(?:nan|inf|None|undefined)\b|(?<![\d.])[-−]0(?:\.0*)?(?![.\d])")
BROKEN = re.compile(r"\d [%％倍回層個]")  # 数と単位の間で、行が分かれる
BUDGET = 50.0  # ミリ秒。つまみを 1 つ動かしてから描き終わるまで


def spec(book: Path, name: str) -> dict[str, Any]:
    """頁の原稿に埋め込まれた値。"""
    page, _, at = name.partition("#")
    text = (book / page).read_text(encoding="utf-8")
    found = re.search(rf'id="{at}".*?<script type="application/json">(.*?)</script>', text)
    assert found
    return json.loads(found[1])


@pytest.fixture(scope="module", params=FIGURES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def visit(site: str, chromium: "Browser", name: str) -> "Iterator[Page]":
    """1 つの図の試験が共に使う、1 度だけ開いた頁。"""
    # 試験の道具は頁の中で文字列を実行するので、ここでは決まりを外す
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=True)
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda m: m.type == "error" and troubles.append(m.text))
    page.goto(site + name)
    yield page
    context.close()
    assert troubles == []


AS_OPENED = """() => {
  for (const input of document.querySelectorAll(".vg-figure:target input")) {
    input.value = input.defaultValue;
    input.checked = input.defaultChecked;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
}"""


@pytest.fixture
def page(visit: "Page") -> "Page":
    """つまみが、はじめの位置にある頁。"""
    visit.evaluate(AS_OPENED)
    return visit


def figure(page: "Page") -> "Locator":
    return page.locator(".vg-figure:target")


def drawing(page: "Page") -> str:
    """線と帯と棒の形。"""
    return page.evaluate(
        "[...document.querySelectorAll('.vg-figure:target .series')].map((g) => g.innerHTML).join()"
    )


def test_every_control_works_by_keyboard_and_changes_the_drawing_and_the_words(page: "Page"):
    inputs = figure(page).locator("input[type=range], input[type=radio]:checked")
    assert inputs.count() >= 1
    for i in range(inputs.count()):
        before = drawing(page), figure(page).get_by_role("status").text_content()
        inputs.nth(i).focus()
        there, back = ("Right", "Left") if inputs.nth(i).input_value() == "0" else ("Left", "Right")
        page.keyboard.press(f"Arrow{there}")
        after = drawing(page), figure(page).get_by_role("status").text_content()
        assert after[0] != before[0]
        assert after[1] != before[1]
        page.keyboard.press(f"Arrow{back}")
        assert (drawing(page), figure(page).get_by_role("status").text_content()) == before


def test_a_slider_tells_its_value_and_reaches_both_ends(page: "Page", book: Path, name: str):
    controls = [control for control in spec(book, name)["controls"] if control["slider"]]
    sliders = figure(page).get_by_role("slider")
    assert sliders.count() == len(controls)
    for i, control in enumerate(controls):
        for key, option in (("Home", control["options"][0]), ("End", control["options"][-1])):
            sliders.nth(i).focus()
            page.keyboard.press(key)
            assert sliders.nth(i).get_attribute("aria-valuetext") == option
            assert figure(page).locator(".vg-value").nth(i).text_content() == option


# 横は軸の幅に対する割合 [%]、縦は軸の上の端からのピクセル
READ_MARKS = """(panel) => {
  const number = (element, key) => parseFloat(element.getAttribute(key)), top = 26, letter = 4;
  const ticks = (axis, key, above) => [...panel.querySelectorAll(`.${axis}.tick`)].map(
    (tick) => [Number(tick.dataset.value), number(tick, key) - above]);
  const each = (selector, read) => [...panel.querySelectorAll(selector)].map(read);
  const inside = (group, shape, read) => [...group.querySelectorAll(shape)].map(read);
  const marks = each(".names .series", (group) => inside(group, ".mark",
    (mark) => [number(mark, "x"), number(mark, "y") - top]));
  const bars = each(".plot .series", (group) => inside(group, "rect",
    (bar) => [number(bar, "x") / 10, number(bar, "y")]));
  return { x: ticks("x", "x", 0), y: ticks("y", "y", top + letter), marks, bars };
}"""


def place(axis: dict[str, Any], ticks: list[list[float]], values: Any) -> Any:
    """軸の目盛りから読んだ、値の位置。目盛りは 2 つあれば足りる。"""
    f = np.log10 if axis["log"] else np.asarray
    (a, at), (b, to) = min(ticks), max(ticks)
    values = f(np.array(values, float))
    return at + (values - f(a)) / (f(b) - f(a)) * (to - at)


def at_state(values: Any, state: list[int]) -> Any:
    for i in state:
        if not isinstance(values[0], list):
            break
        values = values[0 if len(values) == 1 else i]
    return values


def test_the_drawn_points_are_the_values_of_the_page(page: "Page", book: Path, name: str):
    data = spec(book, name)
    state = [control["start"] for control in data["controls"]]
    slider = next(i for i, control in enumerate(data["controls"]) if control["slider"])
    checked = 0
    for move in range(3):
        for i, panel in enumerate(data["panels"]):
            drawn = figure(page).locator(".vg-panel").nth(i).evaluate(READ_MARKS)
            for k, series in enumerate(panel["series"]):
                points = drawn["bars" if series["bar"] else "marks"][k]
                xs = place(panel["x"], drawn["x"], at_state(series["x"], state))
                ys = place(panel["y"], drawn["y"], at_state(series["y"], state))
                for x, y in points:
                    nearest = int(np.nanargmin(np.hypot(xs[: len(ys)] - x, ys - y)))
                    assert abs(xs[nearest] - x) < 0.1
                    assert abs(ys[nearest] - y) < 0.2, (panel["title"], series["label"], move)
                    checked += 1
        figure(page).get_by_role("slider").first.focus()
        page.keyboard.press("ArrowRight")
        state[slider] += 1
    assert checked >= 6


def test_every_value_inside_the_axes_has_its_mark(page: "Page", book: Path, name: str):
    """印は 12 個ほどに間引くが、点の少ない線では全部に付く。"""
    data = spec(book, name)
    state = [control["start"] for control in data["controls"]]
    for i, panel in enumerate(data["panels"]):
        drawn = figure(page).locator(".vg-panel").nth(i).evaluate(READ_MARKS)
        for k, series in enumerate(panel["series"]):
            values = at_state(series["y"], state)
            if series["marker"] and len(values) <= 12:
                assert len(drawn["marks"][k]) == sum(value is not None for value in values)
            if series["bar"]:
                assert len(drawn["bars"][k]) == len(values)


def test_a_move_takes_less_than_50_ms(page: "Page"):
    spans = page.evaluate(
        """() => {
          const slider = document.querySelector(".vg-figure:target input[type=range]");
          const panels = document.querySelector(".vg-figure:target .vg-panels");
          return Array.from({ length: 40 }, (_, i) => {
            const start = performance.now();
            slider.value = i % (Number(slider.max) + 1);
            slider.dispatchEvent(new Event("input", { bubbles: true }));
            panels.getBoundingClientRect();
            return performance.now() - start;
          });
        }"""
    )
    assert np.median(spans) < BUDGET, spans


# スクリプトが動く前の頁にある、図の文と形
AS_BUILT = """([html, id]) => {
    const built = new DOMParser().parseFromString(html, "text/html").getElementById(id);
    const shapes = [...built.querySelectorAll(".series")].map((group) => group.innerHTML);
    return [built.querySelector("[role=status]").textContent, shapes.join()];
}"""


def test_the_page_is_built_with_the_first_picture(page: "Page", book: Path, name: str):
    path, _, at = name.partition("#")
    said, shapes = page.evaluate(AS_BUILT, [(book / path).read_text(encoding="utf-8"), at])
    assert said == figure(page).get_by_role("status").text_content()
    assert same_shapes(shapes, drawing(page))


def test_without_javascript_there_are_pictures_and_no_controls(site: str, chromium: "Browser"):
    context = chromium.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(f"{site}part3/he.html")
    pictures = plain.locator(".vg-figure .vg-panels")
    assert pictures.count() == 2
    assert all(picture.is_visible() for picture in pictures.all())
    assert plain.locator(".vg-controls:visible").count() == 0
    context.close()


def test_the_page_works_from_a_file_and_stretches_with_its_width(book: Path, chromium: "Browser"):
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto((book / FIGURES[0].partition("#")[0]).as_uri())
    gap = """() => {
      const box = (one) => document.querySelector(".vg-figure " + one).getBoundingClientRect();
      const [mark, line] = [box(".names .mark path"), box(".plot .line")];
      return [line.width, mark.left + mark.width / 2 - line.left];
    }"""
    wide, first = page.evaluate(gap)
    page.set_viewport_size({"width": 390, "height": 900})
    narrow, then = page.evaluate(gap)
    page.close()
    assert narrow < wide
    assert max(abs(first), abs(then)) < 1.5  # 印は、線の左の端の上にある


def sentences(value: Any) -> Iterator[str]:
    """つまみのすべての位置の、文と札。"""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from sentences(part)


def test_every_sentence_of_a_figure_tells_numbers_with_their_units(book: Path, name: str):
    told = list(sentences(spec(book, name)))
    assert len(told) > 5
    assert [text for text in told if NO_NUMBER.search(text) or BROKEN.search(text)] == []


def test_only_pages_with_a_figure_load_its_script(book: Path):
    for path in book.glob("part*/*.html"):
        text = path.read_text(encoding="utf-8")
        assert ("figures.js" in text) == ('class="vg-figure' in text), path.name
        assert ("network.js" in text) == ('class="vg-figure-live' in text), path.name
    cover = (book / "index.html").read_text(encoding="utf-8")
    assert "figures.js" not in cover
    assert "cover.js" in cover


def test_the_values_of_a_figure_are_light(book: Path, name: str):
    import gzip

    data = json.dumps(spec(book, name), ensure_ascii=False, separators=(",", ":"))
    assert len(gzip.compress(data.encode())) <= 26 * 1024


# --- 図の上を動かす ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "panel"),
    [("part2/sigmoid.html#touch-slope", 0), ("part5/meanfield.html#touch-phase", 0)],
)
def test_dragging_on_the_picture_moves_its_controls(
    site: str, book: Path, chromium: "Browser", where: str, panel: int
):
    page = chromium.new_page(viewport={"width": 390, "height": 844}, bypass_csp=True)
    page.goto(site + where)
    drags = spec(book, where)["panels"][panel]["drag"]
    image = figure(page).locator(".vg-panel .names").nth(panel)
    image.scroll_into_view_if_needed()
    box = image.bounding_box()
    assert box is not None
    for across, down in ((0.95, 0.1), (0.2, 0.8)):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
        page.mouse.up()
        for drag in drags:
            positions = drag["positions"]
            option = int(figure(page).get_by_role("slider").nth(drag["control"]).input_value())
            high = across > 0.5 if drag["axis"] == "x" else down < 0.5
            assert (positions[option] > np.mean(positions)) == high, (drag["axis"], option)
    page.close()


# 図の下の端を画面の下の端に合わせたときの、つまみと、先頭へ戻るボタンの位置
STICKING = """async () => {
  await document.fonts.ready; // 字が届いて行が動いた後で、位置を測る
  const figure = document.querySelector(".vg-figure:target");
  const controls = figure.querySelector(".vg-controls");
  const past = figure.getBoundingClientRect().bottom - innerHeight;
  scrollBy({ top: past, behavior: "instant" });
  const header = document.querySelector(".mobile-header").getBoundingClientRect().bottom;
  const now = controls.getBoundingClientRect().top;
  document.documentElement.classList.add("show-back-to-top");
  const button = document.querySelector(".back-to-top").getBoundingClientRect();
  const free = button.height && button.top >= controls.getBoundingClientRect().bottom;
  controls.style.position = "static";
  return [header, controls.getBoundingClientRect().top, now, free];
}"""


def test_the_figure_fits_a_phone_and_its_control_stays_in_view(
    site: str, chromium: "Browser", name: str
):
    with opened(chromium, 360) as (page, troubles):  # 決まり (CSP) に背いたら、困りごとになる
        page.goto(site + name)
        wide = page.evaluate(
            "[document.documentElement,"
            " ...document.querySelectorAll('.vg-figure, .output.text_html')]"
            ".map((e) => e.scrollWidth - e.clientWidth)"
        )
        letters = page.evaluate(
            "Math.min(...[...document.querySelectorAll('.vg-panel .names text')]"
            ".map((text) => parseFloat(getComputedStyle(text).fontSize)))"
        )
        page.set_viewport_size({"width": 390, "height": 360})
        top, home, stuck, free = page.evaluate(STICKING)
    assert troubles == []
    assert max(wide) <= 0
    assert letters >= 11.5
    assert home < top, "図が画面より低くて、つまみが残るかを試せない"
    assert stuck == pytest.approx(top, abs=1)
    assert free, "先頭へ戻るボタンが、つまみに重なる"


def test_the_script_draws_with_the_marks_and_margins_of_python(book: Path):
    from vgbook.book import drawing
    from vgbook.book.plotting import SERIES

    script = (book / "_static" / "figures.js").read_text(encoding="utf-8")
    shapes = dict(re.findall(r'^    "?([^":\s]+)"?: "(M[^"]+z)",$', script, re.M))
    assert shapes == drawing.MARKERS
    assert shapes.keys() >= {marker for _, marker, _ in SERIES}
    for constant in ("TOP", "BOTTOM", "SPAN", "PAD"):
        assert re.search(rf"\b{constant} = {getattr(drawing, constant)}\b", script)
