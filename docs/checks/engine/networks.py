"""60 桁で計算する、小さなネットワーク。微分はすべて数値微分で求める。"""

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import mpmath
import numpy as np

from checks.engine.draws import Array, gradient, normal
from checks.engine.numbers import everywhere

tanh = everywhere(mpmath.tanh)
relu = everywhere(lambda z: max(z, mpmath.mpf(0)))


def slope(phi: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """要素ごとの導関数。"""
    return everywhere(lambda z: mpmath.diff(phi, z))


def slopes(values: dict[int, Array], loss: Callable[[Array, int], Any]) -> dict[int, Array]:
    """``values[l]`` を動かしたときの、``loss(動かした値, l)`` の微分。"""
    return {l: gradient(lambda v, l=l: loss(v, l), value) for l, value in values.items()}


def network(
    rng: np.random.Generator,
    phi: Callable[[Any], Any] = tanh,
    *,
    widths: tuple[int, ...] = (2, 3, 2, 3),
    batch: int = 2,
    bias: bool = True,
    scale: Any = 1,
    curved: bool = True,
    same: bool = False,
) -> dict[str, Any]:
    r"""記号の意味: ``W`` ``b`` ``z`` ``h`` ``\delta`` と、損失の微分。どれも層の番号で引く。

    重みは標準正規乱数の ``scale`` 倍。損失 ``loss`` は最後の ``z`` の 3 次式で、
    ``curved`` でなければ 1 次式。
    ``same`` なら、すべての重みを 1 つの値にそろえる。``\delta`` は、途中の ``z`` を動かして求める。
    """
    depth = len(widths) - 1
    layers = range(1, depth + 1)
    W = {l: normal(rng, widths[l - 1], widths[l]) * scale for l in layers}
    if same:
        W = {l: np.full_like(W[l], W[1][0, 0]) for l in layers}
    b = {l: normal(rng, widths[l]) * int(bias) for l in layers}
    weight = normal(rng, batch, widths[-1])

    def loss(y: Array) -> Any:
        return (weight * y + y**3 / 3 * int(curved)).sum()

    def onward(z: Array, l: int) -> Any:
        """第 l 層の z から損失まで。"""
        for k in range(l + 1, depth + 1):
            z = phi(z) @ W[k] + b[k]
        return loss(z)

    h, z = {0: normal(rng, batch, widths[0])}, {}
    for l in layers:
        z[l] = h[l - 1] @ W[l] + b[l]
        h[l] = phi(z[l])
    inner = {l: h[l] for l in layers[:-1]}
    return {
        "W": W,
        "b": b,
        "z": z,
        "h": h,
        "L": depth,
        "loss": loss,
        r"\varphi": phi,
        r"\varphi'": slope(phi),
        r"\delta": slopes(z, onward),
        r"\pd{L}{h}": slopes(inner, lambda v, l: onward(v @ W[l + 1] + b[l + 1], l + 1)),
        r"\pd{L}{W}": slopes(W, lambda v, l: onward(h[l - 1] @ v + b[l], l)),
        r"\pd{L}{b}": slopes(b, lambda v, l: onward(h[l - 1] @ W[l] + v, l)),
    }


def dead_share(rng: np.random.Generator, *inputs: int) -> Fraction:
    """ReLU の幅 2、3 層のネットワークが、どの入力 (1 個の数) にも 0 を出す割合。

    重みは ±m で、m はすべて違う。符号の 2¹⁰ 通りをすべて数える。
    """
    sizes = [Fraction(int(m), 7) for m in rng.permutation(np.arange(5, 95, 9))]
    dead = 0
    for signs in product((-1, 1), repeat=10):
        flat = np.array([s * m for s, m in zip(signs, sizes, strict=True)])
        h = np.array([[Fraction(x)] for x in inputs])
        for W in (flat[:2].reshape(1, 2), flat[2:6].reshape(2, 2), flat[6:].reshape(2, 2)):
            h = np.maximum(h @ W, Fraction(0))
        dead += not h.any()
    return Fraction(dead, 2**10)
