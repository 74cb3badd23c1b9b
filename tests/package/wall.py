"""壁を調べる道具: 公開されたものを探し、引数の名前から、よい値と間違った値を選ぶ。

公開されたものは、部屋の ``__all__`` をたどって見つける。引数は名前で種類が決まる。新しい名前の
引数が増えたら `KINDS` に 1 行足す (足すまで `test_wall.py` が失敗する)。
"""

import datetime
import inspect
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import vgbook as vg
from vgbook.clinic.diagnosis import Thresholds

ROOMS = (
    "vgbook",
    "vgbook.signals",
    "vgbook.layers",
    "vgbook.training",
    "vgbook.theory.quadrature",
    "vgbook.theory.moments",
    "vgbook.theory.meanfield",
    "vgbook.ensemble",
    "vgbook.experiments",
)
N, N_IN, N_OUT = 6, 4, 3
X = np.array([[i * j % 7 - 3 for j in range(1, N_IN + 1)] for i in range(1, N + 1)], float)
LABELS = np.array([0, 1, 2, 2, 1, 0])
TARGETS = np.eye(N_OUT)[LABELS]
POOL = ThreadPoolExecutor(1)
FOLDER = Path(tempfile.mkdtemp())


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def network() -> vg.Network:
    return vg.mlp([N_IN, 5, N_OUT], vg.relu, vg.he(), rng=rng())


def affine() -> vg.Affine:
    return vg.Affine(np.ones((N_IN, N_IN)))


def mean(rng: np.random.Generator, part: slice = slice(None)) -> Any:
    return rng.standard_normal(3).mean(keepdims=True)


# ---- 間違った値

NOT_NUMBERS = {"None": None, "文字列": "0.1", "複素数": 1j, "辞書": {}, "物": object()}
NOT_NUMBERS["時間"] = np.timedelta64(0, "s")  # NumPy では整数の仲間
NOT_FINITE = {"NaN": np.nan, "inf": np.inf}
NOT_ONE = {"空": [], "入れ子": [[0.1], [0.1, 0.2]], "マスク": np.ma.masked_equal([0.1, 1.0], 1.0)}
MANY = {"2 つ": [0.1, 0.2], "配列": np.array([0.1])}

COUNT = NOT_NUMBERS | NOT_ONE | {"0": 0, "負": -1, "小数": 1.5, "真偽値": True, "2 つ": [3, 4]}
COUNT |= {"NaN": np.nan, "float の 3": np.float64(3), "巨大": 10**30}
NUMBER = NOT_NUMBERS | NOT_FINITE | NOT_ONE
SPREAD = NUMBER | {"負": -0.1, "真偽値": True}
POSITIVE = SPREAD | {"0": 0.0}
FRACTION = POSITIVE | MANY | {"1": 1.0}
del FRACTION["0"]
FLAG = {"文字列": "no", "整数": 1, "None": None, "配列": np.array([True])}
SHAPE = {"整数": 3, "None": None, "文字列": "ab", "0": (0,), "小数": (1.5,), "集合": {3}}
FUNCTION = {"整数": 3, "文字列": "f", "配列": X, "None": None}
LOSS = FUNCTION | {
    "損失だけ": lambda y, t: 0.5,
    "標本ごとの損失": lambda y, t: (np.ones(len(y)), y),
    "文字の損失": lambda y, t: ("0.5", y),
    "複素数の損失": lambda y, t: (1j, y),
    "勾配が 1 次元": lambda y, t: (0.5, np.ones(len(y))),
    "勾配が広い": lambda y, t: (0.5, np.ones((2, *y.shape))),
}
RNG = {"種": 0, "None": None, "文字列": "rng", "モジュール": np.random}
RNG |= {"昔の型": np.random.RandomState(0), "ビット列": np.random.PCG64(0)}
DTYPE = {"int": int, "複素数": complex, "float16": np.float16, "文字列": "bogus", "物": object}
ACTIVATION = {"作り手": vg.leaky_relu, "関数": np.tanh, "文字列": "relu", "None": None, "数": 1}
ACTIVATION |= {"層": vg.Activate(vg.relu), "リスト": [vg.relu]}
INIT = {"作り手": vg.he, "数": 0.01, "文字列": "he", "配列": np.ones((4, 5)), "空": []}
INIT |= {"作り手のリスト": [vg.he, vg.xavier], "辞書": {}}
SLICE = {"整数": 1, "None": None, "文字列": "0:1", "組": (0, 1)}
TEXT = {"整数": 3, "None": None, "リスト": ["a"]}
OPTIMIZER = {"クラス": vg.SGD, "文字列": "sgd", "数": 0.1, "None": None, "関数": print}
EXECUTOR = {"整数": 4, "文字列": "threads", "関数": print, "リスト": []}
DATA = {"関数": vg.digits, "配列": X, "組": (X, LABELS, X, LABELS), "文字列": "mnist"}
NETWORK = {"クラス": vg.Network, "関数": vg.mlp, "None": None, "文字列": "net", "層": affine()}
NETWORK |= {"リスト": [affine()]}


