"""信号: 順伝播と逆伝播が層ごとに残した値を集め、その大きさを測る。

この本の中心です。`trace` の 2 つ目のループが残す δ の列が、勾配消失の姿です。
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from vgbook._edge import Array, check_callable, check_data, signal
from vgbook.layers.affine import Activate, Affine
from vgbook.layers.recurrent import LastStep, Recurrent
from vgbook.network import Network, check_layered, check_network


class Signals(NamedTuple):
    """順伝播と逆伝播がアフィン変換の層 l = 1, …, L に残した信号。

    どのリストも長さ L で、``[0]`` が入力に最も近い層です。
    """

    h: list[Array]
    """層の出力 (..., N, n_l)。正規化や活性化関数を通った後の値。"""
    z: list[Array]
    """プレ活性 (..., N, n_l)。活性化関数に入る直前の値。"""
    delta: list[Array]
    """δ = ∂L/∂(アフィン変換の出力) (..., N, n_l)。"""
    dW: list[Array]
    """重みの勾配 ∂L/∂W (..., n_{l-1}, n_l)。"""


def signals(network: Network, x: Array, d_output: Array) -> Signals:
    """順伝播と逆伝播を 1 回ずつ行い、途中の信号をすべて返す。

    バッチ正規化は学習時の統計で動き、その移動平均も 1 回ぶん進みます。

    Parameters
    ----------
    network : Network
        調べるネットワーク。
    x : ndarray, shape (N, n_in) or (..., N, n_in)
        入力。
    d_output : ndarray, shape (N, n_out) or (..., N, n_out)
        出力での勾配 ∂L/∂y。損失から作っても、乱数でもかまいません。

    Returns
    -------
    Signals

    Raises
    ------
    TypeError
        ``network`` が Affine を含む Network でないとき、``x`` や ``d_output`` が実数でないとき。
    ValueError
        ``x`` や ``d_output`` の形がネットワークと合わないとき、有限でない値を含むとき。

    Examples
    --------
    >>> from vgbook.activations import sigmoid
    >>> from vgbook.initializers import xavier
    >>> from vgbook.network import mlp
    >>> rng = np.random.default_rng(0)
    >>> network = mlp([100] * 6, sigmoid, xavier(), rng=rng)
    >>> x, d_output = rng.standard_normal((2, 50, 100))
    >>> [float(delta.std().round(4)) for delta in signals(network, x, d_output).delta]
    [0.0026, 0.0124, 0.0547, 0.229, 0.9944]
    """
    spans = blocks(network)
    x = check_data("x", x, width=network.n_in)
    d_output = check_data("d_output", d_output)
    if x.shape[-2] != d_output.shape[-2]:
        raise ValueError(
            f"x と d_output の標本数は同じにしてください。受け取った形: {x.shape} と "
            f"{d_output.shape}"
        )
    if not any(isinstance(layer, Recurrent | LastStep) for layer in network.leaves()):
        _check_members(network, x, d_output)  # 時刻の軸は、集団の軸にそろわない
    with network.turn.wait:
        outputs, gradients = trace(network, x, d_output)
        return Signals(
            h=[outputs[span.stop - 1] for span in spans],
            z=[_preactivation(network, outputs, span) for span in spans],
            delta=[gradients[span.start] for span in spans],
            dW=[network[span.start].grads["W"] for span in spans],
        )


def blocks(network: Network) -> list[range]:
    """層の番号を、アフィン変換から次のアフィン変換の手前までに区切る。

    Parameters
    ----------
    network : Network
        調べるネットワーク。

    Returns
    -------
    list of range

    Raises
    ------
    TypeError
        ``network`` が Affine を含む Network でないとき。
    ValueError
        同じ層が 2 度現れるとき。

    Examples
    --------
    >>> from vgbook.activations import relu
    >>> blocks(Network([Affine(np.eye(2)), Activate(relu), Affine(np.eye(2))]))
    [range(0, 2), range(2, 3)]
    """
    check_network(network)
    starts = [i for i, layer in enumerate(network) if isinstance(layer, Affine)]
    return [range(*span) for span in pairwise([*starts, len(network)])]


def _check_members(network: Network, x: Array, d_output: Array) -> None:
    """x は集団の軸にそろい、d_output は出力の形を広げないこと。"""
    try:
        members = np.broadcast_shapes(network.ensemble, x.shape[:-2])
        fits = np.broadcast_shapes(members, d_output.shape[:-2]) == members
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"x と d_output の先頭の軸は、ネットワークの集団の軸 {network.ensemble} にそろえて"
            f"ください。受け取った形: {x.shape} と {d_output.shape}"
        )


def trace(network: Network, x: Array, d_output: Array) -> tuple[list[Array], list[Array]]:
    """順伝播と逆伝播を 1 回ずつ行い、層ごとの出力と、その出力での勾配を返す。

    2 つ目のループが、この本の主役です。

    Parameters
    ----------
    network : Network
        調べるネットワーク。
    x : ndarray, shape (..., N, n_in)
        入力。
    d_output : ndarray, shape (..., N, n_out)
        出力での勾配 ∂L/∂y。

    Returns
    -------
    outputs, gradients : list of ndarray
        長さは層の数。``gradients[i]`` は ∂L/∂(``outputs[i]``)。

    Raises
    ------
    TypeError
        ``network`` が Network でないとき、``x`` や ``d_output`` が実数でないとき。
    ValueError
        ``x`` や ``d_output`` の形がネットワークと合わないとき。

    Examples
    --------
    >>> network = Network([Affine(np.eye(2)), Affine(2 * np.eye(2))])
    >>> outputs, gradients = trace(network, np.ones((1, 2)), np.ones((1, 2)))
    >>> [float(y[0, 0]) for y in outputs], [float(d[0, 0]) for d in gradients]
    ([1.0, 2.0], [2.0, 1.0])
    """
    check_layered(network)
    outputs, gradients = [], []
    with network.turn.wait:
        for layer in network:
            outputs.append(x := layer.forward(x))
        d = _like_output(d_output, x)
        for layer in reversed(network):
            gradients.append(d)
            d = layer.backward(d)
        network.disown()
    return outputs, gradients[::-1]


def _like_output(d_output: Array, output: Array) -> Array:
    d_output = signal("d_output", d_output, width=output.shape[-1])
    try:
        return np.broadcast_to(d_output, output.shape)
    except ValueError:
        raise ValueError(
            f"d_output は、出力の形 {output.shape} にそろえてください。"
            f"受け取った形: {d_output.shape}"
        ) from None


def _preactivation(network: Network, outputs: list[Array], span: range) -> Array:
    for i in span:
        if isinstance(layer := network[i], Activate):
            return layer.z
    return outputs[span.stop - 1]


def per_layer(measure: Callable[[Array], Array], layers: Sequence[Array]) -> Array:
    """層ごとに測った値を、最後の軸 (..., 層) に並べる。

    Parameters
    ----------
    measure : callable
        配列 (..., m, n) から値 (...) を返す関数。
    layers : sequence of ndarray
        層ごとの配列 (1 つ以上)。

    Returns
    -------
    ndarray, shape (..., L)

    Raises
    ------
    TypeError
        ``measure`` が関数でないとき、``layers`` が 1 つ以上の配列の列でないとき。

    Examples
    --------
    >>> per_layer(rms, [np.ones((4, 2)), np.full((4, 3), 2.0)])
    array([1., 2.])
    """
    check_callable("measure", measure)
    if not isinstance(layers, list | tuple) or not layers:
        raise TypeError(
            f"layers には 1 つ以上の配列のリストを渡してください。受け取った値: {layers!r}"
        )
    return np.stack([measure(layer) for layer in layers], axis=-1)


def rms(a: Array) -> Any:
    """末尾 2 軸にわたる二乗平均平方根 (RMS)。

    Parameters
    ----------
    a : ndarray, shape (..., m, n)
        空でない実数の配列。

    Returns
    -------
    ndarray, shape (...)
        NaN を含めば NaN、含まずに ±inf を含めば inf。

    Raises
    ------
    TypeError
        ``a`` が実数の配列でないとき。
    ValueError
        ``a`` が空のとき、軸が 2 本より少ないとき。

    Examples
    --------
    >>> float(rms(np.array([[3e-200, 3e-200]])))
    3e-200
    """
    a = signal("a", a)
    if a.size == 0:
        raise ValueError(f"a には空でない配列を渡してください。受け取った形: {a.shape}")
    flat = a.reshape(*a.shape[:-2], -1)
    info = np.finfo(flat.dtype)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        power = np.vecdot(flat, flat) / flat.shape[-1]  # 二乗の和は、自分自身との内積
    safe = (info.tiny / info.eps < power) & (power < info.max)
    return np.sqrt(power) if safe.all() else np.where(safe, np.sqrt(power), _scaled_rms(flat))[()]


def _scaled_rms(a: Array) -> Any:
    """最大値で割ってから測る RMS。二乗が型の最小の数を下回っても、0 にしないため。"""
    top = np.abs(a).max(axis=-1, keepdims=True)
    fits = (top > 0) & (top < np.inf)
    with np.errstate(under="ignore", invalid="ignore"):
        scaled = np.where(fits, a, 1) / np.where(fits, top, 1)  # inf / inf を作らない
        return top[..., 0] * np.sqrt(np.square(scaled).mean(axis=-1))
