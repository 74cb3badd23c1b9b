"""EPUB と、PDF にする前の 1 枚の HTML: 形が正しく、本の全部が入り、行き先のないリンクがない。

Chromium での印刷、PDF の中身、EPUBCheck は、`nox -s editions` が毎回調べる。
"""

import re
import sys
import zipfile
from collections import Counter
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

import pytest

EDITIONS = Path(__file__).parents[2] / "docs" / "_editions"
sys.path.insert(0, str(EDITIONS))

import epub  # noqa: E402
import pages  # noqa: E402
import sheet  # noqa: E402
from lxml import etree, html  # noqa: E402

XHTML = "{http://www.w3.org/1999/xhtml}"
OPF = "{http://www.idpf.org/2007/opf}"


@pytest.fixture(scope="module")
def archive(book: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    path = tmp_path_factory.mktemp("epub") / "book.epub"
    epub.write(book, path)
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def documents(archive: zipfile.ZipFile) -> dict[str, object]:
    names = [name for name in archive.namelist() if name.endswith(".xhtml")]
    return {name: etree.fromstring(archive.read(name)) for name in names}


def test_the_epub_begins_with_its_type(archive: zipfile.ZipFile):
    first = archive.infolist()[0]
    assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
    assert archive.read("mimetype") == b"application/epub+zip"


def test_the_manifest_names_exactly_the_files(archive: zipfile.ZipFile):
    package = etree.fromstring(archive.read("book/book.opf"))
    named = Counter(f"book/{item.get('href')}" for item in package.iter(f"{OPF}item"))
    inside = {name for name in archive.namelist() if name.startswith("book/")} - {"book/book.opf"}
    assert named == Counter(inside)
    ids = {item.get("id") for item in package.iter(f"{OPF}item")}
    assert {ref.get("idref") for ref in package.iter(f"{OPF}itemref")} <= ids
    assert package.findtext(".//{http://purl.org/dc/elements/1.1/}language") == "ja"


def test_every_page_of_the_book_is_in_the_epub(archive: zipfile.ZipFile, book: Path):
    generated = {"404", "genindex", "search"}
    sources = (path.relative_to(book).with_suffix("") for path in book.rglob("*.html"))
    expected = {s.as_posix() for s in sources if s.parts[0] != "_modules"} - generated
    assert expected <= {name[5:-6] for name in archive.namelist() if name.endswith(".xhtml")}


def test_every_link_and_every_figure_of_the_epub_has_its_target(archive, documents):
    inside = set(archive.namelist())
    ids = {name: set(page.xpath("//@id")) for name, page in documents.items()}
    figures, links, lost = 0, 0, []
    for name, page in documents.items():
        for image in page.iter(f"{XHTML}img"):
            figures += 1
            assert image.get("alt")
            assert normpath(join(dirname(name), image.get("src"))) in inside
        for link in page.iter(f"{XHTML}a"):
            target = urlsplit(link.get("href", ""))
            if target.scheme or not link.get("href"):
                continue
            links += 1
            path = normpath(join(dirname(name), target.path)) if target.path else name
            if path not in ids or (target.fragment and unquote(target.fragment) not in ids[path]):
                lost.append(f"{name}: {link.get('href')}")
    assert figures > 50
    assert links > 500
    assert lost == []


def test_formulas_are_mathml_and_nothing_has_to_be_opened(documents):
    formulas = 0
    for name, page in documents.items():
        formulas += len(page.findall(".//{http://www.w3.org/1998/Math/MathML}math"))
        for tag in ("details", "script", "button", "input", "form", "select"):
            assert page.find(f".//{XHTML}{tag}") is None, (name, tag)
        assert "katex-html" not in etree.tostring(page, encoding="unicode"), name
    assert formulas > 1000


def test_what_html_leaves_empty_is_empty_in_the_epub(documents):
    """HTML を読む libxml2 は ``wbr`` を知らず、続きの字をその中に入れる。"""
    void = [f"{XHTML}{name}" for name in ("br", "col", "hr", "img", "input", "source", "wbr")]
    filled = {
        f"{name}: {box.tag.removeprefix(XHTML)}"
        for name, document in documents.items()
        for box in document.iter(*void)
        if box.text or len(box)
    }
    assert filled == set()


def test_pictures_written_in_a_page_are_svg_in_the_epub(documents):
    drawn = [box for document in documents.values() for box in document.iter("{*}svg")]
    assert {box.tag for box in drawn} == {"{http://www.w3.org/2000/svg}svg"}
    assert any(box.get("viewBox") for box in drawn)
    assert not any(box.get("viewbox") for box in drawn)


def test_the_answers_are_in_the_epub(book: Path, archive: zipfile.ZipFile):
    quiz = html.fromstring((book / "quiz.html").read_bytes())
    answers = quiz.cssselect("details.sd-dropdown p")
    assert len(answers) > 10
    text = re.sub(r"\s", "", etree.fromstring(archive.read("book/quiz.xhtml")).xpath("string()"))
    for answer in answers:
        for piece in answer.xpath("text()"):  # 数式の間の字
            assert re.sub(r"\s", "", piece) in text


def test_the_same_book_makes_the_same_epub(book: Path, archive, tmp_path: Path):
    epub.write(book, tmp_path / "again.epub")
    assert (tmp_path / "again.epub").read_bytes() == Path(archive.filename).read_bytes()


@pytest.fixture(scope="module")
def paper(book: Path):
    """1 冊にまとめた、紙のための HTML。"""
    return html.fromstring(sheet.document(book, pages.contents(book), {}))


def test_the_sheet_for_print_has_no_doubled_names_and_no_lost_links(paper):
    ids = Counter(paper.xpath("//@id"))
    assert [name for name, times in ids.items() if times > 1] == []
    links = [unquote(href[1:]) for href in paper.xpath("//a/@href") if href.startswith("#")]
    assert len(links) > 500
    assert [name for name in links if name not in ids] == []
    assert paper.xpath("//details | //script | //button") == []


def test_no_heading_of_the_sheet_is_parted_from_the_next(paper):
    headings = paper.cssselect(".chapter :is(h2, h3, h4, h5)")
    assert len(headings) > 100
    assert [
        h.text_content()
        for h in headings
        if h.getnext() is not None and h.getnext().tag == "section"
    ] == []
