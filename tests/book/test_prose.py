"""本の地の文、図の題、代替文に、セルの計算していない測定結果が書かれていない。

結果の数は `glue` で本文に渡す。`glue` を使えない図の題と代替文では、切りのよい言い方にして、
同じ数を、図の後の `assert` で確かめる。許すのは、実験の条件、数学の定数、名前と番号だけである。
許すかどうかは単位と前後の語で決め、頁ごとの例外は作らない。
"""

import itertools
import math
import re
from collections.abc import Iterator

import pytest

from vg.manuscript import FENCE, Manuscript, Page

PAGES = list(Manuscript().pages.values())

# --- 原稿を、地の文と図の文に分ける (行の数は変えない) -------------------------------------------

GAP = "\N{REPLACEMENT CHARACTER}"  # 数式やコードのあった所。前後の語がつながって見えないように置く
FIGURE_TEXT = re.compile(r"^ *(?:caption: \|\n(?: {6,}.*\n)+|(?:caption|alt): .*\n)", re.M)
QUIZ = re.compile(r"^(:{3,})\{quiz\} [\w-]+\n[\s\S]*?^\1$", re.M)
QUIZ_QUESTION = re.compile(r"^:{3,}\{quiz\}.*\n(?:(?!- \[[ x=]\] ).*\n)*|^- \[[ x=]\] .*$", re.M)
QUESTIONS = [
    re.compile(r"^(:{3,})\{admonition\} 確認問題.*\n(?:.*\n)*?(?=:{3,})", re.M),
    QUIZ_QUESTION,  # 問題文と選択肢。どれが正しいかは vg.quiz.question が確かめる
]
NOT_PROSE = [
    re.compile(pattern, re.M)
    for pattern in (
        r"\A---\n(?:.*\n)*?---$",  # 前書き
        r"<!--[\s\S]*?-->",
        r"^\$\$\n[\s\S]*?^\$\$.*$",  # 別行の数式
        r"^#+ .*$",  # 見出し
        r"^\([\w-]+\)=$",  # 参照先の名前
        r"^:{3,}.*$",  # 囲みの始まりと終わり
        r"^:[\w-]+: .*$",  # 囲みの設定
        r"(?:\{cite:t\}`[^`]+` は|同じ論文は|元の実験の記録では)[^。]*。",  # 文献の報告した数
        r"\{[\w:-]+\}`[^`]*`",  # 役割: glue、参照、文献、用語
        r"(?<!`)(`+)(?!`)[\s\S]*?(?<!`)\1(?!`)",  # コード
        r"(?<![\\$])\$[^$]+\$",  # 文の中の数式
        r"\]\([^)\s]*\)",  # リンク先
        r"https?://\S+",
        r"\[\^[^\]]+\]:?",  # 脚注の印
    )
]


def blank(text: str) -> str:
    return re.sub(r"[^\n]", GAP, text)


def keep(pattern: re.Pattern[str], text: str) -> str:
    """``pattern`` に合うところだけを残す。"""
    parts, end = [], 0
    for match in pattern.finditer(text):
        parts += [blank(text[end : match.start()]), match[0]]
        end = match.end()
    return "".join(parts) + blank(text[end:])


def without_notation(text: str) -> str:
    for pattern in NOT_PROSE:
        text = pattern.sub(lambda match: blank(match[0]), text)
    return text


def prose(source: str) -> str:
    """地の文。問題文は、条件を仮に決めるところなので含めない。"""

    def without_code(fence: re.Match[str]) -> str:
        is_table = fence["info"].startswith("{table}")
        return f"{blank(fence[1] + fence[2])}\n{fence[3]}" if is_table else blank(fence[0])

    text = FENCE.sub(without_code, source)
    for pattern in QUESTIONS:
        text = pattern.sub(lambda match: blank(match[0]), text)
    return without_notation(text)


def figure_text(cell: str) -> str:
    """図のセルの題と代替文。"""
    return without_notation(keep(FIGURE_TEXT, cell))


# --- 数と、許す理由 ------------------------------------------------------------------------

