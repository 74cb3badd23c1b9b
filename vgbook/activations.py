"""活性化関数: φ と φ′ を並べて書いた表です。

活性化関数は、重み付きの和 z を出力 h = φ(z) に変えます。逆伝播では各層で φ′(z) が 1 回ずつ
掛かるので、φ′ の大きさが勾配消失の出発点になります。ここでは関数と導関数を必ず隣り合わせに置き、
どちらも z の関数として書きます。出力 y から ``y * (1 - y)`` と求めると、``1 - y`` の桁落ちで、
裾の値が 0 になってしまうからです。

指数関数は ``exp(-|z|)`` のように、必ず 0 以下の数に対して使います。
この形なら、どれほど大きな z でも桁あふれしません。
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgbook._edge import (
    as_array,
    as_real,
    came,
    check_callable,
    check_kinks,
    check_text,
    elementwise,
)

__all__ = [
    "Activation",
    "elu",
    "gelu",
    "gelu_tanh",
    "identity",
    "leaky_relu",
    "mish",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "step",
    "tanh",
]

Array: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True, repr=False)
class Activation:
    """活性化関数 φ とその導関数 φ′ の組を表します。

    Parameters
    ----------
    name : str
        表示に使う名前。
    f, df : callable
        φ と φ′。浮動小数の配列 ``(...)`` を受け取り、書き換えずに、同じ形の配列を返します。
    kinks : tuple of float
        φ か φ′ が滑らかでない点。数値微分による検査と、期待値の数値積分が使います。

    Raises
    ------
    TypeError
        ``name`` が文字列でないとき、``f`` か ``df`` が関数でないとき、``kinks`` が有限な実数の
        列でないとき、実数でない入力を渡したとき、``f`` か ``df`` が入力を書き換えるか、同じ形の
        実数の配列を返さないとき。
    ValueError
        長さのそろわないリストや、値を隠した配列を渡したとき。

    Examples
    --------
    >>> sigmoid.derivative([0.0, 40.0])
    array([2.50000000e-01, 4.24835426e-18])
    >>> relu
    relu
    """

    name: str
    f: Callable[[Array], Array]
    df: Callable[[Array], Array]
    kinks: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_callable("f", self.f)
        check_callable("df", self.df)
        object.__setattr__(self, "kinks", check_kinks(self.kinks))

    @np.errstate(under="ignore")
    def __call__(self, z: ArrayLike) -> Array:
        """φ(z) を返します。形 ``(...)`` は保たれ、整数は float64 になります。"""
        return elementwise(f"活性化関数 {self.name} の f", self.f, _as_float(z))

    @np.errstate(under="ignore")
    def derivative(self, z: ArrayLike) -> Array:
        """φ′(z) を返します。形 ``(...)`` は保たれ、整数は float64 になります。"""
        return elementwise(f"活性化関数 {self.name} の df", self.df, _as_float(z))

    def __repr__(self) -> str:
        return self.name


def check_activation(name: str, value: object) -> None:
    """``value`` が Activation であることを確かめる。`leaky_relu` のような作り手そのものは断る。"""
    if not isinstance(value, Activation):
        raise TypeError(
            f"{name} には Activation (relu や leaky_relu(0.01) など) を渡してください。"
            f"{came(value, Activation)}"
        )


def _as_float(z: ArrayLike) -> Array:
    array = as_array("z", z)
    if array.dtype.char in "efd":
        return array
    if array.dtype.kind in "iubf":  # long double も float64 で計算する
        return array.astype(np.float64)
    raise TypeError(f"z には実数の配列を渡してください。受け取った dtype: {array.dtype}")


# fmt: off
# --- 折れ線の仲間。z = 0 での傾きは「左側の値」と約束します (ReLU なら 0)。
#     最大値を取ったり切り詰めたりする書き方なら、NaN は NaN のまま通り抜けます。
#     float32 と float64 では、0 の符号も PyTorch に合わせます (ReLU と ELU は −0.0 をそのまま通し、
#     傾きの 0 は +0.0)。max(0, z) の順なら z の 0 が残り、場合分けより速く済みます。

def _constant(z: Array, value: float) -> Array:  return np.where(np.isnan(z), z, value)

def _step(z: Array) -> Array:        return np.ceil(np.clip(z, 0.0, 1.0)) + 0.0
def _d_step(z: Array) -> Array:      return _constant(z, 0.0)

def _identity(z: Array) -> Array:    return +z
def _d_identity(z: Array) -> Array:  return _constant(z, 1.0)

def _relu(z: Array) -> Array:        return np.maximum(0.0, z)
def _d_relu(z: Array) -> Array:      return np.ceil(np.clip(z, 0.0, 1.0)) + 0.0

def _leaky_relu(z: Array, slope: float) -> Array:
    leak: Array = slope * z
    return np.maximum(z, leak)
def _d_leaky_relu(z: Array, slope: float) -> Array:
    return np.maximum(np.sign(z), slope)

def _elu(z: Array, alpha: float, scale: float = 1.0) -> Array:
    with np.errstate(over="ignore"):  # SELU は、最大の数の近くで型をあふれて inf になる
        return scale * np.where(z > 0, z, alpha * np.expm1(np.where(z > 0, 0.0, z)))
def _d_elu(z: Array, alpha: float, scale: float = 1.0) -> Array:
    return scale * np.where(z > 0, 1.0, alpha * np.exp(np.minimum(z, 0.0)))

# --- S 字型の仲間。

def _sigmoid(z: Array) -> Array:
    e: Array = np.exp(-np.abs(z))
    return np.maximum(e, z >= 0) / (1 + e)  # 分子は z < 0 なら e、z ≥ 0 なら 1
def _d_sigmoid(z: Array) -> Array:
    e: Array = np.exp(-np.abs(z))
    return e / (1 + e) ** 2

def _tanh(z: Array) -> Array:
    return np.tanh(z)
def _d_tanh(z: Array) -> Array:
    e: Array = np.exp(-2 * np.minimum(np.abs(z), 1000.0))  # 2|z| があふれないように
    return 4 * e / (1 + e) ** 2

# --- 滑らかな ReLU の仲間。最後の 3 つは φ(z) = z·g(z)、φ′(z) = g(z) + z·g′(z) です。
#     ±∞ で ∞·0 を作らないように、g がもう変わらないところで z を切り詰めます。

def _softplus(z: Array) -> Array:    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))
def _d_softplus(z: Array) -> Array:  return _sigmoid(z)

def _silu(z: Array) -> Array:
    return np.maximum(z, -1000.0) * _sigmoid(z)
def _d_silu(z: Array) -> Array:
    return _sigmoid(z) + np.clip(z, -1000.0, 1000.0) * _d_sigmoid(z)

def _gelu(z: Array) -> Array:
    return np.maximum(z, -40.0) * _normal_cdf(z)
def _d_gelu(z: Array) -> Array:
    z = np.clip(z, -40.0, 40.0)
    return _normal_cdf(z) + z * _normal_pdf(z)

def _gelu_tanh(z: Array) -> Array:
    return np.maximum(z, -40.0) * _sigmoid(_gelu_slope(z)[0])
def _d_gelu_tanh(z: Array) -> Array:
    u, du = _gelu_slope(z)
    return _sigmoid(u) + np.clip(z, -40.0, 40.0) * _d_sigmoid(u) * du

def _mish(z: Array) -> Array:
    t, _ = _tanh_softplus(z)
    return np.maximum(z, -1000.0) * t
def _d_mish(z: Array) -> Array:
    t, dt = _tanh_softplus(z)
    return t + np.clip(z, -1000.0, 1000.0) * dt

# 裾では z の丸めが z² 倍になって効くので、正規分布は float64 で計算してから z の型に戻します。
def _normal_cdf(z: Array) -> Array:
    from scipy.special import erfc

    wide = z.astype(float, copy=False)
    return (erfc(wide * -math.sqrt(0.5)) / 2).astype(z.dtype, copy=False)
def _normal_pdf(z: Array) -> Array:
    wide = z.astype(float, copy=False)
    density: Array = np.exp(-wide * wide / 2) / math.sqrt(2 * math.pi)
    return density.astype(z.dtype, copy=False)

# (1 + tanh(u/2))/2 = σ(u)。裾で 1 + tanh の桁落ちが起きない形にしておきます。
def _gelu_slope(z: Array) -> tuple[Array, Array]:
    z = np.clip(z, -40.0, 40.0)
    k: float = 2 * math.sqrt(2 / math.pi)
    return k * (z + 0.044715 * z**3), k * (1 + 3 * 0.044715 * z**2)

def _tanh_softplus(z: Array) -> tuple[Array, Array]:
    p, m = np.exp(np.minimum(z, 0.0)), np.exp(-np.maximum(z, 0.0))  # p / m = exp(z)
    n = p * (p + 2 * m)
    d = n + 2 * m * m
    return n / d, 4 * p * (p + m) * m * m / d**2
# fmt: on


@dataclass(frozen=True)
class _Fixed:
    """パラメーターを決めた関数。`functools.partial` と違い、中身が同じなら等しい。"""

    function: Callable[..., Array]
    parameters: tuple[float, ...]

    def __call__(self, z: Array) -> Array:
        return self.function(z, *self.parameters)


def _fixed(
    name: str, f: Callable[..., Array], df: Callable[..., Array], *parameters: float
) -> Activation:
    """パラメーターを決めて、0 で折れる活性化関数を作る。"""
    return Activation(name, _Fixed(f, parameters), _Fixed(df, parameters), kinks=(0.0,))


step = Activation("step", _step, _d_step, kinks=(0.0,))
identity = Activation("identity", _identity, _d_identity)
sigmoid = Activation("sigmoid", _sigmoid, _d_sigmoid)
tanh = Activation("tanh", _tanh, _d_tanh)
relu = Activation("relu", _relu, _d_relu, kinks=(0.0,))
softplus = Activation("softplus", _softplus, _d_softplus)
selu = _fixed("selu", _elu, _d_elu, 1.6732632423543772, 1.0507009873554805)
gelu = Activation("gelu", _gelu, _d_gelu)
gelu_tanh = Activation("gelu_tanh", _gelu_tanh, _d_gelu_tanh)
silu = Activation("silu", _silu, _d_silu)
mish = Activation("mish", _mish, _d_mish)


def leaky_relu(slope: float = 0.01) -> Activation:
    """負の側に傾き ``slope`` を残した ReLU、φ(z) = max(z, slope·z) を作ります。

    Parameters
    ----------
    slope : float
        負の側の傾き。0 以上 1 以下で、0 なら :data:`relu` を返します。

    Raises
    ------
    TypeError, ValueError
        ``slope`` が実数でないか、範囲の外にあるとき。

    Examples
    --------
    >>> leaky_relu(0.1)([-2.0, 3.0])
    array([-0.2,  3. ])
    """
    slope = _number("slope", slope, high=1.0)
    if slope == 0:
        return relu
    return _fixed(f"leaky_relu({slope})", _leaky_relu, _d_leaky_relu, slope)


def elu(alpha: float = 1.0) -> Activation:
    """負の側が -alpha に近づく ELU、φ(z) = z (z > 0), alpha·(exp(z) - 1) (z ≤ 0) を作ります。

    Parameters
    ----------
    alpha : float
        負の側の漸近値の大きさ。0 以上の有限な値。

    Raises
    ------
    TypeError, ValueError
        ``alpha`` が実数でないか、範囲の外にあるとき。

    Examples
    --------
    >>> elu()([-1000.0, 2.0])
    array([-1.,  2.])
    """
    alpha = _number("alpha", alpha, high=math.inf)
    return _fixed(f"elu({alpha})", _elu, _d_elu, alpha)


def _number(name: str, value: float, high: float) -> float:
    expected = "0 以上の有限な" if math.isinf(high) else f"0 以上 {high:g} 以下の"
    message = f"{name} には {expected}実数を渡してください。受け取った値: {value!r}"
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(message)
    if not 0 <= as_real(value) <= high:
        raise ValueError(message)
    return float(value)
