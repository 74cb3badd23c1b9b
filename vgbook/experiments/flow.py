"""信号の流れ: 学習を始める前のネットワークで、h・δ・dW の大きさを層ごとに測る。

『ゼロから作る』6.2.2 と 6.2.3 は隠れ層の出力だけを描きます。
ここでは逆伝播の信号も同じように測ります。
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from vgbook._edge import Array, check_count
from vgbook.activations import Activation
from vgbook.ensemble.chunks import over_members, take
from vgbook.initializers import Initializer
from vgbook.network import Network, Normalization, mlp
from vgbook.signals import Signals, blocks, rms, signals


def activation_distribution(
    activation: Activation,
    init: Initializer,
    *,
    rng: np.random.Generator,
    depth: int = 5,
    width: int = 100,
    samples: int = 1000,
    norm: Normalization | None = None,
) -> Signals:
    """『ゼロから作る』6.2.2 と 6.2.3 の実験。標準正規乱数を流し、各層の値をすべて返す。

    元の実験は順伝播だけですが、ここでは出力に標準正規の勾配を与え、逆伝播の信号も返します。

    Parameters
    ----------
    activation : Activation
        全層の後に置く活性化関数。
    init : Initializer
        重みの初期値。集団の軸を開いてもかまいません。
    rng : numpy.random.Generator
        乱数生成器。
    depth, width, samples : int
        層の数、各層の幅、標本数。
    norm : BatchNorm, LayerNorm or None
        隠れ層に挟む正規化 (最後の層には入りません)。

    Returns
    -------
    Signals
        どのリストも長さ ``depth``。``h[l]`` の形は (..., samples, width)。

    Raises
    ------
    TypeError
        ``activation``、``init``、``rng``、``norm`` の型が違うとき。
    ValueError
        ``depth``、``width``、``samples`` が正の整数でないとき。

    Examples
    --------
    >>> from vgbook.activations import sigmoid
    >>> from vgbook.initializers import normal
    >>> flow = activation_distribution(sigmoid, normal(1.0), rng=np.random.default_rng(0))
    >>> len(flow.h), flow.h[0].shape
    (5, (1000, 100))
    """
    _check_sizes(depth=depth, width=width, samples=samples)
    network, x, d_output = _draw(activation, init, rng, depth, width, samples, norm)
    with np.errstate(over="ignore", invalid="ignore"):
        return signals(network, x, d_output)


def _check_sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        check_count(name, value)


def _draw(
    activation: Activation,
    init: Initializer,
    rng: np.random.Generator,
    depth: int,
    width: int,
    samples: int,
    norm: Normalization | None,
) -> tuple[Network, Array, Array]:
    """ネットワーク、入力、出力での勾配を、この順に引く。"""
    network = mlp([width] * (depth + 1), activation, init, rng=rng, norm=norm, output=activation)
    x, d_output = rng.standard_normal((2, samples, width))
    return network, x, d_output


class Flow(NamedTuple):
    """層ごとの信号の大きさ。どの配列も (seeds, ..., 層) で、入力側の層から並びます。"""

    h: Array
    """出力 h の二乗平均平方根 (RMS)。"""
    h_std: Array
    """層の全要素の標準偏差。ヒストグラムの「広がり」にあたります。"""
    h_data_std: Array
    """同じユニットの、データにわたる標準偏差 (分散をユニットで平均して平方根をとる)。"""
    delta: Array
    """δ の RMS。"""
    dW: Array
    """重みの勾配の RMS。"""

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """軸の名前。``...`` は集団の軸です。"""
        return dict.fromkeys(self._fields, ("seed", ..., "layer"))


def gradient_flow(
    activation: Activation,
    init: Initializer,
    *,
    rng: np.random.Generator,
    depth: int = 20,
    width: int = 100,
    samples: int = 200,
    norm: Normalization | None = None,
    seeds: int = 10,
    chunk: int | None = None,
    executor: Executor | None = None,
) -> Flow:
    """深いネットワークで、h・δ・dW の大きさが層とともにどう変わるかを測る。

    Parameters
    ----------
    activation, init, depth, width, samples, norm
        `activation_distribution` と同じ。
    rng : numpy.random.Generator
        乱数生成器。
    seeds : int
        繰り返しの数。
    chunk, executor
        `over_members` と同じ。

    Returns
    -------
    Flow
        各配列の形は (seeds, ..., depth)。

    Raises
    ------
    TypeError
        ``activation``、``init``、``rng``、``norm``、``executor`` の型が違うとき。
    ValueError
        ``depth``、``width``、``samples``、``seeds`` が正の整数でないとき。

    Examples
    --------
    >>> from vgbook.activations import sigmoid
    >>> from vgbook.initializers import xavier
    >>> flow = gradient_flow(sigmoid, xavier(), rng=np.random.default_rng(0), depth=5)
    >>> ratio = flow.delta[:, 0] / flow.delta[:, -1]
    >>> ratio.shape, bool(ratio.max() < 0.01)
    ((10,), True)
    """
    _check_sizes(depth=depth, width=width, samples=samples)
    run = partial(measure, activation, init, depth=depth, width=width, samples=samples, norm=norm)
    kept = 2 if norm is None else 3  # 層ごとに残る信号: z と h、正規化した値
    flowing = 4  # ほかに、計算の途中にある信号
    nbytes = 8 * width * (2 * depth * width + (kept * depth + flowing) * samples)
    flow: Flow = over_members(
        run, init, rng=rng, seeds=seeds, nbytes=nbytes, chunk=chunk, executor=executor
    )
    return flow


def measure(
    activation: Activation,
    init: Initializer,
    rng: np.random.Generator,
    part: slice = slice(None),
    *,
    depth: int,
    width: int,
    samples: int,
    norm: Normalization | None = None,
) -> Flow:
    """1 つの種で、集団の ``part`` のチャンクを測る。引数は `gradient_flow` と同じ。

    Examples
    --------
    >>> from vgbook.activations import relu
    >>> from vgbook.initializers import he
    >>> rng = np.random.default_rng(0)
    >>> measure(relu, he(), rng, depth=3, width=10, samples=5).delta.shape
    (3,)
    """
    network, x, d = _draw(activation, take(init, part), rng, depth, width, samples, norm)
    spans = blocks(network)
    forward, backward = [], []
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for span in spans:
            for i in span:
                x = network[i].forward(x)
            forward.append(spread(x))  # キャッシュにあるうちに測る
        d = np.broadcast_to(d, x.shape)
        for span in reversed(spans):
            for i in reversed(span):
                delta, d = d, network[i].backward(d)
            backward.append((rms(delta), rms(network[span.start].grads["W"])))
    return Flow(*_layers_last(forward), *_layers_last(backward[::-1]))


def spread(h: Array) -> tuple[Any, Any, Any]:
    """出力 h (..., N, n) の RMS、全要素の標準偏差、データにわたる標準偏差。どれも (...)。

    全要素の分散は、ユニットごとの分散の平均と、ユニットごとの平均の分散の和です。

    Examples
    --------
    >>> size, std, data_std = spread(np.array([[1.0, 5.0], [3.0, 7.0]]))
    >>> float(size.round(2)), float(std.round(2)), float(data_std)
    (4.58, 2.24, 1.0)
    """
    mean = h.mean(axis=-2, keepdims=True)
    data_std = rms(h - mean)
    unit_std = rms(mean - mean.mean(axis=-1, keepdims=True))
    return rms(h), np.hypot(data_std, unit_std), data_std


def _layers_last(rows: Sequence[tuple[Any, ...]]) -> Iterator[Array]:
    """層ごとの組を、量ごとの配列 (..., 層) に並べ直す。"""
    return (np.stack(values, axis=-1) for values in zip(*rows, strict=True))
