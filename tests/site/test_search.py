"""検索の部品: 頁を文字にするところ (vg.search.index) と、
問いを語に切って探すところ (words.js と search.js)、読者の問いと比べるところ (questions.js)。
"""

import json
import tomllib
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
GROUPS = [
    ["層", "レイヤー", "layer"],
    ["正規化", "ノーマライゼーション", "normalization", "norm"],
    ["勾配消失", "こうばいしょうしつ", "vanishing gradient"],
    ["勾配", "gradient"],
    ["カオスの縁", "edge of chaos"],
    ["ファンイン", "fan-in"],
    ["Xavier の初期値", "ざびえるのしょきち"],
    ["softmax_cross_entropy"],
    ["層正規化", "そうせいきか"],
    ["確認テスト", "練習問題"],
    ["活性化関数"],
    ["損失関数", "loss function"],
    ["損失", "ロス", "loss"],
    ["関数", "function"],
    ["図", "グラフ"],
]
WORDS = {
    "groups": GROUPS,
    "variants": ["搬播"],
    "symptoms": ["ない$"],
    "general": ["勾配"],
    "kinds": {"quiz": ["確認テスト"]},
    "code": ["クラス"],
    "weak": ["違い"],
    "talk": [["なぜ", "どうして"], ["防ぐ", "なくす"]],
}


def page(
    title: str,
    text: str,
    kind: str = "chapter",
    names: tuple[str, ...] = (),
    asks: tuple[str, ...] = (),
) -> dict:
    section = {"id": "top", "name": title, "names": [], "text": text, "asks": list(asks)}
    return {
        "url": title,
        "title": title,
        "number": 1,
        "kind": kind,
        "names": list(names),
        "sections": [section],
    }


def engine(*pages: dict) -> quickjs.Context:
    context = quickjs.Context()
    for script in index.SCRIPTS:
        context.eval((DOCS / "_ext/vg/search" / script).read_text(encoding="utf-8"))
    context.set("data", json.dumps(pages))
    context.set("words_of_the_book", json.dumps(WORDS))
    context.eval("const pages = finish(prepare(JSON.parse(data)))")
    context.eval("const dict = finish(dictionary(JSON.parse(words_of_the_book)))")
    return context


def asker(*pages: dict) -> Callable[[str], dict]:
    """問い → 見つかった頁、直した問い、ない語。"""
    ask = engine(*pages).eval("""(query) => {
        const { results, suggested, missing } = search(pages, query, dict);
        const [titles, lacking] = [results.map((r) => r.page.title), missing.map((m) => m.text)];
        return JSON.stringify({ pages: titles, suggested, missing: lacking });
    }""")
    return lambda query: json.loads(ask(query))


def searcher(*pages: dict) -> Found:
    ask = asker(*pages)
    return lambda query: ask(query)["pages"]


@pytest.fixture(scope="module")
def ask() -> Callable[[str], dict]:
    return asker(page("頁", TEXT))


@pytest.fixture(scope="module")
def find() -> Found:
    return searcher(page("頁", TEXT))


PIECES = [
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
        "rel",
    ),
    *("正規分布", "値", "xavier", "χ1", "χ₁", "n_in", "nin", "n-in", "1/√n", "標準偏"),
]


@pytest.mark.parametrize("query", [*PIECES, "正規 分布"])
def test_every_part_of_a_sentence_is_found(ask: Callable[[str], dict], query: str):
    assert ask(query) == {"pages": ["頁"], "suggested": None, "missing": []}


@pytest.mark.parametrize("query", ["推論", "期初", "偏標", "avi", "dropout", ""])
def test_what_is_not_there_is_not_found(find: Found, query: str):
    assert find(query) == []


def test_a_word_that_is_not_there_is_named_and_the_others_are_found(ask: Callable[[str], dict]):
    assert ask("初期値 推論") == {"pages": ["頁"], "suggested": None, "missing": ["推論"]}