NUMBER = re.compile(
    r"\d+ ?[万億]?分の ?\d+|10 のマイナス \d+ 乗"
    r"|[−-]?\d+(?:[.,]\d+)*(?:[eE][-+−]?\d+)?[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]*(?: ?[%％割桁万億])?"
)
NAMES = [  # 名前と番号
    r"[A-Za-z][−-]?\d+",  # float64、P10、top-5、文字式の B−2
    r"\dξ|\d/√(?:n|\d+)|2 の −\d+ 乗",  # 代替文の中の式
    r"\d-Lipschitz",
    r"In \[\d+\]",  # ノートのセルの番号
    r"(?<![\d.])6\.[23](?:\.\d)?(?![\d.])",  # 『ゼロから作る』の節
    r"\d+(?:\.\d+)+ 節|定理 \d+\.\d+|図 \d+[A-Z]?(?![\d.])",  # 論文の節、定理、図
    r"(?:19|20)\d\d 年",
    r"CC BY \d\.\d|Python \d\.\d+",
    r"^ *\d+\. ",  # 箇条書き
    r"\(\d\)",
    r"(?:第|規則|問い|問いの|経路|命題|ステップ|式) ?\d+(?:[・、]\d+)*",
    r"(?<![\d.])1 と 2(?![\d.])",  # 上の箇条書きの 1 と 2
    r"\d+ [つ行層段番本回列部章]?目",
    r"\d+ 番",
]
CONSTANTS = [  # 数学の定数
    r"(?<![\d.])[−±-]?[01](?![\d.]| ?[%％割桁万億])",  # 和と積の単位元。1 倍、0 になる、1 層
    r"[2-9] 分の 1|1/[2-9]",  # 傾きの最大値 1/4 など
    r"[2-4] (?:乗|階|倍(?!以|ほど|近|でし|になりま))",
    r"10+ 倍(?!でし|になりま)",
    r"\d+ 進",
    r"log 10|ln 10",  # 10 クラスを等確率で答えたときの損失
]
CONDITIONS = [  # 実験や例の条件
    r"[2-9](?:[〜–][2-9])? [つ本行通段節列点問]",  # 2 つの規則、3 通り
    r"[2-4] (?:回|方向|変数|次元|軸|か所|項|種類|値|桁ずつ)",
    r"\d+(?:[・、〜–]\d+)* 層",
    r"所要時間\W+\d+ 分|\| \d+\s分 \|",  # 章の頭と、目次の表
    r"種を \d+ 個変え",
    r"刻み 10⁻[⁰¹²³⁴⁵⁶⁷⁸⁹]+|相対誤差が 10⁻[⁰¹²³⁴⁵⁶⁷⁸⁹]+ 以下なら",  # 検算の決まり
    r"(?:幅|深さ|バッチ(?:の大きさ)?|隠れ層|標本数|入力)[がはをも]? ?\d+(?:、\d+)*(?![\d.])",
    r"大きさ \d+ の(?:ミニ)?バッチ",
    r"学習率(?:が|は|を)? ?[\d.]+",
    r"標準偏差\**(?:だけ)?\**(?:が|を|は)? ?(?:1 から )?(?:0\.0001|0\.01|0\.03|0\.05|2)(?![\d.])",
    r"1 (?:から|でも) 0\.0001",
    r"(?<![\d.])0\.01(?= では| だけ|・Xavier|、Xavier| と Xavier| は消失)",  # 初期値の名前
    r"傾き 0\.01",  # Leaky ReLU
    r"(?:が|に) [\d.]+ ?%? を\s?(?:切っ|超え)|[\d.]+ % に届く",  # 何かを数えるときの、しきい値
    r"[\d.]+ 倍より(?:浅く|深い)|標準誤差の \d 倍",
    r"枝を [\d.]+ 倍|初期値の [\d.]+ 倍(?:、[\d.]+ 倍)*",
    r"\d+ 桁で計算",
    r"大きい方から \d+ %",
    r"[A-Za-zU] \+ 0\.01",  # ReLU + 0.01: 活性化関数と標準偏差の組
    r"\d+ ?× ?\d+",  # 画素、行列の形
    r"\d+ 個の ?(?:種|seed|数|ネットワーク|標本|乱数|節|方向|活性化|訓練|平均|点)",
    r"\d+ 点離れ|\d+ 本の",
    r"標本[がは]? ?\d+",
    r"(?:出力|隠れ層)は \d+ [個つ]",
    r"\d+ 回(?:の更新|更新|ごと|繰り返)|最後の \d+ 回",
    r"\d+ ステップ(?:の間|ごと|の終わり|まで)|\d+〜\d+ ステップ",
    r"\d+ (?:クラス|エポック|通り|枚|ユニット|ブロック|段|組|時刻)",
    r"\d+ 個(?:重ね|、まっすぐ|掛け|つない)",
]
OF_PAGE = {  # その頁だけの条件
    "errata": [
        r"\d+(?:[、–]\d+)* 行|^\| \d+(?:–\d+)? \|",  # ノートの行の番号
        r"「[^「」]*」",  # ノートから引いた字
        r"\d 字|上付きの 2 が|^: 2 が全角|10 は、見出しの|784 → 100",
    ],
    "chain-rule": [r"[\d.]+ (?:kWh?|円|時間)"],  # 電気代の例の条件
    "index": [r"^\| [IV]+ \| \d+"],  # 部と章の番号
    "notes": [r"訂正 \d+(?:、\d+)* 行|ノートの \d+ 行目|■ の \d か所目|伏せられた 5 か所|15 分で"],
    "speed": [  # 課題の決め方と、目標。測った数は、どれもセルが書く
        r"784(?:–100)+–10|合わせて 32 個|元の 2000 回|8 個ずつ",
        r"最初の 5 回の損失が 0\.2% 以内|100 万分の 1 以内|下限の 1\.5 倍以内",
    ],
    "site": [r"axe の版は、この本が [\d.]+、ほかのサイトが [\d.]+"],
}
IN_FIGURES = [  # 題と代替文でだけ許す、初期値の名前
    r"(?<![\d.])0\.01(?= は)",
]


