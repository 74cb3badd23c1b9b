"""問題に答える: キーボードだけで答える、成績を残す・書き出す・消す、JavaScript なしで読む。

頁はファイルのまま (file://) 開く。手元に保存した本でも動くことを、同時に確かめている。
"""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browsing import violations

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Route

PAGES = ["quiz", *(f"quiz/part{number}" for number in range(1, 7))]
DENIED = "保存できない設定です"  # テーマの furo は、この設定を考えていない
Open = Callable[..., "Page"]


@pytest.fixture
def opened(book: Path, chromium: "Browser") -> Iterator[Open]:
    """頁を開く関数。終わりに、開いた窓を閉じ、エラーがなかったことを確かめる。"""
    contexts, troubles = [], []

    def new(
        name: str, width: int = 1280, scheme: str = "light", site: str = "", **options: object
    ) -> "Page":
        context = chromium.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
            **options,  # type: ignore[arg-type]
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: m.type == "error" and troubles.append(m.text))
        page.on("pageerror", lambda error: DENIED in str(error) or troubles.append(str(error)))
        base = site or f"{book.as_uri()}/"
        page.on("request", lambda r: r.url.startswith((base, "blob:")) or troubles.append(r.url))
        page.goto(f"{base}{name}.html")
        return page

    yield new
    for context in contexts:
        context.close()
    assert troubles == []


def say(quiz: "Locator") -> str:
    return quiz.get_by_role("status").inner_text()


def answer(quiz: "Locator", *numbers: int) -> str:
    """選択肢を選んで答え合わせをし、出た文を返す。"""
    for box in quiz.locator(".quiz-choices input").all():
        if box.get_attribute("type") == "checkbox":
            box.uncheck()
    for number in numbers:
        quiz.locator(".quiz-choices input").nth(number - 1).check()
    quiz.get_by_role("button", name="答え合わせ").click()
    return say(quiz)


def right_of(quiz: "Locator") -> list[int]:
    return [int(number) for number in (quiz.get_attribute("data-right") or "").split()]


# --- 答える --------------------------------------------------------------------------------


def test_a_choice_is_answered_wrong_then_right_by_keyboard(opened: Open):
    page = opened("quiz/part3")
    quiz = page.locator("#quiz-he-std")
    quiz.locator("input").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")  # 選択肢の組から、ボタンへ
    page.keyboard.press("Enter")
    assert "不正解です。" in say(quiz)
    assert "分散" in say(quiz)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")  # 選択肢の上でも答え合わせができる
    assert say(quiz).startswith("正解です。")
    assert "He の初期値" in say(quiz)


def test_every_explanation_answers_its_own_choice(opened: Open):
    page = opened("quiz/part2")
    for quiz in page.locator(".quiz[data-kind=one]").all():
        reasons = quiz.locator(".quiz-reasons > li")
        for number in range(1, reasons.count() + 1):
            said = answer(quiz, number)
            assert ("不正解です。" in said) == (number not in right_of(quiz))
            assert f"選択肢 {number}" in said
            told = quiz.locator(".quiz-feedback > p").last.text_content()
            assert told == reasons.nth(number - 1).locator("p").last.text_content()


def test_several_choices_are_wanted_together(opened: Open):
    quiz = opened("quiz/part4").locator("#quiz-layer-norm")
    assert right_of(quiz) == [1, 4]
    assert say(quiz) == ""
    assert answer(quiz, 1) == "2 つ選んでください。"
    assert "選択肢 2" in answer(quiz, 1, 2)
    assert answer(quiz, 1, 4).startswith("正解です。")


def test_a_number_is_answered_in_full_width_digits(opened: Open):
    quiz = opened("quiz/part2").locator("#quiz-sigmoid-output")
    field, button = quiz.get_by_label("答え", exact=True), quiz.get_by_role("button")

    def reply(text: str) -> str:
        field.fill(text)
        button.click()
        return say(quiz)

    assert "数を入力してください" in reply("わからない")
    assert "最大値" in reply("0.25")
    assert "よくある間違いの値とも違います" in reply("7")
    assert reply("０．１６").startswith("正解です。")


