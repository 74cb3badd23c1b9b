"""最適化手法: 勾配から重みを更新する。

どれも ``step(network)`` で、直前の `Network.backward` が残した勾配を使って重みを書き換えます。
更新式の規約は PyTorch に合わせました。``lr`` に集団の形の配列を渡すと、ネットワークごとに違う
学習率になります。慣性や二乗平均の記録をもつ手法は、1 つのネットワークにつき 1 つ作ります。
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, check_fraction, check_positive
from vgbook.network import Network


def _rate(lr: ArrayLike, param: Array) -> Any:
    """学習率を重みと掛けられる形 (..., 1, 1) にする。数ならそのまま。型は重みに合わせる。"""
    return lr if isinstance(lr, float) else np.asarray(lr, param.dtype)[..., None, None]


def _learning_rate(lr: ArrayLike) -> Any:
    check_positive("lr", lr, many=True)
    return np.asarray(lr, float) if np.ndim(lr) else float(lr)  # type: ignore[arg-type]


class _State:
    """過去の勾配の記録。重みと同じ形の 0 から始まり、1 つのネットワークだけに属する。"""

    def __init__(self) -> None:
        self.network: Network | None = None
        self.arrays: list[Array] = []

    def of(self, network: Network) -> list[Array]:
        if self.network is None:
            self.arrays = [np.zeros_like(param) for param, _ in network.pairs()]
            self.network = network
        if self.network is not network:
            raise ValueError(
                "最適化手法は、1 つのネットワークにつき 1 つ作ってください。この最適化手法は、"
                "別のネットワークの学習で貯めた勾配の記録をもっています。"
            )
        return self.arrays


def check_optimizer(optimizer: object) -> None:
    """``optimizer`` が最適化手法のオブジェクトであることを確かめる。クラスそのものは断る。"""
    if isinstance(optimizer, type) or not callable(getattr(optimizer, "step", None)):
        raise TypeError(
            "optimizer には最適化手法 (SGD(lr=0.01) など) を渡してください。"
            f"受け取った値: {optimizer!r}"
        )


class SGD:
    r"""確率的勾配降下法。

    .. math:: W \leftarrow W - \eta\, g

    Parameters
    ----------
    lr : float or ndarray, shape (...)
        学習率 η (正)。

    Raises
    ------
    ValueError
        ``lr`` が正の有限な実数でないとき。

    Examples
    --------
    >>> from vgbook.layers.affine import Affine
    >>> network = Network([Affine(np.ones((1, 1)))])
    >>> network.forward(np.array([[2.0]])), network.backward(np.array([[1.0]]))
    (array([[2.]]), array([[1.]]))
    >>> SGD(lr=0.1).step(network)
    >>> network[0].params["W"]
    array([[0.8]])
    """

    def __init__(self, lr: ArrayLike) -> None:
        self.lr = _learning_rate(lr)

    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        for param, grad in network.pairs():
            param -= _rate(self.lr, param) * grad


class Momentum:
    r"""慣性項つきの勾配降下法。

    .. math:: v \leftarrow \mu v + g, \qquad W \leftarrow W - \eta\, v

    『ゼロから作る』の :math:`v \leftarrow \mu v - \eta g` とは、学習率が一定なら同じ更新です。

    Parameters
    ----------
    lr : float or ndarray, shape (...)
        学習率 η (正)。
    momentum : float
        慣性の係数 μ (0 以上 1 未満)。

    Raises
    ------
    ValueError
        ``lr`` が正でないとき、``momentum`` が範囲の外にあるとき。

    Examples
    --------
    >>> Momentum(lr=0.1).momentum
    0.9
    """

    def __init__(self, lr: ArrayLike, momentum: float = 0.9) -> None:
        self.lr = _learning_rate(lr)
        check_fraction("momentum", momentum)
        self.momentum = momentum
        self.v = _State()

    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        for (param, grad), v in zip(network.pairs(), self.v.of(network), strict=True):
            v *= self.momentum
            v += grad
            param -= _rate(self.lr, param) * v


class AdaGrad:
    r"""AdaGrad。

    .. math:: s \leftarrow s + g^2, \qquad W \leftarrow W - \eta\,\frac{g}{\sqrt s+\varepsilon}

    出典: Duchi et al. (2011)。

    Parameters
    ----------
    lr : float or ndarray, shape (...)
        学習率 η (正)。
    eps : float
        0 で割らないための正の数。

    Raises
    ------
    ValueError
        ``lr`` か ``eps`` が正でないとき。

    Examples
    --------
    >>> AdaGrad(lr=0.1).eps
    1e-10
    """

    def __init__(self, lr: ArrayLike, eps: float = 1e-10) -> None:
        self.lr = _learning_rate(lr)
        check_positive("eps", eps)
        self.eps = eps
        self.s = _State()

    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        for (param, grad), s in zip(network.pairs(), self.s.of(network), strict=True):
            s += np.square(grad)
            param -= _rate(self.lr, param) * grad / (np.sqrt(s) + self.eps)


class RMSProp:
    r"""RMSProp。

    .. math:: s \leftarrow \alpha s + (1-\alpha) g^2, \qquad
              W \leftarrow W - \eta\,\frac{g}{\sqrt s+\varepsilon}

    出典: Tieleman and Hinton (2012), 講義 6.5。

    Parameters
    ----------
    lr : float or ndarray, shape (...)
        学習率 η (正)。
    alpha : float
        過去を残す割合 α (0 以上 1 未満)。
    eps : float
        0 で割らないための正の数。

    Raises
    ------
    ValueError
        引数が範囲の外にあるとき。

    Examples
    --------
    >>> RMSProp(lr=0.01).alpha
    0.99
    """

    def __init__(self, lr: ArrayLike, alpha: float = 0.99, eps: float = 1e-8) -> None:
        self.lr = _learning_rate(lr)
        check_fraction("alpha", alpha)
        check_positive("eps", eps)
        self.alpha, self.eps = alpha, eps
        self.s = _State()

    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        for (param, grad), s in zip(network.pairs(), self.s.of(network), strict=True):
            s *= self.alpha
            s += (1 - self.alpha) * np.square(grad)
            param -= _rate(self.lr, param) * grad / (np.sqrt(s) + self.eps)


class Adam:
    r"""Adam。

    .. math:: m \leftarrow \beta_1 m + (1-\beta_1) g, \quad
              s \leftarrow \beta_2 s + (1-\beta_2) g^2, \quad
              W \leftarrow W - \eta\,
              \frac{m/(1-\beta_1^t)}{\sqrt{s/(1-\beta_2^t)}+\varepsilon}

    出典: Kingma and Ba (2015), Algorithm 1。

    Parameters
    ----------
    lr : float or ndarray, shape (...)
        学習率 η (正)。
    betas : tuple of float
        平均と二乗平均の減衰率 (β₁, β₂)。どちらも 0 以上 1 未満。
    eps : float
        0 で割らないための正の数。

    Raises
    ------
    ValueError
        引数が範囲の外にあるとき。

    Examples
    --------
    >>> Adam(lr=0.001).betas
    (0.9, 0.999)
    """

    def __init__(
        self,
        lr: ArrayLike = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.lr = _learning_rate(lr)
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise ValueError(f"betas には 2 つの実数の組を渡してください。受け取った値: {betas!r}")
        for beta in betas:
            check_fraction("betas の各要素", beta)
        check_positive("eps", eps)
        self.betas, self.eps, self.t = betas, eps, 0
        self.m = _State()
        self.s = _State()

    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        self.t += 1
        beta1, beta2 = self.betas
        m_all, s_all = self.m.of(network), self.s.of(network)
        for (param, grad), m, s in zip(network.pairs(), m_all, s_all, strict=True):
            m *= beta1
            m += (1 - beta1) * grad
            s *= beta2
            s += (1 - beta2) * np.square(grad)
            m_hat, s_hat = m / (1 - beta1**self.t), s / (1 - beta2**self.t)
            param -= _rate(self.lr, param) * m_hat / (np.sqrt(s_hat) + self.eps)


class Clip:
    r"""勾配のノルムを切り詰めてから、別の最適化手法で更新する。

    .. math:: g \leftarrow g \cdot \min\!\left(1, \frac{\theta}{\lVert g \rVert}\right)

    ノルムは、ネットワークごとに、すべての重みの勾配を 1 本に並べて測ります。爆発を防ぎますが、
    消失には効きません。出典: Pascanu et al. (2013), Algorithm 1。

    Parameters
    ----------
    optimizer : SGD, Momentum, AdaGrad, RMSProp or Adam
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
    >>> network = Network([Affine(np.zeros((2, 1)))])
    >>> network[0].grads = {"W": np.array([[30.0], [40.0]]), "b": np.zeros((1, 1))}
    >>> Clip(SGD(lr=1.0), max_norm=5.0).step(network)
    >>> network[0].params["W"].ravel()
    array([-3., -4.])
    """

    def __init__(self, optimizer: Any, max_norm: float) -> None:
        check_optimizer(optimizer)
        check_positive("max_norm", max_norm)
        self.optimizer, self.max_norm = optimizer, max_norm

    @property
    def lr(self) -> Any:
        """切り詰めた後に使う学習率。"""
        return getattr(self.optimizer, "lr", 1.0)

    def step(self, network: Network) -> None:
        """勾配を切り詰めて、重みを 1 回更新する。"""
        squares = [np.square(g).sum(axis=(-2, -1), keepdims=True) for _, g in network.pairs()]
        norm = np.sqrt(sum(squares))
        # θ/max(θ, ‖g‖) と書くと、‖g‖ = 0 でも割り算が安全になる
        factor = self.max_norm / np.maximum(norm, self.max_norm)
        for _, grad in network.pairs():
            grad *= factor
        self.optimizer.step(network)
