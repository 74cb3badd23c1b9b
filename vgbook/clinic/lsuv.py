"""LSUV: データを 1 回流し、各層の出力の分散を 1 に合わせる初期化。

活性化関数ごとの理論の代わりに、実際の出力を測って重みを割ります。理論の利得は要りません。
"""

from collections.abc import Sequence

import numpy as np

from vgbook._edge import Array, check_rows
from vgbook.layers.affine import Affine, Layer
from vgbook.layers.residual import Residual
from vgbook.layers.walk import check_param
from vgbook.network import Network, check_network


def lsuv(network: Network, x: Array) -> Network:
    r"""各アフィン変換の出力の分散が 1 になるように、重みを入力側から順に割る。

    バイアスがなければ、重みを出力の標準偏差で割るだけです。バイアスがあれば、
    :math:`\mathrm{Var}[s\,xW + b] = 1` を s について解き、重みを s 倍します。残差ブロックの枝の
    中も、計算の順に合わせます。バッチ正規化の移動平均も 1 回ぶん進みます。直交行列の初期値
    (`orthogonal`) から始めるのが元の提案です。
    出典: Mishkin and Matas (2016), Algorithm 1。元の手続きは、割り直しを繰り返します。

    Parameters
    ----------
    network : Network
        重みを書き換えるネットワーク (集団でもよい)。
    x : ndarray, shape (N, n_in)
        データのミニバッチ。

    Returns
    -------
    Network
        引数と同じもの。

    Raises
    ------
    TypeError
        ``network`` が Network でないとき、``x`` が実数の配列でないとき。
    ValueError
        データの形が合わないとき、出力の分散が 0 か有限でなく、割れないとき、バイアスだけで出力の
        分散が 1 以上になり、重みでは合わせられないとき、`Residual` のほかに、中に層をもつ層が
        あるとき。

    Examples
    --------
    >>> from vgbook import mlp, orthogonal, silu
    >>> rng = np.random.default_rng(0)
    >>> network = lsuv(mlp([20] * 10, silu, orthogonal(), rng=rng), rng.standard_normal((50, 20)))
    >>> network.affines[-1].forward(network.affines[-1].x).var().round(2)
    np.float64(1.0)
    """
    check_network(network)
    x = check_rows("x", x, width=network.n_in)
    _check_order(network.layers, "")
    _scale_all(network.layers, x, "")
    network.disown()
    return network


def _check_order(layers: Sequence[Layer], place: str) -> None:
    """中に層をもつ層は、計算の順の分かる `Residual` だけであること。"""
    for number, layer in enumerate(layers):
        if isinstance(layer, Residual):
            _check_order(layer.branch, f"{place}{number}.")
        elif getattr(layer, "branch", None) is not None:
            raise ValueError(
                f"network の {place}{number} 番目の層の中は、計算の順が分からないので、合わせられ"
                f"ません。枝をもつ層は Residual にしてください。受け取った層: {layer!r}"
            )


def _scale_all(layers: Sequence[Layer], x: Array, place: str) -> Array:
    """層を順に合わせながら信号を流す。``place`` は、いまいる残差ブロックの番号。"""
    for number, layer in enumerate(layers):
        if isinstance(layer, Residual):
            x = x + layer.scale * _scale_all(layer.branch, x, f"{place}{number}.")
            continue
        if isinstance(layer, Affine):
            _unit_variance(layer, x, f"{place}{number}")
        x = layer.forward(x)
    return x


def _unit_variance(layer: Affine, x: Array, place: str) -> None:
    check_param(layer, "W", layer.params["W"], trained=True)
    b = layer.params["b"]
    u = layer.forward(x) - b
    spread = u.var(axis=(-2, -1), keepdims=True)
    if not np.all(np.isfinite(spread) & (spread > 0)):
        raise ValueError(
            f"network の {place} 番目の層は、出力の分散が 0 か有限でないので割れません。"
            f"受け取ったデータで測った分散: {spread.ravel()}"
        )
    centered = b - b.mean(axis=-1, keepdims=True)
    fixed = np.square(centered).mean(axis=-1, keepdims=True)
    if not np.all(fixed < 1):
        raise ValueError(
            f"network の {place} 番目の層は、バイアスだけで出力の分散が 1 以上になるので、重みを"
            "割っても合いません。バイアスを小さくしてください。"
            f"受け取ったバイアスの分散: {fixed.ravel()}"
        )
    # s²·spread + 2s·shared + fixed = 1 の正の解。桁落ちしないほうの形を使う
    shared = (u * centered).mean(axis=(-2, -1), keepdims=True)
    root = np.sqrt(np.square(shared) + spread * (1 - fixed))
    by_sum = (1 - fixed) / np.where(shared > 0, shared + root, 1)
    layer.params["W"] *= np.where(shared > 0, by_sum, (root - shared) / spread)