# --- 成績 ----------------------------------------------------------------------------------


def total(page: "Page") -> str:
    return page.locator(".quiz-total").inner_text()


def test_the_score_counts_the_first_try_and_survives_a_reload(opened: Open):
    page = opened("quiz/part3")
    first, second = page.locator("#quiz-he-std"), page.locator("#quiz-fan-in")
    count = page.locator(".quiz").count()
    answer(first, 1)
    answer(first, *right_of(first))
    answer(second, *right_of(second))
    answer(second, 1)  # 解けた後に試しても、成績は変わらない
    expected = f"このページの成績：{count} 問中 2 問正解 (1 回目で 1 問)"
    assert total(page) == expected
    page.reload()
    assert total(page) == expected
    assert first.locator(".quiz-mark").inner_text() == "正解ずみ"


def test_only_the_wrong_ones_are_asked_again(opened: Open):
    page = opened("quiz/part3")
    again = page.locator(".quiz-again button")
    assert not again.is_visible()
    wrong, right = page.locator("#quiz-he-std"), page.locator("#quiz-fan-in")
    answer(wrong, 1)
    answer(wrong, *right_of(wrong))  # 後で正解しても、1 回目は間違えた
    answer(right, *right_of(right))
    assert again.inner_text() == "間違えた 1 問だけをもう一度"
    again.focus()
    page.keyboard.press("Enter")
    assert [quiz.get_attribute("id") for quiz in page.locator(".quiz:visible").all()] == [
        "quiz-he-std"
    ]
    assert wrong.locator("input:checked").count() == 0
    assert say(wrong) == ""
    answer(wrong, *right_of(wrong))
    assert again.inner_text() == "すべての問題を見る"
    again.click()
    assert page.locator(".quiz:visible").count() == page.locator(".quiz").count()
    assert not again.is_visible()  # 間違えた問題は、もうない


def test_the_list_shows_the_total_the_shares_and_the_wrong_ones(book: Path, opened: Open):
    page = opened("quiz/part3")
    answer(page.locator("#quiz-he-std"), 1)
    quiz = page.locator("#quiz-fan-in")
    answer(quiz, *right_of(quiz))
    here = page.locator(".quiz").count()
    page.goto((book / "quiz.html").as_uri())
    scores = page.locator(".quiz-scores")
    names = sum(map(len, json.loads(scores.get_attribute("data-pages") or "").values()))
    expected = f"全部で {names} 問中 1 問正解 (1 回目で 1 問)"
    assert scores.locator(".quiz-total").inner_text() == expected
    share = scores.locator("li", has_text="第 III 部").locator("meter")
    assert (share.get_attribute("value"), share.get_attribute("max")) == ("1", str(here))
    wrong = scores.locator(".quiz-wrong a")
    assert wrong.all_inner_texts() == ["標準偏差と分散"]
    wrong.click()
    assert page.url.endswith("quiz/part3.html#quiz-he-std")


def test_the_score_is_exported_and_erased(book: Path, opened: Open, tmp_path: Path):
    page = opened("quiz/part3")
    quiz = page.locator("#quiz-he-std")
    right = right_of(quiz)
    answer(quiz, 1)
    answer(quiz, *right)
    page.goto((book / "quiz.html").as_uri())
    row = page.locator(".quiz-scores li", has_text="第 III 部")
    assert "1 問正解 (1 回目で 0 問)" in row.inner_text()
    with page.expect_download() as download:
        page.get_by_role("button", name="成績を CSV で保存").click()
    download.value.save_as(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1
    assert rows[0].pop("最後に答えた日時").endswith("Z")
    assert list(rows[0].values()) == [
        "he-std",
        "標準偏差と分散",
        "はい",
        "いいえ",
        "2",
        str(*right),
    ]
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="成績を消す").click()
    assert "1 問正解" in row.inner_text()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="成績を消す").click()
    assert "0 問正解" in row.inner_text()
    page.reload()
    assert "0 問正解" in row.inner_text()