def test_the_longest_known_part_is_found_instead(ask: Callable[[str], dict]):
    assert ask("標準偏差値分布") == {
        "pages": ["頁"],
        "suggested": None,
        "missing": ["標準偏差値分布"],
    }


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("シグモイト", "シグモイド"),
        ("シモグイド", "シグモイド"),
        ("こうばいしょしつ", "こうばいしょうしつ"),
        ("勾配焼失", "勾配消失"),
        ("vanising gradient", "vanishing gradient"),
        ("逆電播法", "逆伝播法"),
    ],
)
def test_one_slip_is_mended_and_said(query: str, meant: str):
    ask = asker(page("頁", "シグモイドの勾配消失。逆伝播法。vanishing gradient"))
    assert ask(query)["suggested"] == meant
    assert ask(query)["pages"] == ["頁"]


@pytest.mark.parametrize(
    "query",
    [
        *("レイヤー正規化", "レイヤ正規化", "レイヤ-正規化", "ﾚｲﾔｰ正規化"),
        *("レイヤーノーマライゼーション", "layernorm", "layer-norm"),
    ],
)
def test_native_words_loan_words_and_english_are_the_same(query: str):
    find = searcher(page("バッチ正規化", "正規化。正規化。層。"), page("層正規化", "正規化。"))
    assert find(query)[0] == "層正規化"


@pytest.mark.parametrize("query", ["fan_in", "fan-in", "fan in", "FanIn", "ファン・イン"])
def test_hyphens_spaces_and_underscores_do_not_matter(query: str):
    assert searcher(page("頁", "ファンインは n です。"))(query) == ["頁"]


def test_an_older_letter_is_the_same_letter():
    assert searcher(page("頁", "誤差逆伝播法"))("誤差逆伝搬法") == ["頁"]


@pytest.mark.parametrize("query", ["ゼイヴィア", "ゼイビア", "ぜいびあ"])
def test_a_foreign_sound_may_be_spelled_in_two_ways(query: str):
    assert searcher(page("頁", "ゼイビアの初期値"))(query) == ["頁"]


def test_a_number_in_a_symptom_is_no_term():
    find = searcher(page("10%", "10%。"), page("診断", "勾配を調べる。", names=("症状",)))
    assert find("10%")[0] == "10%"
    assert find("勾配が10%から減らない")[0] == "診断"


def test_a_symptom_leads_to_the_page_of_symptoms():
    find = searcher(
        page("勾配", "勾配が減らない。" * 9), page("診断", "勾配を調べる。", names=("症状",))
    )
    assert find("勾配")[0] == "勾配"
    assert find("勾配が減らない")[0] == "診断"


def test_a_question_about_why_is_not_a_symptom():
    find = searcher(page("勾配が減る仕組み", "勾配。"), page("診断", "勾配。", names=("症状",)))
    assert find("勾配が減らない")[0] == "診断"
    assert find("なぜ勾配が減らない")[0] == "勾配が減る仕組み"


def test_a_word_for_a_kind_of_page_asks_for_that_kind():
    find = searcher(
        page("正規化", "正規化。確認テストも練習問題もある。"),
        page("正規化の問", "正規化。", kind="quiz"),
    )
    assert find("正規化") == ["正規化", "正規化の問"]
    assert find("正規化の練習問題") == ["正規化の問", "正規化"]


def test_the_name_of_a_class_with_the_word_class_asks_for_the_api():
    api = page("層 (vgbook.layers)", "")
    api |= {"kind": "api", "sections": [*api["sections"], {**api["sections"][0], "name": "Affine"}]}
    find = searcher(page("Affine", "Affine とクラス。"), api)
    assert find("affine")[0] == "Affine"
    assert find("affine クラス")[0] == "層 (vgbook.layers)"


def test_a_verb_is_not_found_inside_a_compound():
    find = searcher(page("章", "値が小さくなる。"), page("ほか", "縮小と極小。"))
    assert find("小さい値") == ["章"]
    assert set(find("小")) == {"章", "ほか"}  # 打ちかけの熟語かもしれない


