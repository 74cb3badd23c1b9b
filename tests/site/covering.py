"""どの頁を開くか: 本にある要素のどの種類も、選んだ頁のどれかにあるように。"""

from collections.abc import Collection, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lxml import html

LOADING = 1000  # 頁を開いて調べ始めるまでの時間は、要素 1000 個を調べる時間とほぼ同じ


def elements(page: Path) -> list[Any]:
    """頁の要素。式と絵の中は、どれも同じ道具が作るので、見ない。"""
    body = html.parse(page).find("body")
    for drawn in [*body.find_class("katex"), *body.iter("svg")]:
        del drawn[:]
    return [element for element in body.iter() if isinstance(element.tag, str)]


def kinds(element: Any) -> Iterator[Hashable]:
    """要素の名前と、役割と属性の名前の組。要素の名前と、class の 1 つ。

    >>> sorted(kinds(html.fromstring('<a class="next page" href="b.html">次</a>')), key=len)
    [('a', 'next'), ('a', 'page'), ('a', None, ('class', 'href'))]
    """
    yield element.tag, element.get("role"), tuple(sorted(set(element.attrib) - {"id"}))
    for name in element.get("class", "").split():
        yield element.tag, name


def cover(found: Mapping[str, Collection[Hashable]], cost: Mapping[str, float]) -> list[str]:
    """どの種類も 1 度は現れる、軽い頁の組。新しい種類が、重さのわりに多い頁から選ぶ。

    >>> cover({"a": "xy", "b": "yz", "c": "xyz"}, {"a": 1, "b": 1, "c": 9})
    ['a', 'b']
    """
    left = {kind for kinds in found.values() for kind in kinds}
    chosen = []
    while left:
        best = max(found, key=lambda name: len(left.intersection(found[name])) / cost[name])
        left.difference_update(found[best])
        chosen.append(best)
    return sorted(chosen)


def covering(folder: Path, names: list[str]) -> list[str]:
    """``folder`` の頁 ``names`` のうち、どの種類の要素もある、軽い頁の組。"""
    inside = {name: elements(folder / name) for name in names}
    found = {n: {kind for one in boxes for kind in kinds(one)} for n, boxes in inside.items()}
    return cover(found, {name: LOADING + len(boxes) for name, boxes in inside.items()})
