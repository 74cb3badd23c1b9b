"""学習の 1 歩の速さ: 集団を 1 度に動かす、1 つずつ動かす、PyTorch で 1 つずつ動かす。

同じ重み、同じミニバッチ、同じ SGD から始め、損失が一致することを確かめてから測ります。
BLAS も PyTorch も 1 スレッドに揃え、3 つを交互に動かして、それぞれの中央値を比べます。
時間は計算機しだいなので、見るのは同じ実行の中での比です。
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from vgbook import SGD, Network, he, mlp, relu, softmax_cross_entropy

WIDTHS = [784, 100, 100, 100, 100, 100, 10]
LR = 0.01
BATCH = 100

Step = Callable[[np.ndarray, np.ndarray], np.ndarray]


def vgbook_step(network: Network) -> Step:
    """損失を返す 1 歩。集団でも、1 つのネットワークでも同じ。"""
    optimizer = SGD(LR)

    def step(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
        loss, d_logits = softmax_cross_entropy(network.forward(x), labels)
        network.backward(d_logits)
        optimizer.step(network)
        return loss

    return step


def torch_step(network: Network) -> Step:
    """同じ重みを持つ PyTorch のネットワークの 1 歩。"""
    modules: list[torch.nn.Module] = []
    for affine in network.affines:
        W, b = affine.params["W"], affine.params["b"]
        linear = torch.nn.Linear(*W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.T))
            linear.bias.copy_(torch.from_numpy(b[0]))
        modules += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules[:-1])
    optimizer = torch.optim.SGD(model.parameters(), LR)

    def step(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            model(torch.from_numpy(x)), torch.from_numpy(labels)
        )
        loss.backward()
        optimizer.step()
        return loss.detach().numpy()

    return step


def one_by_one(steps: list[Step]) -> Step:
    return lambda x, labels: np.array([step(x, labels) for step in steps])


def member(ensemble: Network, e: int) -> Network:
    """集団の e 番目と同じ重みを持つ、1 つのネットワーク。"""
    network = mlp(WIDTHS, relu, he(), rng=np.random.default_rng(0), dtype=np.float32)
    for own, whole in zip(network.affines, ensemble.affines, strict=True):
        own.params["W"][...] = whole.params["W"][e]
    return network


def contestants(size: int) -> dict[str, Step]:
    ensemble = mlp(WIDTHS, relu, he(copies=(size,)), rng=np.random.default_rng(0), dtype=np.float32)
    members = [member(ensemble, e) for e in range(size)]
    return {
        "vgbook (集団)": vgbook_step(ensemble),
        "vgbook (1 つずつ)": one_by_one([vgbook_step(m) for m in members]),
        "PyTorch (1 つずつ)": one_by_one([torch_step(m) for m in members]),
    }


def batches(rounds: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(1)
    for _ in range(rounds):
        yield rng.standard_normal((BATCH, 784), np.float32), rng.integers(10, size=BATCH)


def medians(steps: dict[str, Step], rounds: int) -> dict[str, float]:
    """1 歩の秒数の中央値。最初の 3 周は、慣らしと答え合わせに使う。"""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_, (x, labels) in enumerate(batches(rounds + 3)):
        losses = {}
        for name, step in steps.items():
            start = time.perf_counter()
            losses[name] = step(x, labels)
            seconds[name].append(time.perf_counter() - start)
        if round_ < 3:
            for loss in losses.values():
                np.testing.assert_allclose(loss, losses["PyTorch (1 つずつ)"], rtol=1e-4)
    return {name: statistics.median(times[3:]) for name, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 4, 16, 32], help="集団の大きさ")
    parser.add_argument("--rounds", type=int, default=20, help="測る回数")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"幅 {WIDTHS}、バッチ {BATCH}、float32。1 歩の時間の中央値と、集団を 1 とした比")
    with threadpool_limits(limits=1):
        for size in args.sizes:
            measured = medians(contestants(size), args.rounds)
            base = measured["vgbook (集団)"]
            row = [f"{name} {t * 1e3:.1f} ms ({t / base:.2f})" for name, t in measured.items()]
            print(f"{size:3d} 個: " + "、".join(row), flush=True)


if __name__ == "__main__":
    main()
