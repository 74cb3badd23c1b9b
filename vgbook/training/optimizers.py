"""最適化手法: 勾配から重みを更新する。

どれも ``step(network)`` で、直前の `Network.backward` が残した勾配を使って重みを書き換えます。
更新式の規約は PyTorch に合わせました。``lr`` に集団の形の配列を渡すと、ネットワークごとに違う
学習率になります。``optimizer.lr = 0.01`` のように途中で変える引数も、作るときと同じに確かめます。
慣性や二乗平均の記録をもつ手法は、1 つのネットワークにつき 1 つ作ります。
ファイルから読み戻した最適化手法は、次に `step` に渡した同じ形のネットワークで続きから学びます。
ネットワークのほうを写しに替えて続けるなら、``bind(network)`` で記録を引き継ぎます。
"""

import inspect
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, Shape, check_fraction, check_number, check_positive
from vgbook.layers.affine import Layer
from vgbook.network import Network, check_layered


def _rate(lr: ArrayLike, param: Array) -> Any:
    """学習率を重みと掛けられる形 (..., 1, 1) にする。数ならそのまま。型は重みに合わせる。"""
    if isinstance(lr, float):
        return lr
    rate = np.asarray(lr, param.dtype)[..., None, None]
    try:
        fits = np.broadcast_shapes(rate.shape, param.shape) == param.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"optimizer の lr の形は、集団の軸 {param.shape[:-2]} にそろえてください。"
            f"受け取った形: {np.shape(lr)}"
        )
    return rate


def _checked(name: str, value: Any) -> Any:
    """名前で決まる範囲にあることを確かめた、最適化手法の引数。"""
    match name:
        case "lr":
            check_positive(name, value, many=True)
            return np.array(value, float) if np.ndim(value) else float(value)
        case "momentum" | "alpha":
            check_fraction(name, value)
        case "eps" | "max_norm":
            check_positive(name, value)
        case "weight_decay":
            return check_number(name, value, least=0)
        case "betas":
            if not isinstance(value, tuple | list) or len(value) != 2:
                raise ValueError(
                    f"betas には 2 つの実数の組を渡してください。受け取った値: {value!r}"
                )
            for beta in value:
                check_fraction("betas の各要素", beta)
    return value


def _pairs(network: object) -> Iterator[tuple[Array, Array]]:
    """学習する配列とその勾配の組。学習のたびに呼ぶので、ネットワークであることだけを確かめる。"""
    if not isinstance(network, Network) or not network.layers:
        raise TypeError(f"network には層をもつ Network を渡してください。受け取った値: {network!r}")
    return network.pairs()


class _Optimizer:
    """最適化手法に共通のこと。引数は、作るときも、学習の途中で変えるときも確かめる。"""

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, _checked(name, value))

    def __repr__(self) -> str:
        names = inspect.signature(type(self)).parameters
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({settings})"

    def bind(self, network: Network) -> None:
        """続きを ``network`` で学ぶ。勾配の記録をもたない手法では、確かめるだけです。"""
        check_layered(network)


class _Record:
    """過去の勾配の記録。重みと同じ形の 0 から始まり、1 つのネットワークだけに属する。"""

    def __init__(self) -> None:
        self.network: Network | None = None
        self.layers: list[Layer] = []
        self.arrays: list[Array] = []

    def of(self, network: Network) -> list[Array]:
        params = [param for param, _ in _pairs(network)]
        if not self.arrays:
            self.arrays = [np.zeros_like(param) for param in params]
        if self.network not in (None, network):
            raise ValueError(
                "最適化手法は、1 つのネットワークにつき 1 つ作ってください。この最適化手法は、"
                "別のネットワークの学習で貯めた勾配の記録をもっています。続きを同じ形の別の"
                "ネットワーク (読み戻したものや写し) で学ばせるなら、先に bind(network) を"
                f"呼んでください。受け取った値: {network!r}"
            )
        if self.network is None:
            self.bind(network)
        self._check_layers(network)
        return self.arrays

    def _check_layers(self, network: Network) -> None:
        """記録を貯めてから、層を足したり並べ替えたりしていないこと。"""
        layers = list(network.leaves())
        same = len(layers) == len(self.layers) and all(map(operator.is_, layers, self.layers))
        if not same or _shapes(network) != [array.shape for array in self.arrays]:
            raise ValueError(
                "勾配の記録を貯めた後で、network の層か重みの形が変わっています。記録は新しい重みの"
                "ものではないので、最適化手法を新しく作ってください。"
                f"受け取った値: {network!r}"
            )

    def bind(self, network: Network) -> None:
        """これからは ``network`` の記録とする。"""
        check_layered(network)
        shapes = _shapes(network)
        kept = [array.shape for array in self.arrays]
        if kept and kept != shapes:
            raise ValueError(
                "network の重みの形は、勾配の記録の形と同じでなければなりません。"
                f"記録の形: {kept}、受け取った形: {shapes}"
            )
        self.network, self.layers = network, list(network.leaves())

    def __getstate__(self) -> dict[str, Any]:
        # ネットワークは保存しない。読み戻した記録は、次に渡されたネットワークのものになる
        return {"network": None, "layers": [], "arrays": self.arrays}


def _beside(members: Array, grad: Array) -> Array:
    """集団の要素ごとの値 (...) を、勾配と掛けられる形 (..., 1, 1) にする。"""
    return np.expand_dims(members, tuple(range(np.ndim(members) - np.ndim(grad), 0)))


def _shapes(network: Network) -> list[Shape]:
    return [param.shape for layer in network for param in layer.params.values()]


