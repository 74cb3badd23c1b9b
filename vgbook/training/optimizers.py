"""最適化手法: 勾配から重みを更新する。

どれも ``step(network)`` で、直前の `Network.backward` が残した勾配を使って重みを書き換えます。
更新式の規約は PyTorch に合わせました。``lr`` に集団の形の配列を渡すと、ネットワークごとに違う
学習率になります。``optimizer.lr = 0.01`` のように途中で変える引数も、作るときと同じに確かめます。
慣性や二乗平均の記録をもつ手法は、1 つのネットワークにつき 1 つ作ります。
ファイルから読み戻した最適化手法は、次に `step` に渡した同じ形のネットワークで続きから学びます。
ネットワークのほうを写しに替えて続けるなら、``bind(network)`` で記録を引き継ぎます。
"""

import numpy as np
from numpy.typing import ArrayLike

from vgbook.network import Network
from vgbook.training.update import Record, UpdateRule, pairs, rate, root


class SGD(UpdateRule):
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
        self.lr = lr

    @np.errstate(under="ignore")
    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        for param, grad in pairs(network):
            param -= rate(self.lr, param) * grad


class Momentum(UpdateRule):
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

    def __init__(self, lr: ArrayLike, *, momentum: float = 0.9) -> None:
        self.lr = lr
        self.momentum = momentum
        self.v = Record()

    @np.errstate(under="ignore")
    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        for (param, grad), v in zip(pairs(network), self.v.of(network), strict=True):
            v *= self.momentum
            v += grad
            param -= rate(self.lr, param) * v


class Nesterov(Momentum):
    r"""先回りして勾配を見る、慣性項つきの勾配降下法 (ネステロフの加速)。

    .. math:: v \leftarrow \mu v + g, \qquad W \leftarrow W - \eta\,(g + \mu v)

    出典: Nesterov (1983)。式は Sutskever et al. (2013), 式 3 と式 4。勾配を、慣性で進んだ先の点
    :math:`W - \eta\mu v` で測る元の形を、その点そのものを重みとして書き直した式です。PyTorch の
    ``SGD(nesterov=True)`` と同じ更新です。

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
    >>> Nesterov(lr=0.1).momentum
    0.9
    """

    @np.errstate(under="ignore")
    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        for (param, grad), v in zip(pairs(network), self.v.of(network), strict=True):
            v *= self.momentum
            v += grad
            param -= rate(self.lr, param) * (grad + self.momentum * v)


class AdaGrad(UpdateRule):
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

    def __init__(self, lr: ArrayLike, *, eps: float = 1e-10) -> None:
        self.lr = lr
        self.eps = eps
        self.s = Record()

    @np.errstate(under="ignore")
    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        for (param, grad), s in zip(pairs(network), self.s.of(network), strict=True):
            s += np.square(grad)
            param -= rate(self.lr, param) * grad / (root(s) + self.eps)


class RMSProp(UpdateRule):
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

    def __init__(self, lr: ArrayLike, *, alpha: float = 0.99, eps: float = 1e-8) -> None:
        self.lr = lr
        self.alpha, self.eps = alpha, eps
        self.s = Record()

    @np.errstate(under="ignore")
    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        for (param, grad), s in zip(pairs(network), self.s.of(network), strict=True):
            s *= self.alpha
            s += (1 - self.alpha) * np.square(grad)
            param -= rate(self.lr, param) * grad / (root(s) + self.eps)


class Adam(UpdateRule):
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

    t = 0
    """更新の回数。"""

    def __init__(
        self,
        lr: ArrayLike = 0.001,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.lr = lr
        self.betas, self.eps = betas, eps
        self.m = Record()
        self.s = Record()

    @np.errstate(under="ignore")
    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        beta1, beta2 = self.betas
        m_all, s_all = self.m.of(network), self.s.of(network)
        self.t += 1  # 断られた更新は数えない
        for (param, grad), m, s in zip(pairs(network), m_all, s_all, strict=True):
            m *= beta1
            m += (1 - beta1) * grad
            s *= beta2
            s += (1 - beta2) * np.square(grad)
            m_hat, s_hat = m / (1 - beta1**self.t), s / (1 - beta2**self.t)
            param -= rate(self.lr, param) * m_hat / (root(s_hat) + self.eps)


class AdamW(Adam):
    r"""AdamW: 重みの減衰を、勾配に混ぜずに別に掛ける Adam。

    .. math:: m \leftarrow \beta_1 m + (1-\beta_1) g, \quad
              s \leftarrow \beta_2 s + (1-\beta_2) g^2, \quad
              W \leftarrow (1-\eta\lambda) W - \eta\,
              \frac{m/(1-\beta_1^t)}{\sqrt{s/(1-\beta_2^t)}+\varepsilon}

    減衰 :math:`\lambda W` を勾配に足すと、Adam は √s で割ってしまい、減衰の強さが重みごとに
    変わります。別に掛ければ、どの重みも同じ割合で減ります。PyTorch の ``AdamW`` と同じく、
    バイアスや γ、β も減衰させます。出典: Loshchilov and Hutter (2019), Algorithm 2。

    Parameters
    ----------
    lr : float or ndarray, shape (...)
        学習率 η (正)。
    betas : tuple of float
        平均と二乗平均の減衰率 (β₁, β₂)。どちらも 0 以上 1 未満。
    eps : float
        0 で割らないための正の数。
    weight_decay : float
        減衰の係数 λ (0 以上)。

    Raises
    ------
    ValueError
        引数が範囲の外にあるとき。

    Examples
    --------
    >>> AdamW(lr=0.001).weight_decay
    0.01
    """

    def __init__(
        self,
        lr: ArrayLike = 0.001,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(lr, betas=betas, eps=eps)
        self.weight_decay = weight_decay

    @np.errstate(under="ignore")
    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        self.m.of(network)  # 別のネットワークなら、重みを減らす前に断る
        for param, _ in pairs(network):
            param *= 1 - rate(self.lr, param) * self.weight_decay
        super().step(network)
