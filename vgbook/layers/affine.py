"""層: 順伝播と逆伝播の対。

層は小さなクラスで、`forward` が値を、`backward` が勾配を運びます。`backward` は受け取った
配列に書き込みません。途中の値 (`x`, `z`, `h`) を残すのは、中を覗くことがこの本の目的だからです。
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.lib.array_utils import byte_bounds

from vgbook._edge import Array, check_real, signal, upstream
from vgbook.activations import Activation, check_activation


class Layer(Protocol):
    """層の約束事。

    Attributes
    ----------
    params, grads : dict of str to ndarray
        学習する配列と、その勾配。キーも形も互いに同じです。

    Notes
    -----
    `forward` も `backward` も、受け取った配列に書き込みません。中に層をもつ層は、`Residual` の
    ように、その列を ``branch`` に入れ、その重みと勾配を ``params`` と ``grads`` にも並べます。
    推論への切り替えも診断も ``branch`` をたどり、学習は ``params`` を書き換えるからです。
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
        return f"Affine({n_in}, {n_out}{f', ensemble={tuple(ensemble)}' if ensemble else ''})"

    @np.errstate(under="ignore")  # 深いネットワークの小さな値は 0 に丸めてよい
    def forward(self, x: Array) -> Array:
        """z = xW + b。"""
        W, b = check_weights(self.params, "W", "b")
        self.x = x = signal("x", x, width=self.n_in, members=W.shape[:-2])
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

    @np.errstate(under="ignore")  # 裾の exp は 0 に丸めてよい
    def forward(self, x: Array) -> Array:
        """h = φ(z)。"""
        self.z = signal("x", x)
        self.h = self.activation(self.z)
        return self.h

    @np.errstate(under="ignore")
    def backward(self, dy: Array) -> Array:
        """上から来た勾配に φ′(z) を掛ける。ここが連鎖律の 1 段です。"""
        return upstream(dy, getattr(self, "z", None)) * self.activation.derivative(self.z)


def own_array(name: str, value: object, shape: tuple[int, ...] | None = None) -> Array:
    """学習させる配列の写し。形は (..., m, n)、``shape`` を渡せばその形に限る。

    Examples
    --------
    >>> own_array("W", [[1, 2]])
    array([[1., 2.]])
    """
    array = check_real(name, value)
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} の形は {shape} でなければなりません。受け取った形: {array.shape}")
    if array.ndim < 2 or array.size == 0:
        raise ValueError(
            f"{name} には空でない (..., n_in, n_out) の配列を渡してください。"
            f"受け取った形: {array.shape}"
        )
    return np.array(array)


def check_weights(params: dict[str, Array], *names: str) -> list[Array]:
    """``params`` の配列を名前の順に返す。消されたり、合わない形に替えられたりしていれば断る。"""
    arrays = [params.get(name) for name in names]
    m, n = (0, 0, *np.shape(arrays[0]))[-2:]  # type: ignore[arg-type]
    shapes = {"W": [(m, n)], "Wx": [(m, n)], "Wh": [(n, n)]}  # ほかは、ユニットごとの 1 行
    for name, array in zip(names, arrays, strict=True):
        fits = shapes.get(name, [(1, n), (1, 1)])
        if not isinstance(array, np.ndarray) or array.shape[-2:] not in fits:
            raise ValueError(
                f"層の params には {'、'.join(names)} の、形の合う配列が必要です (b は 0 でも"
                f"よい)。合わない名前: {name}、受け取った名前: {list(params)}、値: {array!r}"
            )
    return arrays  # type: ignore[return-value]


def leaves(layers: Iterable[Layer]) -> Iterator[Layer]:
    """残差ブロックの枝を、入れ子でもすべてほどいて、層を計算の順に 1 つずつ返す。

    Examples
    --------
    >>> from vgbook.layers.residual import Residual
    >>> W = np.eye(2)
    >>> list(leaves([Affine(W), Residual([Residual([Affine(W)])])]))
    [Affine(2, 2), Affine(2, 2)]
    """
    for layer in layers:
        branch = getattr(layer, "branch", None)
        if branch is None:
            yield layer
        else:
            yield from leaves(branch)