def faults(text: str, *allowed: list[str]) -> Iterator[str]:
    """許されていない数を、行番号と前後の語とともに返す。"""
    spans = [
        match.span()
        for pattern in itertools.chain(*allowed)
        for match in re.finditer(pattern, text, re.M)
    ]
    for match in NUMBER.finditer(text):
        if not any(a <= match.start() and match.end() <= b for a, b in spans):
            line = text.count("\n", 0, match.start()) + 1
            around = text[max(0, match.start() - 15) : match.end() + 15].replace("\n", " ")
            yield f"{line}: {match[0]} … {around}"


def given(source: str) -> dict[str, set[str]]:
    """問題の中の行 → その問題文と選択肢に出てくる数。解説で引いてよい。"""
    found = {}
    for quiz in QUIZ.finditer(source):
        numbers = set(NUMBER.findall(" ".join(QUIZ_QUESTION.findall(quiz[0]))))
        first = source.count("\n", 0, quiz.start()) + 1
        found |= {str(first + i): numbers for i in range(quiz[0].count("\n"))}
    return found


def prose_faults(source: str, name: str = "") -> list[str]:
    conditions = given(source)

    def is_given(fault: str) -> bool:
        line, number, *_ = re.split(r": | … ", fault)
        return number in conditions.get(line, ())

    found = faults(prose(source), NAMES, CONSTANTS, CONDITIONS, OF_PAGE.get(name, []))
    return [fault for fault in found if not is_given(fault)]


def figures(source: str) -> Iterator[tuple[str, str]]:
    """図のセルと、それを確かめる文 (この図から、次の図の手前までの assert)。"""
    cells = [m for m in FENCE.finditer(source) if m["info"].startswith("{code-cell}")]
    starts = [i for i, m in enumerate(cells) if "\n    alt:" in m[3]]
    for i, end in itertools.pairwise([*starts, len(cells)]):
        code = "".join(m[3] for m in cells[i:end])
        asserts = re.findall(r"assert[\s_][\s\S]*?(?=\n\S|\Z)", code)
        yield blank(source[: cells[i].start()]) + cells[i][0], "\n".join(asserts)


SCALES = {"": 1.0, "万": 1e4, "億": 1e8, "割": 0.1, "%": 0.01, "％": 0.01}
FRACTION = re.compile(r"(\d+) ?(万?|億)分の ?(\d+)")
POWER = re.compile(r"10 のマイナス (\d+) 乗|(\d+) ?桁")
SCALED = re.compile(r"[−-]?([\d.]+(?:e-?\d+)?) ?([万億割%％]?)")


def values(number: str) -> set[float]:
    """書かれた数の、assert での書き方。「3 桁」なら 3 か 1000。"""
    if found := FRACTION.fullmatch(number):
        return {int(found[3]) / (int(found[1]) * SCALES[found[2]])}
    if found := POWER.fullmatch(number):
        exponent = int(found[1] or found[2])
        return {float(exponent), 10.0**exponent}
    if found := SCALED.fullmatch(number):
        return {float(found[1]) * SCALES[found[2]]}
    return set()


