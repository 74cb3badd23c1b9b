"""診断: 自分のネットワークのどこで、何が、なぜ起きているかを調べる。

測って症状を挙げ、短い試しの学習で結果を確かめ、1 つだけ変えた試しで原因を決めます。
この本の `Network` にも、どの PyTorch のモデルにも、同じ規則を使います。
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vgbook._edge import as_array, check_callable, check_data, check_flag, check_positive
from vgbook.clinic.numpy_model import diagnose_network
from vgbook.clinic.numpy_subject import Subject
from vgbook.clinic.record import Thresholds, check_thresholds
from vgbook.clinic.report import Diagnosis
from vgbook.network import Network, check_network
from vgbook.training.losses import check_loss, softmax_cross_entropy
from vgbook.training.update import check_optimizer


def diagnose(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    loss: Callable[[Any, Any], Any] | None = None,
    optimizer: Any = None,
    step: Callable[[Any, Any], Any] | None = None,
    trial: bool = True,
    lr: float = 0.01,
    seconds: float = 60.0,
    thresholds: Thresholds | None = None,
) -> Diagnosis:
    """ネットワークを 1 つのミニバッチで調べ、学習しない原因を判定する。

    ``optimizer`` を渡すと、写しを短く学習させます。損失が下がれば病気としません。下がらなければ、
    学習率、初期値、入力の尺度などを 1 つずつ変えて学習し直し、下がるようになった変え方から原因を
    決めます。渡さなければ、測った値から「症状」だけを挙げます。

    Parameters
    ----------
    model : torch.nn.Module or Network
        調べるモデル。モデル、勾配、バッファー、乱数の状態は、呼ぶ前とまったく同じままです。
    x : tensor, tuple, dict or ndarray
        1 つのミニバッチの入力。組は ``model(*x)``、辞書は ``model(**x)`` と渡します。`Network` では
        (N, n_in) の配列です。
    y : tensor or ndarray
        ``loss`` に渡す正解。
    loss : callable
        PyTorch では ``(出力, 正解)`` から損失のテンソルを返す関数 (``F.cross_entropy`` など)。
        `Network` では ``(損失, ∂L/∂出力)`` を返す関数で、省けば softmax と交差エントロピー。
    optimizer : torch.optim.Optimizer or SGD, Momentum, Adam, ...
        実際に使う最適化手法。診断は写しを使うので、動きません。
    step : callable, optional
        PyTorch で、``(モデル, x)`` から損失を返す関数。``loss`` では書けない学習に使います。
    trial : bool
        偽なら、試しの学習をせず、症状だけを挙げます。
    lr : float
        `Network` で ``optimizer`` を省いたときに、更新の比を求める学習率。
    seconds : float
        試しの学習に使う CPU 時間の上限 (秒)。
    thresholds : Thresholds, optional
        疑いの閾値。

    Returns
    -------
    Diagnosis
        ``print`` すると文字の診断書に、ノートブックでは HTML になります。

    Raises
    ------
    ValueError
        データの形が合わないとき、損失が 1 つの数でないとき、``optimizer`` が別のモデルのものの
        とき、パラメーターがないとき。
    TypeError
        ``model``、``loss``、``optimizer``、``thresholds`` の型が違うとき、`Network` に ``step`` を
        渡したとき。

    Examples
    --------
    >>> import numpy as np
    >>> from vgbook import SGD, digits, he, mlp, normal, relu
    >>> data, rng = digits(), np.random.default_rng(0)
    >>> x, labels = data.x_train[:200], data.labels_train[:200]
    >>> healthy = mlp([64, *[100] * 8, 10], relu, he(), rng=rng)
    >>> diagnose(healthy, x, labels, optimizer=SGD(0.03)).healthy
    True
    >>> sick = mlp([64, *[100] * 8, 10], relu, normal(0.02), rng=rng)
    >>> report = diagnose(sick, x, labels, optimizer=SGD(0.03))
    >>> report.findings[0].name, report.findings[0].trials[1].name
    ('消失', 'He の初期値')
    """
    limits = check_thresholds(thresholds)
    check_positive("seconds", seconds)
    check_flag("trial", trial)
    if step is not None:
        check_callable("step", step)
    if _is_torch(model):
        from vgbook.clinic.torch.model import diagnose_torch

        return diagnose_torch(
            model, x, y, loss=loss, optimizer=optimizer, step=step, trial=trial,
            seconds=seconds, limits=limits,
        )  # fmt: skip
    check_network(model, "model")
    if step is not None:
        raise TypeError(
            "step は PyTorch のモデルでだけ使えます。Network では、loss に (損失, ∂L/∂出力) を返す"
            f"関数を渡してください。受け取った step: {step!r}"
        )
    subject = _subject(model, x, y, loss, optimizer, lr)
    return diagnose_network(subject, lr, limits, trial, seconds)


def _is_torch(model: object) -> bool:
    """PyTorch を自分からは読み込まずに、モデルが PyTorch のものかを調べる。"""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _subject(
    network: Network, x: Any, labels: Any, loss: Any, optimizer: Any, lr: float
) -> Subject:
    loss = softmax_cross_entropy if loss is None else loss
    check_loss(loss)
    check_positive("lr", lr)
    if optimizer is not None:
        check_optimizer(optimizer)
    if network.ensemble:
        raise ValueError(
            f"network には 1 つのネットワークを渡してください。受け取った集団: {network.ensemble}"
        )
    x = check_data("x", x, width=network.n_in)
    if x.ndim != 2 or len(x) < 2:  # 1 個では、標本間の差がどの層でも 0 になる
        raise ValueError(
            f"x には 2 個以上の標本 (N, n_in) を渡してください。受け取った形: {x.shape}"
        )
    if labels is not None:
        as_array("labels", labels)
    return Subject(network, x, labels, loss, optimizer)


def watch(model: Any, optimizer: Any, *, every: int = 100, save: str | Path | None = None) -> Any:
    """学習のループを見張る。``with watch(model, optimizer) as w:`` と使う。

    ループは書き換えません。``every`` 回に 1 回の更新だけ測り、``w.report()`` がいつでも診断書を
    返します。ループが例外で止まっても、それまでの測定は残ります。torch.compile したモデルも、
    測る回だけ、コンパイルせずに動かして測ります。``GradScaler`` を使うと、δ は、大きくした損失の
    勾配です。

    Parameters
    ----------
    model : torch.nn.Module
        学習するモデル。
    optimizer : torch.optim.Optimizer
        そのモデルの最適化手法。``step()`` が 1 回の更新の区切りになります。
    every : int
        何回の更新に 1 回測るか。
    save : str or Path, optional
        終わったとき (例外のときも) に、診断書の JSON を書く場所。

    Returns
    -------
    Watch
        ``loss(値)`` で損失を記録し、``report()`` で診断書を作ります。損失を記録すると、下がらない
        学習だけを病気とします。

    Raises
    ------
    TypeError
        PyTorch のモデルとオプティマイザーでないとき。
    ValueError
        ``every`` が 1 以上の整数でないとき、``optimizer`` が別のモデルのもののとき、パラメーターが
        ないとき。
    FileNotFoundError
        ``save`` のフォルダーがないとき。

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> x, y = torch.randn(8, 2), torch.zeros(8, 1)
    >>> with watch(model, optimizer, every=1) as w:
    ...     for _ in range(3):
    ...         optimizer.zero_grad()
    ...         loss = torch.nn.functional.mse_loss(model(x), y)
    ...         loss.backward()
    ...         optimizer.step()
    ...         w.loss(loss)
    >>> [layer.name for layer in w.report().layers]
    ['0', '2']
    """
    from vgbook.clinic.torch.watching import Watch

    return Watch(model, optimizer, every=every, save=save)
