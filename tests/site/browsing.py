"""ブラウザーの試験が共に使う、頁の読み方と調べ方。"""

import re
from typing import TYPE_CHECKING

import numpy as np
from contrast import faint

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {
        "target-size": {"enabled": True},  # WCAG 2.5.8。名前で求めないと調べない
        "color-contrast": {"enabled": False},  # contrast.py が、同じことを速く調べる
        "empty-table-header": {
            "enabled": False
        },  # MathML を字と数えない。空の見出しは vg.page.markup が除く
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
