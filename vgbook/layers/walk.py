"""層の列をたどる: 中の層までほどき、どの層もどの重みも 1 度だけ現れることを確かめる。"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

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


def every(layers: Iterable[Layer]) -> Iterator[Layer]:
    """中に層をもつ層と、その中の層を、すべて返す。

    Examples
    --------
    >>> from vgbook.layers.affine import Affine
    >>> from vgbook.layers.residual import Residual
    >>> [type(layer).__name__ for layer in every([Residual([Affine(np.eye(2))])])]
    ['Residual', 'Affine']
    """
    for layer in layers:
        yield layer
        yield from every(getattr(layer, "branch", None) or ())


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


def _is_layer(value: object) -> bool:
    """`Layer` の約束を守るオブジェクトか。クラスそのもの (`Affine` など) は層ではない。"""
    methods = (getattr(value, name, None) for name in ("forward", "backward"))
    arrays = (getattr(value, name, None) for name in ("params", "grads"))
    return (
        not isinstance(value, type)
        and all(map(callable, methods))
        and all(isinstance(array, dict) for array in arrays)
    )


def _check_inner(name: str, layer: Layer, known: set[int]) -> None:
    """層が中にもつ層は、``branch`` からも ``params`` からも届くこと。"""
    arrays = {id(array) for array in layer.params.values()}
    out = [a for a in leaves([layer]) if any(id(p) not in arrays for p in a.params.values())]
    out += [inner for inner in _held(layer) if id(inner) not in known]
    if out:
        raise ValueError(
            f"{name} の層が中にもつ層は、Residual のように branch に並べ、重みを params に、勾配を"
            " grads に入れてください。そうしないと、学習も、推論への切り替えも、診断もされません。"
            f"受け取った層: {layer!r}、届かない層: {out[0]!r}"
        )


def _held(layer: Layer) -> Iterator[Any]:
    """``branch`` のほかの属性 (リスト、タプル、辞書でもよい) がもつ、層かネットワーク。"""
    for key, value in getattr(layer, "__dict__", {}).items():
        each = value.values() if isinstance(value, dict) else value
        for inner in each if isinstance(value, list | tuple | dict) else [value]:
            both = hasattr(inner, "forward") and hasattr(inner, "backward")
            if key != "branch" and both and not isinstance(inner, type):
                yield inner


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