def networks() -> dict[str, Any]:
    twice = network()
    twice.layers.append(twice.layers[1])
    nested = network()
    nested.layers.append(network())
    return NETWORK | {
        "同じ層が 2 度": twice,
        "中に Network": nested,
        "空": vg.Network([]),
        "forward を書き換えた": Skipping(network().layers),
    }


class Skipping(vg.Network):
    """入力を素通りさせて足す、逆伝播を忘れた派生クラス。"""

    def forward(self, x: np.ndarray) -> np.ndarray:
        return super().forward(x) + x[..., :N_OUT]


def layers() -> dict[str, Any]:
    one = affine()
    return {
        "活性化関数": [vg.relu],
        "クラス": [vg.Affine],
        "層 1 つ": affine(),
        "文字列": "ab",
        "None": None,
        "数": [1, 2],
        "集合": {affine()},
        "Network": [network()],
        "2 度": [one, vg.Activate(vg.tanh), one],
        "枝の中で 2 度": [one, vg.Residual([one])],
    }


def numbers(good: np.ndarray) -> dict[str, Any]:
    """実数の配列でないもの。"""
    return {
        "None": None,
        "文字列": "x.npy",
        "文字列の配列": good.astype(str),
        "物の配列": good.astype(object),
        "複素数": good + 0j,
        "真偽値": good > 0,
        "日付": np.full(good.shape, datetime.date(2026, 1, 1), "datetime64[D]"),
        "マスク": np.ma.masked_equal(good, good.flat[0]),
        "マスクのリスト": [np.ma.masked_equal(good, good.flat[0])] * 2,
        "長さがばらばら": [[1.0], [1.0, 2.0]],
        "辞書": {"x": good},
        "集合": {1.0},
        "生成器": (row for row in good),
    }


def matrix(good: np.ndarray) -> dict[str, Any]:
    return numbers(good) | {"1 次元": good.reshape(-1), "0 次元": good.flat[0], "空": good[:0]}


def signal(good: np.ndarray) -> dict[str, Any]:
    """幅の決まった信号。空は、層には流せてよい。"""
    bad = matrix(good) | {"幅が違う": good[..., :-1], "幅が 2 倍": np.concatenate([good] * 2, -1)}
    return {label: value for label, value in bad.items() if label != "空"}


def data(good: np.ndarray) -> dict[str, Any]:
    bad = signal(good) | {"空": good[:0], "28×28": np.zeros((3, 28, 28))}
    for label, value in NOT_FINITE.items():
        spoiled = good.copy()
        spoiled.flat[1] = value
        bad[label] = spoiled
    return bad


def labels() -> dict[str, Any]:
    return without(numbers(LABELS), "マスクのリスト") | {
        "one-hot": TARGETS,
        "整数の one-hot": TARGETS.astype(int),
        "実数": LABELS.astype(float),
        "縦": LABELS[:, None],
        "負": LABELS - 1,
        "大きすぎる": LABELS + 1,
        "足りない": LABELS[:-1],
        "1 つ": 0,
    }


def mnist_folder() -> Path:
    """画像 1 枚とラベル 1 つだけの MNIST。"""
    if not (FOLDER / "mnist.npz").exists():
        images, answers = np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8)
        np.savez(
            FOLDER / "mnist.npz", x_train=images, y_train=answers, x_test=images, y_test=answers
        )
    return FOLDER


class Kind(NamedTuple):
    """引数の種類: よい値の作り方と、間違った値。"""

    good: Callable[[], Any]
    bad: Callable[[], dict[str, Any]]


def fixed(good: Any, bad: dict[str, Any]) -> Kind:
    return Kind(lambda: good, lambda: bad)


def array(good: np.ndarray, spoil: Callable[[np.ndarray], dict[str, Any]]) -> Kind:
    return Kind(good.copy, lambda: spoil(good))


def without(bad: dict[str, Any], *labels: str) -> dict[str, Any]:
    return {label: value for label, value in bad.items() if label not in labels}


