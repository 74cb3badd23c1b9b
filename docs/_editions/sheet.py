"""本を、紙に刷るための 1 枚の HTML にする。"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.metadata import version
from pathlib import Path

from lxml import html
from pages import AUTHOR, NOTE, SUBTITLE, TITLE, Page, Part, images, relink

HERE = Path(__file__).parent
HEADINGS = {"h2", "h3", "h4", "h5"}
COVER = """<section class="cover">
<h1>{title}</h1>
<p class="subtitle">{subtitle}</p>
<p class="imprint">{author}<br>第 {version} 版<br>
本文と図は CC BY 4.0、プログラムは MIT License で使えます。<br>
{note}</p>
</section>"""


def anchor(name: str, mark: str = "") -> str:
    """1 枚に並べても id が重ならないように、頁の名前を前に付ける。"""
    return f"{name}--{mark}" if mark else name


def flow(page: Page, level: int = 0) -> Iterator[Page]:
    """入れ子の頁も、続けて並べる。"""
    page.body.set("data-level", str(level))
    yield page
    for child in page.children:
        yield from flow(child, level + 1)


def article(page: Page, site: Path, names: set[str]) -> str:
    body = relink(page, lambda name, mark: f"#{anchor(name, mark)}" if name in names else None)
    for element in body.iter(html.etree.Element):
        if "id" in element.attrib:
            element.set("id", anchor(page.name, element.get("id")))
    places = images(page)
    for image in body.iter("img"):
        image.set("src", (site / places[image.get("src")]).as_uri())
    for hidden in body.cssselect(".katex-mathml"):  # 画面を読む道具のためのもの。写すと 2 重になる
        hidden.drop_tree()
    deeper = int(body.get("data-level")) + 1  # 部が h1、章が h2
    for heading in body.cssselect("h1, h2, h3, h4, h5"):
        heading.tag = f"h{min(int(heading.tag[1]) + deeper, 6)}"
    # 見出しの次が小さい見出しなら、隣どうしに並べる。Chromium は、間に節の境があると切り離すため
    for section in body.cssselect(":is(h2, h3, h4, h5) + section"):
        first = next(child for child in section if child.tag in HEADINGS)
        while (above := section.getprevious()) is not None and above.tag in HEADINGS:
            first.addprevious(above)
            first = above
    body.attrib.update({"class": "chapter", "id": page.name, "style": f"page: {page.slug}"})
    return html.tostring(body, encoding="unicode")


def running_heads(parts: list[Part]) -> str:
    """柱。Chromium は見出しの字を欄外へ送れないので、章ごとに版面を作る。"""
    rules = [
        f'@page {page.slug} {{ @top-left {{ content: "{part.title}" }} '
        f'@top-right {{ content: "{title(page)}" }} }}'
        for part in parts
        for first in part.pages
        for page in first.all()
    ]
    return "\n".join(rules)


def title(page: Page) -> str:
    return page.title.replace('"', r"\"")


def table_of_contents(parts: list[Part], numbers: dict[str, int]) -> str:
    def line(name: str, text: str, kind: str) -> str:
        number = numbers.get(name, 0)
        link = f'<a href="#{name}"><span>{escape(text)}</span><b></b><i>{number}</i></a>'
        return f'<li class="{kind}">{link}</li>'

    lines = []
    for number, part in enumerate(parts):
        if part.title:
            lines.append(line(f"part-{number}", part.title, "part"))
        lines += [line(page.name, page.title, "chapter") for page in part.pages]
    return f'<nav class="contents"><h1>目次</h1><ul>{"".join(lines)}</ul></nav>'


def document(site: Path, parts: list[Part], numbers: dict[str, int]) -> str:
    pages = [page for part in parts for first in part.pages for page in first.all()]
    names = {page.name for page in pages}
    body = [
        COVER.format(
            title=TITLE, subtitle=SUBTITLE, author=AUTHOR, version=version("vgbook"), note=NOTE
        ),
        table_of_contents(parts, numbers),
    ]
    for number, part in enumerate(parts):
        if part.title:
            heading = f'<h1 id="part-{number}">{escape(part.title)}</h1>'
            body.append(f'<section class="part">{heading}</section>')
        for first in part.pages:
            body += [article(page, site, names) for page in flow(first)]
    styles = [site / "_static/vendor/katex/katex.min.css", HERE / "print.css"]
    links = "".join(f'<link rel="stylesheet" href="{path.as_uri()}">' for path in styles)
    code = (site / "_static" / "pygments.css").read_text(encoding="utf-8")
    light = "\n".join(row for row in code.splitlines() if row.startswith(".highlight"))
    return (
        f'<!doctype html><html lang="ja"><head><meta charset="utf-8"><title>{TITLE}</title>'
        f"{links}<style>{light}\n{running_heads(parts)}</style></head>"
        f"<body>{''.join(body)}</body></html>"
    )
