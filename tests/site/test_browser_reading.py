"""キーボードだけで読む。JavaScript なしで読む。"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from browsing import SMALL

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


KINDS = ["index", "part1/chain-rule", "part3/he", "quiz", "glossary", "api/layers.affine", "search"]
REACHABLE = "a[href], button, input, select, textarea, summary, [tabindex]"
WIDTHS = [1280, 360]
# 見えていて、押せる部品。目に見えるところにあり、隠れていないもの
CONTROLS = f"""() => {{
    const seen = (box) => box.checkVisibility({{ visibilityProperty: true }})
      && [...box.getClientRects()].some((r) => r.width && r.right > 0 && r.left < innerWidth);
    // 選択肢の列は 1 つの部品。Tab は選ばれているものに止まり、矢印で移る
    const skipped = (box) => box.type === "radio" && !box.checked;
    window.controls = [...document.querySelectorAll("{REACHABLE}")]
      .filter((box) => box.tabIndex >= 0 && !box.disabled && !skipped(box) && seen(box));
    return controls.length;
}}"""
# ページの先頭に戻る。blur だけでは、次の Tab は、いた所の先へ進む
FROM_THE_TOP = """() => {
    const top = document.createElement("span");
    top.tabIndex = -1;
    document.body.prepend(top);
    top.focus();
    top.remove();
}"""
# いまの部品: 何番目か (フォーカスで現れるものは -1)、前の部品の後ろか、画面の中か、印が見えるか
FOCUSED = """() => {
    const box = document.activeElement;
    if (box === document.body) return null;
    // 札の全体が押せるリンクは、字を持たず、印は札の上の ::after に付く
    const card = box.matches(".sd-stretched-link") && box.closest(".sd-card");
    const rects = [...(card || box).getClientRects()];
    const style = getComputedStyle(box, card ? "::after" : null);
    const after = !window.last
      || last.compareDocumentPosition(box) & Node.DOCUMENT_POSITION_FOLLOWING;
    window.last = box;
    return {
      after: Boolean(after),
      place: controls.indexOf(box),
      html: box.outerHTML.slice(0, 120),
      inside: rects.some((r) => r.width > 0 && r.right > 0 && r.left < innerWidth),
      marked: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    };
}"""


@contextmanager
def opened(chromium: "Browser", url: str, **options: object) -> "Iterator[Page]":
    context = chromium.new_context(**options)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(url)
    yield page
    context.close()


# --- キーボード --------------------------------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", KINDS)
def test_tab_visits_every_control_once_in_order(
    site: str, chromium: "Browser", name: str, width: int
):
    with opened(chromium, f"{site}{name}.html", viewport={"width": width, "height": 800}) as page:
        # 検索のページは、読者が打ちに来るので、欄から始まる。ほかは、どこにも居ない
        focused = page.evaluate("document.activeElement.tagName")
        assert focused == ("INPUT" if name == "search" else "BODY")
        page.evaluate(FROM_THE_TOP)
        count = page.evaluate(CONTROLS)
        stops = []
        for _ in range(2 * count):
            page.keyboard.press("Tab")
            stop = page.evaluate(FOCUSED)
            if stop is None:
                break
            stops.append(stop)
    assert [stop["html"] for stop in stops if not stop["inside"]] == []
    assert [stop["html"] for stop in stops if not stop["marked"]] == []
    assert [stop["html"] for stop in stops if not stop["after"]] == []
    assert set(range(count)) <= {stop["place"] for stop in stops}


def test_light_and_dark_can_be_switched_without_storage(site: str, chromium: "Browser"):
    with opened(chromium, "about:blank", color_scheme="dark") as page:
        page.add_init_script(
            """Object.defineProperty(window, "localStorage", {
              get() { throw new DOMException("断られた", "SecurityError"); },
            });"""
        )
        page.goto(f"{site}index.html")
        ground = "getComputedStyle(document.body).backgroundColor"
        grounds = [page.evaluate(ground)]
        for _ in range(2):
            page.locator(".theme-toggle:visible").click()
            grounds.append(page.evaluate(ground))
    assert grounds[0] == grounds[2] != grounds[1]


@pytest.mark.parametrize(
    ("drawer", "links"), [("__navigation", ".sidebar-tree"), ("__toc", ".toc-tree")]
)
@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_drawers_open_and_close_by_keyboard(
    site: str, chromium: "Browser", drawer: str, links: str, key: str
):
    with opened(chromium, f"{site}part3/he.html", viewport={"width": 360, "height": 800}) as page:
        icon = page.locator(f'label[for="{drawer}"] > .icon:visible').first
        assert icon.get_attribute("aria-expanded") == "false"
        assert not page.locator(links).is_visible()
        icon.focus()
        page.keyboard.press(key)
        page.locator(links).wait_for(state="visible")
        assert icon.get_attribute("aria-expanded") == "true"
        page.keyboard.press("Tab")
        assert page.evaluate("(links) => !!document.activeElement.closest(links)", "aside")
        page.keyboard.press("Escape")
        page.locator(links).wait_for(state="hidden")
        assert icon.get_attribute("aria-expanded") == "false"
        assert icon.evaluate("icon => icon === document.activeElement")


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_slides_for_a_reader_who_wants_no_motion(
    site: str, chromium: "Browser", motion: str
):
    size = {"width": 360, "height": 800}
    url = f"{site}part3/he.html"
    with opened(chromium, url, viewport=size, reduced_motion=motion) as page:
        moving = page.evaluate(
            """() => [...document.querySelectorAll("*")].flatMap((box) =>
              [null, "::before", "::after"].map((part) => getComputedStyle(box, part)))
              .filter((s) => parseFloat(s.transitionDuration) || parseFloat(s.animationDuration))
              .length"""
        )
    assert (moving == 0) == (motion == "reduce")


# 原稿のある頁は、どれも test_browser_paper.py が調べる
@pytest.mark.parametrize("name", ["api/layers.affine", "search"])
def test_whatever_is_pressed_is_wide_enough_for_a_finger(site: str, chromium: "Browser", name: str):
    with opened(chromium, f"{site}{name}.html", viewport={"width": 390, "height": 844}) as page:
        assert page.evaluate(SMALL) == []


def test_the_theme_is_changed_and_kept_by_keyboard(site: str, chromium: "Browser"):
    with opened(chromium, f"{site}index.html", viewport={"width": 1280, "height": 800}) as page:
        page.locator(".theme-toggle:visible").focus()
        before = page.evaluate("document.body.dataset.theme")
        page.keyboard.press("Enter")
        after = page.evaluate("document.body.dataset.theme")
        assert before != after
        page.reload()
        assert page.evaluate("document.body.dataset.theme") == after


def test_code_is_copied_by_keyboard(site: str, chromium: "Browser"):
    with opened(
        chromium, f"{site}part1/chain-rule.html", permissions=["clipboard-read", "clipboard-write"]
    ) as page:
        button = page.locator(".copybtn:visible").first
        code = page.locator(button.get_attribute("data-clipboard-target") or "").text_content()
        button.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(".copybtn.success")
        assert page.evaluate("navigator.clipboard.readText()").split() == (code or "").split()


def test_answers_open_by_keyboard(site: str, chromium: "Browser"):
    with opened(chromium, f"{site}part1/chain-rule.html") as page:
        answer = page.locator("details.sd-dropdown").first
        answer.locator("summary").focus()
        page.keyboard.press("Enter")
        assert answer.evaluate("box => box.open")


def test_an_overflowing_box_can_be_moved_by_keyboard(site: str, chromium: "Browser"):
    url = f"{site}part4/batchnorm.html"
    with opened(chromium, url, viewport={"width": 360, "height": 800}) as page:
        boxes = page.evaluate(
            """async () => {
              for (let top = 0; top < document.body.scrollHeight; top += 500) {
                scrollTo({ top, behavior: "instant" });
                await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
              }
              return [...document.querySelectorAll("article :is(pre, .formula, .table-wrapper)")]
               .filter(box => box.checkVisibility() && box.scrollWidth > box.clientWidth + 1)
               .map(box => [box.tabIndex, box.getAttribute("aria-label")]);
            }"""
        )
    assert boxes
    assert all(index == 0 and label for index, label in boxes)


# --- JavaScript なし ------------------------------------------------------------------------


@contextmanager
def plain(chromium: "Browser", url: str, width: int = 1280) -> "Iterator[Page]":
    viewport = {"width": width, "height": 800}
    with opened(chromium, url, java_script_enabled=False, viewport=viewport) as page:
        yield page


def test_formulas_and_figures_need_no_javascript(site: str, chromium: "Browser"):
    with plain(chromium, f"{site}part3/he.html") as page:
        open_formulas = page.locator("article .katex-display:not(details .katex-display)")
        shown = open_formulas.evaluate_all("all => all.map((box) => box.checkVisibility())")
        assert shown
        assert all(shown)
        visible = """article => {
          const copy = article.cloneNode(true);
          copy.querySelectorAll("annotation, pre, code").forEach((tex) => tex.remove());
          return copy.textContent;
        }"""
        text = page.eval_on_selector("article", visible)
        assert "δ" in text
        assert not re.search(r"\\(frac|partial|sigma|delta|mathbb)", text)
        images = page.eval_on_selector_all(
            "article img:not([loading=lazy])", "all => all.map((image) => image.naturalWidth > 0)"
        )
        assert all(images)


def test_answers_open_without_javascript(site: str, chromium: "Browser"):
    with plain(chromium, f"{site}part1/chain-rule.html") as page:
        answer = page.locator("details.sd-dropdown").first
        body = answer.locator("p").last
        assert not body.is_visible()
        answer.locator("summary").click()
        assert body.is_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_book_is_walked_through_without_javascript(site: str, chromium: "Browser", width: int):
    with plain(chromium, f"{site}index.html", width) as page:
        if width < 1000:
            page.locator('.mobile-header label[for="__navigation"]').click()
        page.locator('.sidebar-tree a[href="part3/he.html"]').click()
        assert page.url.endswith("part3/he.html")
        page.locator(".related-pages .next-page").click()
        assert page.url.endswith("part3/fluctuation.html")


@pytest.mark.parametrize("name", KINDS)
def test_nothing_that_needs_javascript_is_offered_without_it(
    site: str, chromium: "Browser", name: str
):
    """押しても何も起きないボタンがない。送信と、引き出しや答えの開け閉めは、HTML だけで動く。"""
    with plain(chromium, f"{site}{name}.html") as page:
        dead = page.eval_on_selector_all(
            "button, [role=button], [contenteditable]",
            """all => all.filter((box) => box.checkVisibility({ visibilityProperty: true }))
              .filter((box) => !(box.type === "submit" && box.form)).map((box) => box.outerHTML)""",
        )
    assert dead == []