BETA = {"1 つ": (0.9,), "数": 0.9, "None": None, "1": (0.9, 1.0), "負": (-0.1, 0.9)}
count = fixed(2, COUNT)
optional_count = fixed(2, without(COUNT, "None"))
positive = fixed(0.1, POSITIVE | MANY)
rate = fixed(0.1, POSITIVE)
spread = fixed(1.2, SPREAD)
fraction = fixed(0.5, FRACTION)
variance = fixed(1.0, without(SPREAD, "NaN", "inf", "空", "真偽値"))
activation = fixed(vg.relu, ACTIVATION)

KINDS: dict[str, Kind] = {
    "x": array(X, data),
    "x_test": array(X, lambda x: without(data(x), "None")),
    "d_output": array(TARGETS, data),
    "dy": array(TARGETS, signal),
    "logits": array(TARGETS, matrix),
    "y": array(TARGETS, matrix),
    "t": array(TARGETS, matrix),
    "z": array(X, lambda z: without(numbers(z), "真偽値")),
    "a": array(X, matrix),
    "W": array(np.ones((N_IN, N_OUT)), matrix),
    "b": array(np.zeros((1, N_OUT)), lambda b: without(signal(b), "None")),
    "Wx": array(np.ones((N_IN, N_OUT)), matrix),
    "Wh": array(np.eye(N_OUT), signal),
    "labels": Kind(LABELS.copy, labels),
    "labels_test": Kind(LABELS.copy, lambda: without(labels(), "None")),
    "network": Kind(network, networks),
    "layers": Kind(lambda: [affine()], layers),
    "branch": Kind(lambda: [affine()], lambda: layers() | {"空": []}),
    "optimizer": Kind(lambda: vg.SGD(0.1), lambda: OPTIMIZER),
    "activation": activation,
    "output": activation,
    "init": Kind(vg.he, lambda: INIT),
    "inits": Kind(vg.he, lambda: INIT),
    "norm": fixed(vg.BatchNorm, {"層": vg.BatchNorm(5), "文字列": "batch", "数": 3, "値": vg.relu,
        "アフィン": vg.Affine, "型": dict, "引数がない": lambda: None,
    }),
    "loss": fixed(vg.softmax_cross_entropy, LOSS),
    "watch": fixed(lambda step, network: None, without(FUNCTION, "None")),
    "run": fixed(mean, FUNCTION | {
        "辞書を返す": lambda *a: {"a": 1}, "文字列を返す": lambda *a: "1",
        "形が変わる": lambda rng, *a: np.ones(rng.integers(1, 9999))}),
    "f": fixed(np.sum, FUNCTION | {"形の違う値": lambda a: np.ones((7, 7))}),
    "measure": fixed(np.mean, FUNCTION),
    "draw": fixed(lambda rng, shape: np.ones(shape), FUNCTION),
    "df": fixed(np.ones_like, FUNCTION),
    "rng": Kind(rng, lambda: RNG),
    "seeds": count, "steps": count, "batch_size": count, "depth": count, "width": count,
    "samples": count, "n": count, "d": count, "n_in": count, "n_out": count, "every": count,
    "batch": count, "n_train": fixed(100, COUNT), "chunk": optional_count,
    "evaluate_every": optional_count, "nbytes": fixed(100, without(COUNT, "0")),
    "widths": fixed([N_IN, 5, N_OUT], SHAPE), "hidden": fixed((5,), SHAPE),
    "ensemble": fixed((), SHAPE), "copies": fixed((), SHAPE),
    "lr": rate, "eps": positive, "max_norm": positive, "h": fixed(1e-5, without(
        POSITIVE | MANY, "None")), "scale": positive, "start": positive,
    "momentum": fraction, "betas": fixed((0.9, 0.99), BETA),
    "alpha": fraction, "weight_decay": fixed(0.01, SPREAD | MANY),
    "gain": spread, "std": spread, "stds": spread, "value": fixed(0.5, NUMBER | {"真偽値": True}),
    "slope": fixed(0.1, NUMBER | MANY | {"真偽値": True}),
    "sigma_w": spread, "sigma_b": spread, "q": variance,
    "c": fixed(0.5, without(SPREAD, "NaN", "負", "空", "真偽値") | {"大きい": 1.5}),
    "running_var": fixed(1.0, SPREAD | MANY),
    "unbiased": fixed(True, FLAG), "reevaluate": fixed(False, FLAG), "progress": fixed(False, FLAG),
    "dtype": fixed(float, DTYPE),
    "executor": fixed(POOL, EXECUTOR),
    "data": Kind(lambda: vg.Dataset(X, LABELS, X, LABELS), lambda: DATA),
    "model": Kind(network, networks), "trial": fixed(False, FLAG), "seconds": positive,
    "thresholds": fixed(Thresholds(), {"辞書": {}, "数": 0.1, "組": (0.1, 0.1, 0.1, 0.1)}),
    "part": fixed(slice(0, 1), SLICE),
    "folder": Kind(mnist_folder, lambda: TEXT | {"バイト列": b"a", "ない": "no-such-folder"}),
    "state": fixed({"0.weight": np.ones((N_OUT, N_IN))}, {
        "空": {}, "None": None, "文字列": "model.pt", "リスト": [np.ones((3, 4))],
        "マスク": {"0.weight": np.ma.masked_equal(np.ones((N_OUT, N_IN)), 1.0)},
        "整列した名前": {f"{k}.weight": np.ones((4, 4)) for k in ("hidden", "input", "output")}}),
    "name": fixed("mine", TEXT),
    "kinks": fixed((0.0,), {"数": 0.0, "文字列": "0", "NaN": (np.nan,), "None": None}),
}  # fmt: skip

