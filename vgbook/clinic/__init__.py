"""診療所: 自分のネットワークを調べ、どこが悪いかを診断し、初期値を合わせる。"""

from vgbook.clinic.diagnosis import Diagnosis, diagnose
from vgbook.clinic.gradcheck import Check, check_gradients, numerical_gradient
from vgbook.clinic.lsuv import lsuv
from vgbook.clinic.pytorch import from_state_dict

__all__ = [
    "Check",
    "Diagnosis",
    "check_gradients",
    "diagnose",
    "from_state_dict",
    "lsuv",
    "numerical_gradient",
]
