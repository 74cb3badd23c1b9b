"""診療所: 自分のネットワークを調べ、どこが悪いかを診断し、初期値を合わせる。"""

from vgbook.clinic.diagnosis import diagnose, watch
from vgbook.clinic.gradcheck import Check, check_gradients
from vgbook.clinic.lsuv import lsuv
from vgbook.clinic.numerical import numerical_gradient
from vgbook.clinic.pytorch import from_state_dict
from vgbook.clinic.record import Finding, LayerRecord, Thresholds, Trial
from vgbook.clinic.report import Diagnosis

__all__ = [
    "Check",
    "Diagnosis",
    "Finding",
    "LayerRecord",
    "Thresholds",
    "Trial",
    "check_gradients",
    "diagnose",
    "from_state_dict",
    "lsuv",
    "numerical_gradient",
    "watch",
]
