"""層: 順伝播と逆伝播の対。

層は小さなクラスで、`forward` が値を、`backward` が勾配を運びます。`backward` は受け取った
配列に書き込みません。途中の値 (`x`, `z`, `h`) を残すのは、中を覗くことがこの本の目的だからです。
"""

from typing import Protocol

import numpy as np

from vgbook._edge import Array
from vgbook.activations import Activation


class Layer(Protocol):
    """層の約束事。

    Attributes
    ----------
    params, grads : dict of str to ndarray
        学習する配列と、その勾配。キーも形も互いに同じです。
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
        if b is None:
            b = np.zeros((*W.shape[:-2], 1, W.shape[-1]), W.dtype)
        self.params = {"W": W, "b": b}
        self.grads: dict[str, Array] = {}

    def forward(self, x: Array) -> Array:
        """z = xW + b。"""
        self.x = x
        z: Array = x @ self.params["W"]
        z += self.params["b"]  # いま作った z にだけ書き込む。バイアスのために配列を増やさない
        return z

    def backward(self, dy: Array) -> Array:
        """δ を受け取り、dW と db を残し、δWᵀ を返す。"""
        self.gradients(dy)
        dx: Array = dy @ self.params["W"].mT
        return dx

    def gradients(self, dy: Array) -> None:
        """dW と db だけを残す。δWᵀ を使う前の層がないときのため。"""
        self.grads = {"W": self.x.mT @ dy, "b": dy.sum(axis=-2, keepdims=True)}


class Activate:
    r"""活性化関数の層。

    .. math:: h = \varphi(z), \qquad
              \frac{\partial L}{\partial z} = \frac{\partial L}{\partial h} \odot \varphi'(z)

    Parameters
    ----------
    activation : Activation
        活性化関数。

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
        self.activation = activation
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}

    def forward(self, x: Array) -> Array:
        """h = φ(z)。"""
        self.z = x
        self.h = self.activation.f(x)
        return self.h

    def backward(self, dy: Array) -> Array:
        """上から来た勾配に φ′(z) を掛ける。ここが連鎖律の 1 段です。"""
        return dy * self.activation.df(self.z)
