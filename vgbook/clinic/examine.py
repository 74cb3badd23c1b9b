"""PyTorch のモデルの診断。"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from torch import nn

from vgbook.clinic.certain import certainties
from vgbook.clinic.court import Court
from vgbook.clinic.measure import measure
from vgbook.clinic.record import Thresholds
from vgbook.clinic.report import Diagnosis
from vgbook.clinic.subject import Subject, untouched
from vgbook.clinic.symptoms import symptoms


def diagnose_torch(
    model: nn.Module,
    x: Any,
    y: Any = None,
    *,
    loss: Callable[[Any, Any], torch.Tensor] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    step: Callable[[Any, Any], torch.Tensor] | None = None,
    trial: bool = True,
    seconds: float = 60.0,
    thresholds: Thresholds | None = None,
) -> Diagnosis:
    limits = Thresholds() if thresholds is None else thresholds
    subject = Subject(model, x, y, loss, step, optimizer)
    with untouched(model):
        torch.manual_seed(0)
        measured = measure(subject.copy(), limits)
        certain = certainties(subject, measured)
        found = symptoms(measured.layers, limits)
        report = Diagnosis(measured.layers, [])
        if optimizer is None or not trial or not measured.connected or any(
            f.slug == "non-finite" for f in certain
        ):
            report.findings = certain or found
            if certain:
                certain[0].consequences = found
            return report
        court = Court(subject, measured, found, limits, perf_counter() + seconds)
        root = court.judge()
        report.findings = [*certain, *([root] if root else [])]
        report.trials, report.notes = court.trials, court.notes
        return report
