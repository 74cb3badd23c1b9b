"""プログラムの書き方のままの数 (4.9e-17) を、本の書き方 (4.9 × 10⁻¹⁷) にする。

表の欄も、診断書も、docstring の文も、同じ所で直す。コードとその出力は、書いたまま、出たままにする。
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

# 字のまま残すもの (コード、関数の呼び方)。そのほかのタグは、1 つずつ飛ばす
EXACT = "pre|code|script|style|template|math|kbd|samp|textarea"
SKIPPED = re.compile(rf'(<({EXACT})\b.*?</\2>|<dt class="sig.*?</dt>|<[^>]*>)', re.DOTALL)
RAW = re.compile(r"(?<![\w.])(\d(?:\.(\d+))?)e([-+]\d+)(?![\w.]*\d)")
PLAIN = range(-3, 4)  # この桁の数は、累乗にしない


def written(match: re.Match[str]) -> str:
    """1 つの数を、有効数字の桁を保って書く。

    >>> [written(RAW.fullmatch(raw)) for raw in ("5.0e-01", "3e-03", "1.9e+02", "0e+00")]
    ['0.50', '0.003', '190', '0']
    >>> [written(RAW.fullmatch(raw)).replace(chr(160), " ") for raw in ("4.9e-17", "1e-07")]
    ['4.9 × 10⁻¹⁷', '10⁻⁷']
    """
    from vgbook.book.numerals import SUPERSCRIPT  # 書く頁がなければ、パッケージは読み込まない

    mantissa, decimals, exponent = match[1], len(match[2] or ""), int(match[3])
    value = float(match[0])
    if not value:
        return "0"
    if exponent in PLAIN:
        return f"{value:.{max(0, decimals - exponent)}f}"
    power = f"10{str(exponent).translate(SUPERSCRIPT)}"
    return power if mantissa == "1" else f"{mantissa}\u00a0×\u00a0{power}"


def rewrite(html: str) -> str:
    """
    >>> rewrite("<td>4.9e-17</td><code>1e-5</code>").replace(chr(160), " ")
    '<td>4.9 × 10⁻¹⁷</td><code>1e-5</code>'
    """
    parts = SKIPPED.split(html)
    parts[::3] = [RAW.sub(written, text) for text in parts[::3]]
    del parts[2::3]  # タグの名前
    return "".join(parts)


def rewrite_page(
    app: Sphinx, name: str, template: str, context: dict[str, Any], tree: object
) -> None:
    if tree is not None:
        context["body"] = rewrite(context["body"])


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", rewrite_page)