# 同じ名前で意味の違う引数: (公開名, 引数)
OVERRIDES: dict[tuple[str, str], Kind] = {
    ("Initializer", "std"): fixed(lambda n_in, n_out: 1.0, FUNCTION),
    ("elu", "alpha"): fixed(0.5, SPREAD | MANY),
    ("leaky_relu", "slope"): fixed(0.1, SPREAD | MANY | {"大きい": 1.5}),
    ("learning_speed", "lr"): positive,
    ("numerical_gradient", "a"): Kind(X.copy, lambda: numbers(X) | {"空": X[:0], "整数": LABELS}),
    ("gaussian_mean", "f"): fixed(np.square, FUNCTION),
    ("pair_mean", "f"): fixed(np.square, FUNCTION),
    ("per_layer", "layers"): Kind(lambda: [X], lambda: {"空": [], "None": None, "配列": X}),
    ("Activation", "f"): fixed(np.tanh, FUNCTION),
    ("Recurrent", "b"): array(np.zeros((1, N_OUT)), lambda b: without(signal(b), "None")),
    ("sigmoid_cross_entropy", "logits"): array(X[:, :1], lambda y: matrix(y) | {"2 列": X[:, :2]}),
    ("sigmoid_cross_entropy", "labels"): Kind(
        lambda: LABELS % 2, lambda: without(labels(), "負") | {"負": LABELS % 2 - 1}
    ),
    ("from_state_dict", "check"): fixed(
        (X, X @ np.ones((N_IN, N_OUT))), {"数": 1, "文字列": "x", "1 つ": (X,), "合わない": (X, X)}
    ),
    ("Initializer", "gain"): fixed(1.0, NUMBER | {"真偽値": True}),  # constant は負でもよい
    ("trace", "x"): array(X, signal),
    ("trace", "d_output"): array(TARGETS, signal),
    ("correlation_map", "q"): fixed(1.0, without(SPREAD, "NaN", "inf", "空", "真偽値", "None")),
    ("diagnose", "y"): Kind(LABELS.copy, labels),
    ("diagnose", "loss"): fixed(vg.softmax_cross_entropy, without(LOSS, "None")),
    ("diagnose", "step"): fixed(None, without(FUNCTION, "None")),
    ("diagnose", "optimizer"): Kind(lambda: vg.SGD(0.1), lambda: without(OPTIMIZER, "None")),
    ("LayerNorm", "n"): fixed(3, COUNT | {"1": 1}),
    ("fit", "batch_size"): fixed(2, COUNT | {"標本より多い": N + 1}),
}
# 別の名前で名指すもの: 中で呼ぶ関数の引数の名前がそのまま出る
ALIASES = {("batch_norm_grid", "stds"): "std", ("diagnose", "y"): "labels"}
# 記録を入れるだけの入れもの (NamedTuple など) は、作るのも読むのも計算の側
RECORDS = (tuple, vg.Diagnosis)


class Target(NamedTuple):
    """公開された 1 つの呼べるもの。"""

    name: str
    call: Callable[..., Any]
    doc: str


