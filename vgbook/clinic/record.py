"""診断の記録: 層ごとの測定、試しの学習、判定。NumPy と PyTorch に共通。"""

from dataclasses import dataclass, field
from math import isfinite, nan
from typing import NamedTuple

from vgbook._edge import check_positive
from vgbook.clinic.verdicts import VERDICTS, Verdict

OUT_OF_TIME = "時間 (seconds) を使い切った"
STUCK = 0.97  # 損失が基準のこの割合より下がらなければ、動いていないとみなす
SPIKE = 50.0  # 最初の損失の何倍を超えれば、跳ね上がったとするか


class Thresholds(NamedTuple):
    """判定の閾値。どれも「疑い」の閾値で、学習できるネットワークは疑いがあっても病気としない。"""

    gradient: float = 1e-2
    """入力側の δ が、出力側の何倍を下回れば「消失」を疑うか。逆数を上回れば「爆発」。"""
    distinct: float = 1e-2
    """標本による違いが h の大きさの何倍を下回れば「埋没」を疑うか。"""
    slope: float = 0.01
    """φ′ が最大値の何倍を下回れば、その値を「飽和」と数えるか。"""
    share: float = 0.5
    """飽和した値や死んだユニットが、どれだけの割合を超えれば疑うか。"""
    learned: float = 0.9
    """損失が基準の何倍を下回れば「学んだ」とするか。基準は、最初の損失と、入力を見ない答えの損失の
    小さいほう。"""
    cured: float = 0.8
    """1 つだけ変えた試しの損失が、変えない試しの何倍を下回れば「治った」とするか。"""


def check_thresholds(thresholds: Thresholds | None) -> Thresholds:
    """``None`` なら既定の閾値。そうでなければ、正の閾値の組であることを確かめる。"""
    limits = Thresholds() if thresholds is None else thresholds
    if not isinstance(limits, Thresholds):
        raise TypeError(
            "thresholds には Thresholds (Thresholds(gradient=1e-3) など) を渡してください。"
            f"受け取った値: {thresholds!r}"
        )
    check_positive("thresholds", limits, many=True)
    return limits


@dataclass
class LayerRecord:
    """1 つの層の測定。測れなかった値は NaN。"""

    name: str
    """モジュールの名前。"""
    kind: str
    """`Linear` のような種類。"""
    width: int = 1
    h: float = nan
    """出力 (活性化関数の後) の RMS。"""
    distinct: float = nan
    """標本による違い。ユニットごとの標準偏差の RMS です。"""
    delta: float = nan
    """層の出力での勾配 δ の RMS。"""
    delta_norm: float = nan
    """標本ごとの δ のノルムの平均。幅によらず比べられる。"""
    W: float = nan
    dW: float = nan
    update: float = nan
    """実際の更新の RMS ÷ 重みの RMS。"""
    saturated: float = 0.0
    """有界な活性化関数の、φ′ がほぼ 0 の値の割合。"""
    dead: float = 0.0
    """死んだユニットの割合。死んだユニットは、ReLU の仲間で、信号 z が届いているのに、どの標本でも
    出力も φ′ も 0 のもの。z がどの標本でも 0 なら、信号は前の層で消えているので「埋没」とする。"""
    overflow: str = ""
    """有限でなかったもの。空なら、どれも有限。"""
    times: tuple[float, ...] = ()
    """時刻ごとの δ のノルム (再帰層だけ)。"""
    time_distinct: float = nan
    """再帰層の最後の時刻の、標本による違い。"""
    trainable: bool = True
    post_norm: bool = False
    """残差の和を正規化した値を、次の残差の和に渡しているか。"""


@dataclass
class Trial:
    """1 つの試しの学習。"""

    name: str
    """変えたこと。何も変えなければ「そのまま」。"""
    losses: list[float]
    reference: float
    """これを下回れば学んだと言える損失。"""
    error: str = ""
    """途中で止まったときの理由。"""

    @property
    def diverged(self) -> bool:
        """有限でなくなったか、跳ね上がったまま終わったか。"""
        return not self.losses or not isfinite(self.end) or self.end > 3 * self.top

    @property
    def top(self) -> float:
        """最初の損失と基準の大きいほう。"""
        first = self.losses[0] if self.losses and isfinite(self.losses[0]) else self.reference
        return max(abs(first), abs(self.reference), 1e-12)

    @property
    def end(self) -> float:
        """最後の 1 割 (5 回以上) の平均。"""
        tail = self.losses[-max(5, len(self.losses) // 10) :]
        return sum(tail) / len(tail) if tail else nan

    @property
    def spiked(self) -> bool:
        """途中で損失が跳ね上がったか。"""
        return any(value > SPIKE * self.top for value in self.losses)

    @property
    def score(self) -> float:
        """基準を 1 としたときの、最後の損失。負の値をとる損失でも、下がれば 1 より小さい。"""
        if self.diverged:
            return float("inf")
        scale = max(abs(self.reference), 1e-12)
        return 1 + (self.end - self.reference) / scale


@dataclass
class Finding:
    """1 つの判定。"""

    verdict: Verdict
    modules: tuple[str, ...]
    """病気のある場所。"""
    evidence: str
    """測った値と、使った規則。"""
    severity: str = "病気"
    """「病気」「症状」(試しの学習をしていない) のどちらか。"""
    consequences: list["Finding"] = field(default_factory=list)
    """この原因から起きた、ほかの異常。"""
    trials: tuple[Trial, ...] = ()
    """証拠になった試しの学習。"""
    cures: tuple[str, ...] = ()
    """治し方。先に試すものから並べる。"""

    def __post_init__(self) -> None:
        self.cures = self.cures or self.verdict.advice()

    @property
    def name(self) -> str:
        """日本語の名前。"""
        return self.verdict.japanese

    @property
    def slug(self) -> str:
        """英語の名前。"""
        return self.verdict.slug


def finding(slug: str, modules: tuple[str, ...], evidence: str, **other: object) -> Finding:
    """英語の名前から判定を作る。

    Examples
    --------
    >>> finding("vanishing", ("fc1",), "δ が 10 層で 1000 分の 1").name
    '消失'
    """
    return Finding(VERDICTS[slug], modules, evidence, **other)  # type: ignore[arg-type]
