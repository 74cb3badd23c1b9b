"""標準偏差の式と、乱数の引き方。初期値は、この 2 つの組です。"""

import math

import numpy as np

from vgbook._edge import Array, Shape


# 標準偏差の式: どの式も (n_in, n_out) → 標準偏差
def one(n_in: int, n_out: int) -> float:
    """層の大きさによらず 1 です。"""
    return 1.0


def fan_in(n_in: int, n_out: int) -> float:
    """入力の数だけで決まる、簡略形です。"""
    return 1.0 / math.sqrt(n_in)


def fan_average(n_in: int, n_out: int) -> float:
    """入力と出力の数の平均で決まる、Glorot らの論文の形です。"""
    return math.sqrt(2.0 / (n_in + n_out))


# 行列の引き方: 平均 0・分散 1 の乱数。ただし ones はどの要素も 1、haar は QᵀQ = 1
def ones(rng: np.random.Generator, shape: Shape) -> Array:
    """どの要素も 1 です。"""
    return np.ones(shape)


def gaussian(rng: np.random.Generator, shape: Shape) -> Array:
    """標準正規分布から引きます。"""
    return rng.standard_normal(shape)


def uniform(rng: np.random.Generator, shape: Shape) -> Array:
    """分散が 1 になる幅の一様分布から引きます。"""
    return rng.uniform(-math.sqrt(3.0), math.sqrt(3.0), shape)


def haar(rng: np.random.Generator, shape: Shape) -> Array:
    """直交行列の集合の上で一様な分布 (ハール分布) から引きます。"""
    n_in, n_out = shape[-2:]
    tall = rng.standard_normal((*shape[:-2], max(n_in, n_out), min(n_in, n_out)))
    q, r = np.linalg.qr(tall)
    # QR 分解の符号の任意性を消さないと、Q は直交群の上で一様にならない
    q *= np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
    haar: Array = q if n_in >= n_out else q.mT
    return haar
