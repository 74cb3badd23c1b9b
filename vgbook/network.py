"""ネットワーク: 層を並べたもの。

``for layer in network`` が順伝播、``for layer in reversed(network)`` が連鎖律です。
2 つ目のループが残していく δ の列が、勾配消失そのものです。
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from vgbook._edge import Array, Shape, came, check_count, check_dtype, check_flag, check_rng, signal
from vgbook._turn import Turn
from vgbook.activations import Activation, check_activation, identity
from vgbook.initializers.initializer import Initializer, check_init, common_ensemble
from vgbook.layers.affine import Activate, Affine, Layer
from vgbook.layers.walk import check_layers, check_param, leaves


class Network:
    """層の列。

    Parameters
    ----------
    layers : sequence of Layer
        入力側から出力側へ並べた層。どれも別のオブジェクトにします。

    Raises
    ------
    TypeError
        ``layers`` が層の列でないとき (`Network` も層ではありません)。
    ValueError
        同じ層が 2 度現れるとき。

    Examples
    --------
    >>> from vgbook.activations import relu
    >>> network = Network([Affine(np.ones((2, 3))), Activate(relu), Affine(np.ones((3, 1)))])
    >>> network.forward(np.array([[1.0, 1.0]]))
    array([[6.]])
    >>> network.backward(np.array([[1.0]]))
    array([[3., 3.]])
    """

    _pass: object = None

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = check_layers("layers", layers)
        self.turn = Turn()

    def __repr__(self) -> str:
        return f"Network({self.layers})"

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __reversed__(self) -> Iterator[Layer]:
        return reversed(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def forward(self, x: Array) -> Array:
        """入力 x (..., N, n_in) から出力 (..., N, n_out) を計算する。"""
        x = signal("x", x).copy()  # 層は入力を残す。渡した配列を後で書き換えても、勾配は変わらない
        with self.turn.wait:
            for layer in self:
                x = layer.forward(x)
            self._sign()
        return x

    def backward(self, dy: Array) -> Array:
        """出力での勾配から入力での勾配を計算し、各層の ``grads`` を埋める。

        層に残る値が、直前の `forward` のものでなければ断ります。ただし、自作の層だけを手で呼んだ
        ときには気づけません。
        """
        with self.turn.wait:
            dy = self._upstream(dy)
            for layer in reversed(self):
                dy = layer.backward(dy)
        return dy

    def gradients(self, dy: Array) -> None:
        """学習用の逆伝播。入力での勾配は誰も使わないので、最初の層ではその行列積を省く。"""
        with self.turn.wait:
            dy = self._upstream(dy)
            first, *later = self.layers
            for layer in reversed(later):
                dy = layer.backward(dy)
            if isinstance(first, Affine):
                first.gradients(dy)
            else:
                first.backward(dy)

    def _sign(self) -> None:
        """層に、この順伝播の印を付ける。ほかの順伝播が通れば、印が変わる。"""
        self._pass = object()
        for layer in self.leaves():
            if hasattr(layer, "__dict__"):
                layer._pass = self._pass  # type: ignore[attr-defined]

    def disown(self) -> None:
        """層に残る値を、どの ``forward`` のものでもないとする。逆伝播は、次の forward を待つ。"""
        self._sign()
        self._pass = None

    def _upstream(self, dy: Array) -> Array:
        """出力での勾配を確かめる。層の重なりも、よその順伝播も、間違った勾配になる前に断る。"""
        layers = list(self.leaves())
        if len({id(layer) for layer in layers}) < len(layers):
            check_layers("layers", self.layers)
        stale = any(getattr(layer, "_pass", self._pass) is not self._pass for layer in layers)
        by_hand = all(getattr(layer, "_pass", None) is None for layer in layers)
        if stale and not by_hand:  # どの層も手で順に呼んだのなら、それが順伝播
            raise RuntimeError(
                "層に残る値が、predict か signals か、手で呼んだ layer.forward か、同じ層をもつ別の"
                " network のものに変わっています。もう一度 forward を呼んでから backward して"
                "ください。"
                f"受け取った network: {self!r}"
            )
        return signal("dy", dy)

    def predict(self, x: Array) -> Array:
        """推論の順伝播。バッチ正規化はバッチの統計ではなく移動平均を使う。"""
        with self.turn.wait, self.inference():
            y = self.forward(x)
            self.disown()  # 層に残るのは推論の値。学習の逆伝播には使わせない
        return y

    @contextmanager
    def inference(self) -> Iterator[None]:
        """この ``with`` の中だけ、バッチ正規化を推論に切り替える。"""
        switched = [layer for layer in self.leaves() if getattr(layer, "training", False)]
        self.training = False
        try:
            yield
        finally:
            for layer in switched:
                layer.training = True  # type: ignore[attr-defined]

    @property
    def training(self) -> bool:
        """バッチ正規化のような、学習と推論で計算の違う層が、学習の計算をするか。

        偽にすると、次に真にするまで、どの層も推論の計算をします。
        """
        return any(getattr(layer, "training", False) for layer in self.leaves())

    @training.setter
    def training(self, training: bool) -> None:
        training = check_flag("training", training)
        for layer in self.leaves():
            if hasattr(layer, "training"):
                layer.training = training

    def pairs(self) -> Iterator[tuple[Array, Array]]:
        """学習する配列とその勾配の組を、入力側の層から順に返す。勾配は逆伝播が残す。"""
        for layer in self:
            if layer.params.keys() != layer.grads.keys():
                raise RuntimeError(
                    "勾配がまだありません。先に backward か gradients を呼んでください。"
                    f"勾配のない層: {type(layer).__name__}"
                )
            for name, param in layer.params.items():
                grad = np.asarray(layer.grads[name])
                check_param(layer, name, param, trained=True)
                if grad.shape != param.shape:
                    raise RuntimeError(
                        "勾配の形が重みと違うので、学習できません。入力や dy に、集団の軸にない"
                        f"余分な軸があります。層 {layer!r} の {name} の形: {param.shape}、"
                        f"受け取った勾配の形: {grad.shape}"
                    )
                yield param, grad

    def leaves(self) -> Iterator[Layer]:
        """残差ブロックの中身も、入れ子でもすべてほどいて、層を 1 つずつ返す。"""
        return leaves(self)

    @property
    def affines(self) -> list[Affine]:
        """アフィン変換の層だけを並べたもの。"""
        return [layer for layer in self if isinstance(layer, Affine)]

    @property
    def n_in(self) -> int | None:
        """入力の特徴数。自作の層から始まっていて分からなければ None。"""
        shaped = (layer for layer in self.leaves() if not isinstance(layer, Activate))
        return getattr(next(shaped, None), "n_in", None)

    @property
    def ensemble(self) -> Shape:
        """集団の軸の形。1 つのネットワークなら空のタプル。"""
        shaped = (layer for layer in self.leaves() if getattr(layer, "n_in", None) and layer.params)
        weights = next((next(iter(layer.params.values())) for layer in shaped), np.ones((1, 1)))
        return weights.shape[:-2]


def check_layered(network: object, name: str = "network") -> None:
    """``network`` が層を正しく並べた `Network` であることを確かめる。"""
    if not isinstance(network, Network) or not network.layers:
        raise TypeError(
            f"{name} には 1 つ以上の層をもつ Network を渡してください。{came(network, Network)}"
        )
    check_layers(name, network.layers)  # 作った後に足された層も調べる
    for method in ("forward", "backward", "gradients"):
        if getattr(type(network), method) is not getattr(Network, method):
            raise TypeError(
                f"{name} には {method} を書き換えていない Network を渡してください。学習も診断も"
                "層の列をたどるので、書き換えた計算の勾配は間違います。残差接続なら Residual、"
                "ほかの計算なら forward と backward をもつ層にします。"
                f"受け取った型: {type(network).__name__}"
            )


def check_network(network: object, name: str = "network") -> None:
    """`check_layered` に加えて、アフィン変換の層を含むことを確かめる。"""
    if not isinstance(network, Network) or not network.affines:
        raise TypeError(
            f"{name} には Affine を含む Network を渡してください。{came(network, Network)}"
        )
    check_layered(network, name)


class Normalization(Protocol):
    """正規化の層を作るもの (`BatchNorm`、`LayerNorm`、その ``functools.partial``)。"""

    def __call__(self, n: int, *, ensemble: Shape, dtype: DTypeLike) -> Layer:
        """n 個のユニットを正規化する層を返す。"""


def mlp(
    widths: Sequence[int],
    activation: Activation,
    init: Initializer | Sequence[Initializer],
    *,
    rng: np.random.Generator,
    norm: Normalization | None = None,
    output: Activation = identity,
    dtype: DTypeLike = float,
) -> Network:
    """多層パーセプトロンを作る。

    隠れ層は アフィン変換 → (正規化) → 活性化関数 の順です。出力層はアフィン変換だけで、
    ``output`` を指定するとその後に置きます。バイアスは 0 から始めます。

    Parameters
    ----------
    widths : sequence of int
        入力・隠れ層・出力のユニットの数 (2 個以上の正の整数)。
    activation : Activation
        隠れ層の活性化関数。
    init : Initializer or sequence of Initializer
        重みの初期値。列なら層ごとに使い分けます。
    rng : numpy.random.Generator
        乱数生成器。
    norm : BatchNorm, LayerNorm or None
        隠れ層に挟む正規化。``functools.partial(BatchNorm, eps=1e-6)`` のようにも渡せます。
    output : Activation
        出力層の後の活性化関数。
    dtype : dtype
        重みの型 (float32 か float64)。

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        ``widths`` が 2 個以上の正の整数でないとき、``init`` の数が層の数と違うとき、重みが
        ``dtype`` で表せないとき。
    TypeError
        ``activation`` か ``output`` が Activation でないとき、``init`` が Initializer でもその列
        でもないとき、``rng`` が Generator でないとき、``norm`` が正規化の層を作るものでないとき。

    Examples
    --------
    >>> from vgbook.activations import relu
    >>> from vgbook.initializers import he
    >>> network = mlp([784, 100, 100, 10], relu, he(), rng=np.random.default_rng(0))
    >>> [type(layer).__name__ for layer in network]
    ['Affine', 'Activate', 'Affine', 'Activate', 'Affine']
    >>> network.forward(np.zeros((5, 784))).shape
    (5, 10)

    初期値の ``gain`` に配列を渡すと、ネットワークの集団になります。

    >>> many = mlp([64, 100, 10], relu, he(gain=[0.5, 1, 2]), rng=np.random.default_rng(0))
    >>> many.forward(np.zeros((5, 64))).shape
    (3, 5, 10)
    """
    sizes = _check_widths(widths)
    inits = list(init) if isinstance(init, Sequence) else [init] * (len(sizes) - 1)
    _check_parts(activation, inits, output, norm, len(sizes) - 1)
    check_rng(rng)
    dtype = check_dtype(dtype)
    weights = [i(*fans, rng=rng) for i, fans in zip(inits, pairwise(sizes), strict=True)]
    ensemble = common_ensemble([W.shape[:-2] for W in weights])
    *hidden, last = [Affine(_cast(_to_each(W, ensemble), dtype)) for W in weights]
    layers: list[Layer] = []
    for affine, n in zip(hidden, sizes[1:-1], strict=True):
        layers.append(affine)
        if norm is not None:
            layers.append(norm(n, ensemble=ensemble, dtype=dtype))
        layers.append(Activate(activation))
    layers.append(last)
    if output is not identity:
        layers.append(Activate(output))
    return Network(layers)


def _to_each(W: Array, ensemble: Shape) -> Array:
    """同じ重みを分け合う集団でも、書き換えられるように、1 つずつ自分の重みをもたせる。"""
    shape = (*ensemble, *W.shape[-2:])
    return W if W.shape == shape else np.broadcast_to(W, shape).copy()


def _cast(W: Array, dtype: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore"):
        cast = W.astype(dtype, copy=False)
    if not np.isfinite(cast).all():
        raise ValueError(
            f"init の重みが大きすぎて {dtype} で表せません。"
            f"標準偏差を小さくしてください。受け取った重みの最大値: {np.abs(W).max():.3g}"
        )
    return cast


def _check_widths(widths: Sequence[int]) -> list[int]:
    try:
        if not isinstance(widths, Sequence | np.ndarray) or len(widths) < 2:
            raise ValueError
        return [check_count("widths の各要素", n) for n in widths]
    except (TypeError, ValueError):
        raise ValueError(
            f"widths には 2 個以上の正の整数を渡してください。受け取った値: {widths!r}"
        ) from None


def _check_parts(
    activation: object, inits: Sequence[object], output: object, norm: Any, n_layers: int
) -> None:
    check_activation("activation", activation)
    check_activation("output", output)
    check_init("init", inits)
    if len(inits) != n_layers:
        raise ValueError(
            f"init には Initializer (he() など) を 1 つ、または層の数と同じ {n_layers} 個"
            f"渡してください。受け取った数: {len(inits)}"
        )
    if norm is None:
        return
    try:
        inspect.signature(norm).bind(1, ensemble=(), dtype=float)
    except (TypeError, ValueError):
        raise TypeError(
            "norm には BatchNorm、LayerNorm、その functools.partial か None を渡してください。"
            f"受け取った値: {norm!r}"
        ) from None
