"""できあがった本 (HTML) から、紙と EPUB に共通の材料を取り出す。

本をもう 1 度組むのではなく、組み終わった頁を使うので、本文、番号、図、数式は Web の頁と同じである。
開け閉めや動かせる図のように、紙ではできないものは、ここで動かない形に替える。
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import metadata
from pathlib import Path
from posixpath import normpath
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from lxml import html
from lxml.html import HtmlElement, builder

# 頁の操作のためのもの。紙には要らない
TOOLS = (
    ".headerlink, .page-tools, .viewcode-link, .sd-summary-state-marker, .toctree-wrapper, "
    "script, button, input, select, output, [role=status], .vg-cover-controls"
)
START = "はじめに"
TITLE, SUBTITLE = "勾配消失問題", "導いて、動かして、確かめる"
AUTHOR = metadata("vgbook")["Author"]
NOTE = "図を描く部分など、たたんであるコードは省きました。Web の頁とノートブックにあります。"


@dataclass
class Page:
    """本の 1 頁。``name`` は拡張子のない場所 (part1/chain-rule)。"""

    name: str
    title: str
    body: HtmlElement
    children: list[Page] = field(default_factory=list)

    @property
    def slug(self) -> str:
        return self.name.replace("/", "-")

    def all(self) -> Iterator[Page]:
        yield self
        for child in self.children:
            yield from child.all()


@dataclass
class Part:
    """目次の 1 区切り (第 I 部、付録など)。"""

    title: str
    pages: list[Page]


def read(path: Path) -> HtmlElement:
    return html.parse(str(path), parser=html.HTMLParser(encoding="utf-8")).getroot()


def plain(element: HtmlElement) -> str:
    return " ".join(element.text_content().split())


def page(site: Path, name: str) -> Page:
    """頁の本文。題は見出しから取る。"""
    (article,) = read(site / f"{name}.html").cssselect("article")
    body = builder.DIV(*article.getchildren())
    settle(body)
    heading = body.cssselect("h1")[0]
    return Page(name, plain(heading), body)


def contents(site: Path) -> list[Part]:
    """横の目次の順に並べた、本のすべての頁。表紙の頁は「はじめに」とする。"""
    index = read(site / "index.html")
    (tree,) = index.cssselect(".sidebar-tree")
    first = page(site, "index")
    first.title = first.body.cssselect("h1")[0].text = START
    parts = [Part("", [first])]
    for child in tree:
        if child.tag == "p":
            parts.append(Part(plain(child), []))
        elif child.tag == "ul":
            parts[-1].pages += [listed(site, item) for item in child]
    return parts


def listed(site: Path, item: HtmlElement) -> Page:
    link = next(item.iter("a"))
    found = page(site, unquote(link.get("href")).removesuffix(".html"))
    found.children = [listed(site, child) for child in item.xpath("./ul/li")]
    return found


# --- 動かない形にする -----------------------------------------------------------------------


def settle(body: HtmlElement) -> None:
    """その場で書き換える。"""
    for tool in body.cssselect(TOOLS):
        tool.drop_tree()
    for figure in body.cssselect(".vg-figure, .stepper"):
        note = f"動かせる図「{figure.get('aria-label')}」は、Web の頁にあります。"
        figure.getparent().replace(figure, builder.P(note, {"class": "elsewhere"}))
    for code in body.cssselect("details.hidden-cell > .cell_input"):
        code.drop_tree()
    for box in list(body.iter("details")):
        summary = box.find("summary")
        if "hidden-cell" in box.get("class", ""):
            summary.drop_tree()
            box.drop_tag()
        else:
            box.tag, box.attrib["class"] = "div", "opened"
            summary.tag, summary.attrib["class"] = "p", "summary"
    for cell in body.cssselect(".cell"):
        if not plain(cell) and not cell.cssselect("img"):
            cell.drop_tree()
    for form in body.iter("form", "fieldset", "label", "legend"):
        form.tag = {"label": "span", "legend": "p"}.get(form.tag, "div")
        form.attrib.pop("for", None)
    for element in body.iter(html.etree.Element):
        for name in ("tabindex", "role", "open", "download", "title"):
            element.attrib.pop(name, None)


def relink(page: Page, address: Callable[[str, str], str | None]) -> HtmlElement:
    """本の中へのリンクを ``address(頁, 印)`` に替える。行き先が載っていなければ、字だけにする。"""
    body = copy.deepcopy(page.body)
    for link in list(body.iter("a")):
        target = link.get("href")
        if target is None or urlsplit(target).scheme:
            continue
        path, mark = urldefrag(urljoin(f"http://book/{page.name}.html", target))
        name = normpath(unquote(path.removeprefix("http://book/"))).removesuffix(".html")
        new = address(name, unquote(mark))
        if new is None:
            link.drop_tag()
        else:
            link.set("href", new)
    return body


def images(page: Page) -> dict[str, str]:
    """頁の図: 頁から見た場所 → 本の中の場所。"""
    sources = {image.get("src") for image in page.body.iter("img")}
    return {src: normpath(f"{page.name}/../{unquote(src)}") for src in sources}
