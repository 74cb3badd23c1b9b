"""できあがった本のすべての頁: リンク、図、要約、読み上げ、狭い画面、検索、よそへの通信。"""

import functools
import http.server
import threading
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.docs
GENERATED = {"genindex.html", "search.html"}
API_SAMPLE = {"api/index.html", "api/layers.html"}  # API の頁は同じ型から作られる
CHECKS_SAMPLE = {"checks/index.html", "checks/sigmoid.html"}  # 検算の頁も
MISTAKEN = {"empty-table-header"}  # axe は MathML を字と数えない。空の見出しは vg_html が除く
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Document(HTMLParser):
    """1 頁の要素を、(名前, 属性) の列として持つ。"""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @functools.cached_property
    def ids(self) -> list[str]:
        return [a["id"] for _, a in self.elements if "id" in a]

    @property
    def description(self) -> str:
        return next((a["content"] for a in self.all("meta") if a.get("name") == "description"), "")


@pytest.fixture(scope="module")
def documents(book: Path) -> dict[str, Document]:
    """頁の場所 (part1/chain-rule.html など) → 頁。"""
    return {str(p.relative_to(book)): Document(p) for p in sorted(book.rglob("*.html"))}


def complaints(documents: dict[str, Document], check) -> list[str]:
    return [f"{name}: {fault}" for name, page in documents.items() for fault in check(name, page)]


# --- HTML --------------------------------------------------------------------------------


def test_the_book_has_its_pages(documents: dict[str, Document]):
    assert len(documents) > 10
    assert {"index.html", "search.html"} <= documents.keys()


def test_every_page_is_japanese_with_one_title(documents: dict[str, Document]):
    def check(name: str, page: Document) -> Iterator[str]:
        if page.all("html")[0].get("lang") != "ja":
            yield "lang"
        if len(page.all("h1")) != 1:
            yield f"h1 × {len(page.all('h1'))}"

    assert complaints(documents, check) == []


def test_every_page_has_a_description_of_its_own(documents: dict[str, Document]):
    pages = {name: page for name, page in documents.items() if not name.startswith("_modules")}
    assert [name for name, page in pages.items() if not page.description] == []
    counts = Counter(page.description for page in pages.values())
    assert [text for text, count in counts.items() if count > 1] == []


def test_every_image_states_its_content_and_its_size(documents: dict[str, Document]):
    def check(name: str, page: Document) -> Iterator[str]:
        for image in page.all("img"):
            alt = image.get("alt", "").strip()
            if not alt or alt.endswith((".svg", ".png")):
                yield f"alt: {image['src']}"
            if not (image.get("width", "").isdigit() and image.get("height", "").isdigit()):
                yield f"size: {image['src']}"

    assert complaints(documents, check) == []


def test_no_id_appears_twice(documents: dict[str, Document]):
    def check(name: str, page: Document) -> Iterator[str]:
        yield from (i for i, count in Counter(page.ids).items() if count > 1)

    assert complaints(documents, check) == []


def test_every_link_inside_the_book_has_its_target(book: Path, documents: dict[str, Document]):
    def check(name: str, page: Document) -> Iterator[str]:
        links = [a["href"] for tag in ("a", "link") for a in page.all(tag) if "href" in a]
        for link in links + [
            a["src"] for tag in ("img", "script") for a in page.all(tag) if "src" in a
        ]:
            url, fragment = urldefrag(urljoin(name, link))
            path = unquote(urlsplit(url).path)
            if urlsplit(url).scheme or link.startswith("#!"):
                continue
            if not (book / path).is_file():
                yield f"{link}: ない"
            elif fragment and unquote(fragment) not in {*documents[path].ids, "furo-main-content"}:
                yield f"{link}: 頁の中にない"

    assert complaints(documents, check) == []


