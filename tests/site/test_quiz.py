"""問題: 点検の規則と、本に載った問題の過不足。

印と計算が食い違う問題では組みが止まることは、test_build.py が使い捨ての本で確かめる。
答え合わせの動きは、test_browser_quiz.py が確かめる。
"""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import quickjs
from bs4 import BeautifulSoup, Tag
from hypothesis import example, given
from hypothesis import strategies as st

from vg.manuscript import DOCS, Manuscript, Page
from vg.quiz import check

SCRIPT = (DOCS / "_ext/vg/quiz/quiz.js").read_text(encoding="utf-8")
CHAPTERS = Manuscript().chapters

# --- 点検の規則 ----------------------------------------------------------------------------

FORM = {"marks": ["x", " "], "texts": ["a", "b"], "explained": [True, True], "pick": 1}


def test_a_well_formed_question_passes():
    check.check_form(**FORM)
    check.check_form(["=", " "], ["1", "2"], [True, True], 1)
    check.check_form(["x", " ", "x"], ["a", "b", "c"], [True] * 3, 2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"texts": ["a", "a"]}, "同じ選択肢"),
        ({"explained": [True, False]}, "説明のない選択肢.*'b'"),
        ({"marks": ["x", "x"]}, ":pick:.* 1、.*2"),
        ({"marks": [" ", " "]}, r"\[x\] の数は 0"),
        ({"marks": ["x", "x"], "pick": 2}, "誤りの選択肢"),
        ({"marks": ["=", "="]}, "1 つだけ"),
        ({"marks": ["=", "x"]}, "1 つだけ"),
    ],
)
def test_a_malformed_question_is_refused(changed: dict, message: str):
    with pytest.raises(ValueError, match=message):
        check.check_form(**FORM | changed)


@pytest.mark.parametrize("computed", ["0.1", 0.1, 0.1001, [False, True, False]])
def test_the_marked_choice_agrees_with_the_cell(computed):
    texts = ["0.01", "0.1", "1/32"]
    check.check_answer([" ", "x", " "], texts, computed, "1%")
    for flipped in (["x", " ", " "], [" ", " ", "x"], ["x", "x", " "]):
        with pytest.raises(ValueError, match="計算した答えと印が違います"):
            check.check_answer(flipped, texts, computed, "1%")


def test_a_wrong_choice_may_not_equal_the_answer():
    with pytest.raises(ValueError, match="計算した答えと印が違います"):
        check.check_answer(["x", " "], ["0.5", "1/2"], 0.5, "1%")


def test_a_numeric_question_keeps_the_value_before_rounding():
    assert check.wrong_values(["=", " "], ["0.333", "3"], 1 / 3) == [1 / 3, 3.0]
    with pytest.raises(ValueError, match="数に"):
        check.wrong_values(["=", " "], ["0.333", "いくつか"], 1 / 3)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("０．５", 0.5),
        ("−3", -3),
        ("1/32", 1 / 32),
        ("1,024 倍", 1024),
        ("9.5 × 10⁻⁷", 9.5e-7),
        ("9.5x10^-7", 9.5e-7),
        ("1e-3", 1e-3),
        (".25", 0.25),
        ("", None),
        ("abc", None),
        ("1/0", None),
        ("1.2.3", None),
    ],
)
def test_numbers_are_read_as_they_are_typed(text: str, value: float | None):
    assert check.number(text) == pytest.approx(value)


@pytest.fixture(scope="module")
def in_browser():
    context = quickjs.Context()
    context.eval(
        "\n".join(re.findall(r"^  function (?:toNumber|near)\([\s\S]*?^  }", SCRIPT, re.M))
    )
    return context.get("toNumber"), context.get("near")


@given(st.text(alphabet="0123456789.-−+eE/×*x10^, ０１９．⁻⁷倍", max_size=10))
@example("9.5×10⁻⁷")
@example("1/32")
def test_browser_and_build_read_the_same_number(in_browser, text: str):
    assert in_browser[0](text) == check.number(text)


@given(st.floats(-10, 10), st.floats(-10, 10), st.sampled_from(["1%", "3%", "0.5", "25%"]))
@example(1.01, 1.0, "1%")
def test_browser_and_build_allow_the_same_error(in_browser, a: float, b: float, tolerance: str):
    assert in_browser[1](a, b, tolerance) == check.near(a, b, tolerance)


