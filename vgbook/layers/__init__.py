"""層: 順伝播と逆伝播の対。アフィン変換と活性化、正規化、残差ブロック、再帰。"""

from vgbook.layers.affine import Activate, Affine, Layer
from vgbook.layers.normalization import BatchNorm, LayerNorm
from vgbook.layers.recurrent import LastStep, Recurrent
from vgbook.layers.residual import Residual

__all__ = [
    "Activate",
    "Affine",
    "BatchNorm",
    "LastStep",
    "Layer",
    "LayerNorm",
    "Recurrent",
    "Residual",
]