def public() -> Iterator[Target]:
    """公開された関数、クラス、そのメソッドを、``__all__`` をたどって返す。"""
    seen: set[int] = set()
    for room in ROOMS:
        module = import_module(room)
        for name in getattr(module, "__all__", _own(module)):
            value = getattr(module, name)
            if id(value) in seen or not callable(value):
                continue
            seen.add(id(value))
            if isinstance(value, vg.Activation):
                doc = inspect.getdoc(vg.Activation) or ""
                yield Target(name, value, doc)
                yield Target(f"{name}.derivative", value.derivative, doc)
            elif not inspect.isclass(value):
                yield Target(name, value, inspect.getdoc(value) or "")
            elif not issubclass(value, RECORDS) and not getattr(value, "_is_protocol", False):
                yield Target(name, value, inspect.getdoc(value) or "")
                yield from _methods(name, value)


def _own(module: Any) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith(("_", "check_"))
        and inspect.isfunction(value)
        and value.__module__ == module.__name__
    ]


def _methods(name: str, kind: type) -> Iterator[Target]:
    for method, function in inspect.getmembers(kind, inspect.isfunction):
        if (method.startswith("_") and method != "__call__") or method == "inference":
            continue

        def call(*args: Any, _method: str = method, **options: Any) -> Any:
            return getattr(prepared(name, kind), _method)(*args, **options)

        call.__signature__ = _unbound(function)  # type: ignore[attr-defined]
        doc = f"{inspect.getdoc(kind)}\n{inspect.getdoc(function)}"
        yield Target(f"{name}.{method}", call, doc)


def _unbound(function: Callable[..., Any]) -> inspect.Signature:
    signature = inspect.signature(function)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def prepared(name: str, kind: type) -> Any:
    """順伝播まで済ませたオブジェクト。逆伝播や更新も試せるように。"""
    if kind is vg.Network:
        made = network()
        made.backward(made.forward(X))
        return made
    thing = kind(**good_arguments(Target(name, kind, "")))
    if hasattr(thing, "forward"):
        thing.forward(signal_for(thing))
    return thing


def signal_for(layer: Any) -> np.ndarray:
    x = X[:, : getattr(layer, "n_in", N_IN)]
    return x[None] if isinstance(layer, vg.Recurrent | vg.LastStep) else x


def kind_of(target: str, parameter: str) -> Kind:
    owner, _, method = target.partition(".")
    if method in ("forward", "predict") and parameter == "x":
        return Kind(lambda: good_signal(owner), lambda: flowing(owner, good_signal(owner)))
    if method in ("backward", "gradients") and parameter == "dy":
        return Kind(lambda: good_gradient(owner), lambda: flowing(owner, good_gradient(owner)))
    if method == "step":  # 学習のたびに呼ぶので、層の並びは調べない
        return Kind(trained, lambda: NETWORK | {"空": vg.Network([])})
    if method == "bind":
        return Kind(trained, networks)
    return OVERRIDES.get((owner, parameter)) or KINDS[parameter]


def good_signal(owner: str) -> np.ndarray:
    if owner == "Network":
        return X.copy()
    return signal_for(prepared(owner, getattr(vg, owner))).copy()


def good_gradient(owner: str) -> np.ndarray:
    if owner == "Network":
        return TARGETS.copy()
    layer = prepared(owner, getattr(vg, owner))
    return np.ones_like(layer.forward(signal_for(layer)))


def flowing(owner: str, good: np.ndarray) -> dict[str, Any]:
    free = owner in ("Activate", "LastStep")  # 幅を選ばない層
    return without(signal(good), "幅が違う", "幅が 2 倍") if free else signal(good)


def trained() -> vg.Network:
    made = network()
    made.backward(np.ones_like(made.forward(X)))
    return made


def good_arguments(target: Target) -> dict[str, Any]:
    """省けない引数の、よい値。"""
    return {
        name: kind_of(target.name, name).good()
        for name, parameter in inspect.signature(target.call).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
    } | EXTRA.get(target.name, {})


SMALL = {"hidden": (5,), "steps": 2, "batch_size": 3, "seeds": 1}
SMALL_DATA = {**SMALL, "data": vg.Dataset(X, LABELS, X, LABELS)}
FLOW = {"depth": 2, "width": 4, "samples": 3}
EXTRA: dict[str, dict[str, Any]] = {
    "compare_initializers": SMALL_DATA,
    "batch_norm_grid": {**SMALL_DATA, "stds": [0.1]},
    "learning_speed": SMALL_DATA,
    "activation_distribution": FLOW,
    "gradient_flow": {**FLOW, "seeds": 1},
    "fit": {"x_test": X, "labels_test": LABELS, "progress": False},
    "digits": {"n_train": 100},
    "diagnose": {"y": LABELS},
    "BatchNorm": {"n": N_OUT},
    "LayerNorm": {"n": N_OUT},
}