def test_a_term_of_one_letter_is_not_found_inside_a_compound():
    assert searcher(page("章", "図を描く。"), page("ほか", "意図。"))("図") == ["章"]


@pytest.mark.parametrize("query", ["ロス関数", "ロスfunction", "lossfunction"])
def test_words_that_make_a_term_are_that_term(query: str):
    find = searcher(page("章", "損失関数。"), page("関数", "損失と関数。損失と関数。"))
    assert find(query)[0] == "章"


@pytest.mark.parametrize("query", ["koubai shoushitsu", "koubaishoushitsu", "koubai-syousitu"])
def test_romaji_is_read(query: str):
    ask = asker(page("章", "勾配消失。"))
    assert ask(query) == {"pages": ["章"], "suggested": "勾配消失", "missing": []}


@pytest.mark.parametrize("query", ["活性か関数", "活性化間数の図", "活盛化関数"])
def test_one_wrong_letter_in_a_term_is_read_as_the_term(query: str):
    ask = asker(page("章", "活性化関数。"), page("活性", "関数。活性。"))
    assert ask(query)["pages"][0] == "章"
    assert "活性化関数" in ask(query)["suggested"]


def test_a_known_word_before_a_term_is_not_a_slip():
    """再初期化は、零初期化の打ち間違いではない。"""
    assert asker(page("章", "勾配消失。"))("再勾配")["suggested"] is None


def test_an_unknown_name_in_code_is_read_by_its_parts():
    ask = asker(page("章", "norm と exp。"), page("ほか", "norm。"))
    assert ask("np.exp")["pages"] == ["章"]


def test_a_title_is_covered_by_all_the_words_together():
    find = searcher(
        page("シグモイド", "Xavier。", names=("シグモイド",)), page("シグモイドと Xavier", "勾配。")
    )
    assert find("シグモイド Xavier")[0] == "シグモイドと Xavier"
    assert find("シグモイド")[0] == "シグモイド"


def test_the_engine_knows_no_lookbehind():
    """古い Safari は、後読みを読んだだけで止まる。"""
    for script in index.SCRIPTS:
        assert "(?<" not in (DOCS / "_ext/vg/search" / script).read_text(encoding="utf-8")
    sources = engine(page("頁", TEXT)).eval("""(query) => {
        const { terms } = search(pages, query, dict);
        return JSON.stringify(terms.map((term) => term.find.source));
    }""")
    assert json.loads(sources("Xavier の ReLU layer norm"))
    assert "(?<" not in sources("Xavier の ReLU layer norm")


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


def test_the_name_of_a_function_comes_before_the_chapter():
    find = searcher(
        page("章", "softmax_cross_entropy の話。" * 5),
        page("softmax_cross_entropy", "損失。", kind="api"),
    )
    assert find("softmax_cross_entropy")[0] == "softmax_cross_entropy"


def test_a_weak_word_is_not_required():
    find = searcher(page("正規化", "正規化。"), page("ほか", "違い。"))
    assert find("正規化の違い")[0] == "正規化"


ASKED = (
    page("図", "図。", asks=("レイヤーの出力を絵で見るには",)),
    page("対策", "勾配消失。", asks=("どうして奥まで届かないのか", "薄まりをなくすには")),
)


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("奥まで届かない", "対策"),  # 本にない語
        ("なぜ奥まで届かないの", "対策"),  # 別のふだんの言葉
        ("薄まりを防ぐ方法", "対策"),
        ("layer を絵で見たい", "図"),  # 別の専門の語
    ],
)
def test_a_question_in_words_the_book_lacks_finds_the_page_that_answers_it(query: str, title: str):
    assert searcher(*ASKED)(query)[0] == title


def test_a_question_far_from_every_question_finds_nothing():
    assert searcher(*ASKED)("今日の献立") == []


