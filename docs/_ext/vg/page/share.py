"""見つけてもらい、人に渡すための部品: 共有の札 (Open Graph) と絵、sitemap.xml、404 の頁。

公開先 (``html_baseurl``) が決まっているときだけ、URL の要るものを作る。絵は、組むときに
頁の題から描く。
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from sphinx.application import Sphinx

FOLDER = "_static/share"
SIZE = (1200, 630)
PAPER, INK, SIGNAL, GRADIENT = "#ffffff", "#1c2733", "#0072b2", "#c04f00"  # tokens.css と同じ
LAYERS, SHRINK = 20, 0.8  # 表紙の図と同じ 20 層
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


def wrapped(text: str, font: Any, width: float) -> Iterator[str]:
    """``width`` に収まる行。"""
    line = ""
    for letter in text:
        if line and font.getlength(line + letter) > width:
            yield line
            line = ""
        line += letter
    yield line


def draw(path: Path, title: str, above: str, below: str) -> None:
    """題と、層をさかのぼるほど低くなる棒の絵。"""
    import matplotlib_fontja
    from PIL import Image, ImageDraw, ImageFont

    font = Path(matplotlib_fontja.__file__).with_name("fonts") / "ipaexg.ttf"
    face = {size: ImageFont.truetype(str(font), size) for size in (34, 76)}
    image = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(image)
    width, height = SIZE
    step = (width - 160) / LAYERS
    for layer in range(LAYERS):
        left, tall = 80 + layer * step, 190 * SHRINK ** (LAYERS - 1 - layer)
        box = (left, height - 60 - max(tall, 3), left + 0.6 * step, height - 60)
        pen.rectangle(box, fill=GRADIENT)
    pen.text((80, 60), above, INK, face[34])
    for i, line in enumerate(wrapped(title, face[76], width - 160)):
        pen.text((80, 130 + 100 * i), line, INK, face[76])
    pen.text((80, height - 330), below, SIGNAL, face[34])
    image.quantize(32).save(path, optimize=True)


def picture(app: Sphinx, name: str) -> None:
    book, _, subtitle = app.config.project.partition(" — ")
    number, root = number_of(app, name), name == app.config.root_doc
    path = Path(app.outdir, FOLDER, f"{name.replace('/', '-')}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    above = f"第 {number} 章" if number else "" if root else book
    draw(path, book if root else title_of(app, name), above, subtitle if root else f"『{book}』")


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
        picture(app, name)


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_tags, priority=950)  # page.markup が整えた後
    app.connect("html-collect-pages", lost_page)
    app.connect("build-finished", publish, priority=950)
