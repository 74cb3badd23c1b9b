"""動かせる図のはじめの絵: 軸と、線や棒を、組むときに SVG で描きます。

スクリプトのないページでも紙でも、この絵が見えます。スクリプト (``docs/_ext/vg/figures/figures.js``)
は、つまみが動いたときに ``.series`` を描き直すだけで、軸には触りません。

横の位置は、軸の左端から右端までの割合で書きます。そのため、同じ絵がどの幅の画面にも合い、字は縮みません。
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from vgbook.book.numerals import SUPERSCRIPT

LEFT, TOP, BOTTOM = 46, 26, 42
"""軸の左、上、下の余白 (CSS のピクセル)。"""
SPAN = 1000
"""線と棒を描く、軸の幅。画面の幅に引き伸ばします。"""
PAD = 4
"""軸の上下に、線の太さのために空ける高さ。"""
DENSITIES = {"narrow": 1.9, "medium": 3.8, "wide": 8.6}
"""図の幅ごとの、横軸の目盛りの数。どれを見せるかは、図の幅で CSS が選びます。"""
MARKERS = {
    "o": "M-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0z",
    "s": "M-2.8-2.8h5.6v5.6h-5.6z",
    "^": "M0-3.8L3.5 2.6h-7z",
    "v": "M0 3.8L3.5-2.6h-7z",
    "D": "M0-4L4 0L0 4L-4 0z",
    "X": "M-2.3-3.5L0-1.2L2.3-3.5L3.5-2.3L1.2 0L3.5 2.3L2.3 3.5L0 1.2L-2.3 3.5L-3.5 2.3L-1.2 0L-3.5-2.3z",  # noqa: E501
    "P": "M-1.3-4h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z",
}
"""印の形。"""


def panel(spec: Mapping[str, Any], state: Sequence[int], readout: str) -> str:
    """軸 1 つの、つまみが ``state`` の位置にあるときの絵。

    引き伸ばす絵 (``.plot``: 格子、線、棒) に、伸ばさない絵 (``.names``: 字、印) を重ねます。
    """
    title, height = escape(spec["title"]), spec["height"] - TOP - BOTTOM
    note = escape(chosen(spec["notes"], state)) if "notes" in spec else ""
    about = f"{title}。横軸は{escape(spec['x']['label'])}、縦軸は{escape(spec['y']['label'])}"
    kind = ("", " along", " plane")[min(2, len(spec["drag"]))]
    shapes, marks = zip(*(_series(spec, one, state) for one in spec["series"]), strict=True)
    grid, names = _frame(spec)
    tall = height + 2 * PAD
    return (
        f'<div class="vg-panel" style="flex-basis:min({spec["width"]}px,50% - .25rem)">'
        f'<p class="vg-panel-title">{title}<span class="vg-note">{note}</span></p>'
        f'<div class="vg-canvas{kind}"><svg class="plot" height="{tall}" '
        f'viewBox="0 {-PAD} {SPAN} {tall}" preserveAspectRatio="none" aria-hidden="true">'
        f'{grid}<g class="drawn">{"".join(shapes)}</g></svg>'
        f'<svg class="names" height="{spec["height"]}" role="img" aria-label="{about}" '
        f'aria-describedby="{readout}">{names}<g class="drawn">{"".join(marks)}</g></svg>'
        f"</div></div>"
    )


def chosen(values: Any, state: Iterable[int]) -> Any:
    """つまみの位置 ``state`` にあたる値。長さ 1 の軸は、そのつまみによりません。

    Examples
    --------
    >>> chosen([[[1, 2], [3, 4]]], (5, 1)), chosen([7, 8], (0, 1))
    ([3, 4], [7, 8])
    >>> chosen(["a", "b"], [1])
    'b'
    """
    for i in state:
        if isinstance(values[0], list | str):
            values = values[0 if len(values) == 1 else i]
    return values


def ticks(axis: Mapping[str, Any], most: float) -> list[float]:
    """切りのよい目盛りの値。``most`` は数の目安です。

    Examples
    --------
    >>> ticks({"limits": [0, 1], "log": False}, 5), ticks({"limits": [1e-9, 2], "log": True}, 3)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [1e-08, 0.0001, 1.0])
    """
    if "ticks" in axis:
        return list(axis["ticks"])
    low, high = (math.log10(end) if axis["log"] else end for end in axis["limits"])
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(n for n in (1, 2, 5, 10) if n * power >= rough) * power
    step = max(1, math.ceil(rough)) if axis["log"] else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    steps = [k * step for k in range(first, last + 1)]
    return [10.0**k if axis["log"] else float(f"{k:.6g}") for k in steps]


def tick_name(value: float, log: bool) -> str:
    """目盛りに書く字。

    Examples
    --------
    >>> tick_name(-0.5, False), tick_name(1e-5, True), tick_name(100.0, True)
    ('−0.5', '10⁻⁵', '100')
    """
    if log and not 1e-2 <= value < 1e4:
        return f"10{str(round(math.log10(value))).translate(SUPERSCRIPT)}"
    return f"{value:.6g}".replace("-", "−")


def _share(axis: Mapping[str, Any], value: float | None) -> float:
    """軸の下の端を 0、上の端を 1 とした位置。描けない値は NaN。"""
    if value is None or (axis["log"] and value <= 0):
        return math.nan
    low, high, at = (math.log10(v) if axis["log"] else v for v in (*axis["limits"], value))
    return (at - low) / (high - low)


def _frame(spec: Mapping[str, Any]) -> tuple[str, str]:
    """格子と、軸に書く字。"""
    height, bottom = spec["height"] - TOP - BOTTOM, spec["height"] - BOTTOM
    across, texts = "", ""
    for value in ticks(spec["y"], height / 34):
        y = height * (1 - _share(spec["y"], value))
        if -0.5 <= y <= height + 0.5:
            across += f"M0 {y:.1f}H{SPAN}"
            name = tick_name(value, spec["y"]["log"])
            texts += (
                f'<text class="y tick" data-value="{value:.6g}" x="-6" '
                f'y="{y + TOP + 4:.1f}">{name}</text>'
            )
    grid = f'<path class="grid" d="{across}"/>'
    for kind, values in _by_density(spec["x"]).items():
        places = [(value, _share(spec["x"], value)) for value in values]
        down = "".join(f"M{SPAN * share:.1f} 0V{height}" for _, share in places)
        grid += f'<path class="grid ticks {kind}" d="{down}"/>'
        labels = "".join(
            f'<text class="x tick" data-value="{value:.6g}" x="{100 * share:.2f}%" '
            f'y="{bottom + 16}">{tick_name(value, spec["x"]["log"])}</text>'
            for value, share in places
        )
        texts += f'<g class="ticks {kind}">{labels}</g>'
    return grid, (
        f'{texts}<path class="edge" d="M0 {TOP}V{bottom}"/>'
        f'<line class="edge" x1="0" x2="100%" y1="{bottom}" y2="{bottom}"/>'
        f'<text class="name" x="{2 - LEFT}" y="14">{escape(spec["y"]["label"])}</text>'
        f'<text class="x name" x="50%" y="{spec["height"] - 6}">'
        f"{escape(spec['x']['label'])}</text>"
    )


def _by_density(axis: Mapping[str, Any]) -> dict[str, list[float]]:
    """見せる幅の名前 (いくつかを空白で並べたもの) ごとの、目盛り。"""
    found: dict[tuple[float, ...], list[str]] = {}
    for kind, most in DENSITIES.items():
        found.setdefault(tuple(ticks(axis, most)), []).append(kind)
    return {" ".join(kinds): list(values) for values, kinds in found.items()}


def _series(
    spec: Mapping[str, Any], one: Mapping[str, Any], state: Sequence[int]
) -> tuple[str, str]:
    """線か棒と、その上の印。"""
    height = spec["height"] - TOP - BOTTOM
    xs = [_share(spec["x"], value) for value in chosen(one["x"], state)]

    def down(name: str) -> list[float]:
        return [height * (1 - _share(spec["y"], value)) for value in chosen(one[name], state)]

    group = f'<g class="series" data-label="{escape(one["label"])}">'
    if one["bar"]:
        return f"{group}{_bars(one['color'], xs, down('y'), height)}</g>", f"{group}</g>"
    band = ""
    if "low" in one:
        runs = _runs(zip(xs, down("low"), down("high"), strict=True))
        outline = "".join(
            _through([(x, top) for x, _, top in run] + [(x, low) for x, low, _ in run[::-1]]) + "Z"
            for run in runs
        )
        band = f'<path class="band" fill="{one["color"]}" d="{outline}"/>'
    points = list(zip(xs, down("y"), strict=True))
    path = "".join(_through(run) for run in _runs(points))
    dash = one["dash"]
    line = f'<path class="line" stroke="{one["color"]}" stroke-dasharray="{dash}" d="{path}"/>'
    return f"{group}{band}{line}</g>", f"{group}{_marks(one, points, height)}</g>"


def _bars(color: str, edges: Sequence[float], tops: Sequence[float], height: float) -> str:
    return "".join(
        f'<rect fill="{color}" x="{SPAN * left:.1f}" y="{top:.1f}" '
        f'width="{max(1.0, 0.97 * SPAN * (right - left)):.1f}" '
        f'height="{max(0.0, height - top):.1f}"/>'
        for left, right, top in zip(edges[:-1], edges[1:], tops, strict=True)
    )


def _marks(one: Mapping[str, Any], points: Sequence[tuple[float, float]], height: float) -> str:
    """線の上の印。点の多い線では 12 個ほどに間引く。"""
    if not one["marker"]:
        return ""
    shape = f'<path fill="{one["color"]}" d="{MARKERS[one["marker"]]}"/>'
    return "".join(
        f'<svg class="mark" x="{100 * x:.2f}%" y="{y + TOP:.1f}">{shape}</svg>'
        for x, y in points[:: max(1, math.ceil(len(points) / 12))]
        if -0.001 <= x <= 1.001 and -PAD <= y <= height + PAD
    )


def _runs(points: Iterable[tuple[float, ...]]) -> list[list[tuple[float, ...]]]:
    """値のない点 (発散、軸に描けない 0) で切った列。"""
    found: list[list[tuple[float, ...]]] = [[]]
    for point in points:
        if all(math.isfinite(value) for value in point):
            found[-1].append(point)
        elif found[-1]:
            found.append([])
    return [run for run in found if run]


def _through(points: Sequence[tuple[float, ...]]) -> str:
    return "".join(f"{'L' if i else 'M'}{SPAN * x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
