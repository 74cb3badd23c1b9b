"""PyTorch のモデルの重みを、この本のネットワークに写す。

torch は要りません。受け取るのは、名前と配列の対応だけです。
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, check_data
from vgbook.activations import Activation
from vgbook.layers.affine import Activate, Affine, Layer
from vgbook.network import Network


def from_state_dict(
    state: Mapping[str, ArrayLike],
    activation: Activation,
    *,
    check: tuple[ArrayLike, ArrayLike] | None = None,
) -> Network:
    """PyTorch の全結合のモデルの重みから、同じ計算をするネットワークを作る。

    ``torch.nn.Linear`` を活性化関数でつないだモデルの ``state_dict()`` を渡します。PyTorch の重みは
    (n_out, n_in) なので、転置して写します。値は写しなので、元のモデルは変わりません。

    ``state_dict()`` には、活性化関数、残差接続、重みのない正規化が書かれていません。同じ計算を
    していることは、``check`` を渡すと確かめられます。

    Parameters
    ----------
    state : mapping of str to array_like
        ``"….weight"`` (n_out, n_in) と ``"….bias"`` (n_out,) が、入力側の層から順に並んだもの。
    activation : Activation
        隠れ層の活性化関数。
    check : tuple of (array_like, array_like), optional
        入力 (N, n_in) と、それに対する元のモデルの出力 (N, n_out)。作ったネットワークの出力との差が
        出力の最大値の √ε 倍を超えたら断ります。ε は、重みと出力のうち粗いほうの型の計算機
        イプシロンです。

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        2 次元の重みが 1 つもないとき、形がつながらないとき、知らない名前があるとき、空でない実数の
        配列でないものがあるとき、``check`` の出力が元のモデルと違うとき。
    TypeError
        ``state`` が名前と配列の対応でないとき、``activation`` が Activation でないとき。

    Examples
    --------
    >>> from vgbook.activations import relu
    >>> state = {"0.weight": np.ones((3, 2)), "0.bias": np.zeros(3), "2.weight": np.ones((1, 3))}
    >>> network = from_state_dict(state, relu, check=([[2.0, 2.0]], [[12.0]]))
    >>> network.forward(np.array([[1.0, 1.0]]))
    array([[6.]])
    """
    if not isinstance(activation, Activation):
        raise TypeError(
            "activation には Activation (relu や leaky_relu(0.01) など) を渡してください。"
            f"受け取った値: {activation!r}"
        )
    weights, biases = _parameters(state)
    if not weights:
        raise ValueError(f"state に重み (….weight) がありません。受け取った名前: {list(state)}")
    shapes = [W.shape for W in weights.values()]
    if any(a[-1] != b[0] for a, b in pairwise(shapes)):
        raise ValueError(f"state の重みの形がつながりません。(n_in, n_out) の列: {shapes}")
    layers: list[Layer] = []
    for i, (name, W) in enumerate(weights.items()):
        if i:
            layers.append(Activate(activation))
        layers.append(Affine(W, biases.get(name)))
    network = Network(layers)
    if check is not None:
        _check_output(network, check)
    return network


def _parameters(state: Mapping[str, ArrayLike]) -> tuple[dict[str, Array], dict[str, Array]]:
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise TypeError(
            "state には名前 (str) と配列の対応 (model.state_dict() など) を渡してください。"
            f"受け取った値: {state!r}"
        )
    weights: dict[str, Array] = {}
    biases: dict[str, Array] = {}
    for key, value in state.items():
        name, _, kind = key.rpartition(".")
        array = _numbers(f"state の {key}", value)
        if kind == "weight" and array.ndim == 2:
            weights[name] = array.T.copy()
        elif kind == "bias" and name in weights and array.shape == weights[name].shape[-1:]:
            biases[name] = array[None, :]
        else:
            raise ValueError(
                "state には全結合の層 (torch.nn.Linear) の weight と bias だけを渡してください。"
                f"受け取った配列: {key} {array.shape}"
            )
    return weights, biases


def _numbers(name: str, value: ArrayLike) -> Array:
    """空でない実数の配列の写し。"""
    try:
        array = np.asarray(value).copy()
    except (RuntimeError, TypeError, ValueError) as error:  # 勾配を追うテンソル、GPU のテンソルなど
        raise ValueError(
            f"{name} を NumPy の配列にできません。model.state_dict() か、"
            f".detach().cpu().numpy() で変えた配列を渡してください。受け取った型: {type(value)}"
        ) from error
    if array.dtype.kind not in "iuf" or array.size == 0:
        raise ValueError(
            f"{name} には空でない実数の配列を渡してください。"
            f"受け取った形と dtype: {array.shape}, {array.dtype}"
        )
    return array if array.dtype.kind == "f" else array.astype(float)


def _check_output(network: Network, check: tuple[ArrayLike, ArrayLike]) -> None:
    if not isinstance(check, tuple) or len(check) != 2:
        raise TypeError(f"check には (入力, 出力) の組を渡してください。受け取った値: {check!r}")
    x, expected = (
        check_data(name, _numbers(name, value))
        for name, value in zip(("check の入力", "check の出力"), check, strict=True)
    )
    first, last = (network.affines[i].params["W"] for i in (0, -1))
    shapes = (len(x), first.shape[0]), (len(x), last.shape[1])
    if (x.shape, expected.shape) != shapes:
        raise ValueError(
            f"check の入力と出力の形は {shapes} でなければなりません。"
            f"受け取った形: {(x.shape, expected.shape)}"
        )
    gap = np.abs(network.forward(x) - expected).max()
    top = np.abs(expected).max()
    eps = max(np.finfo(array.dtype).eps for array in (first, expected))
    if not gap <= np.sqrt(eps) * top:
        raise ValueError(
            "作ったネットワークの出力が、元のモデルの出力と違います。活性化関数、残差接続、重みのない"
            "正規化は、state に書かれていません。Dropout は model.eval() で止めてください。"
            f"差の最大値: {gap:.1e} (出力の最大値: {top:.1e})"
        )
