"""学習: 損失、更新式、ミニバッチの繰り返し。"""

from vgbook.training.loop import History, accuracy, fit
from vgbook.training.losses import mean_squared_error, softmax_cross_entropy
from vgbook.training.optimizers import SGD, AdaGrad, Adam, Clip, Momentum, RMSProp

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "Clip",
    "History",
    "Momentum",
    "RMSProp",
    "accuracy",
    "fit",
    "mean_squared_error",
    "softmax_cross_entropy",
]
