"""動かせる図: つまみの組み合わせごとに計算しておいた値を、ページの中で選んで見る図にします。

値も読み取りの文も、ここへ渡す前に Python で計算しておきます。はじめの絵は組むときに描きます
(`vgbook.book.drawing`)。ページのスクリプト (``docs/_ext/vg/figures/figures.js``) は、つまみの位置に
あたる値を選んで描き直します。つまみ、軸、線は `vgbook.book.panels` にあり、ここからも使えます。
"""

import json
from collections.abc import Sequence

from numpy.typing import ArrayLike

from vgbook._edge import check_count
from vgbook.book import controls as parts
from vgbook.book.drawing import panel as draw_panel
from vgbook.book.panels import (
    Control,
    Drag,
    Panel,
    Series,
    bars,
    line,
    measured,
    smooth,
    theory,
)
from vgbook.book.specs import panel_spec, texts

__all__ = [
    "Control",
    "Drag",
    "Interactive",
    "Panel",
    "Series",
    "bars",
    "line",
    "measured",
    "smooth",
    "theory",
]


class Interactive:
    """動かせる図。セルの最後に置くと、ページの中で動きます。

    Parameters
    ----------
    name : str
        ページの中で 1 つしかない、英字の名前。
    title : str
        何を動かす図か。見出しにも、読み上げにも使います。
    controls : sequence of Control
        つまみ。
    panels : sequence of Panel
        軸。
    readout : array_like of str, shape (つまみ 1, つまみ 2, ...)
        つまみの組み合わせごとの、読み取りの文。

    Raises
    ------
    ValueError
        つまみの選択肢や始まりの位置が正しくないとき。配列の形がつまみに合わないとき。

    Examples
    --------
    >>> panel = Panel("2 倍", [1, 2], [line("y", [[1, 2], [2, 4]])], "x", "y")
    >>> Interactive("touch", "傾き", [Control("傾き", ["1", "2"])], [panel], ["1 倍", "2 倍"])
    <動かせる図: 傾き>
    """

    def __init__(
        self,
        name: str,
        title: str,
        controls: Sequence[Control],
        panels: Sequence[Panel],
        readout: ArrayLike,
    ) -> None:
        for control in controls:
            size = check_count(f"「{control.name}」の選択肢の数", len(control.options), least=2)
            if check_count(f"「{control.name}」の始まり", control.start, least=0) >= size:
                raise ValueError(
                    f"「{control.name}」の始まりには {size} 未満の整数を渡してください。"
                    f"受け取った値: {control.start}"
                )
        self.name, self.title, self.controls, self.panels = name, title, controls, panels
        self.states = tuple(len(control.options) for control in controls)
        self.readout = texts("readout", readout, self.states)
        self.spec = {
            "controls": [vars(control) for control in controls],
            "panels": [panel_spec(panel, self.states) for panel in panels],
            "readout": self.readout.tolist(),
        }

    def __repr__(self) -> str:
        return f"<動かせる図: {self.title}>"

    def _repr_html_(self) -> str:
        data = json.dumps(self.spec, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        state, specs = [control.start for control in self.controls], self.spec["panels"]
        controls = "".join(
            (parts.slider if control.slider else parts.choice)(
                vars(control), f"{self.name}-control-{i}"
            )
            for i, control in enumerate(self.controls)
        )
        drawn = "".join(draw_panel(spec, state, f"{self.name}-readout") for spec in specs)
        return parts.figure(
            self.name,
            self.title,
            "vg-figure",
            controls,
            [self.readout[tuple(state)], max(self.readout.flat, key=len)],
            f'{parts.legend(specs)}<div class="vg-panels">{drawn}</div>',
            data,
        )
