"""診断書の図: 層ごとの測定と、証拠になった試しの損失。"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from vgbook.clinic.report import Diagnosis


def draw(report: Diagnosis) -> Any:
    """h と標本間の差、δ、更新の比を層の順に、試しの損失を更新の順に描く。"""
    from vgbook.book import plotting

    plotting.style()
    trials = next((f.trials for f in report.findings if f.trials), tuple(report.trials[:1]))
    shown = [trial for trial in trials if sum(map(isfinite, trial.losses)) > 1]
    fig, axes = plotting.figure(3 + bool(shown), 1, height=2.2 * (3 + bool(shown)))
    plotting.diagnosis_panels(axes[:3], report)
    names = [layer.name for layer in report.layers]
    axes[2].set_xticks(range(1, len(names) + 1), names, rotation=45, ha="right")
    axes[2].set_xlabel("層 (左が入力側)")
    for i, trial in enumerate(shown):
        color, marker, dash = plotting.SERIES[i]
        losses = np.array(trial.losses)
        axes[3].plot(losses, color=color, ls=dash, marker=marker, markevery=20, label=trial.name)
    if shown:
        axes[3].set(xlabel="更新の回数", ylabel="損失", yscale="log")
        axes[3].legend()
    return fig
