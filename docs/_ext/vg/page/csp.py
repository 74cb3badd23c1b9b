"""すべての頁に Content-Security-Policy を書き、本のファイルだけが読み込まれ、動くようにする。

頁に直に書かれたスクリプトと ``<style>`` は、組み終えた HTML から中身のハッシュを取り、それだけを
許す。誰かが頁に差し込んだスクリプトは動かない。``file:`` は、手元で開いた本のため。``'self'`` が
手元のファイルを含むかはブラウザーによって違い、サーバーに置いた頁からは ``file:`` を読めない。
要素の ``style`` 属性は許す。KaTeX が、字の高さと位置を 1 つずつ属性に書くため。

``-t serve`` を付けた組みには書かない。書きながら読むための sphinx-autobuild が、頁を読み直させる
スクリプトを後から差し込むため。
"""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from typing import Any

from sphinx.application import Sphinx
from sphinx.jinja2glue import BuiltinTemplateLoader

CHARSET = '<meta charset="utf-8">'
SCRIPT = re.compile(r"<script([^>]*)>(.*?)</script>", re.DOTALL | re.IGNORECASE)
STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL | re.IGNORECASE)
DATA = re.compile(r'\btype="(?!text/javascript"|module")')  # JSON などの、実行されない中身


def digest(text: str) -> str:
    """許すスクリプトの名札。

    >>> digest("alert(1)")
    "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='"
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy(html: str) -> str:
    """この頁が読み込み、動かしてよいもの。"""
    scripts = {
        digest(body)
        for attributes, body in SCRIPT.findall(html)
        if "src=" not in attributes and not DATA.search(attributes)
    }
    styles = {digest(body) for body in STYLE.findall(html)}
    own = "'self' file:"
    return "; ".join([
        "default-src 'none'",
        " ".join([f"script-src {own}", *sorted(scripts)]),
        f"style-src {own} 'unsafe-inline'",  # 次の 2 行を知らない、古いブラウザーのため
        " ".join([f"style-src-elem {own}", *sorted(styles)]),
        "style-src-attr 'unsafe-inline'",
        f"img-src {own} data:",
        f"font-src {own} data:",  # 数式の字は、数式の CSS の中にある
        f"connect-src {own}",  # 頁を調べる道具 (Lighthouse など) が robots.txt を読む
        f"form-action {own}",
        "base-uri 'none'",
    ])  # fmt: skip


def protect(html: str) -> str:
    if CHARSET not in html:
        raise ValueError(f"Content-Security-Policy を書く場所 ({CHARSET}) が、頁にありません。")
    content = escape(policy(html), quote=False)
    tag = f'<meta http-equiv="Content-Security-Policy" content="{content}">'
    return html.replace(CHARSET, f"{CHARSET}\n    {tag}", 1)


class Templates(BuiltinTemplateLoader):
    """頁を組み終えてから、その頁の中身に合わせて書く。"""

    def init(self, builder: Any, *args: Any, **options: Any) -> None:
        super().init(builder, *args, **options)
        self.is_site = builder.name == "html" and "serve" not in builder.tags

    def render(self, template: str, context: dict[str, Any]) -> str:
        html = super().render(template, context)
        return protect(html) if self.is_site and template.endswith(".html") else html


def setup(app: Sphinx) -> None:
    app.config.template_bridge = f"{__name__}.{Templates.__name__}"
