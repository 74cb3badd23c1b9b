"""ブラウザーの試験が共に使う、頁の読み方と調べ方。"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
from contrast import faint

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {
        "target-size": {"enabled": True},  # WCAG 2.5.8。名前で求めないと調べない
        "color-contrast": {"enabled": False},  # contrast.py が、同じことを速く調べる
        "empty-table-header": {
            "enabled": False
        },  # MathML を字と数えない。空の見出しは test_prose が断る
    },
    "resultTypes": ["violations"],
}
READ_TO_THE_END = """async () => {
    const frame = () => new Promise(requestAnimationFrame);
    for (let top = 0; top < document.body.scrollHeight; top += innerHeight) {
      scrollTo({ top, behavior: "instant" }); // furo の滑らかな動きでは、着く前に次へ行く
      await frame();
    }
    await frame();
}"""

# 節の幅は見ない: 読み上げ用の見えない MathML が、外へ出ている
OVERFLOW = """() => {
    const most = (selector) => Math.max(0, ...Array.from(document.querySelectorAll(selector),
      (box) => box.scrollWidth - box.clientWidth));
    return most("html, body, .page, .main, .content");
}"""

SMALL = """() => [...document.querySelectorAll("a, button, input, summary")].filter((box) => {
    const { width, height, right, left } = box.getBoundingClientRect();
    const line = getComputedStyle(box).display === "inline"; // 文の中のリンクは、行の高さ
    const label = box.matches("input") && box.closest("label"); // 札の全体が押せる
    return box.checkVisibility() && height && !line && !label && right > 0 && left < innerWidth
      && (width < 24 || height < 24);
}).map((box) => box.outerHTML.slice(0, 80))"""


@contextmanager
def opened(chromium: "Browser", width: int) -> "Iterator[tuple[Page, list[str]]]":
    """新しい窓と、そこで起きた困りごと (エラー、見つからないファイル、よその通信) の記録。"""
    context = chromium.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda m: m.type in ("error", "warning") and troubles.append(m.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    # 次の頁へ移ったので要らなくなったもの (ABORTED) は、困りごとではない
    page.on("requestfailed", lambda r: "ABORTED" in r.failure or troubles.append(f"失敗 {r.url}"))
    page.on("request", lambda r: urlsplit(r.url).hostname != "127.0.0.1" and troubles.append(r.url))
    # 字は CSS の中にある。ほかに取りに行くなら、重さの試験が数えていない通信である
    page.on("request", lambda r: r.url.endswith(".woff2") and troubles.append(r.url))
    page.on("response", lambda r: r.status >= 400 and troubles.append(f"{r.status} {r.url}"))
    yield page, troubles
    context.close()


# axe の時間は、要素の数でほぼ決まる。式の見た目 (.katex-html) は、読み上げないので調べない。
# 同じ大きさの空の箱にする。コードの色を付ける span も、色のほかに調べることがないので、字に戻す
FEWER_ELEMENTS = """() => {
    const formulas = [...document.querySelectorAll(".katex-html")];
    const sizes = formulas.map((box) => [box.getBoundingClientRect(), box.scrollWidth]);
    formulas.forEach((box, i) => {
      const [{ width, height }, inside] = sizes[i];
      const line = getComputedStyle(box).display === "inline";
      box.replaceChildren();
      if (line) box.style.display = "inline-block";
      Object.assign(box.style, { width: `${Math.max(width, inside)}px`, height: `${height}px` });
    });
    for (const word of document.querySelectorAll("pre span:not([id], :has(*))"))
      word.replaceWith(word.textContent);
}"""


def violations(page: "Page") -> list[str]:
    """いまの見え方で、薄い字と、axe が見つけた誤り。頁を変えるので、最後に調べる。"""
    from axe_playwright_python.base import AXE_SCRIPT

    thin = faint(page)
    page.evaluate(FEWER_ELEMENTS)
    page.evaluate(AXE_SCRIPT)
    run = "(options) => axe.run({ exclude: ['.katex-html'] }, options)"
    found = page.evaluate(run, AXE)["violations"]
    return thin[:3] + [f"{v['id']}: {n['html'][:150]}" for v in found for n in v["nodes"][:3]]


def same_shapes(built: str, redrawn: str) -> bool:
    """数のほかは 1 字も違わず、数は書く桁の丸めの中で等しい。"""
    number = r"-?\d+(?:\.\d+)?"
    built, redrawn = (re.sub(r"></(path|rect|circle|line)>", "/>", t) for t in (built, redrawn))
    left, right = (np.array(re.findall(number, text), float) for text in (built, redrawn))
    same = re.sub(number, "#", built) == re.sub(number, "#", redrawn)
    return same and bool(left.size) and bool(np.allclose(left, right, rtol=0, atol=0.11))
