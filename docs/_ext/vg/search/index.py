"""本の検索。組むときに頁を節ごとの文字にしておき、ブラウザーの中で探す (``search.js``)。

Sphinx の検索は、本文を単語に切った索引を引く。日本語では、切れ目が問いと食い違うと見つからず、
抜き書きを見せるために、当たった頁を 1 つずつ取りに行く。この本は文字のまま送っても小さいので、
切らずに、そのまま探す。語の途中まででも、記号でも、手元のファイルを開いただけでも見つかる。
用語集の読みと英語は、その用語から「→」で結んだ章の別名になる。ほかの別名は、原稿の頭の
``keywords`` に「、」で区切って書く。同じ意味の語 (層とレイヤー) は ``words.toml`` に並べる。
本に書いていない言い方は、``questions.toml`` の問いと比べて見つける。
"""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from vg.math.tex import plain

DATA = "searchdata.js"
SCRIPTS = ("words.js", "slips.js", "rank.js", "questions.js", "search.js")  # 読み込む順
WORDS = Path(__file__).with_name("words.toml")
QUESTIONS = Path(__file__).with_name("questions.toml")
WHOLE = "ページ"  # ``questions.toml`` で、見出しの代わりに頁の全体を指す鍵
PLACES = ("api", "quiz", "checks", "glossary", "notation")  # 説明する章のほかの、頁の種類
UNREAD = (
    *(nodes.literal_block, nodes.doctest_block, nodes.comment, nodes.raw, nodes.title),
    *(addnodes.toctree, addnodes.desc_signature, nodes.term, nodes.system_message),
)


def read(node: nodes.Node) -> str:
    """節の中の文字。中の節、コード、出力は含まない。"""
    if isinstance(node, nodes.Text):
        return str(node)
    if isinstance(node, nodes.math | nodes.math_block):
        return f" {plain(node.astext())} "
    if isinstance(node, (*UNREAD, nodes.section, addnodes.desc)) or is_entry(node):
        return ""
    text = "".join(map(read, node.children))
    return text if isinstance(node, nodes.Inline) else f"{text} "


def is_entry(node: nodes.Node) -> bool:
    """用語集の 1 項目か。"""
    item = isinstance(node, nodes.definition_list_item)
    return item and isinstance(node.parent.parent, addnodes.glossary)


def squeeze(text: str) -> str:
    """空白を 1 つにし、和文の約物の隣の空白 (式の前後に置いたもの) を除く。

    >>> squeeze("傾きは σ(1-σ) 、\\n最大値は （ z=0 ）")
    '傾きは σ(1-σ)、最大値は（z=0）'
    """
    one = re.sub(r"\s+", " ", text).strip()
    return re.sub(r" (?=[、。，．）」』（「『])|(?<=[（「『、。）」』]) ", "", one)


def names(definition: str) -> list[str]:
    """用語の説明の頭にある、読みと英語。

    >>> names("ひーのしょきち / He (Kaiming) initialization。ReLU のための初期値。")
    ['ひーのしょきち', 'He initialization', 'Kaiming']
    """
    head, stop, _ = definition.partition("。")
    written = re.split(r" / |、|, ", head) if stop else []
    plain_names = [squeeze(re.sub(r"\([^)]*\)", "", name)) for name in written]
    return plain_names + re.findall(r"\(([!-~]+)\)", head if stop else "")


def sections(tree: nodes.document) -> Iterator[dict[str, Any]]:
    """頁を、見出し・関数・用語ごとに分ける。"""
    for node in tree.findall(nodes.Element):
        if isinstance(node, nodes.section):
            head, name = node, node.next_node(nodes.title).astext()
        elif isinstance(node, addnodes.desc) and node[0].get("ids"):
            head, name = node[0], node[0]["fullname"]
        elif is_entry(node):
            head, name = node[0], node[0].astext()
        else:
            continue
        text = squeeze("".join(map(read, node.children)))
        if is_entry(node):
            known_as = names(text)
        else:  # from vgbook import he と書く人のために
            known_as = [f"vgbook.{name}"] if isinstance(node, addnodes.desc) else []
        yield {"id": head["ids"][0], "name": squeeze(name), "names": known_as, "text": text}


def linked(tree: nodes.document, docname: str) -> dict[str, list[str]]:
    """頁 → 別名。用語の説明が「→」で結んだ頁は、その用語の読みと英語でも呼ばれる。"""
    known_as: dict[str, list[str]] = {}
    for entry in tree.findall(is_entry):
        text = entry[-1].astext()
        for link in entry.findall(nodes.reference):
            arrow = text.partition("→")[2]
            target = posixpath.join(posixpath.dirname(docname), link.get("refuri", ""))
            if link.astext() in arrow:
                page = posixpath.splitext(target.partition("#")[0])[0]
                known_as.setdefault(page, []).extend([entry[0].astext(), *names(text)])
    return known_as


def symbols(tree: nodes.document) -> list[str]:
    """記号の一覧の、1 列目に並べた記号。その記号だけを打った人は、一覧を探している。"""
    rows = [row for body in tree.findall(nodes.tbody) for row in body]
    cells = [squeeze(read(row[0])) for row in rows]
    return list(
        dict.fromkeys(name for cell in cells for name in re.split(r"[、,] ?", cell) if name)
    )


