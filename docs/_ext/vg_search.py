"""日本語の検索。本文も問いも、同じ規則で 2 文字ずつに切る。

Sphinx の既定は本文だけを単語に切るので、「重みの初期値」のような複合語を見つけられない。
2 文字ずつ (bigram) なら、切れ目を推し量らずに、どの部分の語でも見つかる。
"""

from __future__ import annotations

import re
import unicodedata

from sphinx.application import Sphinx
from sphinx.search import SearchLanguage, languages

# 々〆〇、ひらがな、カタカナと長音 (中黒は除く)、漢字
CJK = r"\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u9fff"
TOKEN = re.compile(rf"[{CJK}]+|[^\W{CJK}]+")
KANJI = re.compile(r"[\u3400-\u9fff]")


def split(text: str, *, query: bool = False) -> list[str]:
    """全角・半角をそろえ (NFKC)、和文は 2 文字ずつ、ほかは単語ごとに切る。

    >>> split("重みの初期値", query=True)
    ['重み', 'みの', 'の初', '初期', '期値']
    >>> split("ＲｅＬＵ の層", query=True)
    ['ReLU', 'の層']
    """
    words: list[str] = []
    for token in TOKEN.findall(unicodedata.normalize("NFKC", text)):
        if not re.match(rf"[{CJK}]", token) or len(token) == 1:
            words.append(token)
            continue
        words += [token[i : i + 2] for i in range(len(token) - 1)]
        if not query:  # 「層」の 1 字でも引けるように
            words += KANJI.findall(token)
    return words


# 問いを切る、ブラウザーの側。split(text, query=True) と同じことをする
JS_SPLIT = f"""
function splitQuery(query) {{
  const token = /[{CJK}]+|(?:(?![{CJK}])[\\p{{L}}\\p{{N}}_])+/gu;
  return (query.normalize("NFKC").match(token) || []).flatMap((word) =>
    word.length > 1 && /^[{CJK}]/.test(word)
      ? Array.from({{ length: word.length - 1 }}, (_, i) => word.slice(i, i + 2))
      : [word]);
}}
"""


class Japanese(SearchLanguage):
    lang = "ja"
    language_name = "Japanese"
    js_splitter_code = JS_SPLIT

    def split(self, text: str) -> list[str]:  # type: ignore[override]
        return split(text)

    def word_filter(self, word: str) -> bool:  # type: ignore[override]
        return True


def setup(app: Sphinx) -> dict[str, bool]:
    languages["ja"] = Japanese
    return {"parallel_read_safe": True, "parallel_write_safe": True}
