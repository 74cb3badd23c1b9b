"""LSUV: データを 1 回流し、各層の出力の分散を 1 に合わせる初期化。

活性化関数ごとの理論の代わりに、実際の出力を測って重みを割ります。どんな活性化関数にも使えます。
"""

import numpy as np

from vgbook._edge import Array, check_count, check_data, check_positive
from vgbook.layers.affine import Affine
from vgbook.network import Network, check_network


def lsuv(network: Network, x: Array, *, tolerance: float = 0.01, rounds: int = 10) -> Network:
    """各アフィン変換の出力の分散が 1 になるように、重みを入力側から順に割る。

    直交行列の初期値 (`orthogonal`) から始めるのが元の提案です。出典: Mishkin and Matas (2016),
    Algorithm 1。

    Parameters
    ----------
    network : Network
        重みを書き換えるネットワーク (集団でもよい)。
    x : ndarray, shape (N, n_in)
        データのミニバッチ。
    tolerance : float
        分散と 1 の差の許容値 (正)。
    rounds : int
        1 つの層を割り直す回数の上限。バイアスが 0 なら 1 回で合います。

    Returns
    -------
    Network
        引数と同じもの。

    Raises
    ------
    ValueError
        データの形が合わないとき、出力の分散が 0 か有限でなく、割れないとき。

    Examples
    --------
    >>> from vgbook import mlp, orthogonal, silu
    >>> rng = np.random.default_rng(0)
    >>> network = lsuv(mlp([20] * 10, silu, orthogonal(), rng=rng), rng.standard_normal((50, 20)))
    >>> network.affines[-1].forward(network.affines[-1].x).var().round(2)
    np.float64(1.0)
    """
    check_network(network)
    check_positive("tolerance", tolerance)
    check_count("rounds", rounds)
    x = check_data("x", x, width=network.affines[0].params["W"].shape[-2])
    for number, layer in enumerate(network):
        if isinstance(layer, Affine):
            _unit_variance(layer, x, tolerance, rounds, number)
        x = layer.forward(x)
    return network


def _unit_variance(layer: Affine, x: Array, tolerance: float, rounds: int, number: int) -> None:
    for _ in range(rounds):
        var = layer.forward(x).var(axis=(-2, -1), keepdims=True)
        if not np.all(np.isfinite(var) & (var > 0)):
            raise ValueError(
                f"network の {number} 番目の層は、出力の分散が 0 か有限でないので割れません。"
                f"測った分散: {var.ravel()}"
            )
        if np.all(np.abs(var - 1) < tolerance):
            return
        layer.params["W"] /= np.sqrt(var)
