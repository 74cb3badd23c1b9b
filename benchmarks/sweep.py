"""6.3.2 の掃引の速さ: 16 通りの標準偏差で、バッチ正規化のないネットワークとあるネットワーク。

どの競争相手も、同じ重み、同じミニバッチ、同じ SGD から始めます。毎回の損失が互いに一致することを
確かめ、1 周ごとに全員を交互に動かして、同じ周の中での比を記録します。JAX の翻訳は測る前に
1 度済ませ、その時間を別に記録します。結果は docs/appendix/speed-results.json に書きます。
"""

import argparse
import datetime
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from vgbook import BatchNorm, Dataset, normal, relu
from vgbook.experiments import BOOK_STDS, _with_and_without, batch_norm_grid
from vgbook.experiments import _train as train

RESULTS = Path(__file__).parents[1] / "docs/appendix/speed-results.json"
WIDTHS = [784, 100, 100, 100, 100, 100, 10]
BATCH, LR, EPS = 100, 0.01, 1e-6
Losses = np.ndarray  # (2, 更新, 16): バッチ正規化のなし・あり


def data() -> Dataset:
    rng = np.random.default_rng(1)
    x = rng.random((1000, 784), dtype=np.float32)
    return Dataset(x, rng.integers(10, size=1000), x[:10], np.arange(10))


def start(updates: int) -> tuple[list[np.ndarray], np.ndarray]:
    """`batch_norm_grid` の 1 つ目の seed が引くのと同じ重みとミニバッチ。"""
    (rng,) = np.random.default_rng(0).spawn(1)
    init = normal(BOOK_STDS)
    weights = [init(*fans, rng=rng).astype(np.float32) for fans in pairwise(WIDTHS)]
    return weights, np.stack([rng.integers(1000, size=BATCH) for _ in range(updates)])


def vgbook_stack(d: Dataset, updates: int) -> Losses:
    grid = batch_norm_grid(
        d, rng=np.random.default_rng(0), steps=updates, seeds=1, evaluate_every=None
    )
    return np.stack([grid.plain.loss[0], grid.normalized.loss[0]])


def vgbook_one_by_one(d: Dataset, updates: int) -> Losses:
    """よくある書き方: ネットワークを 1 つずつ作り、1 つずつ学習させる。"""
    schedule = {"steps": updates, "batch_size": BATCH}
    norm = partial(BatchNorm, eps=EPS, unbiased=False, running_var=0.0)
    losses = []
    for std in BOOK_STDS:
        (rng,) = np.random.default_rng(0).spawn(1)
        run = partial(train, d, relu, normal(std), WIDTHS[1:-1], LR)
        pair = _with_and_without(run, norm, schedule, rng, slice(None))
        losses.append([history.loss for history in pair])
    return np.moveaxis(np.array(losses), 0, -1)


def matmuls(d: Dataset, updates: int) -> None:
    """床: 掃引に要る行列積だけを、同じ形、同じ塊で行う。"""
    weights, batches = start(1)
    x = d.x_train[batches[0]]

    def part(members: slice) -> None:
        h = [x] + [np.zeros((4, BATCH, n), np.float32) for n in WIDTHS[1:]]
        for _ in range(updates):
            for i, W in enumerate(weights):
                _ = h[i] @ W[members], h[i].mT @ h[i + 1]
                if i:
                    _ = h[i + 1] @ W[members].mT

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(part, [slice(i, i + 4) for i in (0, 4, 8, 12)] * 2))


def torch_layers(weights: Sequence[np.ndarray], norm: bool) -> list[torch.Tensor]:
    """重み、バイアス、γ、β の列。"""
    params = []
    for W in weights:
        params += [torch.tensor(W), torch.zeros(W.shape[0], 1, W.shape[-1])]
    if norm:
        for W in weights[:-1]:
            params += [torch.ones(W.shape[0], 1, W.shape[-1])]
            params += [torch.zeros(W.shape[0], 1, W.shape[-1])]
    return params


def forward(xp, params, x, norm: bool):
    """PyTorch と JAX に共通の順伝播。``xp`` は torch か jax.numpy。"""
    layers = len(WIDTHS) - 1
    for i in range(layers):
        x = x @ params[2 * i] + params[2 * i + 1]
        if i < layers - 1:
            if norm:
                gamma, beta = params[2 * (layers + i)], params[2 * (layers + i) + 1]
                centered = x - x.mean(-2)[..., None, :]
                var = (centered * centered).mean(-2)[..., None, :]
                x = gamma * (centered / xp.sqrt(var + EPS)) + beta
            x = xp.maximum(x, xp.zeros_like(x))
    return x


def torch_loss(params, x, labels, norm: bool):
    return torch.nn.functional.cross_entropy(forward(torch, params, x, norm), labels)


def torch_eager(d: Dataset, updates: int) -> Losses:
    """本来の使い方: nn.Module を 1 つずつ学習させる。2 つのスレッドで 1 つずつ。"""
    torch.set_num_threads(1)  # 小さな行列積を 2 スレッドに割ると、かえって遅い
    weights, batches = start(updates)
    one = partial(torch_one, d, weights, torch.from_numpy(batches))
    pairs = [(norm, member) for norm in (False, True) for member in range(len(BOOK_STDS))]
    with ThreadPoolExecutor(2) as pool:
        losses = list(pool.map(lambda pair: one(*pair), pairs))
    return np.moveaxis(np.array(losses).reshape(2, -1, updates), 1, -1)