def check_layers(name: str, layers: object) -> list[Layer]:
    """``layers`` が層の列で、どの層も、どの重みの配列も 1 度だけ現れることを確かめる。"""
    if not isinstance(layers, Sequence) or not all(map(_is_layer, layers)):
        raise TypeError(
            f"{name} には層 (Affine など) のリストを渡してください。Network を中に入れるときは、"
            f"*network.layers とほどきます。受け取った値: {layers!r}"
        )
    found, seen = list(leaves(layers)), set()
    for layer in found:
        if id(layer) in seen:
            raise ValueError(
                f"{name} の層は、どれも別のオブジェクトにしてください。層は順伝播の値を 1 回ぶん"
                "しか残さないので、同じ層を 2 度通すと逆伝播の勾配が間違います。"
                f"2 度現れた層: {layer!r}、受け取った値: {layers!r}"
            )
        seen.add(id(layer))
    arrays = [check_param(layer, k, a) for layer in found for k, a in layer.params.items()]
    if _any_shared(arrays):
        raise ValueError(
            f"{name} の params の配列は、どれも別の配列にしてください。2 つの重みが同じ値を"
            "分け合うと、その勾配は 2 つの和になり、層ごとの逆伝播では求まりません。"
            f"受け取った値: {layers!r}"
        )
    known = {*map(id, layers), *seen}
    for layer in (*layers, *found):
        _check_inner(name, layer, known)
    return list(layers)


def _check_inner(name: str, layer: Layer, known: set[int]) -> None:
    """層が中にもつ層は、``branch`` からも ``params`` からも届くこと。"""
    arrays = {id(array) for array in layer.params.values()}
    out = [a for a in leaves([layer]) if any(id(p) not in arrays for p in a.params.values())]
    for key, value in getattr(layer, "__dict__", {}).items():
        each = value.values() if isinstance(value, dict) else value
        for inner in each if isinstance(value, list | tuple | dict) else [value]:
            both = hasattr(inner, "forward") and hasattr(inner, "backward")
            if key != "branch" and both and id(inner) not in known and not isinstance(inner, type):
                out.append(inner)
    if out:
        raise ValueError(
            f"{name} の層が中にもつ層は、Residual のように branch に並べ、重みを params に、勾配を"
            " grads に入れてください。そうしないと、学習も、推論への切り替えも、診断もされません。"
            f"受け取った層: {layer!r}、届かない層: {out[0]!r}"
        )


def check_param(layer: Layer, key: str, value: object, *, trained: bool = False) -> Array:
    """``params`` の値が浮動小数点数の配列で、``trained`` なら書き換えられることを確かめる。"""
    plain = isinstance(value, np.ndarray) and not isinstance(value, np.matrix | np.ma.MaskedArray)
    array: Array = np.asarray(value) if plain else np.empty(0, object)
    if array.dtype.kind != "f" or not (array.flags.writeable or not trained):
        raise TypeError(
            "params の値には、浮動小数点数の、マスクも書き込み禁止もない配列を入れてください。"
            f"層 {type(layer).__name__} の {key} に受け取った値: {value!r}"
        )
    return array


def _any_shared(arrays: list[Array]) -> bool:
    """同じ値を分け合う 2 つがあるか。1 つの配列を列で分けたものは、分け合わない。"""
    placed = sorted((*byte_bounds(array), i) for i, array in enumerate(arrays))
    return any(
        np.shares_memory(arrays[i], arrays[j])
        for k, (_, end, i) in enumerate(placed)
        for start, _, j in placed[k + 1 :]
        if start < end
    )


def _is_layer(value: object) -> bool:
    """`Layer` の約束を守るオブジェクトか。クラスそのもの (`Affine` など) は層ではない。"""
    methods = (getattr(value, name, None) for name in ("forward", "backward"))
    arrays = (getattr(value, name, None) for name in ("params", "grads"))
    return (
        not isinstance(value, type)
        and all(map(callable, methods))
        and all(isinstance(array, dict) for array in arrays)
    )
