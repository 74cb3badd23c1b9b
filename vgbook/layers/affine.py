"""層: 順伝播と逆伝播の対。

層は小さなクラスで、`forward` が値を、`backward` が勾配を運びます。`backward` は受け取った
配列に書き込みません。途中の値 (`x`, `z`, `h`) を残すのは、中を覗くことがこの本の目的だからです。
"""

from typing import Protocol

import numpy as np

from vgbook._edge import Array, incoming, upstream
from vgbook.activations import Activation, check_activation
from vgbook.layers.weights import check_weights, members_text, own_array


class Layer(Protocol):
    """層の約束事。

    Attributes
    ----------
    params, grads : dict of str to ndarray
        学習する配列と、その勾配。キーも形も互いに同じです。

    Notes
    -----
    `forward` も `backward` も、受け取った配列に書き込みません。`backward` は、``grads`` を毎回
    作り直します (足し込みません)。中に層をもつ層は、`Residual` のように、その列を ``branch`` に
    入れ、その重みと勾配を ``params`` と ``grads`` にも並べます。推論への切り替えも診断も
    ``branch`` をたどり、学習は ``params`` を書き換えるからです。
    """

    params: dict[str, Array]
    grads: dict[str, Array]

    def forward(self, x: Array) -> Array:
        """入力 x (..., N, n_in) から出力 (..., N, n_out) を返す。"""

    def backward(self, dy: Array) -> Array:
        """出力での勾配 ∂L/∂y から入力での勾配 ∂L/∂x を返し、``grads`` を埋める。"""


class Affine:
    r"""アフィン変換の層。

    .. math:: z = xW + b, \qquad
              \frac{\partial L}{\partial x} = \delta W^\top,\quad
              \frac{\partial L}{\partial W} = x^\top \delta,\quad
              \frac{\partial L}{\partial b} = \sum_{\text{バッチ}} \delta

    Parameters
    ----------
    W : ndarray, shape (..., n_in, n_out)
        重み。
    b : ndarray, shape (..., 1, n_out), optional
        バイアス。省略すると 0。バッチの軸を長さ 1 で残すのは、集団の軸と取り違えないためです。

    どちらも写しをとって学習させるので、渡した配列は変わりません。

    Raises
    ------
    TypeError
        ``W`` か ``b`` が実数の配列でないとき。
    ValueError
        ``W`` か ``b`` の形が違うとき。

    Attributes
    ----------
    x : ndarray, shape (..., N, n_in)
        最後に受け取った入力。

    Examples
    --------
    >>> layer = Affine(np.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> layer.forward(np.array([[1.0, 1.0]]))
    array([[4., 6.]])
    >>> layer.backward(np.array([[1.0, 0.0]]))
    array([[1., 3.]])
    >>> layer.grads["W"]
    array([[1., 0.],
           [1., 0.]])
    """

    def __init__(self, W: Array, b: Array | None = None) -> None:
        W = own_array("W", W)
        shape = (*W.shape[:-2], 1, W.shape[-1])
        b = np.zeros(shape, W.dtype) if b is None else own_array("b", b, shape)
        self.params = {"W": W, "b": b}
        self.grads: dict[str, Array] = {}

    @property
    def n_in(self) -> int:
        """入力の特徴数。"""
        return int(self.params["W"].shape[-2])

    def __repr__(self) -> str:
        *ensemble, n_in, n_out = self.params["W"].shape
        return f"Affine({n_in}, {n_out}{members_text(ensemble)})"

    @np.errstate(under="ignore")  # 深いネットワークの小さな値は 0 に丸めてよい
    def forward(self, x: Array) -> Array:
        """z = xW + b。"""
        W, b = check_weights(self.params, "W", "b")
        self.x = x = incoming(self, x, width=self.n_in, members=W.shape[:-2])
        z: Array = x @ W
        z += b  # いま作った z にだけ書き込む。バイアスのために配列を増やさない
        return z

    @np.errstate(under="ignore")
    def backward(self, dy: Array) -> Array:
        """δ を受け取り、dW と db を残し、δWᵀ を返す。"""
        dx: Array = self.gradients(dy) @ self.params["W"].mT
        return dx

    @np.errstate(under="ignore")
    def gradients(self, dy: Array) -> Array:
        """dW と db だけを残し、δ をそのまま返す。δWᵀ を使う前の層がないときのため。"""
        dy = upstream(dy, getattr(self, "x", None), width=self.params["W"].shape[-1])
        self.grads = {"W": self.x.mT @ dy, "b": dy.sum(axis=-2, keepdims=True)}
        return dy


class Activate:
    r"""活性化関数の層。

    .. math:: h = \varphi(z), \qquad
              \frac{\partial L}{\partial z} = \frac{\partial L}{\partial h} \odot \varphi'(z)

    Parameters
    ----------
    activation : Activation
        活性化関数。

    Raises
    ------
    TypeError
        ``activation`` が Activation でないとき。

    Attributes
    ----------
    z, h : ndarray, shape (..., N, n)
        最後の順伝播での入力 (プレ活性) と出力。

    Examples
    --------
    >>> from vgbook.activations import relu
    >>> layer = Activate(relu)
    >>> layer.forward(np.array([[-1.0, 2.0]]))
    array([[0., 2.]])
    >>> layer.backward(np.array([[5.0, 5.0]]))
    array([[0., 5.]])
    """

    def __init__(self, activation: Activation) -> None:
        check_activation("activation", activation)
        self.activation = activation
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}

    def __repr__(self) -> str:
        return f"Activate({self.activation})"

    def forward(self, x: Array) -> Array:
        """h = φ(z)。"""
        self.z = incoming(self, x)
        self.h = self.activation(self.z)
        return self.h

    @np.errstate(under="ignore")
    def backward(self, dy: Array) -> Array:
        """上から来た勾配に φ′(z) を掛ける。ここが連鎖律の 1 段です。"""
        return upstream(dy, getattr(self, "z", None)) * self.activation.derivative(self.z)
