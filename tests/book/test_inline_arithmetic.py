r"""文の中の数だけの計算 (``$0.9^{50}\approx0.0052$`` など) が、書いてある桁まで正しい。

文字を含む式は、別行の数式として検算するか、文の中で証明する。ここで確かめるのは、両辺とも数として
読める等式、近似、不等式のすべてである。
"""

import itertools
import operator
import re
from collections.abc import Iterator

import mpmath
import pytest

from checks.engine.formula import formula
from checks.engine.numbers import KINDS, TOLERANCE
from checks.engine.scope import Scope, Unreadable
from checks.engine.tokens import Tokens, chains, joined
from vg.manuscript import Manuscript, Page

PAGES = list(Manuscript().pages.values())

CODE = re.compile(r"^(`{3,})[\s\S]*?^\1[ \t]*$|(?<!`)(`+)(?!`)[\s\S]*?(?<!`)\2(?!`)", re.M)
DISPLAY = re.compile(r"^[> ]*\$\$[\s\S]*?\$\$", re.M)
INLINE = re.compile(r"(?<![\\$])\$([^$\n]+)\$")
WRITTEN = re.compile(r"-?\d+(?:\.(\d+))?(?:\\times10\^(?:\{(-?\d+)\}|(\d)))?")  # 書かれた数
POWER = re.compile(r"10\^(?:\{-?\d+\}|\d)")
SCOPE = Scope({r"\ln": mpmath.log}, KINDS["高精度"], {})
ORDER = {"<": operator.lt, ">": operator.gt, r"\le": operator.le, r"\ge": operator.ge}


def formulas(page: Page) -> Iterator[tuple[int, str]]:
    """行番号と、文の中の数式。"""
    text = page.text
    for pattern in (CODE, DISPLAY):
        text = pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    for match in INLINE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1]


def number(side: Tokens) -> "mpmath.mpf | None":
    """数だけの辺の値。文字や言葉があれば ``None``。"""
    if any(token.isalpha() for token in side):
        return None
    try:
        value = formula(side, SCOPE)(SCOPE)
    except (Unreadable, IndexError, TypeError):  # 言葉、片側だけの括弧、値のない関数
        return None
    return value if isinstance(value, mpmath.mpf) else None


def rounding(tex: str) -> "mpmath.mpf | None":
    """書かれた桁の半分。"""
    found = WRITTEN.fullmatch(tex)
    if not found:
        return None
    places = len(found[1] or "")
    return mpmath.mpf(10) ** (int(found[2] or found[3] or 0) - places) / 2


def holds(left: Tokens, relation: str, right: Tokens) -> bool | None:
    """数だけの関係の真偽。読めない辺があれば ``None``。"""
    a, b = number(left), number(right)
    if a is None or b is None:
        return None
    if relation in ORDER:
        return bool(ORDER[relation](a, b))
    if relation == "=":
        return bool(abs(a - b) <= TOLERANCE * max(abs(a), abs(b)))
    if relation == r"\approx" and POWER.fullmatch(joined(right)):  # 何桁の数か
        return bool(abs(mpmath.log10(a / b)) <= 0.5)
    within = rounding(joined(right)) if relation == r"\approx" else None
    return None if within is None else bool(abs(a - b) <= within * (1 + TOLERANCE))


def relations(tex: str) -> Iterator[tuple[Tokens, str, Tokens]]:
    for chain in chains(tex):
        for (_, left), (relation, right) in itertools.pairwise(chain):
            yield left, relation, right


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_arithmetic_in_the_text_is_right(page: Page):
    wrong = [
        f"{line}: {joined(left)} {relation} {joined(right)}"
        for line, tex in formulas(page)
        for left, relation, right in relations(tex)
        if holds(left, relation, right) is False
    ]
    assert wrong == []


def test_most_of_the_arithmetic_is_read():
    """読めない式は飛ばすので、読む仕組みが壊れても試験は通る。数え上げて、それを防ぐ。"""
    read = [
        holds(left, relation, right)
        for page in PAGES
        for _, tex in formulas(page)
        for left, relation, right in relations(tex)
    ]
    assert len([held for held in read if held is not None]) >= 60


@pytest.mark.parametrize(
    "tex",
    [
        r"0.9^{50}\approx0.0051",
        r"784\cdot\frac{2}{884}\approx1.78",
        r"\ln 10 = 2.303",
        r"1.1^{50}\approx118",
        r"0.5^{20}\approx10^{-5}",
        r"0.0707^5\approx3\times10^{-6}",
        r"\sqrt{2/50}=0.02",
        r"\frac14 \le 0.2",
    ],
)
def test_a_wrong_number_is_caught(tex: str):
    [(left, relation, right)] = relations(tex)
    assert holds(left, relation, right) is False
