"""最適化手法に共通のこと: 引数の確かめ、学習率の形、勾配の記録。"""

import inspect
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vgbook._edge import Array, Shape, came, check_fraction, check_number, check_positive
from vgbook.layers.affine import Layer
from vgbook.network import Network, check_layered


def check_optimizer(optimizer: object) -> None:
    """``optimizer`` が最適化手法のオブジェクトであることを確かめる。クラスそのものは断る。"""
    wanted = "optimizer には最適化手法 (SGD(lr=0.01) など) を渡してください。"
    if isinstance(optimizer, type) or not callable(getattr(optimizer, "step", None)):
        raise TypeError(f"{wanted}受け取った値: {optimizer!r}")
    if type(optimizer).__module__.partition(".")[0] == "torch":
        raise TypeError(
            f"{wanted}PyTorch の最適化手法は、PyTorch のモデルでだけ使えます。"
            f"受け取った値: {optimizer!r}"
        )


def check_rates(lr: ArrayLike, ensemble: Shape) -> None:
    """学習率の形が集団の軸にそろうことを確かめる。"""
    try:
        fits = np.broadcast_shapes(np.shape(lr), ensemble) == ensemble
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"optimizer の lr の形は、集団の軸 {ensemble} にそろえてください。"
            f"受け取った形: {np.shape(lr)}"
        )


def rate(lr: ArrayLike, param: Array) -> Any:
    """学習率を重みと掛けられる形 (..., 1, 1) にする。数ならそのまま。型は重みに合わせる。"""
    if isinstance(lr, float):
        return lr
    check_rates(lr, param.shape[:-2])
    return np.asarray(lr, param.dtype)[..., None, None]


def root(s: Array) -> Array:
    """√s。二乗があふれた要素は NaN にする。0 の更新で止まったまま、学習して見えないように。"""
    root: Array = np.sqrt(s)[...]  # 0 次元でも、書き換えられる配列のまま
    root[np.isinf(root)] = np.nan
    return root


def pairs(network: object) -> Iterator[tuple[Array, Array]]:
    """学習する配列とその勾配の組。学習のたびに呼ぶので、ネットワークであることだけを確かめる。"""
    if not isinstance(network, Network) or not network.layers:
        raise TypeError(f"network には層をもつ Network を渡してください。{came(network, Network)}")
    return network.pairs()


class Record:
    """過去の勾配の記録。重みと同じ形の 0 から始まり、1 つのネットワークだけに属する。"""

    def __init__(self) -> None:
        self.network: Network | None = None
        self.layers: list[Layer] = []
        self.arrays: list[Array] = []

    def of(self, network: Network) -> list[Array]:
        """``network`` の重みと同じ順の記録。初めに渡されたネットワークのものになる。"""
        params = [param for param, _ in pairs(network)]
        if not self.arrays:
            self.arrays = [np.zeros_like(param) for param in params]
        if self.network not in (None, network):
            raise ValueError(
                "最適化手法は、1 つのネットワークにつき 1 つ作ってください。この最適化手法は、"
                "別のネットワークの学習で貯めた勾配の記録をもっています。続きを同じ形の別の"
                "ネットワーク (読み戻したものや写し) で学ばせるなら、先に bind(network) を"
                f"呼んでください。受け取った値: {network!r}"
            )
        if self.network is None:
            self.bind(network)
        self._check_layers(network)
        return self.arrays

    def _check_layers(self, network: Network) -> None:
        """記録を貯めてから、層を足したり並べ替えたりしていないこと。"""
        layers = list(network.leaves())
        same = len(layers) == len(self.layers) and all(map(operator.is_, layers, self.layers))
        if not same or _shapes(network) != [array.shape for array in self.arrays]:
            raise ValueError(
                "勾配の記録を貯めた後で、network の層か重みの形が変わっています。記録は新しい重みの"
                "ものではないので、最適化手法を新しく作ってください。"
                f"受け取った値: {network!r}"
            )

    def bind(self, network: Network) -> None:
        """これからは ``network`` の記録とする。"""
        check_layered(network)
        shapes = _shapes(network)
        kept = [array.shape for array in self.arrays]
        if kept and kept != shapes:
            raise ValueError(
                "network の重みの形は、勾配の記録の形と同じでなければなりません。"
                f"記録の形: {kept}、受け取った形: {shapes}"
            )
        self.network, self.layers = network, list(network.leaves())

    def __getstate__(self) -> dict[str, Any]:
        # ネットワークは保存しない。読み戻した記録は、次に渡されたネットワークのものになる
        return {"network": None, "layers": [], "arrays": self.arrays}


def _shapes(network: Network) -> list[Shape]:
    return [param.shape for layer in network for param in layer.params.values()]


class UpdateRule:
    """最適化手法に共通のこと。引数は、作るときも、学習の途中で変えるときも確かめる。"""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (hasattr(self, name) or isinstance(value, Record)):
            self._check_name(name, value)
        object.__setattr__(self, name, _checked(name, value))

    def _check_name(self, name: str, value: Any) -> None:
        """``optimizer.learning_rate = 0.01`` のような、誰も読まない名前に入れさせない。"""
        names = inspect.signature(type(self)).parameters
        if name not in names and type(self).__module__.partition(".")[0] == "vgbook":
            raise AttributeError(
                f"{type(self).__name__} に {name} はないので、入れても学習は変わりません。"
                f"変えられるのは {'、'.join(names)} です。受け取った値: {value!r}"
            )

    def __repr__(self) -> str:
        names = inspect.signature(type(self)).parameters
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({settings})"

    def bind(self, network: Network) -> None:
        """続きを ``network`` で学ぶ。勾配の記録があれば、同じ形の ``network`` に引き継ぐ。"""
        check_layered(network)
        for value in vars(self).values():
            if isinstance(value, Record):
                value.bind(network)


def _checked(name: str, value: Any) -> Any:
    """名前で決まる範囲にあることを確かめた、最適化手法の引数。"""
    match name:
        case "lr":
            check_positive(name, value, many=True)
            return np.array(value, float) if np.ndim(value) else float(value)
        case "momentum" | "alpha":
            return check_fraction(name, value)
        case "eps" | "max_norm":
            check_positive(name, value)
        case "weight_decay":
            return check_number(name, value, least=0)
        case "betas":
            if not isinstance(value, tuple | list) or len(value) != 2:
                raise ValueError(
                    f"betas には 2 つの実数の組を渡してください。受け取った値: {value!r}"
                )
            return tuple(check_fraction("betas の各要素", beta) for beta in value)
    return value
