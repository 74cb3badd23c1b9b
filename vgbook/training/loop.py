"""学習: ミニバッチを引き、順伝播、逆伝播、更新を繰り返す。

ネットワークが集団でも、このループは 1 文字も変わりません。発散した要素は NaN のまま記録し、
ほかの要素の学習は続けます。
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np

from vgbook._edge import Array, check_callable, check_flag, check_rng
from vgbook._progress import progress_bar
from vgbook.layers.affine import Layer
from vgbook.layers.normalization import BatchNorm
from vgbook.network import Network
from vgbook.training.checks import Pair, check_pair, check_schedule, check_test
from vgbook.training.losses import Loss, check_loss, loss_and_gradient, softmax_cross_entropy
from vgbook.training.update import check_optimizer, check_rates

CHUNK = 100
"""正解率を測るとき、一度に流す標本の数。"""


class Optimizer(Protocol):
    """最適化手法の約束事。"""

    def step(self, network: Network) -> None:
        """直前の逆伝播が残した勾配で、重みを 1 回更新する。"""


class History(NamedTuple):
    """学習の記録。``...`` は集団の軸です。"""

    loss: Array
    """各ステップのミニバッチでの損失、(steps, ...)。発散した後は NaN。"""
    at: Array
    """正解率を測ったステップ (更新した後)、(回数,)。"""
    train_accuracy: Array
    """訓練データ全体での正解率、(回数, ...)。発散した要素は NaN。"""
    test_accuracy: Array
    """テストデータでの正解率、(回数, ...)。テストデータがなければ NaN。"""
    diverged_at: Array
    """損失が有限でなくなったステップ、(...)。発散しなければ −1。最後の更新で壊れた要素も、
    損失を測り直さなければ −1 のままです (正解率は NaN になります)。"""

    @property
    def diverged(self) -> Array:
        """発散したか、(...) の真偽値。"""
        return self.diverged_at >= 0

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """軸の名前。``...`` は集団の軸です。`over_seeds` を通った記録は先頭に seed をもちます。"""
        seed = ("seed",) * (self.at.ndim - 1)
        measured = (*seed, "measurement")
        return {
            "loss": (*seed, "step", ...),
            "at": measured,
            "train_accuracy": (*measured, ...),
            "test_accuracy": (*measured, ...),
            "diverged_at": (*seed, ...),
        }


def accuracy(network: Network, x: Array, labels: Array) -> Array:
    """推論での正解率を測る。

    Parameters
    ----------
    network : Network
        集団でもかまいません。
    x : ndarray, shape (N, n_in)
        入力。
    labels : ndarray of int, shape (N,)
        正解のクラス。

    Returns
    -------
    ndarray, shape (...)
        正解率 (0〜1)。出力が有限でない要素は NaN。NaN の argmax は 0 番のクラスになるので、
        数えてしまうと「0 の割合」が正解率に見えてしまいます。

    Raises
    ------
    TypeError
        ``network`` が Affine を含む Network でないとき、``x`` や ``labels`` の型が違うとき。
    ValueError
        ``x`` の形が合わないとき、``labels`` の長さや範囲が合わないとき。

    Examples
    --------
    >>> from vgbook.layers.affine import Affine
    >>> accuracy(Network([Affine(np.eye(2))]), np.eye(2), np.array([0, 0]))
    np.float64(0.5)
    """
    x, labels = check_pair(network, x, labels, "x", "labels")
    with np.errstate(all="ignore"):
        # 集団を一度に流すと途中の配列がキャッシュからあふれるので、標本を小分けにする
        chunks = [network.predict(x[i : i + CHUNK]) for i in range(0, len(x), CHUNK)]
    logits = np.concatenate(chunks, axis=-2)
    correct = (_classes(logits) == labels).mean(axis=-1)
    return np.where(np.isfinite(logits).all(axis=(-2, -1)), correct, np.nan)[()]


def _classes(logits: Array) -> Array:
    """最大の出力のクラス。出力が 1 つなら、正のときクラス 1。"""
    classes: Array = logits[..., 0] > 0 if logits.shape[-1] == 1 else logits.argmax(axis=-1)
    return classes


def fit(
    network: Network,
    optimizer: Optimizer,
    x: Array,
    labels: Array,
    *,
    steps: int,
    batch_size: int,
    rng: np.random.Generator,
    loss: Loss = softmax_cross_entropy,
    x_test: Array | None = None,
    labels_test: Array | None = None,
    evaluate_every: int | None = None,
    reevaluate: bool = False,
    watch: Callable[[int, Network], None] | None = None,
    progress: bool = True,
) -> History:
    """ネットワークを学習させる。

    ミニバッチは重複を許して引き、集団の全員が同じものを使います。1 秒を超える学習では、端末か
    ノートブックに進み具合を表示します。環境変数 ``TQDM_DISABLE=1`` があれば何も出しません。

    Parameters
    ----------
    network : Network
        学習させるネットワーク。重みは書き換わります。
    optimizer : SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam, AdamW or Clip
        最適化手法。
    x : ndarray, shape (N, n_in)
        訓練データ。
    labels : ndarray of int, shape (N,)
        正解のクラス。`mean_squared_error` のように目標の値と比べる ``loss`` なら、目標 (N, n_out)。
    steps, batch_size : int
        更新の回数と、ミニバッチの大きさ (N 以下)。
    rng : numpy.random.Generator
        ミニバッチを引く乱数生成器。
    loss : callable
        ``(出力, 正解)`` から ``(損失, ∂L/∂出力)`` を返す関数。
    x_test, labels_test : ndarray, optional
        テストデータ。
    evaluate_every : int, optional
        何ステップごとに正解率を測るか。最初の更新の後にも測ります。``labels`` がクラスのときだけ。
    reevaluate : bool
        True なら、損失を更新の後に同じミニバッチで測り直します (『ゼロから作る』6.2.4 の流儀)。
    watch : callable, optional
        毎ステップ、逆伝播の後・更新の前に ``watch(step, network)`` を呼びます。重みはその場で
        書き換わるので、残しておくなら ``copy()`` します。中で逆伝播をするなら
        ``copy.deepcopy(network)`` で行います。
    progress : bool
        進み具合を表示するか。

    Returns
    -------
    History

    Raises
    ------
    TypeError
        ``network``、``optimizer``、``rng``、``loss`` などの型が違うとき。
    ValueError
        データが空・有限でない・形が合わない、``batch_size`` がデータより大きい、
        バッチ正規化に大きさ 1 のバッチを渡した、など。

    Examples
    --------
    >>> from vgbook.activations import relu
    >>> from vgbook.initializers import he
    >>> from vgbook.network import mlp
    >>> from vgbook.training.optimizers import SGD
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 2))
    >>> labels = (x[:, 0] > x[:, 1]).astype(int)
    >>> network = mlp([2, 16, 2], relu, he(), rng=rng)
    >>> history = fit(network, SGD(0.5), x, labels, steps=200, batch_size=50, rng=rng)
    >>> bool(accuracy(network, x, labels) > 0.95), history.loss.shape
    (True, (200,))
    """
    check_loss(loss)
    if watch is not None:
        check_callable("watch", watch)
    check_flag("reevaluate", reevaluate)
    check_flag("progress", progress)
    x, labels = check_pair(network, x, labels, "x", "labels", loss)
    check_optimizer(optimizer)
    check_rates(getattr(optimizer, "lr", 1.0), network.ensemble)
    test = check_test(network, x_test, labels_test)
    steps = check_schedule(network, labels, steps, batch_size, evaluate_every)
    check_rng(rng)

    dtype = np.result_type(x, *(affine.params["W"] for affine in network.affines))
    log = _Log(np.full((steps, *network.ensemble), np.nan, dtype))
    bar = progress_bar(steps, "学習", show=progress)
    with np.errstate(all="ignore"), network.turn.alone(network), bar:
        for step in range(steps):
            rows = rng.integers(len(x), size=batch_size)
            inputs, answers = x[rows], labels[rows]
            with network.turn.wait:  # ほかのスレッドは、順伝播と更新の間に入れない
                value, dy = loss_and_gradient(loss, network.forward(inputs), answers)
                network.gradients(dy)
                if watch is None:
                    optimizer.step(network)
                else:
                    grads = _grads(network)
            if watch is not None:
                watch(step, network)  # watch は、ほかのスレッドを待つかもしれない
                with network.turn.wait:
                    _check_kept(grads, watch)
                    optimizer.step(network)
            if reevaluate:
                with network.turn.wait, _averages_kept(network):
                    value, _ = loss(network.forward(inputs), answers)
            if evaluate_every is not None and step % evaluate_every == 0:
                log.measure(step, network, (x, labels), test)
            if log.diverges(step, value):
                bar.set_postfix_str(f"発散 {np.count_nonzero(log.diverged)}/{log.diverged.size}")
            bar.update()
    return log.history()


def _grads(network: Network) -> list[tuple[Layer, dict[str, Array]]]:
    """どの層が、どの勾配をもつか。``grads`` を呼ぶたびに作る層は除く。"""
    stored = (layer for layer in network.leaves() if layer.grads is layer.grads)
    return [(layer, layer.grads) for layer in stored]


def _check_kept(
    grads: list[tuple[Layer, dict[str, Array]]], watch: Callable[[int, Network], None]
) -> None:
    """``watch`` の間に、更新に使う勾配が、別の逆伝播のものに替わっていないことを確かめる。"""
    if any(layer.grads is not kept for layer, kept in grads):
        raise RuntimeError(
            "watch の間に、watch かほかのスレッドが、更新に使う勾配 (layer.grads) を替えました。"
            "signals や backward で測るなら copy.deepcopy(network) で、勾配を変えるなら layer.grads"
            " の中身を書き換えます。"
            f"受け取った watch: {watch!r}"
        )


@contextmanager
def _averages_kept(network: Network) -> Iterator[None]:
    """測り直すだけの順伝播で、バッチ正規化の移動平均を進めない。"""
    norms = [n for n in network.leaves() if isinstance(n, BatchNorm) and n.training]
    kept = [(norm.running_mean.copy(), norm.running_var.copy()) for norm in norms]
    try:
        yield
    finally:
        for norm, (mean, var) in zip(norms, kept, strict=True):
            norm.running_mean[...], norm.running_var[...] = mean, var


class _Log:
    """学習の途中の `History`。"""

    def __init__(self, losses: Array) -> None:
        self.losses = losses
        self.diverged_at = np.full(losses.shape[1:], -1)
        self.at: list[int] = []
        self.train: list[Array] = []
        self.test: list[Array] = []

    @property
    def diverged(self) -> Array:
        """発散したか、(...) の真偽値。"""
        return self.diverged_at >= 0

    def measure(self, step: int, network: Network, train: Pair, test: Pair | None) -> None:
        """正解率を測って残す。"""
        self.at.append(step)
        self.train.append(accuracy(network, *train))
        if test is not None:
            self.test.append(accuracy(network, *test))

    def diverges(self, step: int, value: Array) -> bool:
        """損失を残し、この更新で初めて発散した要素があるかを返す。"""
        self.losses[step] = value
        fresh = ~np.isfinite(self.losses[step]) & ~self.diverged
        self.diverged_at = np.where(fresh, step, self.diverged_at)
        return bool(fresh.any())

    def history(self) -> History:
        """終わった学習の記録。"""
        shape = (len(self.at), *self.diverged_at.shape)
        untested = np.full(shape, np.nan)
        return History(
            loss=np.where(np.isfinite(self.losses), self.losses, np.nan).astype(self.losses.dtype),
            at=np.array(self.at, dtype=int),
            train_accuracy=np.array(self.train).reshape(shape),
            test_accuracy=np.array(self.test).reshape(shape) if self.test else untested,
            diverged_at=self.diverged_at,
        )