# --- 本に載った問題 -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def quizzes(book: Path) -> dict[str, Tag]:
    """問題の名前 → 組んだ HTML。"""
    pages = [book / "quiz.html", *sorted((book / "quiz").glob("*.html"))]
    soups = [BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser") for page in pages]
    found = [quiz for soup in soups for quiz in soup.select("div.quiz")]
    counts = Counter(quiz["id"] for quiz in found)
    assert [name for name, count in counts.items() if count > 1] == []
    return {str(quiz["id"]).removeprefix("quiz-"): quiz for quiz in found}


def test_the_book_asks_enough_questions(quizzes: dict[str, Tag]):
    assert {"p10", "p18", "p26", "p29"} <= quizzes.keys()
    assert len(quizzes) >= 4 + 24
    kinds = Counter(quiz["data-kind"] for quiz in quizzes.values())
    assert min(kinds[kind] for kind in ("one", "many", "number")) >= 4


def test_every_choice_has_its_explanation(quizzes: dict[str, Tag]):
    for name, quiz in quizzes.items():
        reasons = [item.get_text(strip=True) for item in quiz.select(".quiz-reasons > li")]
        assert all(len(reason) >= 8 for reason in reasons), name
        assert len(set(reasons)) == len(reasons), name
        if quiz["data-kind"] == "number":
            values = [float(v) for v in str(quiz["data-values"]).split()]
            assert len(values) == len(reasons) >= 2, name
            answer, tolerance = values[int(quiz["data-right"]) - 1], str(quiz["data-tolerance"])
            assert sum(check.near(v, answer, tolerance) for v in values) == 1, name
        else:
            choices = quiz.select(".quiz-choices > li")
            right = [int(n) for n in str(quiz["data-right"]).split()]
            assert len(choices) == len(reasons) >= 3, name
            assert len(right) == (1 if quiz["data-kind"] == "one" else 2), name
            assert max(right) <= len(choices), name


def test_the_right_choice_is_not_always_in_the_same_place(quizzes: dict[str, Tag]):
    places = Counter(str(q["data-right"]) for q in quizzes.values() if q["data-kind"] == "one")
    assert set(places) == {"1", "2", "3", "4"}
    assert max(places.values()) <= 0.5 * sum(places.values())


def test_every_right_answer_leads_to_its_section(quizzes: dict[str, Tag]):
    for name, quiz in quizzes.items():
        for number in str(quiz["data-right"]).split():
            reason = quiz.select(".quiz-reasons > li")[int(number) - 1]
            assert reason.select("a[href*='#sec-']"), name


def test_every_chapter_is_asked_about(quizzes: dict[str, Tag]):
    links = {str(a["href"]) for quiz in quizzes.values() for a in quiz.select(".quiz-reasons a")}
    asked = {Path(link.split("#")[0]).stem for link in links}
    assert [chapter.name for chapter in CHAPTERS if Path(chapter.name).name not in asked] == []


def test_the_page_can_be_answered_without_a_script(quizzes: dict[str, Tag]):
    for name, quiz in quizzes.items():
        assert not quiz.select("input, button, form"), name
        assert quiz.select("details.quiz-answer:not([open]) .quiz-reasons"), name


def test_the_scores_know_every_question(book: Path, quizzes: dict[str, Tag]):
    soup = BeautifulSoup((book / "quiz.html").read_text(encoding="utf-8"), "html.parser")
    box = soup.select_one(".quiz-scores")
    pages = json.loads(str(box["data-pages"]))
    assert sorted(name for names in pages.values() for name in names) == sorted(quizzes)
    linked = {str(a["href"]).split("#")[0] for a in box.select("li a")}
    assert linked == pages.keys()


def test_only_pages_with_questions_load_the_script(book: Path):
    loading = {
        str(page.relative_to(book))
        for page in book.rglob("*.html")
        if "quiz.js" in page.read_text(encoding="utf-8")
    }
    assert loading == {"quiz.html", *(f"quiz/part{n}.html" for n in range(1, 7))}


def test_the_script_obeys_a_strict_content_policy():
    assert not re.search(r"innerHTML|insertAdjacentHTML|eval\(|Function\(|https?:", SCRIPT)
    assert not re.search(r"setAttribute\(\"(?:on|style)|\.style\b", SCRIPT)


SECTION = re.compile(r"^## 確認問題\n.*?(?=^## |\Z)", re.M | re.S)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda page: page.name)
def test_the_answers_of_a_chapter_stay_hidden_until_asked(chapter: Page):
    """確かめるセルの出力は答えそのものなので、開くまで見せない。"""
    (section,) = SECTION.findall(chapter.text)
    cells = Page(chapter.name, section).cells
    assert cells
    assert all(cell.tags & {"hide-cell", "remove-cell"} for cell in cells)
