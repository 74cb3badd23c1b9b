"""本を EPUB 3 にする。数式は MathML、図は SVG。

    python docs/_editions/epub.py docs/_build/html docs/_build/html/editions/vgbook.epub

中の日時は決まった値なので、同じ本からは同じバイト列ができる。
"""

from __future__ import annotations

import sys
import zipfile
from html import escape
from importlib.metadata import version
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from lxml import etree
from lxml.html import HtmlElement
from pages import AUTHOR, NOTE, SUBTITLE, TITLE, Page, Part, contents, images, relink

HERE = Path(__file__).parent
DATE = "2026-01-01T00:00:00Z"
TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".css": "text/css"}
CONTAINER = """<?xml version="1.0" encoding="utf-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="book/book.opf"
 media-type="application/oebps-package+xml"/></rootfiles>
</container>"""
PAGE = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"
 lang="ja" xml:lang="ja">
<head><title>{title}</title><link rel="stylesheet" href="{up}book.css"/></head>
<body>{body}</body>
</html>"""
PACKAGE = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" xml:lang="ja">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">urn:uuid:{identifier}</dc:identifier>
<dc:title>{title}</dc:title><dc:creator>{author}</dc:creator><dc:language>ja</dc:language>
<dc:rights>CC BY 4.0</dc:rights>
<meta property="dcterms:modified">{date}</meta>
</metadata>
<manifest>{manifest}</manifest>
<spine page-progression-direction="ltr">{spine}</spine>
</package>"""


def mathml(body: HtmlElement) -> None:
    """KaTeX の字の並びを捨て、同じ式の MathML を残す。"""
    for formula in body.cssselect(".katex"):
        (math,) = formula.xpath(".//*[local-name()='math']")
        for note in math.xpath(".//*[local-name()='annotation']"):
            note.drop_tree()
        math.tail = formula.tail
        formula.getparent().replace(formula, math)


def drawn(body: HtmlElement) -> None:
    """その場で、頁に書き込まれた絵を SVG の要素にする。HTML を読むと、名前の大文字が失われる。"""
    for picture in body.iter("svg"):
        picture.set("xmlns", "http://www.w3.org/2000/svg")
        if box := picture.attrib.pop("viewbox", None):
            picture.set("viewBox", box)


def xhtml(page: Page, names: set[str]) -> str:
    up = "../" * page.name.count("/")

    def address(name: str, mark: str) -> str | None:
        if name not in names:
            return None
        path = "" if name == page.name and mark else f"{up}{name}.xhtml"
        return f"{path}#{mark}" if mark else path

    body = relink(page, address)
    mathml(body)
    drawn(body)
    for element in body.iter(etree.Element):
        for name in element.attrib:
            if name.startswith("data-") or name == "align":
                del element.attrib[name]
    text = etree.tostring(body, encoding="unicode", method="xml", with_tail=False)
    # libxml2 は wbr が空の要素だと知らず、続きを中に入れている
    text = text.replace("<wbr>", "<wbr/>").replace("</wbr>", "")
    return PAGE.format(title=escape(page.title), up=up, body=text)


def navigation(parts: list[Part]) -> str:
    def items(pages: list[Page]) -> str:
        lines = []
        for page in pages:
            deeper = f"<ol>{items(page.children)}</ol>" if page.children else ""
            lines.append(f'<li><a href="{page.name}.xhtml">{escape(page.title)}</a>{deeper}</li>')
        return "".join(lines)

    whole = ""
    for part in parts:
        inner = items(part.pages)
        whole += (
            f"<li><span>{escape(part.title)}</span><ol>{inner}</ol></li>" if part.title else inner
        )
    body = f'<nav epub:type="toc" id="toc"><h1>目次</h1><ol>{whole}</ol></nav>'
    return PAGE.format(title="目次", up="", body=body)


def cover() -> str:
    body = (
        f'<section class="cover"><h1>{TITLE}</h1><p class="subtitle">{SUBTITLE}</p>'
        f"<p>{AUTHOR}</p><p>第 {version('vgbook')} 版</p>"
        f"<p>本文と図は CC BY 4.0、プログラムは MIT License で使えます。</p><p>{NOTE}</p></section>"
    )
    return PAGE.format(title=TITLE, up="", body=body)


def stylesheet(site: Path) -> str:
    code = (site / "_static" / "pygments.css").read_text(encoding="utf-8")
    light = "\n".join(row for row in code.splitlines() if row.startswith(".highlight"))
    return (HERE / "epub.css").read_text(encoding="utf-8") + light


def files(site: Path) -> dict[str, bytes]:
    """book/ の下に置くファイル。表紙、目次、頁、図の順。"""
    parts = contents(site)
    pages = [page for part in parts for first in part.pages for page in first.all()]
    names = {page.name for page in pages}
    texts = {"cover.xhtml": cover(), "nav.xhtml": navigation(parts)}
    texts |= {f"{page.name}.xhtml": xhtml(page, names) for page in pages}
    texts["book.css"] = stylesheet(site)
    pictures = sorted({place for page in pages for place in images(page).values()})
    return {name: text.encode() for name, text in texts.items()} | {
        place: (site / place).read_bytes() for place in pictures
    }


def item(name: str, content: bytes, order: int) -> str:
    kind = TYPES.get(Path(name).suffix, "application/xhtml+xml")
    properties = ["nav"] if name == "nav.xhtml" else []
    if kind.startswith("application"):
        parts = {"mathml": b"<math", "svg": b"<svg"}
        properties += [part for part, tag in parts.items() if tag in content]
    extra = f' properties="{" ".join(properties)}"' if properties else ""
    return f'<item id="i{order}" href="{name}" media-type="{kind}"{extra}/>'


def package(contents: dict[str, bytes]) -> str:
    manifest = [item(name, content, i) for i, (name, content) in enumerate(contents.items())]
    spine = [
        f'<itemref idref="i{i}"/>' for i, name in enumerate(contents) if name.endswith(".xhtml")
    ]
    return PACKAGE.format(
        identifier=uuid5(NAMESPACE_URL, f"vgbook-{version('vgbook')}"),
        title=f"{TITLE} — {SUBTITLE}",
        author=AUTHOR,
        date=DATE,
        manifest="\n".join(manifest),
        spine="".join(spine),
    )


def write(site: Path, epub: Path) -> None:
    epub.parent.mkdir(parents=True, exist_ok=True)
    inside = files(site)
    with zipfile.ZipFile(epub, "w") as archive:

        def add(name: str, content: str | bytes, how: int = zipfile.ZIP_DEFLATED) -> None:
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            archive.writestr(info, content, how)

        add("mimetype", "application/epub+zip", zipfile.ZIP_STORED)  # 先頭に、圧縮せずに置く
        add("META-INF/container.xml", CONTAINER)
        add("book/book.opf", package(inside))
        for name, content in inside.items():
            add(f"book/{name}", content)


if __name__ == "__main__":
    write(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
