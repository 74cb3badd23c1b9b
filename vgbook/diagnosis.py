"""診断: 自分のネットワークのどこで何が起きているかを調べる。

順伝播と逆伝播を 1 回ずつ行い、層ごとに測った値を決まった規則に当てはめます。どの判定にも、
使った規則と閾値、測った値、治し方の候補を添えます。
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vgbook._checks import as_array, check_callable, check_data, check_positive
from vgbook.activations import Activation
from vgbook.flow import rms
from vgbook.layers import Activate, Affine, Layer
from vgbook.losses import softmax_cross_entropy
from vgbook.network import Network, check_network, signals

Array = np.ndarray[Any, Any]


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
    """アフィン変換の層の番号。1 が入力側。"""
    verdict: str
    """``"発散"``、``"消失"``、``"爆発"``、``"飽和"``、``"死"``、``"埋没"`` のどれか。"""
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
}
"""判定ごとの治し方の候補。"""

COLUMNS = ("層", "h", "標本間の差", "δ", "dW", "更新の比", "飽和", "死", "判定")


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
    """

    h: Array
    distinct: Array
    delta: Array
    dW: Array
    update: Array
    saturated: Array
    dead: Array
    findings: list[Finding]

    @property
    def healthy(self) -> bool:
        """異常が見つからなかったか。"""
        return not self.findings

    def rows(self) -> list[list[str]]:
        """層ごとの値を文字にした表。"""
        table = []
        for i in range(len(self.h)):
            names = [f.verdict for f in self.findings if f.layer == i + 1]
            sizes = (self.h, self.distinct, self.delta, self.dW, self.update)
            shares = (self.saturated, self.dead)
            table.append(
                [str(i + 1)]
                + [f"{values[i]:.1e}" for values in sizes]
                + [f"{100 * values[i]:.0f} %" for values in shares]
                + ["、".join(names) or "良好"]
            )
        return table

    def __str__(self) -> str:
        lines = ["\t".join(COLUMNS), *("\t".join(row) for row in self.rows())]
        lines += [f"第 {f.layer} 層 {f.verdict}: {f.rule} → {f.cure}" for f in self.findings]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
        body = "".join(
            f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{c}</td>" for c in rest) + "</tr>"
            for first, *rest in self.rows()
        )
        notes = "".join(
            f"<li>第 {f.layer} 層 <strong>{f.verdict}</strong>: {escape(f.rule)} → {f.cure}</li>"
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
        調べるネットワーク (集団でないもの)。書き換えません。
        PyTorch のモデルは `from_state_dict` で写せます。
    x : ndarray, shape (N, n_in)
        入力。できれば 100 個以上。
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
        ``network`` が集団のとき、データの形が合わないとき、有限でない値を含むとき。

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
    check_network(network)
    check_callable("loss", loss)
    check_positive("lr", lr)
    if network.ensemble:
        raise ValueError(
            f"network には 1 つのネットワークを渡してください。受け取った集団: {network.ensemble}"
        )
    limits = Thresholds() if thresholds is None else thresholds
    x = check_data("x", x, width=network.affines[0].params["W"].shape[-2])
    network = copy.deepcopy(network)  # バッチ正規化の移動平均も、診断では動かさない
    with np.errstate(over="ignore", invalid="ignore"):
        output = network.forward(x)
        if not np.all(np.isfinite(output)):
            return _diverged(network)
        _, d_output = loss(output, labels)
        s = signals(network, x, d_output)
    activates = [_activate_after(network, affine) for affine in network.affines]
    W = np.array([rms(affine.params["W"]) for affine in network.affines])
    dW = np.array([rms(g) for g in s.dW])
    measured = {
        "h": np.array([rms(h) for h in s.h]),
        "distinct": np.array([rms(h - h.mean(axis=-2, keepdims=True)) for h in s.h]),
        "delta": np.array([rms(d) for d in s.delta]),
        "dW": dW,
        "update": lr * np.divide(dW, W, out=np.full_like(W, np.inf), where=W > 0),
        "saturated": np.array([_saturated(a, limits.slope) for a in activates]),
        "dead": np.array([_dead(a) for a in activates]),
    }
    return Diagnosis(**measured, findings=_judge(measured, limits))


def _activate_after(network: Network, affine: Affine) -> Activate | None:
    """アフィン変換の後、次のアフィン変換より前にある活性化の層。"""
    start = network.layers.index(affine)
    for layer in network.layers[start + 1 :]:
        if isinstance(layer, Affine):
            return None
        if isinstance(layer, Activate):
            return layer
    return None


def _saturated(layer: Activate | None, slope: float) -> float:
    """有界な活性化関数で、φ′ が最大値の ``slope`` 倍を下回る値の割合。"""
    if layer is None:
        return 0.0
    ends = layer.activation(np.array([-1e3, 1e3]))
    if np.abs(ends).max() > 10:  # 片側が伸び続ける関数 (ReLU の仲間) は飽和とは呼ばない
        return 0.0
    steepest = layer.activation.derivative(np.linspace(-5, 5, 1001)).max()
    return float(np.mean(layer.activation.derivative(layer.z) < slope * steepest))


def _dead(layer: Activate | None) -> float:
    """どの標本でも φ′ = 0 のユニットの割合。"""
    if layer is None:
        return 0.0
    return float(np.mean(np.all(layer.activation.derivative(layer.z) == 0, axis=-2)))


def _judge(measured: dict[str, Array], limits: Thresholds) -> list[Finding]:
    findings = []

    def find(layer: int, verdict: str, rule: str) -> None:
        findings.append(Finding(layer + 1, verdict, rule, CURES[verdict]))

    top = measured["delta"][-1]
    for i, delta in enumerate(measured["delta"]):
        ratio = delta / top if top > 0 else 0.0
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
    return findings


def _ratio(a: float, b: float) -> str:
    return f"{a / b:.1e}" if b else "0"


def _diverged(network: Network) -> Diagnosis:
    """順伝播が有限でなくなった最初の層を探す。"""
    inputs = [affine.x for affine in network.affines[1:]]
    finite = [bool(np.all(np.isfinite(x))) for x in inputs]  # 層 l の出力は層 l + 1 の入力
    first = finite.index(False) + 1 if False in finite else len(network.affines)
    nan = np.full(len(network.affines), np.nan)
    finding = Finding(first, "発散", "順伝播の値が有限でない", CURES["発散"])
    return Diagnosis(nan, nan, nan, nan, nan, nan, nan, [finding])


def from_state_dict(state: Mapping[str, ArrayLike], activation: Activation) -> Network:
    """PyTorch の全結合のモデルの重みから、同じ計算をするネットワークを作る。

    ``torch.nn.Linear`` を活性化関数でつないだモデルの ``state_dict()`` を渡します。PyTorch の重みは
    (n_out, n_in) なので、転置して写します。値は写しなので、元のモデルは変わりません。

    Parameters
    ----------
    state : mapping of str to array_like
        ``"….weight"`` (n_out, n_in) と ``"….bias"`` (n_out,) が、入力側の層から順に並んだもの。
    activation : Activation
        隠れ層の活性化関数。

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        2 次元の重みが 1 つもないとき、形がつながらないとき、知らない名前があるとき。

    Examples
    --------
    >>> from vgbook.activations import relu
    >>> state = {"0.weight": np.ones((3, 2)), "0.bias": np.zeros(3), "2.weight": np.ones((1, 3))}
    >>> from_state_dict(state, relu).forward(np.array([[1.0, 1.0]]))
    array([[6.]])
    """
    weights, biases = _parameters(state)
    if not weights:
        raise ValueError(f"state に重み (….weight) がありません。受け取った名前: {list(state)}")
    shapes = [W.shape for W in weights.values()]
    if any(a[-1] != b[0] for a, b in pairwise(shapes)):
        raise ValueError(f"state の重みの形がつながりません。(n_in, n_out) の列: {shapes}")
    layers: list[Layer] = []
    for i, (name, W) in enumerate(weights.items()):
        if i:
            layers.append(Activate(activation))
        layers.append(Affine(W, biases.get(name)))
    return Network(layers)


def _parameters(state: Mapping[str, ArrayLike]) -> tuple[dict[str, Array], dict[str, Array]]:
    weights: dict[str, Array] = {}
    biases: dict[str, Array] = {}
    for key, value in state.items():
        name, _, kind = key.rpartition(".")
        array = np.array(as_array(key, value))
        if kind == "weight" and array.ndim == 2:
            weights[name] = array.T.copy()
        elif kind == "bias" and name in weights and array.shape == weights[name].shape[-1:]:
            biases[name] = array[None, :]
        else:
            raise ValueError(
                "state には全結合の層 (torch.nn.Linear) の weight と bias だけを渡してください。"
                f"受け取った配列: {key} {array.shape}"
            )
    return weights, biases
