"""原稿から、textlint が読める Markdown を作る。行の番号は変えない。

MyST の書き方のうち、日本語の文でないもの (前書き、セル、別行の数式、役割の印) を消し、
文の中の数式や、差し込む数を 1 字の語に置き換える。文の長さが、読者の見る長さに近くなる。
"""

import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "_ext"))

from vg.manuscript import FENCE, Manuscript  # noqa: E402

PROSE_FENCES = ("{table}", "{glossary}")  # 中が文章の囲み
EXAM = r"(?:(?!- \[|:{3,}).*\n)*"  # 囲みの終わりか、選択肢まで
BLANKED = re.compile(
    rf"^:{{3,}}\{{quiz\}}.*\n{EXAM}"  # 問題文。試験にならって「である」で書く
    rf"|^:{{3,}}\{{admonition\}} 命題.*\n{EXAM}"
    r"|\A---\n(?:.*\n)*?---$"  # 前書き
    r"|<!--[\s\S]*?-->"
    r"|^\$\$\n[\s\S]*?^\$\$.*$"  # 別行の数式
    r"|^\([\w-]+\)=$"  # 参照先の名前
    r"|^:{3,}.*$"  # 囲みの始まりと終わり
    r"|^:[\w-]+:.*$"  # 囲みの設定
    r"|(?<=\n): (?=\S)"  # 定義の印
    r"|\[\^[^\]]+\]:?",  # 脚注の印
    re.M,
)
WORDS = (  # 置き換える順に。右が文の中に残る語
    (re.compile(r" ?\{cite:p\}`[^`]*`"), ""),
    (re.compile(r"\{cite:t\}`[^`]*`"), "Smith ら"),
    (re.compile(r"\{glue:text\}`[^`]*`"), "9"),
    (re.compile(r"\{(?:eq|numref)\}`[^`]*`"), "式 1"),
    (re.compile(r"(?<!\\begin)\{[\w:-]+\}`([^`<]*?)(?: *<[^`]*>)?`"), r"\1"),  # 用語、参照
    (re.compile(r"(?<![\\$])\$[^$]+\$"), "X"),
)


def plain(source: str) -> str:
    """原稿 ``source`` を、同じ行数の Markdown にする。"""

    def without_code(fence: re.Match[str]) -> str:
        keep = fence["info"].startswith(PROSE_FENCES)
        return f"\n{fence['body']}" if keep else "\n" * fence[0].count("\n")

    text = FENCE.sub(without_code, source)
    text = BLANKED.sub(lambda match: "\n" * match[0].count("\n"), text)
    for pattern, word in WORDS:
        text = pattern.sub(
            lambda match, w=word: match.expand(w) + "\n" * match[0].count("\n"), text
        )
    return text


def main(folder: Path) -> None:
    """設定と、すべての頁の文を ``folder`` に書く。"""
    shutil.rmtree(folder / "docs", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc", ".textlintrc.yml", "prh.yml"):
        shutil.copy(HERE / name, folder)
    for page in Manuscript().pages.values():
        target = folder / "docs" / f"{page.name}.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(plain(page.text), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