def folder(app: Sphinx) -> Path:
    return Path(app.doctreedir) / "search"


def is_book(app: Sphinx) -> bool:
    return app.builder.name == "html"


def replace_builtin(app: Sphinx) -> None:
    """Sphinx の索引は作らない。"""
    if is_book(app):
        app.builder.search = False


def remember(app: Sphinx, tree: nodes.document, docname: str) -> None:
    """頁を書くたびに、その頁の文字だけを書き直す。"""
    if is_book(app):
        page = {"sections": list(sections(tree)), "linked": linked(tree, docname)}
        page["symbols"] = symbols(tree) if docname == "notation" else []
        path = folder(app) / f"{docname}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(page, ensure_ascii=False), encoding="utf-8")


def loaded(app: Sphinx, name: str) -> dict[str, Any]:
    """``remember`` が書いた、1 頁の文字。"""
    page: dict[str, Any] = json.loads((folder(app) / f"{name}.json").read_text(encoding="utf-8"))
    return page


def kind(name: str, *, chapter: bool) -> str:
    """頁の種類。説明する頁を、問題や検算の頁より先に見せるために使う。"""
    place = name.partition("/")[0]
    return place if place in PLACES else "chapter" if chapter else "other"


def headings(page: dict[str, Any]) -> list[str]:
    """``questions.toml`` の鍵になる、節の名前。折り返しを防ぐ字は除く。"""
    _, *inner = page["sections"]
    return [WHOLE, *(section["name"].replace("\u2060", "") for section in inner)]


def asked(page: dict[str, Any], questions: dict[str, str]) -> list[dict[str, Any]]:
    """頁の節に、そこが答える問いを添えたもの。"""
    answered = [questions.get(name, "").split("\n") for name in headings(page)]
    asks = [[line for line in map(str.strip, lines) if line] for lines in answered]
    pairs = zip(page["sections"], asks, strict=True)
    return [section | {"asks": lines} if lines else section for section, lines in pairs]


def data(app: Sphinx) -> list[dict[str, Any]]:
    env = app.env
    questions = tomllib.loads(QUESTIONS.read_text(encoding="utf-8"))
    read_in = {name: loaded(app, name) for name in sorted(env.found_docs)}
    pages = []
    for name, page in read_in.items():
        known_as = [n for other in read_in.values() for n in other["linked"].get(name, [])]
        known_as += page["symbols"]
        known_as += filter(None, env.metadata[name].get("keywords", "").split("、"))
        number = env.toc_secnumbers.get(name, {}).get("")
        pages.append(
            {
                "url": app.builder.get_target_uri(name),
                "title": squeeze(env.titles[name].astext()),
                "number": number[0] if number else 0,
                "kind": kind(name, chapter=bool(number)),
                "names": list(dict.fromkeys(known_as)),
                "sections": asked(page, questions.get(name, {})),
            }
        )
    return pages


def words(pages: list[dict[str, Any]]) -> dict[str, Any]:
    """同じ意味の語の組: ``words.toml`` の組と、用語集の項目と、頁や関数の名前。"""
    kept = tomllib.loads(WORDS.read_text(encoding="utf-8"))
    sections = [(page, section) for page in pages for section in page["sections"]]
    groups = [*kept["parts"], *kept["book"]]
    groups += [[s["name"], *s["names"]] for p, s in sections if s["names"] and p["kind"] != "api"]
    groups += [[s["name"]] for p, s in sections if s["names"] and p["kind"] == "api"]
    groups += [[name] for page in pages for name in (page["title"], *page["names"])]
    return {"groups": groups} | {k: v for k, v in kept.items() if k not in ("parts", "book")}


def constant(name: str, value: object) -> str:
    """JSON を入れた、JavaScript の文字列。大きな値は、書き並べるより JSON で渡すほうが速く読める。

    >>> print(constant("NAMES", ["don't", 1]), end="")
    const NAMES = '["don\\'t",1]';
    """
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    quoted = written.replace("\\", "\\\\").replace("'", "\\'")
    return f"const {name} = '{quoted}';\n"


def script(app: Sphinx) -> str:
    pages = data(app)
    return constant("SEARCH_PAGES", pages) + constant("SEARCH_WORDS", words(pages))


def search_page(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """URL に中身の印を付け、前に公開した本の data と新しい script を、混ぜて使わせない。"""
    if is_book(app):
        text = script(app)
        Path(app.outdir, DATA).write_text(text, encoding="utf-8")
        data_url = f"{DATA}?v={zlib.crc32(text.encode()):08x}"
        yield "search", {"data_url": data_url}, "search.html"


def add_scripts(app: Sphinx, pagename: str, *_: object) -> None:
    if pagename == "search":
        for name in SCRIPTS:
            app.add_js_file(name)


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", replace_builtin)
    app.connect("doctree-resolved", remember, priority=900)
    app.connect("html-collect-pages", search_page)
    app.connect("html-page-context", add_scripts)