def test_no_page_loads_anything_from_elsewhere(documents: dict[str, Document]):
    def check(name: str, page: Document) -> Iterator[str]:
        loads = [a.get("src", "") for tag in ("img", "script", "iframe") for a in page.all(tag)]
        loads += [a.get("href", "") for a in page.all("link")]
        yield from (url for url in loads if urlsplit(url).netloc)

    assert complaints(documents, check) == []


def test_formulas_are_set_before_the_page_is_read(book: Path):
    text = (book / "part1" / "backprop.html").read_text(encoding="utf-8")
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML"' in text
    assert "katex.min.js" not in text
    assert "MathJax" not in text


# --- 画面 --------------------------------------------------------------------------------


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """試験の出力を汚さない。"""


@pytest.fixture(scope="module")
def site(book: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(book))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def open_page(chromium: "Browser", width: int, scheme: str) -> "tuple[Page, list[str]]":
    """新しい窓と、そこで起きた困りごと (エラー、見つからないファイル、よそへの通信) の記録。"""
    page = chromium.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
    ).new_page()
    troubles: list[str] = []
    page.on("console", lambda m: m.type == "error" and troubles.append(m.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda r: urlsplit(r.url).hostname != "127.0.0.1" and troubles.append(r.url))
    page.on("response", lambda r: r.status >= 400 and troubles.append(f"{r.status} {r.url}"))
    return page, troubles


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_every_page_can_be_read_by_everyone(
    site: str, chromium: "Browser", documents: dict[str, Document], width: int, scheme: str
):
    from axe_core_python.sync_playwright import Axe

    page, troubles = open_page(chromium, width, scheme)
    faults: list[str] = []
    for name in documents:
        alike = name.startswith(("_modules/", "api/", "checks/"))
        if alike and name not in API_SAMPLE | CHECKS_SAMPLE:
            continue
        page.goto(site + name)
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        if page.evaluate(wide) > 0:
            faults.append(f"{name}: 横にはみ出す")
        result = Axe().run(page, options={"runOnly": AXE_RULES, "resultTypes": ["violations"]})
        faults += [
            f"{name}: {violation['id']}: {violation['nodes'][0]['html'][:120]}"
            for violation in result["violations"]
            if violation["id"] not in MISTAKEN
        ]
    page.context.close()
    assert faults == []
    assert troubles == []


@pytest.mark.browser
@pytest.mark.parametrize(
    "query",
    [
        *("勾配消失問題", "重みの初期値", "Heの初期値", "双曲線正接", "スパース", "ＲｅＬＵ"),
        *("Batch Normalization", "sigmoid", "層", "連鎖律", "対称性"),
    ],
)
def test_search_finds(site: str, chromium: "Browser", query: str):
    page, troubles = open_page(chromium, 1280, "light")
    page.goto(f"{site}search.html?q={quote(query)}")
    page.wait_for_selector(".search-summary:not(:empty)")
    found = page.locator("#search-results ul.search > li > a").count()
    page.context.close()
    assert found > 0
    assert troubles == []


@pytest.mark.browser
def test_an_overflowing_box_can_be_moved_by_keyboard(site: str, chromium: "Browser"):
    page, _ = open_page(chromium, 360, "light")
    page.goto(site + "part4/batchnorm.html")
    page.wait_for_load_state("load")
    boxes = page.evaluate(
        """[...document.querySelectorAll("article :is(pre, .formula, .table-wrapper)")]
           .filter(box => box.scrollWidth > box.clientWidth + 1)
           .map(box => [box.tabIndex, box.getAttribute("aria-label")])"""
    )
    page.context.close()
    assert boxes
    assert all(index == 0 and label for index, label in boxes)


@pytest.mark.browser
def test_answers_open_by_keyboard(site: str, chromium: "Browser"):
    page, _ = open_page(chromium, 1280, "light")
    page.goto(site + "part1/chain-rule.html")
    answer = page.locator("details.sd-dropdown").first
    answer.locator("summary").focus()
    page.keyboard.press("Enter")
    opened = answer.evaluate("box => box.open")
    page.context.close()
    assert opened
