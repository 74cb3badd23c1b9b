"""動かせる図の箱: 題、つまみ、読み取りの文、凡例の HTML。

つまみも組むときに書くので、スクリプトが動き始めても、頁の中の場所は変わりません。
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from vgbook.book.drawing import MARKERS

ESCAPED = r"\u003c"
"""JSON の文字列の中の「<」。そのまま書くと、スクリプトの要素がそこで終わることがあります。"""


def figure(
    name: str, title: str, kind: str, controls: str, readout: Sequence[str], body: str, data: str
) -> str:
    """図の箱。``readout`` ははじめの文と、いちばん長い文、``data`` はスクリプトへ渡す JSON。

    Examples
    --------
    >>> box = figure("touch", "題", "vg-figure", "", ["短い", "とても長い"], "<svg></svg>", "{}")
    >>> 'data-longest="とても長い"' in box, 'role="status"' in box
    (True, True)
    """
    said, longest = (escape(text) for text in readout)
    return (
        f'<div class="{kind}" id="{escape(name)}" role="group" aria-label="{escape(title)}">'
        f'<p class="vg-title" aria-hidden="true">{escape(title)}</p>'
        f'<div class="vg-controls">{controls}</div>'
        f'<p class="vg-readout" data-longest="{longest}">'
        f'<span role="status" id="{escape(name)}-readout">{said}</span></p>{body}'
        f'<script type="application/json">{data.replace("<", ESCAPED)}</script></div>'
    )


def slider(control: Mapping[str, Any], name: str) -> str:
    """横に動かすつまみ。

    Examples
    --------
    >>> 'max="1"' in slider({"name": "幅", "options": ["1", "2"], "start": 0}, "touch")
    True
    """
    options, start = control["options"], control["start"]
    now = escape(options[start])
    return (
        f'<div class="vg-slider"><label for="{name}">{escape(control["name"])}</label>'
        f'<span class="vg-value" aria-hidden="true">{now}</span><input id="{name}" type="range" '
        f'min="0" max="{len(options) - 1}" step="1" value="{start}" aria-valuetext="{now}"></div>'
    )


def choice(control: Mapping[str, Any], name: str) -> str:
    """選択肢の列。

    Examples
    --------
    >>> choice({"name": "幅", "options": ["1", "2"], "start": 1}, "touch").count(" checked")
    1
    """
    labels = "".join(
        f'<label for="{name}-{i}"><input type="radio" name="{name}" id="{name}-{i}" value="{i}"'
        f"{' checked' if i == control['start'] else ''}>{escape(option)}</label>"
        for i, option in enumerate(control["options"])
    )
    return (
        f'<fieldset class="vg-choice"><legend>{escape(control["name"])}</legend>{labels}</fieldset>'
    )


def legend(panels: Sequence[Mapping[str, Any]]) -> str:
    """線の名前。2 本より少なければ空。

    Examples
    --------
    >>> legend([{"series": [{"label": "h"}]}])
    ''
    """
    named = {one["label"]: one for panel in reversed(panels) for one in reversed(panel["series"])}
    if len(named) < 2:
        return ""
    items = []
    for label, one in reversed(named.items()):
        color = one["color"]
        line = f'<path class="line" stroke="{color}" stroke-dasharray="{one["dash"]}" d="M0 6H32"/>'
        shape = MARKERS.get(one["marker"], "")
        mark = f'<path fill="{color}" d="{shape}" transform="translate(16 6)"/>'
        bar = f'<rect fill="{color}" x="8" width="16" height="12"/>'
        items.append(
            f'<li><svg viewBox="0 0 32 12" width="32" height="12" aria-hidden="true">'
            f"{bar if one['bar'] else line + mark}</svg>{escape(label)}</li>"
        )
    return f'<ul class="vg-legend" aria-label="凡例">{"".join(items)}</ul>'
