"""ブラウザーの試験が共に使う、頁の読み方と調べ方。"""

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {
        "target-size": {"enabled": True},  # WCAG 2.5.8。名前で求めないと調べない
        "empty-table-header": {
            "enabled": False
        },  # MathML を字と数えない。空の見出しは vg.page.markup が除く
    },
    "resultTypes": ["violations"],
}
READ_TO_THE_END = """async () => {
    const frame = () => new Promise(requestAnimationFrame);
    for (let top = 0; top < document.body.scrollHeight; top += 500) {
      scrollTo({ top, behavior: "instant" }); // furo の滑らかな動きでは、着く前に次へ行く
      await frame();
    }
    await frame();
}"""


def violations(page: "Page") -> list[str]:
    """いまの見え方で axe が見つけた誤り。式の見た目 (.katex-html) は、読み上げないので調べない。"""
    from axe_playwright_python.base import AXE_SCRIPT

    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    run = "(options) => axe.run({ exclude: ['.katex-html'] }, options)"
    found = page.evaluate(run, AXE)["violations"]
    return [f"{v['id']}: {n['html'][:150]}" for v in found for n in v["nodes"][:3]]


def same_shapes(built: str, redrawn: str) -> bool:
    """数のほかは 1 字も違わず、数は書く桁の丸めの中で等しい。"""
    number = r"-?\d+(?:\.\d+)?"
    built, redrawn = (re.sub(r"></(path|rect|circle|line)>", "/>", t) for t in (built, redrawn))
    left, right = (np.array(re.findall(number, text), float) for text in (built, redrawn))
    same = re.sub(number, "#", built) == re.sub(number, "#", redrawn)
    return same and bool(left.size) and bool(np.allclose(left, right, rtol=0, atol=0.11))
