"""PyTorch のモデルの診断。"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import process_time
from typing import Any

import torch
from torch import nn

from vgbook.clinic.court import Change, Court, changed
from vgbook.clinic.record import Finding, Thresholds, Trial
from vgbook.clinic.report import Diagnosis
from vgbook.clinic.rules import SAME_ANSWERS
from vgbook.clinic.symptoms import symptoms
from vgbook.clinic.text import places
from vgbook.clinic.torch.certain import certainties
from vgbook.clinic.torch.checks import check_arguments, check_model
from vgbook.clinic.torch.courses import initial_rate, run, same_answers
from vgbook.clinic.torch.functions import already
from vgbook.clinic.torch.measure import Measurement, measure
from vgbook.clinic.torch.subject import Subject, untouched
from vgbook.clinic.torch.suspects import suspects
from vgbook.clinic.verdicts import Remedy

# これらが見つかれば、ほかの原因を試しても確かめられない
DECISIVE = (
    "softmax-twice", "loss-shape", "no-gradient", "underflow", "zero-init", "symmetry",
)  # fmt: skip


def diagnose_torch(
    model: nn.Module,
    x: Any,
    y: Any,
    *,
    loss: Callable[[Any, Any], torch.Tensor] | None,
    optimizer: torch.optim.Optimizer | None,
    step: Callable[[Any, Any], torch.Tensor] | None,
    trial: bool,
    seconds: float,
    limits: Thresholds,
) -> Diagnosis:
    """測り、確かな病気を挙げ、最適化手法があれば試しに学習させる。"""
    check_model(model)
    check_arguments(model, x, loss, optimizer, step)
    subject = Subject(model, x, y, loss, step, optimizer)
    # 損失の形の警告などは、試しの学習のたびに出る。判定として報告するので、ここでは出さない
    with untouched(subject), _explained(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.manual_seed(0)
        measured = measure(subject.copy(), limits)
        certain = certainties(subject, measured)
        found = symptoms(measured.layers, limits)
        report = Diagnosis(measured.layers, [], notes=_notes(subject, measured))
        done = already(subject.model, measured.recorder.functions, measured.recorder.sums.residual)
        for each in (*certain, *found):
            each.cures = each.verdict.advice(done)
        slugs = {f.slug for f in certain}
        if optimizer is None or not trial or not measured.connected or "non-finite" in slugs:
            return _with(report, certain or found, found)
        court = _court(subject, measured, found, limits, done, process_time() + seconds)
        if slugs & set(DECISIVE):
            court.trial("そのまま")
            root = None
        else:
            root = court.judge()
        report.trials = court.trials
        report.notes += court.notes
        return _with(report, [*certain, *([root] if root else [])], found)


def _with(report: Diagnosis, findings: list[Finding], found: list[Finding]) -> Diagnosis:
    """根の下に、その結果として起きた症状を畳む。病気と決めなければ、症状は注にする。"""
    report.findings = findings
    if findings and findings != found:
        root = findings[0]
        root.consequences = [f for f in found if f.slug != root.slug]
    elif not findings:
        fell = "損失が下がるので病気としません"
        why = "治る試しがなく、原因と決められません" if report.unknown else fell
        report.notes += [f"{f.name}の症状 ({f.evidence}) がありますが、{why}。" for f in found]
    return report


def _court(
    subject: Subject,
    measured: Measurement,
    found: list[Finding],
    limits: Thresholds,
    done: frozenset[Remedy],
    deadline: float,
) -> Court:
    def train(name: str, changes: tuple[Change, ...], steps: int, enough: float) -> Trial:
        return run(changed(subject, changes), name, steps, enough, deadline)

    assert subject.optimizer is not None
    groups = subject.optimizer.param_groups
    # 3 倍でないのは、既定で 1/3 から始まる LinearLR の判定を、丸めで変えないため
    scheduled = any(group.get("initial_lr", 0) > 3.1 * group["lr"] for group in groups)
    return Court(
        train,
        lambda base: suspects(subject, measured, found, base),
        found,
        limits,
        measured.seconds,
        Change("予定の最初の学習率", initial_rate) if scheduled else None,
        done | {Remedy.UNCLIP},  # 試しの学習は、ループの中の切り詰めを含まない
    )


@contextmanager
def _explained() -> Iterator[None]:
    """モデルや損失の中で起きたエラーに、渡し方のどこを見るかを添える。"""
    try:
        yield
    except Exception as error:
        if "more than 1 value per channel" not in str(error):
            error.add_note(
                "順伝播、損失、逆伝播のどれかで起きました。model(x) と loss(出力, y) が"
                "そのままで動くか、x と y がテンソルで、型と形がモデルに合うかを確かめてください。"
                "loss も step も、損失を返すだけの関数にします。backward と更新は、診断が行います。"
            )
            raise
        raise ValueError(
            "学習モードのバッチ正規化に、標本が 1 個しか渡されていません。"
            "2 個以上 (できれば 16 個以上) のミニバッチを渡すか、model.eval() にしてください。"
        ) from error


def _notes(subject: Subject, measured: Measurement) -> list[str]:
    notes = []
    if subject.optimizer is None:
        notes.append("optimizer がないので、試しの学習をせず、症状だけを挙げました。")
    elif same_answers(subject.y):
        notes.append(SAME_ANSWERS)
    frozen = [name for name, p in subject.model.named_parameters() if not p.requires_grad]
    outside = [
        name
        for name, watched in measured.watched.items()
        if measured.grads.get(watched.parameter) is not None
        and not any(layer is watched.record for layer in measured.layers)
    ]
    if outside:
        notes.append(
            "次のものの行列は、そのモジュールの順伝播の外で使われているので、"
            f"層として測っていません: {places(tuple(outside))}。"
        )
    if frozen and measured.connected:
        notes.append(f"requires_grad=False で固定したパラメーターが {len(frozen)} 個あります。")
    return notes
