"""層がもつ、学習させる配列: 受け取るときの写しと、使うときの確かめ。"""

from collections.abc import Sequence

import numpy as np

from vgbook._edge import Array, check_real


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


def members_text(ensemble: Sequence[int]) -> str:
    """``repr`` の終わりに添える、集団の軸。1 つのネットワークなら空。

    Examples
    --------
    >>> members_text([3]), members_text([])
    (', ensemble=(3,)', '')
    """
    return f", ensemble={tuple(ensemble)}" if ensemble else ""