def test_a_near_question_and_its_section_are_shown():
    ask = engine(*ASKED).eval("""(query) => {
        const [{ question }] = search(pages, query, dict).results;
        return JSON.stringify(question ? [question.text, question.section.name] : null);
    }""")
    assert json.loads(ask("どうして奥まで届かないのか")) == ["どうして奥まで届かないのか", "対策"]
    assert json.loads(ask("勾配消失")) is None  # 字が重なるだけの問いは見せない


def test_a_term_alone_is_found_where_it_is_explained():
    """1 語だけなら、似た問いより、題と見出しを信じる。"""
    find = searcher(
        page("活性化関数", "活性化関数。"), page("章", "関数。", asks=("活性化関数は",))
    )
    assert find("活性化関数")[0] == "活性化関数"


@pytest.mark.parametrize("kind", ["quiz", "api"])
def test_a_near_question_of_an_exercise_comes_after_the_explanation(kind: str):
    asks = ("奥まで届かない",)
    find = searcher(page("問", "図。", kind=kind, asks=asks), page("章", "図。", asks=asks))
    assert find("奥まで届かない") == ["章", "問"]


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


def test_every_question_belongs_to_a_place_in_the_book(book: Path):
    pages = {page["url"].removesuffix(".html"): page for page in written(book)[0]}
    questions = tomllib.loads(index.QUESTIONS.read_text(encoding="utf-8"))
    assert questions.keys() <= pages.keys()
    for name, places in questions.items():
        assert places.keys() <= set(index.headings(pages[name])), name
    lines = [
        line
        for places in questions.values()
        for text in places.values()
        for line in text.split("\n")
    ]
    given = [line.strip() for line in lines if line.strip()]
    told = [
        ask for page in pages.values() for part in page["sections"] for ask in part.get("asks", [])
    ]
    assert sorted(told) == sorted(given)


def written(book: Path) -> tuple[list[dict], dict]:
    """検索のデータの、ページと語。"""
    page = quickjs.Context()
    page.eval((book / index.DATA).read_text(encoding="utf-8"))
    return json.loads(page.eval("SEARCH_PAGES")), json.loads(page.eval("SEARCH_WORDS"))


def test_the_data_of_the_book_hold_what_readers_see(book: Path):
    pages, words = written(book)
    assert ["逆伝播", "ぎゃくでんぱ", "backward pass"] in words["groups"]
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
    assert not any(">>>" in section["text"] for page in pages for section in page["sections"])


def told(query: str, *pages: dict) -> str:
    context = engine(*pages)
    context.set("query", query)
    said: str = context.eval("sentence(query, search(pages, query, dict))")
    return said


def test_the_summary_says_only_what_is_so():
    book = (page("勾配消失", "勾配が小さくなる。"), page("初期値", "重みの初期値と勾配。"))
    assert told("初期値", *book) == "「初期値」は 1 ページにあります。"
    assert told("勾配と初期値", *book) == "「勾配と初期値」に近い順に示します。"
    assert "賢" not in told("勾配が賢くならない", *book).replace("賢くならない", "")
    assert told("勾配の歴史", *book).startswith("「歴史」は、この本にありません。")


CLOCK = """
    let now = 0;
    const waiting = [], performance = { now: () => (now += 1) };  // 1 度見るたびに 1 ミリ秒
    const setTimeout = (work) => waiting.push(work);
    function* counting(steps) {
        for (let at = 0; at < steps; at += 1) { counted = at + 1; yield; }
        return "done";
    }
    let counted = 0;
    const rest = gradually(counting(100));
"""


def test_a_long_calculation_lets_go_of_the_page_and_ends_at_once_when_asked():
    context = engine(page("頁", TEXT))
    context.eval(CLOCK)
    assert context.eval("counted") == 0
    for _ in range(3):
        before = context.eval("counted")
        context.eval("waiting.shift()()")
        assert 1 <= context.eval("counted") - before <= context.eval("SLICE")
    assert context.eval("rest()") == "done"
    assert context.eval("counted") == 100
    context.eval("waiting.shift()()")
    assert context.eval("waiting.length") == 0
    assert context.eval("rest()") == "done"
