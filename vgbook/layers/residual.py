"""残差ブロック: 入力に枝の出力を足す。

逆伝播では、勾配が枝を通る分と、何も掛からずに素通りする分の和になります。素通りする分は、ブロックを
いくつ重ねても残ります。
"""

from collections.abc import Sequence

import numpy as np

from vgbook._edge import Array, check_positive, signal
from vgbook.layers.affine import Layer
from vgbook.layers.walk import check_layers


class Residual:
    r"""残差ブロック。

    .. math:: y = x + \alpha F(x), \qquad
              \frac{\partial L}{\partial x} = \delta + \alpha
              \left(\frac{\partial F}{\partial x}\right)^{\!\top} \delta

    出典: He et al. (2016), Identity mappings in deep residual networks, 式 1 と式 5。

    Parameters
    ----------
    branch : sequence of Layer
        枝 F の層。入力と出力の形は同じにします。
    scale : float
        枝に掛ける数 α (正)。

    Raises
    ------
    TypeError
        ``branch`` が層の列でないとき。
    ValueError
        ``branch`` が空のとき、同じ層が 2 度現れるとき、``scale`` が正でないとき。順伝播で枝の出力の
        形が入力と違うとき。

    Examples
    --------
    >>> from vgbook.layers.affine import Affine
    >>> block = Residual([Affine(np.zeros((2, 2)))])
    >>> block.forward(np.array([[1.0, 2.0]]))
    array([[1., 2.]])
    >>> block.backward(np.array([[3.0, 4.0]]))
    array([[3., 4.]])
    """

    def __init__(self, branch: Sequence[Layer], scale: float = 1.0) -> None:
        self.branch = check_layers("branch", branch)
        if not self.branch:
            raise ValueError("branch には 1 つ以上の層を渡してください。受け取った値: []")
        check_positive("scale", scale)
        self.scale = float(scale)

    def __repr__(self) -> str:
        return f"Residual({self.branch}{f', scale={self.scale:g}' if self.scale != 1 else ''})"

    @property
    def params(self) -> dict[str, Array]:
        """枝の層の重み。名前は ``"0.W"`` のように枝の中の番号を付ける。"""
        return self._collect("params")

    @property
    def grads(self) -> dict[str, Array]:
        """枝の層の勾配。"""
        return self._collect("grads")

    def _collect(self, kind: str) -> dict[str, Array]:
        return {
            f"{i}.{name}": array
            for i, layer in enumerate(self.branch)
            for name, array in getattr(layer, kind).items()
        }

    @np.errstate(under="ignore")
    def forward(self, x: Array) -> Array:
        """y = x + αF(x)。"""
        h = x = signal("x", x)
        for layer in self.branch:
            h = layer.forward(h)
        if h.shape[-2:] != x.shape[-2:]:  # 足し算は、幅 1 の出力を黙って広げてしまう
            raise ValueError(
                "branch の入力と出力は、標本数と特徴数が同じでなければなりません。"
                f"受け取った形: 入力 {x.shape}、出力 {h.shape}"
            )
        return x + self.scale * h

    @np.errstate(under="ignore")
    def backward(self, dy: Array) -> Array:
        """素通りする勾配と、枝を通る勾配の和。"""
        dy = signal("dy", dy)
        d = self.scale * dy
        for layer in reversed(self.branch):
            d = layer.backward(d)
        return dy + d
