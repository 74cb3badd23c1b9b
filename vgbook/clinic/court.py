"""疑いから判定へ: 試しの学習で結果を見て、1 つだけ変えた試しで原因を決める。

疑い (仕組み) だけでは病気としません。試しの学習で損失が下がらないことを見てから、疑いを 1 つずつ
取り除いて学習し直し、損失が下がるようになったものを原因とします。NumPy と PyTorch に共通です。
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vgbook.clinic.record import OUT_OF_TIME, STUCK, Finding, Thresholds, Trial, finding
from vgbook.clinic.verdicts import Remedy

STEPS = (20, 300)
WORK = 1.5  # 1 つの試しに使う計算の見積もり (秒)
ENOUGH = 0.5  # 損失が基準のこの割合まで下がれば、試しを終える


class Change(NamedTuple):
    """1 つだけ変えること。"""

    name: str
    apply: Callable[[Any], None]
    remedy: Remedy | None = None
    """この変え方にあたる治し方。"""


def changed(subject: Any, changes: Iterable[Change]) -> Any:
    """``subject`` の写しを、そのとおりに変えたもの。"""
    copy = subject.copy()
    for change in changes:
        change.apply(copy)
    return copy


class Suspect(NamedTuple):
    """疑いと、それを取り除く変え方。どれか 1 つで治れば、疑いが原因になる。"""

    slug: str
    modules: tuple[str, ...]
    evidence: str
    changes: tuple[Change, ...]


@dataclass
class Court:
    """1 回の診断のための、試しの学習の一式。

    ``train(名前, 変えること, 回数, 打ち切り)`` が写しを学習させ、``suspects(そのままの試し)`` が
    疑いを、原因になりやすい順に返します。
    """

    train: Callable[[str, tuple[Change, ...], int, float], Trial]
    suspects: Callable[[Trial], Iterable[Suspect]]
    symptoms: list[Finding]
    limits: Thresholds
    seconds: float
    """1 回の更新にかかる時間の見積もり。"""
    schedule: Change | None = None
    """学習率の予定があるとき、予定の最初の学習率に戻すこと。"""
    done: frozenset[Remedy] = frozenset()
    """ネットワークがもうしていること。その治し方は勧めない。"""
    notes: list[str] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    _failed: set[Remedy] = field(default_factory=set)

    @property
    def steps(self) -> int:
        """1 つの試しの更新の回数。計算の見積もりで決めるので、計算機の速さによらない。"""
        low, high = STEPS
        return int(min(high, max(low, WORK / self.seconds)))

    def trial(self, name: str, *changes: Change) -> Trial:
        """``changes`` を施した写しを学習させる。"""
        trial = self.train(name, changes, self.steps, ENOUGH)
        self.trials.append(trial)
        return trial

    def learned(self, trial: Trial) -> bool:
        """損失が、入力を見ない答えより下がったか。"""
        return not trial.diverged and trial.score < self.limits.learned

    def judge(self) -> Finding | None:
        """病気の根。健康なら None。"""
        base = self.trial("そのまま")
        if self.learned(base) and not base.spiked:
            return None
        root = self._root(base)
        if root is None and any(trial.error == OUT_OF_TIME for trial in self.trials):
            self.notes.append(
                "seconds を使い切ったので、試しの学習を途中でやめました。原因が見つからないのは、"
                "そのためかもしれません。seconds を大きくしてください。"
            )
        return root

    def _root(self, base: Trial) -> Finding | None:
        if self._scheduled(base):
            return None
        for suspect in self.suspects(base):
            for found in self._convict(suspect, base):
                return found
        return None if self.learned(base) else self._by_mechanism(base)

    def _scheduled(self, base: Trial) -> bool:
        if self.schedule is None:
            return False
        other = self.trial(self.schedule.name, self.schedule)
        if not (self._cures(other, base) or other.score < 1.05):
            return False
        self.notes.append("学習率の予定の途中なので、いまの学習率が小さいことは病気としません。")
        self.trials.insert(0, self.trials.pop())  # 結論は、予定どおりの学習率で学んだ試しから言う
        return True

    def _cures(self, trial: Trial, base: Trial) -> bool:
        return self.learned(trial) and trial.score < self.limits.cured * base.score

    def _convict(self, suspect: Suspect, base: Trial) -> Iterator[Finding]:
        tried = {trial.name for trial in self.trials}
        for change in suspect.changes:
            if change.name in tried:  # ほかの疑いで試し、治らなかった
                continue
            trial = self.trial(change.name, change)
            if self._cures(trial, base):
                found = finding(
                    suspect.slug, suspect.modules, suspect.evidence, trials=(base, trial)
                )
                poor = (self._failed - {change.remedy}) | self.done
                found.cures = found.verdict.advice(poor, first=change.remedy)
                yield found
            elif change.remedy:
                self._failed.add(change.remedy)

    def _by_mechanism(self, base: Trial) -> Finding | None:
        """治す試しは見つからないが、学習は進まず、仕組みの症状がはっきりしているとき。"""
        if base.error == OUT_OF_TIME:  # 学習が進むかを、まだ見ていない
            return None
        if not base.diverged and base.score < STUCK:
            return None
        for ill in self.symptoms:
            found = finding(ill.slug, ill.modules, ill.evidence, trials=(base,))
            found.cures = found.verdict.advice(self._failed | self.done)
            return found
        if base.diverged:
            return finding(
                "step-large", ("optimizer",), "試しの学習で損失が跳ね上がった", trials=(base,)
            )
        if any(trial.error == OUT_OF_TIME for trial in self.trials):
            return None
        self.notes.append(
            "試しの学習で損失は下がらず、原因となる異常も見つかりません。"
            "すでに収束しているか、この大きさのネットワークでは学べない課題か、測っていない所に"
            "原因があります。"
        )
        return None
