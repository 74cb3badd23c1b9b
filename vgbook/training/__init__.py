"""学習: 損失、更新式、ミニバッチの繰り返し。"""

from vgbook.training.clipping import Clip
from vgbook.training.loop import History, accuracy, fit
from vgbook.training.losses import mean_squared_error, sigmoid_cross_entropy, softmax_cross_entropy
from vgbook.training.optimizers import (
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    Momentum,
    Nesterov,
    RMSProp,
)

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Clip",
    "History",
    "Momentum",
    "Nesterov",
    "RMSProp",
    "accuracy",
    "fit",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
]