def test_the_score_is_counted_even_where_nothing_can_be_stored(opened: Open, book: Path):
    page = opened("index")
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage',"
        f" {{ get() {{ throw new Error('{DENIED}'); }} }})"
    )
    page.goto((book / "quiz" / "part3.html").as_uri())
    quiz = page.locator("#quiz-he-std")
    assert answer(quiz, *right_of(quiz)).startswith("正解です。")
    assert "1 問正解" in total(page)
    page.reload()
    assert "0 問正解" in total(page)


@pytest.mark.parametrize("stored", ["{", "[]", "null", json.dumps({"he-std": 3})])
def test_a_damaged_record_is_ignored(opened: Open, stored: str):
    page = opened("quiz/part3")
    page.evaluate("text => localStorage.setItem('vgbook-quiz', text)", stored)
    page.reload()
    quiz = page.locator("#quiz-he-std")
    assert answer(quiz, *right_of(quiz)).startswith("正解です。")
    assert "1 問正解 (1 回目で 1 問)" in total(page)


# --- だれでも読める -------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_everything_can_be_read_without_a_script(opened: Open, name: str):
    page = opened(name, java_script_enabled=False)
    assert page.locator("main input, main button:visible, main form").count() == 0
    for quiz in page.locator(".quiz").all():
        quiz.locator("summary").click()
        shown = quiz.locator(".quiz-reasons > li:visible").count()
        assert shown == quiz.locator(".quiz-reasons > li").count() >= 2
        if quiz.get_attribute("data-kind") != "number":
            assert quiz.locator(".quiz-choices > li:visible").count() == shown
            assert "正解は" in quiz.locator(".quiz-answer").inner_text()


ANSWER_ALL = """() => [...document.querySelectorAll(".quiz")].map((quiz) => {
    const inputs = [...quiz.querySelectorAll("fieldset input")];
    if (quiz.dataset.kind === "number") inputs[0].value = "1";
    else for (const _ of quiz.dataset.right.split(" ")) inputs.shift().checked = true;
    quiz.querySelector(".quiz-bar button").click();
    return quiz.querySelector("[role=status]").textContent;
})"""


def answer_all(page: "Page") -> None:
    """どの問題にも答える。1 つずつ押して答えることは、ほかの試験が確かめる。"""
    said = page.evaluate(ANSWER_ALL)
    assert [text for text in said if "正解です。" not in text] == []


@pytest.mark.parametrize("name", PAGES)
def test_answered_questions_fit_a_phone(opened: Open, name: str):
    page = opened(name, 360)
    answer_all(page)
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
@pytest.mark.parametrize("name", ["quiz", "quiz/part2"])  # どの種類の問題もある頁
def test_answered_questions_can_be_read_by_everyone(
    opened: Open, site: str, name: str, width: int, scheme: str
):
    page = opened(name, width, scheme, site)  # axe は、file:// の頁の CSS を読めない
    answer_all(page)
    assert violations(page) == []


PAINTED = """async () => { // 字が届き、描き終わる
    await document.fonts.ready;
    for (let frames = 0; frames < 2; frames++) await new Promise(requestAnimationFrame);
}"""


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["quiz", "quiz/part3"])
def test_the_text_stays_where_it_is_when_the_script_arrives(
    opened: Open, book: Path, name: str, width: int
):
    page = opened("index", width)
    held: list[Route] = []

    def hold(route: "Route") -> None:
        held.append(route)

    page.route("**/quiz.js*", hold)  # スクリプトだけが遅れて届く
    with page.expect_request("**/quiz.js*"):
        page.goto((book / f"{name}.html").as_uri(), wait_until="commit")
    page.wait_for_selector(".quiz-answer >> nth=-1", state="attached")
    place = "[...document.querySelectorAll('.quiz')].map(box => box.getBoundingClientRect().top)"
    page.evaluate(PAINTED)
    before = page.evaluate(place)
    assert page.locator(".quiz.ready").count() == 0
    while not held:  # 頼んだ知らせは、止めた知らせより先に届く
        page.wait_for_timeout(20)
    held[0].continue_()
    page.wait_for_selector(".quiz.ready >> nth=-1")
    assert page.evaluate(place) == pytest.approx(before, abs=3)
