"""診断: 自分のネットワークのどこで何が起きているかを調べる。

順伝播と逆伝播を 1 回ずつ行い、層ごとに測った値を決まった規則に当てはめます。どの判定にも、
使った規則と閾値、測った値、治し方の候補を添えます。

アフィン変換から次のアフィン変換の手前までを、1 つの層と数えます。残差ブロックの枝もほどきます。
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from itertools import count, pairwise
from typing import Any, NamedTuple

import numpy as np

from vgbook._edge import Array, check_callable, check_data, check_positive
from vgbook.layers.affine import Activate, Affine, Layer
from vgbook.layers.residual import Residual
from vgbook.network import Network, check_network
from vgbook.signals import per_layer, rms
from vgbook.training.losses import softmax_cross_entropy


class Thresholds(NamedTuple):
    """判定の閾値。"""

    gradient: float = 1e-2
    """δ が出力側の層の何倍を下回れば「消失」か。逆数を上回れば「爆発」。"""
    distinct: float = 1e-2
    """標本による違いが h の大きさの何倍を下回れば「埋没」か。"""
    slope: float = 0.01
    """φ′ が最大値の何倍を下回れば、その値を「飽和」と数えるか。"""
    share: float = 0.5
    """飽和した値や死んだユニットが、どれだけの割合を超えれば判定に出すか。"""


class Finding(NamedTuple):
    """1 つの判定。"""

    layer: int
    """層の番号。1 が入力側。残差ブロックの枝の層も、計算の順に数える。"""
    verdict: str
    """`CURES` にある名前のどれか。"""
    rule: str
    """測った値と、使った規則。"""
    cure: str
    """治し方の候補。"""


CURES = {
    "発散": "学習率を下げる。重みの標準偏差を小さくする。勾配をクリップする。",
    "消失": "活性化関数に合う初期値 (ReLU なら He) にする。正規化か残差接続を入れる。",
    "爆発": "重みの標準偏差を小さくする。学習率を下げる。勾配をクリップする。",
    "飽和": "重みの標準偏差を小さくする。入力を標準化する。ReLU の仲間に替える。",
    "死": "学習率を下げる。バイアスを 0 に戻す。Leaky ReLU か GELU に替える。",
    "埋没": "重みの標準偏差を大きくする。原点で 0 になる活性化関数に替える。正規化を入れる。",
    "無勾配": "損失が最小値でないことを確かめる。出力の活性化関数を外す。",
}
"""判定ごとの治し方の候補。"""

SIZES = {"h": "h", "distinct": "標本間の差", "delta": "δ", "dW": "dW"}
COLUMNS = ("層", *SIZES.values(), "更新の比", "飽和", "死", "判定")


@dataclass(frozen=True)
class Diagnosis:
    """`diagnose` の結果。どの配列も長さは層の数で、``[0]`` が入力側です。

    Attributes
    ----------
    h, distinct, delta, dW, update : ndarray, shape (L,)
        h の RMS、標本による違い (ユニットごとの標準偏差の RMS)、δ の RMS、dW の RMS、
        更新と重みの比 ``lr × RMS(dW) / RMS(W)``。
    saturated, dead : ndarray, shape (L,)
        飽和した値の割合と、どの標本でも φ′ = 0 のユニットの割合。
    findings : list of Finding
        判定。空なら「良好」です。
    blocks : mapping of int to int
        残差ブロックの枝にある層の番号から、何番目のブロックかへの対応。

    発散のために測れなかった値は NaN で、表では「―」です。
    """

    h: Array
    distinct: Array
    delta: Array
    dW: Array
    update: Array
    saturated: Array
    dead: Array
    findings: list[Finding]
    blocks: Mapping[int, int] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """異常が見つからなかったか。"""
        return not self.findings

    def rows(self) -> list[list[str]]:
        """層ごとの値を文字にした表。"""
        # 比べる基準は出力層の δ なので、それが測れなければ、どの層も良好とは言えない
        healthy = "良好" if self.delta[-1] > 0 else "―"
        table = []
        for i in range(len(self.h)):
            names = [f.verdict for f in self.findings if f.layer == i + 1]
            sizes = [v[i] for v in (self.h, self.distinct, self.delta, self.dW, self.update)]
            shares = [100 * v[i] for v in (self.saturated, self.dead)]
            table.append(
                [f"{i + 1}{self._branch(i + 1)}"]
                + ["―" if np.isnan(size) else f"{size:.1e}" for size in sizes]
                + ["―" if np.isnan(share) else f"{share:.0f} %" for share in shares]
                + ["、".join(names) or healthy]
            )
        return table

    def _branch(self, layer: int) -> str:
        return f" (枝 {self.blocks[layer]})" if layer in self.blocks else ""

    def __str__(self) -> str:
        lines = ["\t".join(COLUMNS), *("\t".join(row) for row in self.rows())]
        lines += [
            f"第 {f.layer} 層{self._branch(f.layer)} {f.verdict}: {f.rule} → {f.cure}"
            for f in self.findings
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
        body = "".join(
            f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{c}</td>" for c in rest) + "</tr>"
            for first, *rest in self.rows()
        )
        notes = "".join(
            f"<li>第 {f.layer} 層{self._branch(f.layer)} <strong>{f.verdict}</strong>: "
            f"{escape(f.rule)} → {f.cure}</li>"
            for f in self.findings
        )
        table = (
            f'<table class="docutils"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        )
        return table + (f"<ul>{notes}</ul>" if notes else "<p>異常は見つかりません。</p>")


def diagnose(
    network: Network,
    x: Array,
    labels: Array,
    *,
    loss: Any = softmax_cross_entropy,
    lr: float = 0.01,
    thresholds: Thresholds | None = None,
) -> Diagnosis:
    """ネットワークを 1 つのミニバッチで調べ、勾配の消失・爆発などを判定する。

    Parameters
    ----------
    network : Network
        調べるネットワーク (集団でないもの)。書き換えません。残差ブロックの枝も調べます。
        PyTorch のモデルは `from_state_dict` で写せます。
    x : ndarray, shape (N, n_in)
        入力 (2 個以上)。標本間の差を測るので、できれば 100 個以上。
    labels : ndarray
        ``loss`` に渡す正解。
    loss : callable
        ``(出力, 正解)`` から ``(損失, ∂L/∂出力)`` を返す関数。
    lr : float
        更新の比を求めるための学習率。
    thresholds : Thresholds, optional
        判定の閾値。

    Returns
    -------
    Diagnosis
        ``print`` すると文字の表に、ノートブックでは HTML の表になります。

    Raises
    ------
    ValueError
        ``network`` が集団のとき、データの形が合わないとき、標本が 1 個のとき、有限でない値を
        含むとき、``loss`` の返す勾配の形が出力と違うとき、閾値が正でないとき。
    TypeError
        ``network``、``loss``、``thresholds`` の型が違うとき。

    Examples
    --------
    >>> from vgbook import digits, he, mlp, normal, relu
    >>> data, rng = digits(), np.random.default_rng(0)
    >>> x, labels = data.x_train[:200], data.labels_train[:200]
    >>> diagnose(mlp([64, *[100] * 8, 10], relu, he(), rng=rng), x, labels).healthy
    True
    >>> sick = mlp([64, *[100] * 8, 10], relu, normal(0.02), rng=rng)
    >>> diagnose(sick, x, labels).findings[0].verdict
    '消失'
    """
    limits = Thresholds() if thresholds is None else thresholds
    x = _check_arguments(network, x, loss, lr, limits)
    network = copy.deepcopy(network)  # バッチ正規化の移動平均も、診断では動かさない
    layers = _layers(network)
    blocks = {n: layer[0].block for n, layer in enumerate(layers, 1) if layer[0].block}
    with np.errstate(over="ignore", invalid="ignore"):
        output = network.forward(x)
        if not np.all(np.isfinite(output)):
            return _diverged(layers, blocks)
        network.backward(_output_gradient(loss, output, labels))
        measured = _measure(layers, lr, limits.slope)
        return Diagnosis(**measured, findings=_judge(measured, limits), blocks=blocks)


def _check_arguments(
    network: Network, x: Array, loss: Any, lr: float, thresholds: Thresholds
) -> Array:
    check_network(network)
    check_callable("loss", loss)
    check_positive("lr", lr)
    if not isinstance(thresholds, Thresholds):
        raise TypeError(
            "thresholds には Thresholds (Thresholds(gradient=1e-3) など) を渡してください。"
            f"受け取った値: {thresholds!r}"
        )
    check_positive("thresholds", thresholds, many=True)
    if network.ensemble:
        raise ValueError(
            f"network には 1 つのネットワークを渡してください。受け取った集団: {network.ensemble}"
        )
    x = check_data("x", x, width=network.affines[0].params["W"].shape[-2])
    if x.ndim != 2 or len(x) < 2:  # 1 個では、標本間の差がどの層でも 0 になる
        raise ValueError(
            f"x には 2 個以上の標本 (N, n_in) を渡してください。受け取った形: {x.shape}"
        )
    return x


def _output_gradient(loss: Any, output: Array, labels: Array) -> Array:
    d_output = check_data("loss の返す ∂L/∂出力", loss(output, labels)[1])
    if d_output.shape != output.shape:
        raise ValueError(
            f"loss の返す ∂L/∂出力 の形は {output.shape} でなければなりません。"
            f"受け取った形: {d_output.shape}"
        )
    return d_output


class _Hook:
    """層に付けるフック。順伝播の出力と、そこに届いた勾配を残す。"""

    def __init__(self, layer: Layer, block: int) -> None:
        self.layer, self.block = layer, block

    def forward(self, x: Array) -> Array:
        self.y = self.layer.forward(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        self.dy = dy
        return self.layer.backward(dy)


def _hook(layers: list[Any], block: int = 0) -> Iterator[_Hook]:
    """どの層もフックに取り替え、残差ブロックの枝もほどいて、計算の順に返す。"""
    numbers = count(1)
    for i, layer in enumerate(layers):
        if isinstance(layer, Residual):
            yield from _hook(layer.branch, block or next(numbers))
        else:
            layers[i] = _Hook(layer, block)
            yield layers[i]


def _layers(network: Network) -> list[list[_Hook]]:
    """アフィン変換で始まり、次のアフィン変換の手前で終わるフックの列。"""
    hooks = list(_hook(network.layers))
    starts = [i for i, hook in enumerate(hooks) if isinstance(hook.layer, Affine)]
    return [hooks[i:j] for i, j in pairwise([*starts, len(hooks)])]


def _measure(layers: list[list[_Hook]], lr: float, slope: float) -> dict[str, Array]:
    outputs = [layer[-1].y for layer in layers]
    activates = [[k.layer for k in layer if isinstance(k.layer, Activate)] for layer in layers]
    W = per_layer(rms, [layer[0].layer.params["W"] for layer in layers])
    dW = per_layer(rms, [layer[0].layer.grads["W"] for layer in layers])
    return {
        "h": per_layer(rms, outputs),
        "distinct": per_layer(rms, [h - h.mean(axis=-2, keepdims=True) for h in outputs]),
        "delta": per_layer(rms, [layer[0].dy for layer in layers]),
        "dW": dW,
        "update": lr * np.divide(dW, W, out=np.full_like(W, np.inf), where=W > 0),
        "saturated": np.array(
            [max([_saturated(k, slope) for k in a], default=0) for a in activates]
        ),
        "dead": np.array([max([_dead(k) for k in a], default=0) for a in activates]),
    }


def _saturated(layer: Activate, slope: float) -> float:
    """有界な活性化関数で、|φ′| が最大値の ``slope`` 倍を下回る値の割合。"""
    ends = layer.activation(np.array([-1e3, 1e3]))
    if np.abs(ends).max() > 10:  # 片側が伸び続ける関数 (ReLU の仲間) は飽和とは呼ばない
        return 0.0
    steepest = np.abs(layer.activation.derivative(np.linspace(-5, 5, 1001))).max()
    return float(np.mean(np.abs(layer.activation.derivative(layer.z)) < slope * steepest))


def _dead(layer: Activate) -> float:
    """どの標本でも φ′ = 0 のユニットの割合。"""
    return float(np.mean(np.all(layer.activation.derivative(layer.z) == 0, axis=-2)))


def _judge(measured: dict[str, Array], limits: Thresholds) -> list[Finding]:
    findings = []

    def find(layer: int, verdict: str, rule: str) -> None:
        findings.append(Finding(layer + 1, verdict, rule, CURES[verdict]))

    last = len(measured["delta"]) - 1
    top = measured["delta"][last]
    for i, delta in enumerate(measured["delta"]):
        broken = [name for key, name in SIZES.items() if not np.isfinite(measured[key][i])]
        if broken:
            find(i, "発散", f"{'、'.join(broken)} が有限でない")
        ratio = delta / top if top > 0 else np.nan  # 比べる基準がなければ、消失も爆発も決めない
        if ratio < limits.gradient:
            find(i, "消失", f"δ が出力層の {ratio:.1e} 倍 < {limits.gradient:g}")
        if ratio > 1 / limits.gradient:
            find(i, "爆発", f"δ が出力層の {ratio:.1e} 倍 > {1 / limits.gradient:g}")
        size, distinct = measured["h"][i], measured["distinct"][i]
        if distinct < limits.distinct * size or size == 0:
            find(i, "埋没", f"標本間の差が h の {_ratio(distinct, size)} 倍 < {limits.distinct:g}")
        for verdict, key in (("飽和", "saturated"), ("死", "dead")):
            share = measured[key][i]
            if share > limits.share:
                find(
                    i, verdict, f"{verdict}の割合 {100 * share:.0f} % > {100 * limits.share:.0f} %"
                )
    if top == 0:
        find(last, "無勾配", "出力層の δ がすべて 0 で、ほかの層と比べられない")
    return findings


def _ratio(a: float, b: float) -> str:
    return f"{a / b:.1e}" if b else "0"


def _diverged(layers: list[list[_Hook]], blocks: dict[int, int]) -> Diagnosis:
    """順伝播が有限でなくなった最初の層を探す。逆伝播はしないので、ほかの値は測れない。"""
    h = per_layer(rms, [layer[-1].y for layer in layers])
    first = next((n for n, size in enumerate(h, 1) if not np.isfinite(size)), len(h))
    finding = Finding(first, "発散", "順伝播の値が有限でない", CURES["発散"])
    nan = np.full(len(h), np.nan)
    return Diagnosis(h, nan, nan, nan, nan, nan, nan, [finding], blocks)
