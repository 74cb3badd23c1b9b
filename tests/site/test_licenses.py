"""HTML に入っているすべてのファイルに、作者とライセンスがあること。"""

import re
from pathlib import Path, PurePosixPath

import pytest

from vg.build import licenses
from vg.manuscript import DOCS

WORKS = licenses.works()
LOADED = {".js", ".css", ".woff", ".woff2", ".ttf", ".otf", ".svg", ".png", ".ico", ".wasm", ".map"}
# 本文から作るものと、載っている CSS をまとめたもの。ほかの自作は docs/_static と拡張の部屋にある
OWN = {"searchdata.js", "_static/site.css"}


def shipped(book: Path) -> list[str]:
    files = (p.relative_to(book) for p in book.rglob("*") if p.suffix in LOADED)
    return sorted(str(p) for p in files if ".doctrees" not in p.parts)  # 配らない手元の控え


def is_ours(name: str) -> bool:
    sources = [DOCS / name, *(DOCS / "_ext" / "vg").glob(f"*/{PurePosixPath(name).name}")]
    return name in OWN or any(path.is_file() and "vendor" not in path.parts for path in sources)


def authors(name: str) -> list[str]:
    return [w.name for w in WORKS if any(PurePosixPath(name).match(glob) for glob in w.files)]


def test_every_file_has_an_author(book: Path):
    files = shipped(book)
    assert len(files) > 30
    assert [name for name in files if not is_ours(name) and not authors(name)] == []


def test_a_new_file_would_be_noticed():
    assert authors("_static/new.js") == []
    assert not is_ours("_static/new.js")
    assert not is_ours("_static/vendor/katex/katex.min.css")


def test_every_line_of_the_table_is_shipped(book: Path):
    for work in WORKS:
        for glob in work.files:
            assert list(book.glob(glob)), f"{work.name}: {glob} は HTML にない"


def test_no_two_works_share_a_text():
    assert len({work.path for work in WORKS}) == len(WORKS)


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_the_text_of_the_license_is_shipped(book: Path, work: licenses.Work):
    text = (book / work.path).read_text(encoding="utf-8")
    assert text == work.text
    words = {
        "MIT": "Permission is hereby granted, free of charge",
        "BSD-2-Clause": "Redistributions in binary form must reproduce",
        "BSD-3-Clause": "endorse or promote",
        "OFL-1.1": "SIL OPEN FONT LICENSE",
        "IPA": "IPA Font License Agreement v1.0",
        "Bitstream-Vera": "Bitstream Vera",
        "STIX": "STIX Font License",
        "BaKoMa": "BaKoMa Fonts Licence",
    }
    assert words[work.license] in " ".join(text.split())
    assert "opyright" in text


def test_typed_versions_are_those_of_the_files(book: Path):
    def head(name: str, size: int = 500) -> str:
        return (book / name).read_text(encoding="utf-8")[:size]

    typed = {work.name: work.version for work in WORKS}
    assert f"normalize.css v{typed['normalize.css']} " in head("_static/styles/furo.css")
    assert f"gumshoejs v{typed['gumshoe']} " in head("_static/scripts/furo.js.LICENSE.txt")
    assert f"clipboard.js v{typed['clipboard.js']}\n" in head("_static/clipboard.min.js")
    katex = head("_static/vendor/katex/katex.min.css", 100_000)
    assert f'content:"{typed["KaTeX"]}"' in katex


def test_every_font_in_a_figure_has_an_author(book: Path):
    """図の字形は SVG の線になり、その id に字の名前が残る。"""
    glyph = re.compile(r'<path id="([A-Za-z0-9]+(?:-[A-Z][a-z]+)?)-[0-9a-f]+"')
    texts = [path.read_text(encoding="utf-8") for path in book.glob("_images/*.svg")]
    fonts = {name for text in texts for name in glyph.findall(text)}
    assert fonts >= {"IPAexGothic", "DejaVuSans"}
    assert fonts <= {name for work in WORKS for name in work.glyphs}
