"""再帰の層: 同じ重みを時刻の数だけ掛けるネットワーク。

時間をさかのぼる逆伝播 (BPTT) では、どの時刻でも同じ重みが掛かります。勾配は、深さを時刻に読み替えた
同じ仕組みで、消えたり爆発したりします。
"""

import numpy as np

from vgbook._edge import Array, incoming, signal, upstream
from vgbook.activations import Activation, check_activation
from vgbook.layers.weights import check_weights, members_text, own_array


class Recurrent:
    r"""単純な再帰の層 (Elman 型)。

    .. math:: z_t = x_t W_x + h_{t-1} W_h + b, \qquad h_t = \varphi(z_t), \qquad h_0 = 0

    .. math:: \delta_t = \left(\frac{\partial L}{\partial h_t} + \delta_{t+1} W_h^\top\right)
              \odot \varphi'(z_t)

    出典: Pascanu et al. (2013), 式 2 (同値な形) と式 5。

    Parameters
    ----------
    Wx : ndarray, shape (..., n_in, n)
        入力の重み。
    Wh : ndarray, shape (..., n, n)
        再帰の重み。
    activation : Activation
        活性化関数。
    b : ndarray, shape (..., 1, n), optional
        バイアス。省略すると 0。

    どの重みも写しをとって学習させるので、渡した配列は変わりません。

    Raises
    ------
    TypeError
        重みが実数の配列でないとき、``activation`` が Activation でないとき。
    ValueError
        重みの形が合わないとき。

    Attributes
    ----------
    delta : ndarray, shape (..., T, N, n)
        最後の逆伝播での δ_t = ∂L/∂z_t。

    Examples
    --------
    >>> from vgbook.activations import identity
    >>> layer = Recurrent(np.eye(1), 0.5 * np.eye(1), identity)
    >>> x = np.array([[[1.0]], [[0.0]], [[0.0]]])
    >>> layer.forward(x).ravel()
    array([1.  , 0.5 , 0.25])
    >>> _ = layer.backward(np.array([[[0.0]], [[0.0]], [[1.0]]]))
    >>> layer.delta.ravel()
    array([0.25, 0.5 , 1.  ])
    """

    def __init__(
        self, Wx: Array, Wh: Array, activation: Activation, b: Array | None = None
    ) -> None:
        Wx = own_array("Wx", Wx)
        *ensemble, _, n = Wx.shape
        Wh = own_array("Wh", Wh, (*ensemble, n, n))
        shape = (*ensemble, 1, n)
        b = np.zeros(shape, Wh.dtype) if b is None else own_array("b", b, shape)
        check_activation("activation", activation)
        self.activation = activation
        self.params = {"Wx": Wx, "Wh": Wh, "b": b}
        self.grads: dict[str, Array] = {}

    @property
    def n_in(self) -> int:
        """入力の特徴数。"""
        return int(self.params["Wx"].shape[-2])

    def __repr__(self) -> str:
        *ensemble, n_in, n = self.params["Wx"].shape
        return f"Recurrent({n_in}, {n}, {self.activation}{members_text(ensemble)})"

    @np.errstate(under="ignore")
    def forward(self, x: Array) -> Array:
        """入力の列 x (..., T, N, n_in) から、隠れ状態の列 h (..., T, N, n) を返す。"""
        Wx, Wh, b = check_weights(self.params, "Wx", "Wh", "b")
        x = _sequence("x", incoming(self, x), self.n_in, Wx.shape[:-2])
        self.x, h, zs, hs = x, None, [], []
        for t in range(x.shape[-3]):
            z = x[..., t, :, :] @ Wx + b
            if h is not None:
                z = z + h @ Wh
            h = self.activation(z)
            zs.append(z)
            hs.append(h)
        self.z, self.h = np.stack(zs, axis=-3), np.stack(hs, axis=-3)
        return self.h.copy()  # 逆伝播が読む h を、出力の書き換えから守る

    @np.errstate(under="ignore")
    def backward(self, dy: Array) -> Array:
        """各時刻の ∂L/∂h_t から ∂L/∂x を返し、全時刻の和を ``grads`` に残す。"""
        Wx, Wh, _ = check_weights(self.params, "Wx", "Wh", "b")
        dy = upstream(_sequence("dy", dy, Wh.shape[-1]), getattr(self, "h", None))
        delta = np.empty(np.broadcast_shapes(dy.shape, self.z.shape), self.z.dtype)
        back = np.zeros_like(delta[..., 0, :, :])
        for t in reversed(range(delta.shape[-3])):
            dh = dy[..., t, :, :] + back
            delta[..., t, :, :] = dh * self.activation.derivative(self.z[..., t, :, :])
            back = delta[..., t, :, :] @ Wh.mT
        self.delta = delta
        before = np.zeros_like(self.h)
        before[..., 1:, :, :] = self.h[..., :-1, :, :]
        self.grads = {
            "Wx": (self.x.mT @ delta).sum(axis=-3),
            "Wh": (before.mT @ delta).sum(axis=-3),
            "b": delta.sum(axis=(-3, -2))[..., None, :],
        }
        dx: Array = delta @ Wx[..., None, :, :].mT
        return dx


class LastStep:
    """最後の時刻の隠れ状態だけを取り出す層。y = h_T で、勾配は最後の時刻にだけ届きます。

    `Recurrent` の後に置くと、時刻の軸がなくなり、続く `Affine` で答えを読み出して学習できます。

    Examples
    --------
    >>> layer = LastStep()
    >>> layer.forward(np.array([[[1.0]], [[2.0]]]))
    array([[2.]])
    >>> layer.backward(np.array([[5.0]])).ravel()
    array([0., 5.])
    """

    def __init__(self) -> None:
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}

    def __repr__(self) -> str:
        return "LastStep()"

    def forward(self, x: Array) -> Array:
        """隠れ状態の列 (..., T, N, n) から、最後の (..., N, n) を返す。"""
        self.x = _sequence("x", incoming(self, x))
        return self.x[..., -1, :, :]

    def backward(self, dy: Array) -> Array:
        """最後の時刻にだけ δ を返し、ほかの時刻は 0 にする。"""
        last = self.x[..., -1, :, :] if hasattr(self, "x") else None
        dy = upstream(dy, last)
        dx = np.zeros((*dy.shape[:-2], *self.x.shape[-3:]), dy.dtype)
        dx[..., -1, :, :] = dy
        return dx


def _sequence(
    name: str, x: object, width: int | None = None, members: tuple[int, ...] = ()
) -> Array:
    """時刻の軸をもつ信号 (..., T, N, n) であることを確かめる。"""
    array = signal(name, x, width=width)
    if array.ndim < 3 or array.shape[-3] == 0:
        raise ValueError(
            f"{name} には (..., 時刻の数, 標本数, 特徴数) の配列を渡してください。"
            f"受け取った形: {array.shape}"
        )
    signal(name, array[..., 0, :, :], members=members)
    return array
