"""検索: 読者が打ちそうな問いの表 (search_queries.toml) を、Chromium の中で引く。"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


TABLE = tomllib.loads((Path(__file__).parent / "search_queries.toml").read_text(encoding="utf-8"))
QUERIES = {query: pages for group in TABLE.values() for query, pages in group.items()}
ANSWERED = {query: pages for query, pages in QUERIES.items() if pages}
TYPE = """(query) => {
    const input = document.querySelector(".search-form input");
    const start = performance.now();
    input.value = query;
    input.dispatchEvent(new Event("input"));
    document.getElementById("search-results").getBoundingClientRect();
    const links = document.querySelectorAll("#search-results > li > a");
    return [performance.now() - start, Array.from(links, (link) => link.getAttribute("href"))];
}"""


class Answer(NamedTuple):
    milliseconds: float
    pages: list[str]  # 上から順に
    summary: str

    def place(self, expected: list[str]) -> float:
        """何番目にあったか (1 から)。なければ無限大。"""
        found = [
            place
            for place, page in enumerate(self.pages, 1)
            if any(page == name or page.startswith(f"{name}/") for name in expected)
        ]
        return min(found, default=float("inf"))


@pytest.fixture(scope="module")
def page(site: str, chromium: "Browser") -> "Iterator[Page]":
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site}search.html")
    yield page
    context.close()


def ask(page: "Page", query: str) -> Answer:
    milliseconds, links = page.evaluate(TYPE, query)
    summary = page.text_content(".search-summary") or ""
    return Answer(milliseconds, [link.removesuffix(".html") for link in links], summary)


@pytest.fixture(scope="module")
def answers(page: "Page") -> dict[str, Answer]:
    page.context.set_offline(True)  # 頁を開いた後は、何も取りに行かない
    return {query: ask(page, query) for query in QUERIES}


def test_the_table_is_long_and_names_real_pages(book: Path):
    assert len(QUERIES) >= 40
    assert all((book / f"{page}.html").is_file() for pages in QUERIES.values() for page in pages)


def test_what_a_learner_asks_is_among_the_first_three(answers: dict[str, Answer]):
    places = {query: answers[query].place(pages) for query, pages in ANSWERED.items()}
    missed = {query: answers[query].pages[:3] for query, place in places.items() if place > 3}
    figures = {
        "hit@1": sum(place == 1 for place in places.values()) / len(places),
        "hit@3": 1 - len(missed) / len(places),
        "MRR": sum(1 / place for place in places.values()) / len(places),
    }
    assert figures["hit@3"] >= 0.95, (figures, missed)
    assert figures["hit@1"] >= 0.85, (figures, missed)


def test_what_the_book_lacks_is_said_to_be_lacking(answers: dict[str, Answer]):
    lacking = [query for query, pages in QUERIES.items() if not pages]
    assert lacking
    for query in lacking:
        assert answers[query].pages == []
        said = answers[query].summary
        assert said.split("」")[0].removeprefix("「") in query, said
        assert "この本にありません" in said


def test_an_answer_comes_within_200_ms(answers: dict[str, Answer]):
    assert median(answer.milliseconds for answer in answers.values()) < 200


def test_every_answer_leads_to_the_place_it_names(page: "Page", site: str):
    ask(page, "勾配の倍率")
    links = page.eval_on_selector_all("#search-results a", "all => all.map((a) => a.href)")
    page.context.set_offline(False)
    reader = page.context.new_page()
    assert any("#" in link for link in links)
    for link in dict.fromkeys(links):
        reader.goto(link)
        assert "#" not in link or reader.evaluate("document.querySelector(':target') !== null"), (
            link
        )
    reader.close()


def test_the_words_are_shown_in_their_sentence(page: "Page"):
    ask(page, "Ｈｅ の初期値")
    marked = page.eval_on_selector_all("mark", "all => all.map((mark) => mark.textContent)")
    assert {"He", "初期値"} <= set(marked)


@pytest.mark.parametrize(
    "query", ["<img src=x onerror=alert(1)>", "[", "\\", "(", "*", "ー", "'", "%"]
)
def test_no_query_breaks_the_page(page: "Page", query: str):
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    ask(page, query)
    assert page.locator("#search-results img").count() == 0
    assert page.evaluate("document.querySelector('.search-summary').textContent") != "undefined"
    assert troubles == []


def test_search_works_from_a_file_and_from_the_sidebar(book: Path, chromium: "Browser"):
    page = chromium.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: message.type == "error" and troubles.append(message.text))
    page.goto((book / "part3" / "he.html").as_uri())
    page.fill(".sidebar-search", "勾配爆発")
    page.press(".sidebar-search", "Enter")
    page.wait_for_selector("#search-results > li > a")
    assert quote("勾配爆発") in page.url
    assert page.get_attribute("#search-results > li > a", "href") == "part1/vanishing.html"
    page.close()
    assert troubles == []
