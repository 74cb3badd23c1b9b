"""問題の点検: 選択肢の形がそろっているか、正解の印がセルの計算と一致するか。

印は ``x`` (正しい)、空白 (誤り)、``=`` (数の答え) の 3 つ。合わないものは ``ValueError`` にする。
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(?:/(\d+))?(?![\d.])", re.I)


def number(text: str) -> float | None:
    """「０．５」「1/32」「9.5×10⁻⁷ 倍」の数。なければ None。quiz.js の toNumber と同じ読み方。"""
    plain = re.sub(r"[\s,]", "", unicodedata.normalize("NFKC", text)).replace("−", "-")
    match = NUMBER.match(re.sub(r"[×x*]10\^?", "e", plain, count=1, flags=re.I))
    if match is None:
        return None
    divisor = int(match[2] or 1)
    value = float(match[1]) / divisor if divisor else math.inf
    return value if math.isfinite(value) else None


def near(a: float, b: float, tolerance: str) -> bool:
    """差が ``tolerance`` (「2%」なら ``b`` に対する割合) 以内か。quiz.js の near と同じ。"""
    share = tolerance.endswith("%")
    room = float(tolerance.rstrip("%")) / 100 * abs(b) if share else float(tolerance)
    return abs(a - b) <= room * (1 + 1e-9)


def kind_of(marks: list[str]) -> str:
    return "number" if "=" in marks else "many" if marks.count("x") > 1 else "one"


def check_form(marks: list[str], texts: list[str], explained: list[bool], pick: int) -> None:
    """選択肢の数、説明、正しい選択肢の数。"""
    if len(set(texts)) < len(texts):
        raise ValueError(f"同じ選択肢が 2 つあります: {texts}")
    if not all(explained):
        raise ValueError(f"説明のない選択肢があります: {texts[explained.index(False)]!r}")
    if kind_of(marks) == "number":
        if marks.count("=") != 1 or "x" in marks:
            raise ValueError("数の答え [=] は 1 つだけにしてください")
    elif marks.count("x") != pick:
        raise ValueError(f"選ぶ数 (:pick:) は {pick}、[x] の数は {marks.count('x')} です")
    elif " " not in marks:
        raise ValueError("誤りの選択肢がありません")


def check_answer(marks: list[str], texts: list[str], computed: Any, tolerance: str) -> None:
    """``computed`` は、正しい選択肢の文字列か数、または選択肢ごとの真偽。"""
    if isinstance(computed, list):
        found = computed
    elif isinstance(computed, str):
        found = [text == computed for text in texts]
    else:
        numbers = [number(text) for text in texts]
        found = [n is not None and near(n, computed, tolerance) for n in numbers]
    marked = [mark != " " for mark in marks]
    if found != marked:
        raise ValueError(f"計算した答えと印が違います: {computed!r}、選択肢 {texts}、印 {marks}")


def wrong_values(marks: list[str], texts: list[str], answer: Any) -> list[float]:
    """数の問題の、正解と「こう間違えたときの値」。正解は丸める前の値にする。"""
    if not isinstance(answer, int | float) or isinstance(answer, bool):
        raise ValueError(f"数の問題の :value: は、数にしてください: {answer!r}")
    values = [
        answer if mark == "=" else number(text) for mark, text in zip(marks, texts, strict=True)
    ]
    read = [value for value in values if value is not None]
    if len(read) < len(values):
        raise ValueError(f"数の問題の選択肢は、数にしてください: {texts}")
    return read