def _root(s: Array) -> Array:
    """√s。二乗があふれた要素は NaN にする。0 の更新で止まったまま、学習して見えないように。"""
    root: Array = np.sqrt(s)[...]  # 0 次元でも、書き換えられる配列のまま
    root[np.isinf(root)] = np.nan
    return root


def check_optimizer(optimizer: object) -> None:
    """``optimizer`` が最適化手法のオブジェクトであることを確かめる。クラスそのものは断る。"""
    if isinstance(optimizer, type) or not callable(getattr(optimizer, "step", None)):
        raise TypeError(
            "optimizer には最適化手法 (SGD(lr=0.01) など) を渡してください。"
            f"受け取った値: {optimizer!r}"
        )
    if type(optimizer).__module__.partition(".")[0] == "torch":
        raise TypeError(
            "optimizer には最適化手法 (SGD(lr=0.01) など) を渡してください。"
            f"PyTorch の最適化手法は、PyTorch のモデルでだけ使えます。受け取った値: {optimizer!r}"
        )


class SGD(_Optimizer):
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
        for param, grad in _pairs(network):
            param -= _rate(self.lr, param) * grad


class Momentum(_Optimizer):
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
        self.v = _Record()

    @np.errstate(under="ignore")
    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        for (param, grad), v in zip(_pairs(network), self.v.of(network), strict=True):
            v *= self.momentum
            v += grad
            param -= _rate(self.lr, param) * v

    def bind(self, network: Network) -> None:
        """勾配の記録を、同じ形の ``network`` に引き継ぐ。"""
        self.v.bind(network)


class Nesterov(_Optimizer):
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

    def __init__(self, lr: ArrayLike, *, momentum: float = 0.9) -> None:
        self.lr = lr
        self.momentum = momentum
        self.v = _Record()

    @np.errstate(under="ignore")
    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        for (param, grad), v in zip(_pairs(network), self.v.of(network), strict=True):
            v *= self.momentum
            v += grad
            param -= _rate(self.lr, param) * (grad + self.momentum * v)

    def bind(self, network: Network) -> None:
        """勾配の記録を、同じ形の ``network`` に引き継ぐ。"""
        self.v.bind(network)


class AdaGrad(_Optimizer):
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
        self.s = _Record()

    @np.errstate(under="ignore")
    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        for (param, grad), s in zip(_pairs(network), self.s.of(network), strict=True):
            s += np.square(grad)
            param -= _rate(self.lr, param) * grad / (_root(s) + self.eps)

    def bind(self, network: Network) -> None:
        """勾配の記録を、同じ形の ``network`` に引き継ぐ。"""
        self.s.bind(network)


class RMSProp(_Optimizer):
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
        self.s = _Record()

    @np.errstate(under="ignore")
    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        for (param, grad), s in zip(_pairs(network), self.s.of(network), strict=True):
            s *= self.alpha
            s += (1 - self.alpha) * np.square(grad)
            param -= _rate(self.lr, param) * grad / (_root(s) + self.eps)

    def bind(self, network: Network) -> None:
        """勾配の記録を、同じ形の ``network`` に引き継ぐ。"""
        self.s.bind(network)


class Adam(_Optimizer):
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
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.lr = lr
        self.betas, self.eps, self.t = betas, eps, 0
        self.m = _Record()
        self.s = _Record()

    @np.errstate(under="ignore")
    def step(self, network: Network) -> None:
        """重みを 1 回更新する。"""
        beta1, beta2 = self.betas
        m_all, s_all = self.m.of(network), self.s.of(network)
        self.t += 1  # 断られた更新は数えない
        for (param, grad), m, s in zip(_pairs(network), m_all, s_all, strict=True):
            m *= beta1
            m += (1 - beta1) * grad
            s *= beta2
            s += (1 - beta2) * np.square(grad)
            m_hat, s_hat = m / (1 - beta1**self.t), s / (1 - beta2**self.t)
            param -= _rate(self.lr, param) * m_hat / (_root(s_hat) + self.eps)

    def bind(self, network: Network) -> None:
        """勾配の記録を、同じ形の ``network`` に引き継ぐ。"""
        self.m.bind(network)
        self.s.bind(network)


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
        for param, _ in _pairs(network):
            param *= 1 - _rate(self.lr, param) * self.weight_decay
        super().step(network)


class Clip(_Optimizer):
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
        grads = [grad for _, grad in _pairs(network)]
        axes = [tuple(range(len(network.ensemble), np.ndim(grad))) for grad in grads]
        with np.errstate(over="ignore", invalid="ignore"):
            # 最大値で割ってから 2 乗する。大きな勾配の 2 乗があふれて、更新が 0 にならないように
            top = np.maximum.reduce(
                [np.abs(g).max(axis=a) for g, a in zip(grads, axes, strict=True)]
            )
            scale = np.where(top == 0, 1, top)
            squares = [
                np.square(g / _beside(scale, g)).sum(axis=a)
                for g, a in zip(grads, axes, strict=True)
            ]
            relative = np.sqrt(sum(squares))  # ‖g‖ = scale · relative
            small = scale * relative <= self.max_norm
            factor = self.max_norm / np.where(top == 0, 1, relative)
            for layer in network.leaves():
                # 新しい配列に入れ替える。切り詰める前の勾配を残している人の記録を変えないように
                layer.grads.update(
                    {
                        name: np.where(
                            _beside(small, g), g, g / _beside(scale, g) * _beside(factor, g)
                        )
                        for name, g in layer.grads.items()
                    }
                )
        self.optimizer.step(network)

    def bind(self, network: Network) -> None:
        """切り詰めた後に使う最適化手法の記録を、同じ形の ``network`` に引き継ぐ。"""
        super().bind(network)
        if hasattr(self.optimizer, "bind"):
            self.optimizer.bind(network)
