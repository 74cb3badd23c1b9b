"""検索の部品: 頁を文字にするところ (vg.search.index) と、文字の中を探すところ (search.js)。"""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
import quickjs
from hypothesis import assume, given
from hypothesis import strategies as st

from vg.manuscript import DOCS
from vg.search import index

TEXT = (
    "Xavier（ザビエル）の初期値は、標準偏差 1/√n の正規分布。χ₁ と n_in と ＲｅＬＵ、He の初期値。"
)
Found = Callable[[str], list[str]]


def page(title: str, text: str, kind: str = "chapter", names: tuple[str, ...] = ()) -> dict:
    section = {"id": "top", "name": title, "names": [], "text": text}
    return {
        "url": title,
        "title": title,
        "number": 1,
        "kind": kind,
        "names": list(names),
        "sections": [section],
    }


def searcher(*pages: dict) -> Found:
    context = quickjs.Context()
    context.eval((DOCS / "_ext/vg/search/search.js").read_text(encoding="utf-8"))
    context.set("data", json.dumps(pages))
    context.eval("const pages = prepare(JSON.parse(data))")
    find = context.eval(
        "(query) => JSON.stringify(search(pages, query).results.map((r) => r.page.title))"
    )
    return lambda query: json.loads(find(query))


@pytest.fixture(scope="module")
def find() -> Found:
    return searcher(page("頁", TEXT))


@pytest.mark.parametrize(
    "query",
    [
        *(
            "初期値",
            "Heの初期値",
            "ザビ",
            "ざびえる",
            "ｻﾞﾋﾞ",
            "標準偏差",
            "ReLU",
            "ＲｅＬＵ",
            "relu",
        ),
        *(
            "rel",
            "正規分布",
            "値",
            "xavier",
            "χ1",
            "χ₁",
            "n_in",
            "nin",
            "1/√n",
            "正規 分布",
            "標準偏",
        ),
    ],
)
def test_every_part_of_a_sentence_is_found(find: Found, query: str):
    assert find(query) == ["頁"]


@pytest.mark.parametrize(
    "query", ["勾配", "期初", "偏標", "elu", "avier", "dropout", "初期値 勾配", ""]
)
def test_what_is_not_there_is_not_found(find: Found, query: str):
    assert find(query) == []


def test_a_compound_is_divided_only_into_words_of_the_book(find: Found):
    assert find("正規分布初期値") == ["頁"]
    assert find("正規分布勾配") == []


def test_titles_names_and_chapters_come_first():
    find = searcher(
        page("本文だけ", "連鎖律 連鎖律 連鎖律。"),
        page("API", "連鎖律", kind="api", names=("連鎖律",)),
        page("別名", "微分の規則。", names=("連鎖律",)),
        page("連鎖律", "微分の規則。"),
    )
    assert find("連鎖律") == ["連鎖律", "別名", "API", "本文だけ"]


@pytest.mark.parametrize("kind", ["quiz", "checks", "api"])
def test_a_page_that_explains_comes_before_one_that_asks_or_checks(kind: str):
    find = searcher(page("確認", "連鎖律。連鎖律。", kind=kind), page("章", "連鎖律。"))
    assert find("連鎖律") == ["章", "確認"]


@given(st.text(st.characters(codec="utf-8", max_codepoint=0xFFEF, exclude_categories=["Cn", "Co"])))
def test_no_query_fails(find: Found, query: str):
    assert find(query) in ([], ["頁"])


@given(st.integers(0, len(TEXT)), st.integers(1, 12))
def test_any_piece_that_starts_with_a_word_is_found(find: Found, start: int, length: int):
    piece = TEXT[start : start + length].strip("（）、。 ")
    assume(piece)
    before, first = unicodedata.normalize("NFKC", TEXT[start - 1] + piece[0])
    assume(not (before.isascii() and before.isalnum() and first.isascii()))
    assume(any(not "\u3041" <= letter <= "\u3096" for letter in piece))
    assert find(piece) == ["頁"]


def test_the_data_of_the_book_hold_what_readers_see(book: Path):
    script = (book / index.DATA).read_text(encoding="utf-8")
    pages = json.loads(script.removeprefix("const SEARCH_PAGES = ").removesuffix(";\n"))
    by_url = {page["url"]: page for page in pages}
    he = by_url["part3/he.html"]
    assert "ひーのしょきち" in he["names"]
    assert he["kind"] == "chapter"
    assert by_url["quiz/part3.html"]["kind"] == "quiz"
    assert by_url["checks/he.html"]["kind"] == "checks"
    names = {section["name"] for page in pages for section in page["sections"]}
    assert {"softmax_cross_entropy", "残差接続", "参考文献"} <= names
    text = " ".join(section["text"] for section in he["sections"])
    assert "δ" in text
    assert "\\" not in text  # TeX は文字にした
    assert "import numpy" not in text  # コードは探さない
