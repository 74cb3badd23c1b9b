"""診断書: 判定、層ごとの表、証拠。NumPy と PyTorch に共通。"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from vgbook._edge import Array
from vgbook.clinic import text
from vgbook.clinic.record import STUCK, Finding, LayerRecord, Trial
from vgbook.clinic.verdicts import VERDICTS

FORMAT = 1


@dataclass
class Diagnosis:
    """`diagnose` の結果。

    ``print`` すると文字の診断書に、ノートブックでは HTML になります。

    Attributes
    ----------
    layers : list of LayerRecord
        層ごとの測定。``[0]`` が入力側です。
    findings : list of Finding
        判定。先頭が根で、その結果として起きた異常は ``findings[0].consequences`` にあります。
    trials : list of Trial
        試しの学習。
    notes : list of str
        病気ではないが、知っておくとよいこと。測れなかった理由もここに入ります。
    """

    layers: list[LayerRecord]
    findings: list[Finding]
    trials: list[Trial] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """良好か。異常が見つからず、試しの学習をしたなら、損失が下がったことも見ている。"""
        return not (self.findings or self.unknown)

    @property
    def unknown(self) -> bool:
        """不明か。異常は見つからないが、測れた層がないか、試しの学習の損失が下がらなかった。

        Examples
        --------
        >>> stuck = Trial("そのまま", [1.0, 1.0], reference=1.0)
        >>> report = Diagnosis([], [], trials=[stuck])
        >>> report.unknown, report.healthy
        (True, False)
        """
        if self.findings:
            return False
        if not self.trials:
            return not self.layers
        return self.trials[0].score >= STUCK

    @property
    def summary(self) -> str:
        """1 行の結論。"""
        return text.summary(self)

    def _column(self, name: str) -> Array:
        return np.array([getattr(layer, name) for layer in self.layers], float)

    @property
    def h(self) -> Array:
        """出力の RMS, shape (L,)。"""
        return self._column("h")

    @property
    def distinct(self) -> Array:
        """標本による違い, shape (L,)。"""
        return self._column("distinct")

    @property
    def delta(self) -> Array:
        """δ の RMS, shape (L,)。"""
        return self._column("delta")

    @property
    def dW(self) -> Array:
        """重みの勾配の RMS, shape (L,)。"""
        return self._column("dW")

    @property
    def update(self) -> Array:
        """更新と重みの比, shape (L,)。"""
        return self._column("update")

    @property
    def saturated(self) -> Array:
        """飽和した値の割合, shape (L,)。"""
        return self._column("saturated")

    @property
    def dead(self) -> Array:
        """死んだユニットの割合, shape (L,)。信号が届いているのに、どの標本でも 0 を出すもの。"""
        return self._column("dead")

    def marks(self, layer: LayerRecord) -> list[str]:
        """その層に付いた判定の名前。根も結果も含む。"""
        names = [f.name for f in self.everything() if layer.name in f.modules]
        return list(dict.fromkeys(names))

    def everything(self) -> Iterator[Finding]:
        """根と結果をすべて、根から順に。"""
        for found in self.findings:
            yield found
            yield from found.consequences

    def __str__(self) -> str:
        return text.printable(text.page(self))

    def _repr_html_(self) -> str:
        from vgbook.clinic.html import page

        return page(self)

    def figure(self) -> Any:
        """層ごとの測定と、証拠になった試しの損失の図 (matplotlib の Figure)。"""
        from vgbook.clinic.figure import draw

        return draw(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON にできる辞書。有限でない値は None。"""
        return {
            "format": FORMAT,
            "healthy": self.healthy,
            "summary": self.summary,
            "findings": [_finding(f) for f in self.findings],
            "notes": list(self.notes),
            "layers": [_plain(layer) for layer in self.layers],
            "trials": [_plain(trial) for trial in self.trials],
        }

    def save(self, path: str | Path) -> None:
        """JSON のファイルに書く。``python -m vgbook.clinic`` が読みます。"""
        check_folder(path)
        content = json.dumps(self.to_dict(), ensure_ascii=False, indent=1, allow_nan=False)
        Path(path).write_text(content + "\n", encoding="utf-8")

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Diagnosis":
        """`to_dict` の逆。

        Raises
        ------
        ValueError
            診断書の形をしていないとき。
        """
        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            raise ValueError(
                f"診断書 (format {FORMAT}) ではありません。report.save(path) で書いたファイルを"
                "渡してください。"
            )
        try:
            report = cls(
                [_build(LayerRecord, layer) for layer in content["layers"]],
                [_build_finding(f) for f in content["findings"]],
                [_build(Trial, trial) for trial in content["trials"]],
                list(content["notes"]),
            )
            text.page(report)  # 数のはずのところに文字があれば、ここで分かる
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(
                f"診断書の中身が欠けているか、形が違います ({error!r})。"
                "report.save(path) で書いたファイルを、書き換えずに渡してください。"
            ) from error
        return report

    def to_frame(self) -> Any:
        """層ごとの表を pandas の DataFrame にする。pandas が要ります。"""
        from pandas import DataFrame

        rows = [_plain(layer) | {"verdicts": "、".join(self.marks(layer))} for layer in self.layers]
        return DataFrame(rows).set_index("name")


def check_folder(path: str | Path) -> None:
    """ファイルを書く場所のフォルダーがあることを確かめる。

    Raises
    ------
    TypeError
        ``path`` がファイルの名前でないとき。
    FileNotFoundError
        フォルダーがないとき。
    """
    if not isinstance(path, str | PathLike):
        raise TypeError(f"ファイルの名前 (str か Path) を渡してください。受け取った値: {path!r}")
    if not Path(path).parent.is_dir() or Path(path).is_dir():
        raise FileNotFoundError(
            "ファイルを書く場所がありません。あるフォルダーの中の、ファイルの名前を渡してください。"
            f"受け取った場所: {path}"
        )


def _clean(value: Any) -> Any:
    if isinstance(value, float) and not isfinite(value):
        return None
    return [_clean(v) for v in value] if isinstance(value, list | tuple) else value


def _plain(record: Any) -> dict[str, Any]:
    return {f.name: _clean(getattr(record, f.name)) for f in fields(record)}


def _finding(f: Finding) -> dict[str, Any]:
    return {
        "name": f.name,
        "slug": f.slug,
        "severity": f.severity,
        "modules": list(f.modules),
        "evidence": f.evidence,
        "meaning": f.verdict.meaning,
        "cures": list(f.cures),
        "section": f.verdict.section,
        "consequences": [_finding(c) for c in f.consequences],
        "trials": [_plain(trial) for trial in f.trials],
    }


def _build(kind: Any, content: Mapping[str, Any]) -> Any:
    nan = float("nan")
    values = {}
    for f in fields(kind):
        value = content[f.name]
        if value is None:
            value = nan
        elif isinstance(value, list):
            value = [nan if v is None else v for v in value]
            value = tuple(value) if f.name == "times" else value
        values[f.name] = value
    return kind(**values)


def _build_finding(content: Mapping[str, Any]) -> Finding:
    return Finding(
        VERDICTS[content["slug"]],
        tuple(content["modules"]),
        content["evidence"],
        content["severity"],
        [_build_finding(c) for c in content["consequences"]],
        tuple(_build(Trial, trial) for trial in content["trials"]),
        tuple(content["cures"]),
    )
