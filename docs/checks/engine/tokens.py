r"""TeX を字句に切り、連なった式を「辺 関係 辺 関係 …」に分ける。"""

import re
from collections.abc import Iterator

TOKEN = re.compile(r"\\(?:[a-zA-Z]+|.)|\s+|.", re.S)
SPACING = re.compile(
    r"(?<!\\)\\(?:[,;:! \n]|(?:quad|displaystyle|left|right|middle|[bB]igg?[lrm]?)(?![a-zA-Z]))"
)
OPEN = {
    "{": "}", "(": ")", "[": "]", r"\{": r"\}", r"\langle": r"\rangle", r"\lVert": r"\rVert",
    r"\begin": r"\end",
}  # fmt: skip
RELATIONS = {
    "=", "<", ">", r"\le", r"\ge", r"\ne", r"\approx", r"\sim", r"\to", r"\mapsto", r"\leftarrow",
    r"\longrightarrow", r"\iff",
}  # fmt: skip
NEW_ROW = re.compile(r"\\\\(?:\[[^\]]*\])?")

Tokens = list[str]


def tokens(tex: str) -> Tokens:
    r"""字句の並び。間隔と大きさの指定は除く。``\pd{A}{B}`` などの 1 組は、組み立てのときに読む。

    >>> tokens(r"\Bigl(\frac12\,x_{ni}\Bigr)")
    ['(', '\\frac', '1', '2', 'x', '_', '{', 'n', 'i', '}', ')']
    """
    text = SPACING.sub(" ", tex.replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac"))
    text = re.sub(r"\\text\{([^{}]*)\}", lambda m: rf"\text{{{m[1].replace(' ', '')}}}", text)
    text = re.sub(r"\\xrightarrow\{[^{}]*\}", r"\\to ", text)
    return [token for token in TOKEN.findall(text) if not token.isspace()]


def joined(found: Tokens) -> str:
    r"""名前としての TeX。空白と、1 字だけを囲む括弧の違いをなくす。

    >>> joined(tokens(r"W_{l}")), joined(tokens(r"\hat x_n"))
    ('W_l', '\\hat x_n')
    """
    out = ""
    for token in found:
        glue = " " if re.search(r"\\[a-zA-Z]+$", out) and token[0].isalpha() else ""
        out += glue + token
    return re.sub(r"(?<=[_^])\{(\w|\\[a-zA-Z]+(?:\{\w+\})?)\}", r"\1", out)


def canonical(tex: str) -> str:
    return joined(tokens(tex))


def split(found: Tokens, at: set[str]) -> Iterator[tuple[str, Tokens]]:
    """いちばん外側の ``at`` で切り、前の区切りと組にして返す。"""
    ends: list[str] = []
    separator, part = "", Tokens()
    for token in found:
        if ends and token == ends[-1]:
            ends.pop()
        elif token in OPEN:
            ends.append(OPEN[token])
        elif not ends and token in at:
            yield separator, part
            separator, part = token, []
            continue
        part.append(token)
    yield separator, part


def body(tex: str) -> str:
    """``&&`` から行末までの説明と、行そろえの印を除いた 1 つながりの TeX。"""
    rows = NEW_ROW.split(tex) if r"\begin{cases}" not in tex else [tex]
    if len(rows) == 1:
        return tex
    lines = []
    for row in rows:
        formula = row.split("&&")[0].replace("&", " ").strip()
        if formula.startswith(r"\quad"):
            formula = formula.removeprefix(r"\quad")
        starts = tokens(formula)[:1]
        lines.append(
            formula if starts and starts[0] in RELATIONS | {"+", "-"} else rf"\qquad {formula}"
        )
    return "\n".join(lines)


def chains(tex: str) -> list[list[tuple[str, Tokens]]]:
    r"""数式を、独立した連なりに分ける。連なりは (関係, 辺) の並び。

    >>> chains(r"a = b \le c, \qquad d = e")
    [[('', ['a']), ('=', ['b']), ('\\le', ['c'])], [('', ['d']), ('=', ['e'])]]
    """
    found = []
    for _, statement in split(tokens(body(tex)), {r"\qquad", ","}):
        if statement:
            found.append(list(split(statement, RELATIONS)))
    return found
