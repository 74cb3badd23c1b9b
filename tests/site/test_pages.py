"""できあがった本のすべての頁の HTML: リンク、図、要約、id、よそへの通信。"""

import functools
import re
from collections import Counter
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest

from vg.manuscript import Manuscript


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


def test_every_field_of_the_api_is_described(book: Path):
    untold = "Alias for field number"  # 説明のない NamedTuple の値に、Python が付ける文
    pages = sorted((book / "api").glob("*.html"))
    assert len(pages) > 20
    assert [p.name for p in pages if untold in p.read_text(encoding="utf-8")] == []


def test_every_function_of_the_api_links_to_its_source(book: Path):
    """部屋の入り口で紹介したもの (`over_seeds`、`chi` など) も。"""
    head = re.compile(r'<dl class="py (?:function|class)">\s*<dt [^>]*id="(.*?)">(.*?)</dt>', re.S)
    pages = (path.read_text(encoding="utf-8") for path in sorted(book.glob("api/*.html")))
    found = [each for page in pages for each in head.findall(page)]
    assert len(found) > 80
    without = [name for name, text in found if "viewcode-link" not in text]
    assert without == ["vgbook.initializers.lecun"]  # def のない、xavier の別名


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


def test_every_seed_of_the_cells_is_listed(book: Path):
    page = (book / "reproducibility.html").read_text(encoding="utf-8")
    row = re.compile(r'<td><p><a class="reference internal" href="([^"]+)">.*?<td>(.*?)</td>', re.S)
    listed = {
        name.removesuffix(".html").replace("#", "reproducibility"): set(
            re.findall(r'<span class="pre">(\w+)</span>', seeds)
        )
        for name, seeds in row.findall(page)
    }
    used = {
        page.name: seeds
        for page in Manuscript().pages.values()
        if (seeds := {s for c in page.cells for s in re.findall(r"default_rng\(([^)]*)\)", c.body)})
    }
    assert len(used) > 15
    assert {name: listed.get(name) for name in used} == used


# --- 読む人が見る字 -------------------------------------------------------------------------

EXACT = re.compile(
    r'<(pre|code|script|style|math|template|svg)\b.*?</\1>|<dt class="sig.*?</dt>', re.DOTALL
)
UNREADABLE = {
    "プログラムの書き方のままの数": re.compile(r"(?<![\w.])\d(?:\.\d+)?e[-+]\d+"),
    "Python の値": re.compile(r"\bnp\.\w+\(|\barray\(|\bdtype=|<[\w.]+ object at"),
    "丸めていない数": re.compile(r"\d\.\d{10,}"),
    "強調にならなかった印": re.compile(r"\*\*"),
}


def read(book: Path, name: str) -> str:
    """頁の本文の、コードと数式と関数の呼び方のほかの字。"""
    html = (book / name).read_text(encoding="utf-8")
    body = html[html.find("<article") : html.find("</article>")]
    return unescape(re.sub(r"<[^>]*>", "", EXACT.sub("", body)))


@pytest.mark.parametrize("kind", UNREADABLE)
def test_nothing_is_written_as_only_a_program_would(
    book: Path, documents: dict[str, Document], kind: str
):
    def check(name: str, page: Document) -> Iterator[str]:
        for found in UNREADABLE[kind].finditer(read(book, name)):
            yield found[0]

    written = {name: page for name, page in documents.items() if not name.startswith("_modules")}
    assert complaints(written, check) == []


def test_no_fold_that_shows_nothing_stands_before_another(book: Path):
    """開いてもコードしかないたたみは、次のたたみの中へ移してある。"""
    cell = r'<div class="cell tag_hide-input docutils container">\s*'
    alone = cell + r"<details[^>]*>(?:(?!</details>).)*</details>\s*</div>\s*" + cell
    stacked = re.compile(alone, re.DOTALL)
    pages = book.rglob("*.html")
    assert [str(p) for p in pages if stacked.search(p.read_text(encoding="utf-8"))] == []


REPR = re.compile(r"np\.\w+\(|[\[{,] ?'[^']*'[,\]:}]|\d\.\d{15,}|<[\w.]+ object at")
AS_TYPED = {"part2/floating-point.html", "reproducibility.html"}  # 桁そのものを話題にする頁


def test_no_output_is_a_python_value_with_its_quotes(book: Path, documents: dict[str, Document]):
    output = re.compile(r'<div class="output (?:stream|text_plain)[^>]*>.*?</pre>', re.DOTALL)

    def check(name: str, page: Document) -> Iterator[str]:
        for block in output.findall((book / name).read_text(encoding="utf-8")):
            if found := REPR.search(unescape(re.sub(r"<[^>]*>", "", block))):
                yield found[0]

    shown = {name: page for name, page in documents.items() if name not in AS_TYPED}
    assert complaints(shown, check) == []
