"""単調な写像を何度も施した行き先、不動点を求めます。"""

from collections.abc import Callable

import numpy as np

from vgbook._edge import Array

GRID = np.concatenate([[0.0], np.geomspace(1e-12, 1e12, 481)])
"""根を挟む区間を探す q の目盛り。"""

ROUNDING = 1e-12
"""求積の精度。これより 1 に近い倍率は 1 と区別しません。"""


def follow(curve: Callable[[Array], Array], factor: Array, offset: Array, start: float) -> Array:
    """写像 q → factor·curve(q) + offset を ``start`` から繰り返した行き先。なければ NaN。

    写像は単調に増えるので、q は動き出した向きに進み続け、最初に出会う不動点で止まる。
    """
    factor, offset = np.broadcast_arrays(factor, offset)
    grid = np.union1d(GRID, start)
    step = factor[..., np.newaxis] * curve(grid) - grid
    step = np.where(np.abs(step) <= ROUNDING * grid, 0.0, step) + offset[..., np.newaxis]
    up = step[..., grid == start] > 0
    stops = np.where(up, (step <= 0) & (grid > start), (step >= 0) & (grid <= start))
    first, last = np.argmax(stops, axis=-1), len(grid) - 1 - np.argmax(stops[..., ::-1], axis=-1)
    up = up[..., 0]
    end = np.where(up, first, last)
    before = np.where(up, end - 1, np.minimum(end + 1, len(grid) - 1))
    q = find_root(lambda q, a, b: a * curve(q) + b - q, grid[before], grid[end], (factor, offset))
    q = np.where(np.take_along_axis(step, end[..., np.newaxis], -1)[..., 0] == 0, grid[end], q)
    return np.where(stops.any(axis=-1), q, np.nan)


def find_root(f: Callable[..., Array], a: Array, b: Array, args: tuple[Array, ...]) -> Array:
    """符号の変わる区間 [a, b] の中の、f の根。見つからなければ NaN。"""
    from scipy.optimize import elementwise

    result = elementwise.find_root(f, (np.minimum(a, b), np.maximum(a, b)), args=args)
    return np.where(result.success, result.x, np.nan)
