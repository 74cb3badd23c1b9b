"""学習の入り口の確かめ: 訓練データと正解の組、ミニバッチの大きさ、更新の回数。"""

from typing import Any, TypeAlias

from vgbook._edge import Array, as_array, check_count, check_data, check_labels, check_rows
from vgbook.layers.normalization import BatchNorm
from vgbook.network import Network, check_network
from vgbook.training.losses import (
    mean_squared_error,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)

Pair: TypeAlias = tuple[Array, Array]
"""入力と正解。"""


def check_pair(
    network: Network, x: Array, labels: Array, x_name: str, labels_name: str, loss: Any = None
) -> Pair:
    """入力と正解。``loss`` が目標の値と比べるものなら、正解は目標 (標本数, n_out)。"""
    check_network(network)
    n_out = network.affines[-1].params["W"].shape[-1]
    x = check_rows(x_name, x, width=network.n_in)
    of_classes = (None, softmax_cross_entropy, sigmoid_cross_entropy)
    if loss is not mean_squared_error and (loss in of_classes or _are_classes(labels)):
        # 出力が 1 つなら、その正負で 2 クラスに分ける
        return x, check_labels(labels_name, labels, size=len(x), classes=max(n_out, 2))
    if as_array(labels_name, labels).shape == (len(x),):
        raise ValueError(
            f"目標の値 {labels_name} の形は ({len(x)}, {n_out}) でなければなりません。1 列なら"
            f" {labels_name}[:, None] と軸を足します。受け取った形: ({len(x)},)"
        )
    targets = check_data(labels_name, labels, width=n_out)
    if len(targets) != len(x):
        raise ValueError(
            f"{x_name} と {labels_name} の標本数は同じにしてください。"
            f"受け取った数: {len(x)} と {len(targets)}"
        )
    return x, targets


def _are_classes(labels: object) -> bool:
    """クラスの番号の列 (整数の 1 次元の配列) か。"""
    array = as_array("labels", labels)
    return array.ndim == 1 and array.dtype.kind in "iu"


def check_test(network: Network, x: Array | None, labels: Array | None) -> Pair | None:
    """テストデータの組。両方とも省けば None。"""
    if (x is None) != (labels is None):
        only = "labels_test" if x is None else "x_test"
        raise ValueError(
            f"x_test と labels_test は両方渡すか、両方省いてください。受け取った引数: {only} だけ"
        )
    if x is None or labels is None:
        return None
    return check_pair(network, x, labels, "x_test", "labels_test")


def check_schedule(
    network: Network, labels: Array, steps: int, batch_size: int, evaluate_every: int | None
) -> int:
    """更新の回数、ミニバッチの大きさ、正解率を測る間隔。更新の回数を返す。"""
    if evaluate_every is not None and labels.ndim != 1:
        raise ValueError(
            "正解率は、labels がクラスの番号 (標本数,) のときだけ測れます。evaluate_every を"
            f"省いてください。受け取った labels の形: {labels.shape}"
        )
    if check_count("batch_size", batch_size) > len(labels):
        raise ValueError(
            f"batch_size は標本数 {len(labels)} 以下にしてください。受け取った値: {batch_size}"
        )
    if batch_size == 1 and any(isinstance(layer, BatchNorm) for layer in network.leaves()):
        raise ValueError(
            "バッチ正規化の学習には大きさ 2 以上のミニバッチが必要です。大きさ 1 では"
            "平均を引いた値がすべて 0 になります。受け取った値: batch_size=1"
        )
    if evaluate_every is not None:
        check_count("evaluate_every", evaluate_every)
    return check_count("steps", steps)
