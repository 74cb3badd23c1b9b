"""重みの初期値。

初期値を「行列 × 標準偏差」と書きます。行列は、標準偏差 1 の乱数です (直交行列なら QᵀQ = 1)。
違いは行列の引き方と標準偏差の決め方なので、1 つの値 `Initializer` に、引き方 `draw` と標準偏差の式
`std` を並べて持たせます。
ネットワークの集団 (アンサンブル) の軸は、ここで重みに付きます。
`gain` に配列を渡すか `copies` を指定すると、重みの先頭に軸が増えます。
"""

from vgbook.initializers.initializer import Initializer, stack
from vgbook.initializers.named import (
    constant,
    glorot,
    glorot_uniform,
    he,
    lecun,
    normal,
    orthogonal,
    xavier,
)

__all__ = [  # noqa: RUF022  # 読む順
    "Initializer",
    "constant",
    "normal",
    "xavier",
    "lecun",
    "glorot",
    "glorot_uniform",
    "he",
    "orthogonal",
    "stack",
]