def torch_one(
    d: Dataset, weights: Sequence[np.ndarray], batches: torch.Tensor, norm: bool, member: int
) -> list[float]:
    x, labels = torch.from_numpy(d.x_train), torch.from_numpy(d.labels_train)
    modules: list[torch.nn.Module] = []
    for W in weights:
        linear = torch.nn.Linear(*W.shape[1:])
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W[member].T))
            linear.bias.zero_()
        modules += [linear, *[torch.nn.BatchNorm1d(W.shape[-1], eps=EPS)] * norm]
        modules.append(torch.nn.ReLU())
    model = torch.nn.Sequential(*modules[: -1 - norm])
    optimizer = torch.optim.SGD(model.parameters(), LR)
    losses = []
    for rows in batches:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[rows]), labels[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def torch_vmap(d: Dataset, updates: int) -> Losses:
    torch.set_num_threads(os.cpu_count() or 1)
    weights, batches = start(updates)
    x, labels = torch.from_numpy(d.x_train), torch.from_numpy(d.labels_train)
    losses = []
    for norm in (False, True):
        params = torch_layers(weights, norm)
        gradient = torch.func.vmap(
            torch.func.grad_and_value(partial(torch_loss, norm=norm)), in_dims=(0, None, None)
        )
        with torch.no_grad():
            for rows in torch.from_numpy(batches):
                grads, loss = gradient(params, x[rows], labels[rows])
                for param, grad in zip(params, grads, strict=True):
                    param -= LR * grad
                losses.append(loss.numpy())
    return np.array(losses).reshape(2, updates, -1)


def jax_loss(params, x, labels, norm: bool):
    log_p = jax.nn.log_softmax(forward(jnp, params, x, norm))
    return -jnp.take_along_axis(log_p, labels[:, None], 1).mean()


@partial(jax.jit, static_argnames="norm", donate_argnums=0)
def jax_step(params, x, labels, norm: bool):
    gradient = jax.vmap(jax.value_and_grad(partial(jax_loss, norm=norm)), in_axes=(0, None, None))
    loss, grads = gradient(params, x, labels)
    return [p - LR * g for p, g in zip(params, grads, strict=True)], loss


def jax_vmap(d: Dataset, updates: int) -> Losses:
    weights, batches = start(updates)
    losses = []
    for norm in (False, True):
        params = [jnp.asarray(p.numpy()) for p in torch_layers(weights, norm)]
        for rows in batches:
            params, loss = jax_step(params, d.x_train[rows], d.labels_train[rows], norm)
            losses.append(loss)
    return np.array(losses).reshape(2, updates, -1)


CONTESTANTS: dict[str, Callable[[Dataset, int], Losses | None]] = {
    "行列積だけ": matmuls,
    "vgbook (集団)": vgbook_stack,
    "vgbook (1 つずつ)": vgbook_one_by_one,
    "PyTorch (1 つずつ)": torch_eager,
    "PyTorch (torch.func.vmap)": torch_vmap,
    "JAX (jit + vmap)": jax_vmap,
}


def check_agreement(losses: dict[str, Losses], steps: int = 5) -> None:
    """学習の初めの損失が、vgbook の集団と一致すること。

    標準偏差の大きい 4 通りは発散するので、更新の前の 1 歩だけを比べる。残りは初めの 5 歩で比べる。
    バッチ正規化で重みの小さいネットワークは、丸めの違いを 1 歩ごとに拡大する (float32 では 10 歩
    あまりで 0.5%)。
    """
    ours = losses["vgbook (集団)"]
    for name, theirs in losses.items():
        np.testing.assert_allclose(theirs[:, 0], ours[:, 0], rtol=2e-3, err_msg=name)
        np.testing.assert_allclose(
            theirs[:, :steps, 4:], ours[:, :steps, 4:], rtol=2e-3, err_msg=name
        )


def measure(updates: int, rounds: int) -> dict[str, list[float]]:
    d, seconds = data(), {name: [] for name in CONTESTANTS}
    for round_ in range(rounds + 1):  # 0 周目は慣らし。JAX の翻訳もここで済む
        losses = {}
        for name, run in CONTESTANTS.items():
            began = time.perf_counter()
            loss = run(d, updates)
            seconds[name].append(time.perf_counter() - began)
            if loss is not None:
                losses[name] = loss
        check_agreement(losses)
        print(f"{round_} 周目:", {n: round(s[-1], 2) for n, s in seconds.items()}, flush=True)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=191, help="更新の回数 (6.3.2 は 191)")
    parser.add_argument("--rounds", type=int, default=5, help="測る回数")
    args = parser.parse_args()
    with threadpool_limits(limits=1, user_api="blas"), np.errstate(all="ignore"):
        seconds = measure(args.updates, args.rounds)
    report = {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "machine": platform.machine(),
        "blas": sorted({i["architecture"] for i in threadpool_info() if "architecture" in i}),
        "versions": {m.__name__: m.__version__ for m in (np, torch, jax)},
        "updates": args.updates,
        "first_round": {name: times[0] for name, times in seconds.items()},
        "seconds": {name: times[1:] for name, times in seconds.items()},
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    ours = np.array(report["seconds"]["vgbook (集団)"])
    for name, times in report["seconds"].items():
        ratio = np.array(times) / ours
        print(
            f"{name}: {np.median(times):.2f} 秒、vgbook の集団を 1 として "
            f"{np.median(ratio):.2f} ({ratio.min():.2f}〜{ratio.max():.2f})"
        )


if __name__ == "__main__":
    main()
