"""本の頁を Chromium で開く: 誤り、よその通信、読み上げ、はみ出し、文章の動き。"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import pytest
from browsing import OVERFLOW, READ_TO_THE_END, opened, violations
from conftest import Quiet, serving
from contrast import faint
from covering import covering

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.slow

HTML = Path(__file__).parents[2] / "docs" / "_build" / "html"
PAGES = sorted(str(path.relative_to(HTML)) for path in HTML.rglob("*.html")) or ["index.html"]
WATCH_SHIFTS = """
    window.shifts = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries())
        if (!entry.hadRecentInput)
          shifts.push([entry.value, entry.sources.map((s) => s.node?.nodeName).join()]);
    }).observe({type: "layout-shift", buffered: true});
"""
FIRST_SCRIPT = "**/documentation_options.js*"  # ほかのスクリプトは、これが動いてから動く
DRAWN = """async () => {
    const frame = () => new Promise(requestAnimationFrame);
    const drawn = () => document.querySelector("footer")
      && performance.getEntriesByType("paint").length;
    for (let frames = 0; frames < 1000 && !drawn(); frames++) await frame();
    await frame();
}"""
LONG = 8  # これより行の多い表は、途中まで届いたところで組まれることがある
FIRST_SCREEN = 3000  # 本文の HTML の、画面に最初に入るくらいの長さ
MOST_SHIFT = 0.01  # 文章の動き (CLS)。0.1 までが「良い」とされる


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """ふだんは、どの種類の要素もある、軽い頁の組を。毎週、`--every-page` で、すべての頁を。"""
    if "name" not in metafunc.fixturenames:
        return
    built = (HTML / PAGES[0]).exists()
    every = metafunc.config.getoption("every_page") or not built
    if metafunc.function is test_text_stays_while_a_long_table_arrives:
        names = [*filter(starts_with_a_long_table, PAGES)]
    else:
        names = PAGES if every else covering(HTML, PAGES)
    metafunc.parametrize("name", names)


@contextmanager
def drawn(page: "Page", url: str) -> Iterator[None]:
    """頁を 1 度描いたところ。出るときに、スクリプトが動く。遅い計算機や回線で読むときの順。"""
    held: list[Route] = []

    def hold(route: "Route") -> None:
        held.append(route)

    page.add_init_script(WATCH_SHIFTS)
    page.route(FIRST_SCRIPT, hold)
    page.goto(url, wait_until="commit")
    page.evaluate(DRAWN)
    yield
    while not held:
        page.wait_for_timeout(10)
    held[0].continue_()
    page.wait_for_load_state()


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_page_can_be_read_by_everyone(
    site: str, chromium: "Browser", name: str, width: int, scheme: Literal["light", "dark"]
):
    with opened(chromium, width) as (page, troubles):
        page.emulate_media(color_scheme=scheme)
        with drawn(page, site + name):
            pass
        page.evaluate(READ_TO_THE_END)
        shifts = page.evaluate("shifts")
        assert page.evaluate(OVERFLOW) <= 0, "横にはみ出す"
        assert sum(value for value, _ in shifts) <= MOST_SHIFT, shifts
        page.emulate_media(color_scheme="light" if scheme == "dark" else "dark")
        assert faint(page) == []  # 広い画面にだけある目次の字も、どちらの明るさでも読める
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == []
    assert troubles == []


def test_the_tools_beside_the_title_have_their_place_before_the_scripts_run(
    site: str, chromium: "Browser"
):
    """長い題が、スクリプトの動いた後に折り返して、本文を下げることがない。"""
    with opened(chromium, 1280) as (page, _):
        tools = page.locator(".content-icon-container")
        with drawn(page, site + "index.html"):
            place = tools.bounding_box()
        assert tools.bounding_box() == place


class Slow(Quiet):
    """見た目の決まりは手元にあって、本文が、最初の表の終わりまで 1 KB ずつ届く、遅い回線。"""

    def copyfile(self, source: IO[bytes], outputfile: IO[bytes]) -> None:  # type: ignore[override]
        slow = False
        while part := source.read(1024):
            outputfile.write(part)
            slow = (slow or b"<article" in part) and b"</table>" not in part
            time.sleep(0.02 if slow else 0)


@pytest.fixture(scope="module")
def slow_site(book: Path) -> Iterator[str]:
    with serving(book, Slow) as url:
        yield url


def starts_with_a_long_table(name: str) -> bool:
    """本がまだなければ False。そのときは、どのみち試験が「本がまだありません」と言う。"""
    path = HTML / name
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    article = page.partition("<article")[2]
    start = article[:FIRST_SCREEN].find("<table")
    return start >= 0 and len(re.findall("<tr", article[start:].partition("</table>")[0])) > LONG


@pytest.mark.parametrize("width", [1280, 360])
def test_text_stays_while_a_long_table_arrives(
    slow_site: str, chromium: "Browser", name: str, width: int
):
    with opened(chromium, width) as (page, _):
        page.add_init_script(WATCH_SHIFTS)
        page.goto(slow_site + name)
        page.evaluate(DRAWN)
        shifts = page.evaluate("shifts")
    assert sum(value for value, _ in shifts) <= MOST_SHIFT, shifts


@pytest.mark.parametrize("width", [1280, 360])
def test_a_script_that_pushes_the_text_is_seen(site: str, chromium: "Browser", width: int):
    push = 'document.querySelector("article").prepend("後から入る行")'
    with opened(chromium, width) as (page, _):
        page.route("**/book.js*", lambda route: route.fulfill(body=push))
        with drawn(page, f"{site}index.html"):
            pass
        page.evaluate(READ_TO_THE_END)
        shifts = page.evaluate("shifts")
    assert sum(value for value, _ in shifts) > MOST_SHIFT


def test_the_checks_can_fail(site: str, chromium: "Browser"):
    """薄い字、小さすぎるボタン、後から入る図、はみ出す箱、ない画像を、見逃さない。"""
    with opened(chromium, 360) as (page, troubles):
        page.add_init_script(WATCH_SHIFTS)
        page.goto(f"{site}notation.html")
        page.evaluate(
            """async () => {
              const frame = () => new Promise(requestAnimationFrame);
              await frame(); await frame();
              document.querySelector("article").insertAdjacentHTML("afterbegin", `
                <img alt="" src="no.png"><div class="bad box"></div><p class="bad ink">薄い字</p>
                <p><button class="bad dot">a</button><button class="bad dot">b</button></p>`);
              for (const [name, style] of Object.entries({
                box: "width: 900px; height: 300px",
                ink: "color: #ccc; background: #fff",
                dot: "width: 9px; height: 9px; padding: 0",
              })) for (const bad of document.querySelectorAll(`.bad.${name}`)) bad.style = style;
              await frame(); await frame();
            }"""
        )
        page.wait_for_load_state("networkidle")
        assert page.evaluate(OVERFLOW) > 0
        assert sum(value for value, _ in page.evaluate("shifts")) > 0.01
        rules = {fault.split(": ")[0] for fault in violations(page)}
    assert rules >= {"color-contrast", "target-size"}
    assert any("404" in trouble for trouble in troubles)


PAINTED = """() => {
    let state = 1;
    const chance = (n) => (state = (state * 48271) % 2147483647) % n;
    const color = () => `rgb(${[0, 1, 2].map(() => chance(256))})`;
    const looks = [
      () => ["color", color()],
      () => ["backgroundColor", color()],
      () => ["backgroundColor", color().replace(")", ", 0.5)")],
      () => ["color", color().replace(")", ", 0.7)")],
      () => ["opacity", 0.2 + chance(8) / 10],
      () => ["fontSize", `${12 + chance(16)}px`],
      () => ["fontWeight", 700],
    ];
    for (const [i, box] of [...document.querySelectorAll("article *, aside *")].entries()) {
      box.dataset.number = i;
      if (chance(4)) continue;
      const [name, value] = looks[chance(looks.length)]();
      box.style[name] = value;
    }
    const [behind, letters] = [document.createElement("div"), document.createElement("p")];
    const layers = document.createElement("div");
    layers.append(behind, letters);
    document.querySelector("article").prepend(layers);
    Object.assign(layers.style, { position: "relative", height: "60px", background: "#fff" });
    for (const box of layers.children) Object.assign(box.style, { position: "absolute", inset: 0 });
    behind.style.background = "#666";
    letters.style.color = "#555";
    letters.textContent = "先祖でない箱の上の字";
    letters.dataset.number = "layers";
}"""


@pytest.mark.parametrize("kind", ["index", "quiz/part2"])
def test_faint_letters_are_those_that_axe_finds(site: str, chromium: "Browser", kind: str):
    """色、濃さ、大きさをでたらめに変えた頁で、axe の言う誤りはすべて見つけ、合格は 1 つも疑わない。

    axe が答えない字 (一部が隠れたもの、記号だけのもの) も、薄ければ誤りにする。
    """
    from axe_playwright_python.base import AXE_SCRIPT

    with opened(chromium, 1280) as (page, _):
        page.goto(f"{site}{kind}.html")
        page.evaluate(PAINTED)
        numbers = (re.search(r'data-number="(\w+)"', text) for text in faint(page))
        thin = {number[1] for number in numbers if number}
        page.evaluate(AXE_SCRIPT)
        told = page.evaluate(
            """async () => {
              const run = { runOnly: ["color-contrast"], elementRef: true };
              const found = await axe.run({ exclude: [".katex"] }, run);
              return ["violations", "passes"].map((kind) => found[kind].flatMap((rule) =>
                rule.nodes.map((node) => node.element.dataset.number)));
            }"""
        )
    wrong, right = (set(filter(None, numbers)) for numbers in told)
    assert "layers" in wrong
    assert len(wrong) > 50
    assert len(right) > 50
    assert wrong - thin == set()
    assert right & thin == set()
