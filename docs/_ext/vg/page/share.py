"""見つけてもらい、人に渡すための部品: 共有の札 (Open Graph) と絵、sitemap.xml、404 の頁。

公開先 (``html_baseurl``) が決まっているときだけ、URL の要るものを作る。絵は ``poster`` が描く。
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from docutils import nodes
from sphinx.application import Sphinx

from vg.page.poster import SIZE, Poster

FOLDER = "_static/share"
LINK = re.compile(r'\b(href|src|action|data-content_root)="(?!https?:|//|#|data:|mailto:)([^"]*)"')
LOST = "404"


def title_of(app: Sphinx, name: str) -> str:
    return app.env.titles[name].astext()


def number_of(app: Sphinx, name: str) -> int | None:
    number = app.env.toc_secnumbers.get(name, {}).get("")
    return number[0] if number else None


def pictured(app: Sphinx, name: str) -> str:
    """絵を借りる頁。章と、部のない頁は自分の絵、API や検算の頁は表紙の絵。"""
    own = "/" not in name or number_of(app, name) is not None or name.startswith("quiz/")
    return name if own and name in app.env.found_docs else str(app.config.root_doc)


def first_figure(app: Sphinx, name: str) -> str:
    """頁のはじめの図の SVG。なければ空。"""
    for image in app.env.get_doctree(name).findall(nodes.image):
        path = Path(app.srcdir, image["uri"])
        if path.suffix == ".svg" and path.is_file():
            return path.read_text(encoding="utf-8")
    return ""


def poster(app: Sphinx, name: str) -> Poster:
    book, _, subtitle = app.config.project.partition(" — ")
    if name == app.config.root_doc:
        return Poster(book, "", subtitle)
    number = number_of(app, name)
    above = f"第 {number} 章" if number else ""
    return Poster(title_of(app, name), above, f"『{book}』", first_figure(app, name))


def add_tags(app: Sphinx, name: str, template: str, context: dict[str, Any], tree: Any) -> None:
    if name == LOST:
        context["pageurl"] = None  # どの URL にも返すので、正しい URL はない
    if tree is None or app.builder.format != "html":
        return
    base = app.config.html_baseurl
    meta = context.get("meta") or {}
    tags = {
        "og:title": title_of(app, name),
        "og:description": meta.get("description", "").strip(),
        "og:type": "website" if name == app.config.root_doc else "article",
        "og:site_name": app.config.project.partition(" — ")[0],
        "og:locale": "ja_JP",
    }
    if base:
        tags["og:url"] = urljoin(base, app.builder.get_target_uri(name))
        tags["og:image"] = urljoin(base, f"{FOLDER}/{pictured(app, name).replace('/', '-')}.png")
        tags["og:image:width"], tags["og:image:height"] = map(str, SIZE)
        tags["og:image:alt"] = tags["og:title"]
    made = "".join(
        f'<meta property="{key}" content="{escape(value, quote=True)}">'
        for key, value in tags.items()
        if value
    )
    card = '<meta name="twitter:card" content="summary_large_image">' if base else ""
    context["metatags"] = context.get("metatags", "") + made + card


def lost_page(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    if app.builder.format == "html":
        yield LOST, {}, "404.html"


def rooted(html: str, base: str) -> str:
    """どの深さの URL からも同じ所を指すように、公開先の根からの場所にする。

    >>> rooted('<a href="part1/a.html"><a href="#b">', "https://example.org/book/")
    '<a href="/book/part1/a.html"><a href="#b">'
    """
    root = urlsplit(base).path.rstrip("/") + "/"
    return LINK.sub(lambda m: f'{m[1]}="{root}{m[2].removeprefix("./")}"', html)


def sitemap(app: Sphinx) -> str:
    base = app.config.html_baseurl
    places = sorted(urljoin(base, app.builder.get_target_uri(n)) for n in app.env.found_docs)
    rows = "".join(f"<url><loc>{escape(place)}</loc></url>\n" for place in places)
    space = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset {space}>\n{rows}</urlset>\n'


def publish(app: Sphinx, error: Exception | None) -> None:
    base = app.config.html_baseurl
    if error is not None or not base or app.builder.format != "html":
        return
    out = Path(app.outdir)
    (out / "sitemap.xml").write_text(sitemap(app), encoding="utf-8")
    robots = (Path(app.confdir) / "robots.txt").read_text(encoding="utf-8")
    line = f"Sitemap: {urljoin(base, 'sitemap.xml')}\n"
    (out / "robots.txt").write_text(robots + line, encoding="utf-8")
    lost = out / app.builder.get_outfilename(LOST)
    lost.write_text(rooted(lost.read_text(encoding="utf-8"), base), encoding="utf-8")
    for name in sorted({pictured(app, each) for each in app.env.found_docs}):
        path = out / FOLDER / f"{name.replace('/', '-')}.png"
        poster(app, name).write(path, Path(app.doctreedir) / "posters")


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_tags, priority=950)  # page.markup が整えた後
    app.connect("html-collect-pages", lost_page)
    app.connect("build-finished", publish, priority=950)
