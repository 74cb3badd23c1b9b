"""層ごとの測定から、症状を挙げる。NumPy と PyTorch に共通。"""

from collections.abc import Sequence
from math import exp, isfinite, log

from vgbook.clinic.record import Finding, LayerRecord, Thresholds, finding

ORDER = ("saturated", "exploding", "dead", "vanishing", "indistinguishable")  # 原因に近い順
MOSTLY_DEAD = 0.9
TINY = 1e-30  # 0 の δ を対数に入れるときの下限


def symptoms(layers: Sequence[LayerRecord], limits: Thresholds) -> list[Finding]:
    """疑いのある症状を、原因に近いものから並べる。"""
    found = [*_shares(layers, limits), *_slopes(layers, limits), *_buried(layers, limits)]
    order = [*ORDER]
    if not mostly_dead(layers):  # 深い ReLU では、標本の向きがそろい、He でも半分ほどが 0 になる
        order.append(order.pop(order.index("dead")))
    found.sort(key=lambda f: order.index(f.slug))
    for each in found:
        each.severity = "症状"
    return found


def mostly_dead(layers: Sequence[LayerRecord]) -> bool:
    """ほとんどのユニットが死んだ層があるか。"""
    return any(layer.dead > MOSTLY_DEAD for layer in layers)


def decay(values: Sequence[float]) -> float:
    """入力側の値 ÷ 出力側の値。

    両端の 1/4 どうしの比と、対数の傾きから求めた比のうち、1 に近いほうです。端の 1 点だけが外れて
    いても、途中だけが揺れていても、大きな比にはなりません。

    Examples
    --------
    >>> round(decay([0.01, 0.1, 1.0]), 6)
    0.01
    """
    logs = [log(max(v, TINY)) for v in values]
    n = len(logs)
    middle, mean = (n - 1) / 2, sum(logs) / n
    slope = sum((i - middle) * (y - mean) for i, y in enumerate(logs)) / max(
        sum((i - middle) ** 2 for i in range(n)), 1
    )
    k = max(1, n // 4)
    ends = (sum(logs[:k]) - sum(logs[-k:])) / k * (n - 1) / max(n - k, 1)
    return exp(min(-slope * (n - 1), ends, key=abs))


def hidden(layers: Sequence[LayerRecord]) -> list[LayerRecord]:
    """学習する隠れ層。出力層は比べる相手にしない。"""
    inner = [layer for layer in layers[:-1] if layer.trainable and isfinite(layer.delta_norm)]
    return [layer for layer in inner if layer.kind != "Embedding"]


def _shares(layers: Sequence[LayerRecord], limits: Thresholds) -> list[Finding]:
    found = []
    for slug, word in (("dead", "死"), ("saturated", "飽和")):
        ill = [layer for layer in layers if getattr(layer, slug) > limits.share]
        if ill:
            worst = max(getattr(layer, slug) for layer in ill)
            rule = f"{word}の割合が最大 {100 * worst:.0f} % > {100 * limits.share:.0f} %"
            found.append(finding(slug, tuple(layer.name for layer in ill), rule))
    return found


def _slopes(layers: Sequence[LayerRecord], limits: Thresholds) -> list[Finding]:
    found = []
    inner = hidden(layers)
    if len(inner) >= 3:
        ratio = decay([layer.delta_norm for layer in inner])
        found += _ratio(ratio, _far(inner, limits), "層", limits)
    growth = [layer.h for layer in inner if isfinite(layer.h) and layer.h > 0]
    if len(growth) >= 3 and decay(growth) < limits.gradient and not found:
        rule = f"h が出力側で入力側の {1 / decay(growth):.0e} 倍 > {1 / limits.gradient:g}"
        far = [layer.name for layer in inner if layer.h * limits.gradient > growth[0]]
        found.append(finding("exploding", tuple(far) or (inner[-1].name,), rule))
    for layer in layers:
        if len(layer.times) >= 8 and layer.trainable:
            found += _ratio(decay(layer.times), (layer.name,), "時刻", limits)
    return found


def _far(inner: Sequence[LayerRecord], limits: Thresholds) -> tuple[str, ...]:
    """δ が、最後の隠れ層と大きく違う層の名前。"""
    last = max(inner[-1].delta_norm, TINY)
    low, high = limits.gradient * last, last / limits.gradient
    far = [layer.name for layer in inner if not low <= layer.delta_norm <= high]
    return tuple(far) or (inner[0].name,)


def _ratio(ratio: float, names: tuple[str, ...], axis: str, limits: Thresholds) -> list[Finding]:
    if ratio < limits.gradient:
        rule = f"最初の{axis}の δ が最後の{axis}の {ratio:.0e} 倍 < {limits.gradient:g}"
        return [finding("vanishing", names, rule)]
    if ratio > 1 / limits.gradient:
        rule = f"最初の{axis}の δ が最後の{axis}の {ratio:.0e} 倍 > {1 / limits.gradient:g}"
        return [finding("exploding", names, rule)]
    return []


def _buried(layers: Sequence[LayerRecord], limits: Thresholds) -> list[Finding]:
    ill = [
        layer
        for layer in layers
        if layer.distinct < limits.distinct * layer.h
        or layer.h == 0
        or layer.time_distinct < limits.distinct
    ]
    if not ill:
        return []
    ratio = min(layer.distinct / layer.h if layer.h else 0.0 for layer in ill)
    ratio = min([ratio, *(r.time_distinct for r in ill if isfinite(r.time_distinct))])
    rule = f"標本間の差が h の {ratio:.0e} 倍 < {limits.distinct:g}"
    return [finding("indistinguishable", tuple(layer.name for layer in ill), rule)]