def is_checked(number: str, asserts: str) -> bool:
    """assert の中に同じ数か、その逆数があれば、その数は確かめてある。"""
    written = set().union(*map(values, NUMBER.findall(asserts)))
    return any(
        math.isclose(wanted, known) or math.isclose(wanted * known, 1)
        for wanted, known in itertools.product(values(number), written)
    )


def figure_faults(source: str) -> list[str]:
    return [
        fault
        for cell, asserts in figures(source)
        for fault in faults(figure_text(cell), NAMES, CONSTANTS, CONDITIONS, IN_FIGURES)
        if not is_checked(re.split(r": | … ", fault)[1].strip(), asserts)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_numbers_in_prose_are_computed_or_conditions(page: Page):
    assert prose_faults(page.text, page.name.rpartition("/")[2]) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_numbers_in_figure_texts_are_asserted(page: Page):
    assert figure_faults(page.text) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_figure_is_followed_by_an_assert(page: Page):
    unchecked = [
        re.search(r"name: (\S+)", cell)[1] for cell, asserts in figures(page.text) if not asserts
    ]
    assert unchecked == []


@pytest.mark.parametrize(
    "result",
    [
        "正解率は 0.913 でした。",
        "勾配は 3.2e-5 です。",
        "テストの正解率は **91 %** でした。",
        "10 個の種のうち 7 個が発散しました。",
        "δ は 12 桁小さくなります。",
        "正解率は 9 割でした。",
        "標準偏差 0.63 に集まります。",
        "およそ 1000 分の 1 です。",
        "勾配は 10⁻⁴ です。",
        "| He | 0.98 |",
        "勾配は 3 倍になりました。",
        "340 ステップで損失が 0.5 を切りました。",
    ],
)
def test_a_bare_result_is_caught(result: str):
    assert prose_faults(f"# 章\n\n5 層、幅 100 の実験です。{result}\n")


def test_conditions_and_computed_numbers_pass():
    text = "10 個の種、5 層、幅 100、学習率 0.01、標準偏差 0.05 の 6.2.4 (P18) で、"
    assert prose_faults(text + "{glue:text}`x` 倍、$3.2$ 倍、`y = 3.2` です。\n") == []


def test_a_bare_result_in_an_explanation_is_caught():
    quiz = ":::{quiz} a\n:value: a\n\n学習率が 0.07 のとき。\n\n- [x] 0.5\n\n  %s\n:::\n"
    assert prose_faults(quiz % "学習率 0.07 なら {glue:text}`a` です。0.5 が正解です。") == []
    assert len(prose_faults(quiz % "損失は 0.913 です。")) == 1
    assert len(prose_faults(quiz % "そうです。" + "\n0.07 です。\n")) == 1  # 問題の外では引けない


def test_a_bare_result_in_a_figure_text_is_caught_unless_asserted():
    cell = "```{code-cell} python\n---\nmystnb:\n  image:\n    alt: 値は %s。\n---\nx = 1\n```\n"
    check = "\n```{code-cell} python\nassert abs(x / %s - 1) < 0.1\n```\n"
    for written, number in [
        ("0.913", "0.913"),
        ("約 0.8", "0.8"),
        ("12 桁", "1e-12"),
        ("9 割", "0.9"),
        ("1000 万分の 4", "4e-7"),
        ("10 のマイナス 13 乗", "1e-13"),
    ]:
        assert figure_faults(cell % written)
        assert figure_faults(cell % written + check % "0.37")
        assert figure_faults(cell % written + check % number) == []


# 電話では 1 行が 1 枚の札になり、見出しが値の前に付く
EMPTY_HEADING = re.compile(r"^.*\| *\|.*?(?:\n|\\n)\|[-:| ]+\|", re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_heading_of_a_table_is_empty(page: Page):
    assert EMPTY_HEADING.search(page.text) is None


def test_an_empty_heading_is_caught():
    assert EMPTY_HEADING.search("| | 値 |\n|---|---|\n| a | 1 |\n")
    assert EMPTY_HEADING.search('f"| | 値 |\\n|---|--:|\\n"')
    assert not EMPTY_HEADING.search("| 名前 | 値 |\n|---|---|\n| | 1 |\n")
