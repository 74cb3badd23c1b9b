"""勾配クリップ: 更新の前に、勾配のノルムを上限まで縮める。"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array
from vgbook.layers.walk import every
from vgbook.network import Network
from vgbook.training.update import UpdateRule, check_optimizer, pairs


class Clip(UpdateRule):
    r"""勾配のノルムを切り詰めてから、別の最適化手法で更新する。

    .. math:: g \leftarrow g \cdot \min\!\left(1, \frac{\theta}{\lVert g \rVert}\right)

    ノルムは、ネットワークごとに、すべての重みの勾配を 1 本に並べて測ります。爆発を防ぎますが、
    消失には効きません。出典: Pascanu et al. (2013), Algorithm 1。

    Parameters
    ----------
    optimizer : SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam or AdamW
        切り詰めた後に使う最適化手法。
    max_norm : float
        ノルムの上限 θ (正)。

    Raises
    ------
    TypeError
        ``optimizer`` が最適化手法でないとき。
    ValueError
        ``max_norm`` が正でないとき。

    Examples
    --------
    >>> from vgbook.layers.affine import Affine
    >>> from vgbook.training.optimizers import SGD
    >>> network = Network([Affine(np.zeros((2, 1)))])
    >>> network[0].grads = {"W": np.array([[30.0], [40.0]]), "b": np.zeros((1, 1))}
    >>> Clip(SGD(lr=1.0), max_norm=5.0).step(network)
    >>> network[0].params["W"].ravel()
    array([-3., -4.])
    """

    def __init__(self, optimizer: Any, max_norm: float) -> None:
        check_optimizer(optimizer)
        self.optimizer, self.max_norm = optimizer, max_norm

    @property
    def lr(self) -> Any:
        """切り詰めた後に使う学習率。"""
        return getattr(self.optimizer, "lr", 1.0)

    @lr.setter
    def lr(self, lr: ArrayLike) -> None:
        if not hasattr(self.optimizer, "lr"):
            raise TypeError(
                "中の optimizer に lr がないので、学習率を変えられません。"
                f"受け取った optimizer: {self.optimizer!r}"
            )
        self.optimizer.lr = lr

    @np.errstate(under="ignore")
    def step(self, network: Network) -> None:
        """勾配を切り詰めて、重みを 1 回更新する。"""
        with np.errstate(over="ignore", invalid="ignore"):
            scale, relative = _norm([grad for _, grad in pairs(network)], len(network.ensemble))
            small = scale * relative <= self.max_norm
            factor = self.max_norm / np.where(relative == 0, 1, relative)

            def shorten(g: Array) -> Array:
                cut = g / _beside(scale, g) * _beside(factor, g)
                return np.where(_beside(small, g), g, cut)

            _replace(network, shorten)
        self.optimizer.step(network)

    def bind(self, network: Network) -> None:
        """切り詰めた後に使う最適化手法の記録を、同じ形の ``network`` に引き継ぐ。"""
        super().bind(network)
        if hasattr(self.optimizer, "bind"):
            self.optimizer.bind(network)


def _replace(network: Network, shorten: Callable[[Array], Array]) -> None:
    """勾配を新しい配列に入れ替える。切り詰める前の勾配を残している人の記録を変えないように。

    中に層をもつ層も、中の層も、同じ勾配を並べている。どちらも同じ配列に入れ替える。
    """
    shorter: dict[int, tuple[Array, Array]] = {}  # 元の配列も残す。捨てると id が使い回される
    for grads in [layer.grads for layer in every(network)]:
        for name, g in grads.items():
            if id(g) not in shorter:
                shorter[id(g)] = g, shorten(g)
            grads[name] = shorter[id(g)][1]
    new = {id(cut) for _, cut in shorter.values()}
    if any(id(grad) not in new for _, grad in pairs(network)):
        raise RuntimeError(
            "grads を呼ぶたびに作り直す層の勾配は、切り詰められません。grads を、backward が埋める"
            f"辞書の属性にしてください。受け取った network: {network!r}"
        )


def _norm(grads: list[Array], members: int) -> tuple[Array, Array]:
    """勾配を 1 本に並べたノルム (...) を、絶対値の最大と、それに対する比に分けて返す。

    最大で割ってから 2 乗する。大きな勾配の 2 乗があふれて、更新が 0 にならないように。
    """
    axes = [tuple(range(members, np.ndim(grad))) for grad in grads]
    top = np.maximum.reduce([np.abs(g).max(axis=a) for g, a in zip(grads, axes, strict=True)])
    scale = np.where(top == 0, 1, top)
    squares = [
        np.square(g / _beside(scale, g)).sum(axis=a) for g, a in zip(grads, axes, strict=True)
    ]
    return scale, np.sqrt(sum(squares))


def _beside(members: Array, grad: Array) -> Array:
    """集団の要素ごとの値 (...) を、勾配と掛けられる形 (..., 1, 1) にする。"""
    return np.expand_dims(members, tuple(range(np.ndim(members) - np.ndim(grad), 0)))
