"""PyTorch のモデルの重みを、この本のネットワークに写す。

torch は要りません。受け取るのは、名前と配列の対応だけです。
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, as_array, check_data
from vgbook.activations import Activation, check_activation
from vgbook.layers.affine import Activate, Affine, Layer
from vgbook.network import Network


def from_state_dict(
    state: Mapping[str, ArrayLike],
    activation: Activation,
    *,
    check: tuple[ArrayLike, ArrayLike] | None = None,
) -> Network:
    """PyTorch の全結合のモデルの重みから、同じ計算をするネットワークを作る。

    ``torch.nn.Linear`` を活性化関数でつないだモデルの ``state_dict()`` を渡します。PyTorch の重みは
    (n_out, n_in) なので、転置して写します。値は写しなので、元のモデルは変わりません。

    重みとバイアスは名前で組にします。層の順は、番号だけが違う名前なら番号の順、ほかは渡された順
    です。
    safetensors のように名前で整列された対応でも、``"10.weight"`` は ``"2.weight"`` の後です。
    番号でない名前が整列されているか、番号と違う順に渡されて、別の順でも形がつながるなら、``check``
    がなければ断ります。

    ``state_dict()`` には、活性化関数、残差接続、重みのない正規化が書かれていません。同じ計算を
    していることは、``check`` を渡すと確かめられます。

    Parameters
    ----------
    state : mapping of str to array_like
        ``"….weight"`` (n_out, n_in) と ``"….bias"`` (n_out,)。bfloat16 の値は ``.float()`` で
        変えておきます。
    activation : Activation
        隠れ層の活性化関数。
    check : tuple of (array_like, array_like), optional
        入力 (N, n_in) と、それに対する元のモデルの出力 (N, n_out)。作ったネットワークの出力との
        差が、丸め誤差で説明できる大きさを超えたら断ります。丸め誤差は、入力、重み、出力のうち最も粗い型の
        計算機イプシロンから、層ごとに積み上げて見積もります。半精度で計算した出力は、
        ``.float()`` で変えてあっても、値から見分けます。

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        2 次元の重みが 1 つもないとき、形がつながらないとき、知らない名前があるとき、空でない実数の
        配列でないものがあるとき、層の順が決まらないとき、``check`` の出力が元のモデルと違うとき。
    TypeError
        ``state`` が名前と配列の対応でないとき、``activation`` が Activation でないとき、
        ``check`` が組でないとき。

    Examples
    --------
    >>> from vgbook.activations import relu
    >>> state = {"0.weight": np.ones((3, 2)), "0.bias": np.zeros(3), "2.weight": np.ones((1, 3))}
    >>> network = from_state_dict(state, relu, check=([[2.0, 2.0]], [[12.0]]))
    >>> network.forward(np.array([[1.0, 1.0]]))
    array([[6.]])
    """
    check_activation("activation", activation)
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
    network = Network(layers)
    if check is not None:
        _check_output(network, check)
    elif _lost_order(list(state), list(weights), shapes):
        raise ValueError(
            "state の名前が並べ直されていて、層の順が分かりません。"
            "model.state_dict() を並べ直さずに渡すか、check に入力と元のモデルの出力を"
            "渡してください。"
            f"受け取った名前: {list(state)}"
        )
    return network


def _lost_order(keys: list[str], names: list[str], shapes: Sequence[tuple[int, ...]]) -> bool:
    """渡された名前の並びからは、層の順が決まらず、形からも決まらないか。"""
    alphabetical = keys == sorted(keys)
    if len({re.sub(r"\d+", "", name) for name in names}) < 2:  # 番号だけが違う
        given = [key.removesuffix("weight") for key in keys if key.removesuffix("weight") in names]
        # "fc3" を "fc2" より先に渡されたら、大きい番号から使うモデルかもしれない
        counted = any(re.search(r"[^\d.]\d", name) for name in names)
        lost = counted and given != names and not alphabetical
    else:
        places = {key: i for i, key in enumerate(keys)}
        pairs = [(places.get(f"{n}bias"), places[f"{n}weight"]) for n in names]
        # state_dict() は、バイアスを重みの後に置く
        lost = alphabetical or any(b is not None and b < W for b, W in pairs)
    ends = [shape[0] for shape in shapes], [shape[-1] for shape in shapes]
    # 前の層の出力の幅をもつ層がほかにもあれば、別の順でもつながる
    other = any(ends[0].count(width) > 1 for width in ends[1]) or shapes[0][0] == shapes[-1][-1]
    return lost and len(names) > 1 and other


def _parameters(state: Mapping[str, ArrayLike]) -> tuple[dict[str, Array], dict[str, Array]]:
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise TypeError(
            "state には名前 (str) と配列の対応 (model.state_dict() など) を渡してください。"
            f"受け取った値: {state!r}"
        )
    for key, value in state.items():
        if isinstance(value, Mapping):
            raise TypeError(
                "state には model.state_dict() そのものを渡してください。保存した辞書なら、"
                f"その中の checkpoint[{key!r}] などです。受け取った名前: {list(state)}"
            )
    arrays = {key: _numbers(f"state の {key}", value) for key, value in state.items()}
    names = [key.removesuffix("weight") for key, a in arrays.items() if _is_matrix(key, a)]
    weights: dict[str, Array] = {}
    biases: dict[str, Array] = {}
    for name in sorted(names, key=_order(names)):
        weights[name] = arrays.pop(f"{name}weight").T.copy()
        bias = arrays.get(f"{name}bias")
        if bias is not None and bias.shape == weights[name].shape[-1:]:
            biases[name] = arrays.pop(f"{name}bias")[None, :]
    for key, array in arrays.items():
        raise ValueError(
            "state には全結合の層 (torch.nn.Linear) の weight と bias だけを渡してください。"
            f"受け取った配列: {key} {array.shape}"
        )
    return weights, biases


def _is_matrix(key: str, array: Array) -> bool:
    return key.rpartition(".")[2] == "weight" and array.ndim == 2


def _order(names: Sequence[str]) -> Callable[[str], tuple[tuple[int, int], ...]]:
    """名前の順: 番号だけが違う部分は番号の順、ほかは初めて現れた順。"""
    stems: dict[tuple[str, str], int] = {}

    def key(name: str) -> tuple[tuple[int, int], ...]:
        parts, parent = [], ""
        for part in name.split("."):
            stem = part.rstrip("0123456789")
            first = stems.setdefault((parent, stem), len(stems))
            parts.append((first, int(part[len(stem) :] or -1)))
            parent += f"{part}."
        return tuple(parts)

    for name in names:
        key(name)
    return key


def _numbers(name: str, value: ArrayLike) -> Array:
    """空でない実数の配列の写し。"""
    try:
        array = as_array(name, value).copy()
    except TypeError as error:  # 勾配を追うテンソル、GPU のテンソルなど
        raise ValueError(
            f"{name} を NumPy の配列にできません。bfloat16 なら .float() で float32 に変え、"
            "勾配を追うテンソルや GPU のテンソルなら .detach().cpu() を付けてください "
            "({k: v.detach().cpu().float() for k, v in model.state_dict().items()} など)。"
            f"受け取った型: {type(value)}"
        ) from error
    if array.dtype.kind not in "iuf" or array.size == 0:
        raise ValueError(
            f"{name} には空でない実数の配列を渡してください。"
            f"受け取った形と dtype: {array.shape}, {array.dtype}"
        )
    return array if array.dtype.kind == "f" else array.astype(float)


def _check_output(network: Network, check: tuple[ArrayLike, ArrayLike]) -> None:
    if not isinstance(check, tuple) or len(check) != 2:
        raise TypeError(f"check には (入力, 出力) の組を渡してください。受け取った値: {check!r}")
    names = ("check の入力", "check の出力")
    given = [_numbers(name, value) for name, value in zip(names, check, strict=True)]
    x, expected = (check_data(*pair) for pair in zip(names, given, strict=True))
    first, last = (network.affines[i].params["W"] for i in (0, -1))
    shapes = (len(x), first.shape[0]), (len(x), last.shape[1])
    if (x.shape, expected.shape) != shapes:
        raise ValueError(
            f"check の入力と出力の形は {shapes} でなければなりません。"
            f"受け取った形: {(x.shape, expected.shape)}"
        )
    gap = np.abs(network.forward(x) - expected)
    eps = max([*(float(np.finfo(a.dtype).eps) for a in (*given, first)), _coarseness(expected)])
    limit = _rounding(network, x, eps)
    if not np.all(gap <= limit):
        raise ValueError(
            "作ったネットワークの出力が、元のモデルの出力と違います。活性化関数、残差接続、重みのない"
            "正規化は、state に書かれていません。Dropout は model.eval() で止めてください。"
            f"差の最大値: {gap.max():.1e} (丸め誤差の見積もり: {limit.max():.1e}、"
            f"出力の標準偏差: {expected.std():.1e})"
        )


def _coarseness(output: Array) -> float:
    """出力のどの値も正確に表せる、最も粗い型の計算機イプシロン。

    半精度で計算した出力は、``.float()`` で float32 に変えた後でも、半精度の値のまま。
    整数だけの出力からは分からない。
    """
    if np.array_equal(output, np.round(output)):
        return 0.0
    single = output.astype(np.float32)
    if np.array_equal(single, output) and not np.any(single.view(np.uint32) & 0xFFFF):
        return 2.0**-7  # bfloat16
    with np.errstate(over="ignore", under="ignore"):
        half = output.astype(np.float16)
    return float(np.finfo(half.dtype).eps) if np.array_equal(half, output) else 0.0


def _rounding(network: Network, x: Array, eps: float) -> Array:
    """元のモデルが ``eps`` の型で計算したときに、出力に積み上がる丸め誤差の見積もり。

    どの項の丸めも独立とみて二乗和で足し、φ の傾きを掛けて次の層へ渡す (Higham, 2002, 2.8 節の
    確率的な見方)。余裕として 8 倍を見込む。
    """
    h, error = x, eps * np.abs(x)
    for layer in network:
        y = layer.forward(h)
        if isinstance(layer, Affine):
            W, b = layer.params["W"], layer.params["b"]
            terms = np.square(h) @ np.square(W) + np.square(b)
            own = eps * np.sqrt(W.shape[-2] * terms)
            error = np.sqrt(np.square(error) @ np.square(W) + np.square(own))
        elif isinstance(layer, Activate):
            error = np.abs(layer.activation.derivative(h)) * error + eps * np.abs(y)
        h = y
    limit: Array = 8 * error
    return limit
