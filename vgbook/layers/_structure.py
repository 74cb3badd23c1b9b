"""層の持ち方: 入れ子をほどき、2 度現れる層、分け合う重み、隠れた層を断る。"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.lib.array_utils import byte_bounds

from vgbook._edge import Array
from vgbook.layers.affine import Layer


def leaves(layers: Iterable[Layer]) -> Iterator[Layer]:
    """残差ブロックの枝を、入れ子でもすべてほどいて、層を計算の順に 1 つずつ返す。

    Examples
    --------
    >>> from vgbook.layers.affine import Affine
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
    if not isinstance(layers, Sequence) or not all(map(is_layer, layers)):
        raise TypeError(
            f"{name} には層 (Affine など) のリストを渡してください。Network を中に入れるときは、"
            f"*network.layers とほどきます。受け取った値: {layers!r}"
        )
    found = list(leaves(layers))
    for i, layer in enumerate(found):
        if any(layer is before for before in found[:i]):
            raise ValueError(
                f"{name} の層は、どれも別のオブジェクトにしてください。層は順伝播の値を 1 回ぶん"
                "しか残さないので、同じ層を 2 度通すと逆伝播の勾配が間違います。"
                f"2 度現れた層: {layer!r}、受け取った値: {layers!r}"
            )
    arrays = [
        check_param(layer, key, value) for layer in found for key, value in layer.params.items()
    ]
    if _any_shared(arrays):
        raise ValueError(
            f"{name} の params の配列は、どれも別の配列にしてください。2 つの重みが同じ値を"
            "分け合うと、その勾配は 2 つの和になり、層ごとの逆伝播では求まりません。"
            f"受け取った値: {layers!r}"
        )
    nodes = list(_nodes(layers))
    for node in nodes:
        _check_hidden(name, node, nodes)
    return list(layers)


def check_param(layer: Layer, key: str, value: object, *, trained: bool = False) -> Array:
    """``params`` の値が浮動小数点数の配列で、``trained`` なら書き換えられることを確かめる。"""
    plain = isinstance(value, np.ndarray) and not isinstance(value, np.matrix | np.ma.MaskedArray)
    array: Array = np.asarray(value) if plain else np.empty(0, object)
    if array.dtype.kind != "f" or not (array.flags.writeable or not trained):
        raise TypeError(
            "params の値には、書き換えられる浮動小数点数の配列 (ndarray) を入れてください。"
            "数、整数、リスト、マスク付き配列、書き込み禁止の配列は、その場で学習できません。"
            f"層 {type(layer).__name__} の {key} に受け取った値: {value!r}"
        )
    return array


def _nodes(layers: Iterable[Layer]) -> Iterator[Layer]:
    """枝をもつ層も、その枝の中の層も、すべて返す。"""
    for layer in layers:
        yield layer
        yield from _nodes(getattr(layer, "branch", ()))


def _check_hidden(name: str, layer: Layer, nodes: list[Layer]) -> None:
    """属性にもつ層が、学習からも、推論への切り替えや診断からも見えること。"""
    known = {id(node) for node in nodes}
    for key, value in getattr(layer, "__dict__", {}).items():
        for inner in _layers_in(value):
            if id(inner) not in known:
                raise ValueError(
                    f"{name} の層が、属性 {key} の中に、外から見えない層をもっています。中の層は、"
                    "学習も、推論への切り替えも、診断もされません。中の層の列を branch に入れ、その"
                    "重みと勾配を params と grads にも並べてください。"
                    f"受け取った層: {layer!r}、隠れた層: {inner!r}"
                )
    arrays = {id(array) for array in layer.params.values()}
    for inner in _nodes(getattr(layer, "branch", ())):
        if any(id(array) not in arrays for array in inner.params.values()):
            raise ValueError(
                f"{name} の層の branch の中の重みが、その層の params にありません。params にない"
                "重みは学習しません。中の層の params と grads を、Residual のように並べてください。"
                f"受け取った層: {layer!r}、届かない層: {inner!r}"
            )


def _layers_in(value: object) -> Iterator[Layer]:
    """属性の値に含まれる層。Network や、リスト、辞書の中も探す。"""
    if isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _layers_in(item)
    elif is_layer(value):
        yield value  # type: ignore[misc]
    elif _goes_both_ways(value):
        yield from _layers_in(getattr(value, "layers", []))


def _any_shared(arrays: list[Array]) -> bool:
    """同じ値を分け合う 2 つがあるか。1 つの配列を列で分けたものは、分け合わない。"""
    placed = sorted((*byte_bounds(array), i) for i, array in enumerate(arrays))
    return any(
        np.shares_memory(arrays[i], arrays[j])
        for k, (_, end, i) in enumerate(placed)
        for start, _, j in placed[k + 1 :]
        if start < end
    )


def is_layer(value: object) -> bool:
    """`Layer` の約束を守るオブジェクトか。クラスそのもの (`Affine` など) は層ではない。"""
    arrays = (getattr(value, name, None) for name in ("params", "grads"))
    return _goes_both_ways(value) and all(isinstance(array, dict) for array in arrays)


def _goes_both_ways(value: object) -> bool:
    """層か、Network か。"""
    methods = (getattr(value, name, None) for name in ("forward", "backward"))
    return not isinstance(value, type) and all(map(callable, methods))
