"""競争: 4 つの課題を、交互に、何周も走らせる。

どの周でも、全員の答えが読者の NumPy を float64 で走らせた答えに一致することを確かめます。
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import plain
import with_jax
import with_torch
from tasks import DEPTH, GAINS, SAMPLES, SIGMA_B, SIGMA_W, WIDTH, Flow, gradient_flows

from vgbook import gradient_flow, tanh, xavier
from vgbook.theory.meanfield import chi

Array = np.ndarray
THREADS = with_torch.THREADS
OURS, FLOOR = "vgbook (集団)", "行列積だけ"
PLAIN, SPREAD = "NumPy (1 つずつ)", "NumPy (1 つずつ、スレッドに配る)"
EAGER, VMAP = "PyTorch (1 つずつ)", "PyTorch (torch.func.vmap)"
JAX, COMPILED = "JAX (jit + vmap)", "JAX (コンパイルの時間も含む)"


class Contest(NamedTuple):
    """1 つの課題と、その競争相手。"""

    title: str
    runs: Mapping[str, Callable[[], Any]]
    check: Callable[[Any], float]
    """答えの、float64 の読者の NumPy からのずれ。大きすぎれば失敗する。"""
    flops: int


def in_threads(run: Callable[..., Any], jobs: Any, threads: int = THREADS) -> list[Any]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda job: run(*job), jobs))


def afresh(run: Callable[[], Any]) -> Any:
    with_jax.forget()
    return run()


# ---- 勾配の流れ


def flow(seeds: int) -> Contest:
    """誰もが、重みと入力を引くところから始める。"""

    def one_by_one(threads: int, tasks: list[Flow]) -> Array:
        jobs = list(product(tasks, range(len(GAINS))))
        rows = np.array(in_threads(plain.flow, jobs, threads))
        return rows.mT.reshape(seeds, len(GAINS), DEPTH, 5)

    def products(tasks: list[Flow]) -> Any:
        return in_threads(flow_products, [(t, e) for t in tasks for e in range(0, 16, 4)])

    def drawn(run: Callable[[list[Flow]], Any]) -> Callable[[], Any]:
        return lambda: run(gradient_flows(seeds))

    def ours() -> Array:
        result = gradient_flow(
            tanh,
            xavier(gain=GAINS),
            rng=np.random.default_rng(0),
            depth=DEPTH,
            width=WIDTH,
            samples=SAMPLES,
            seeds=seeds,
        )
        return np.stack(result, axis=-1)

    tasks = gradient_flows(seeds)
    exact = one_by_one(THREADS, tasks)

    def off(rows: Array) -> float:
        np.testing.assert_allclose(rows, exact, rtol=1e-6)
        return float(np.abs(rows / exact - 1).max())

    runs: dict[str, Callable[[], Any]] = {
        FLOOR: partial(products, tasks),
        OURS: ours,
        PLAIN: drawn(partial(one_by_one, 1)),
        SPREAD: drawn(partial(one_by_one, THREADS)),
        EAGER: drawn(with_torch.flow_eager),
        VMAP: drawn(with_torch.flow_vmap),
        JAX: drawn(with_jax.flow),
        COMPILED: partial(afresh, drawn(with_jax.flow)),
    }
    title = f"深さ {DEPTH} の勾配の流れ: {seeds * len(GAINS)} 個のネットワーク"
    return Contest(title, runs, off, sum(task.flops for task in tasks))


def flow_products(task: Flow, first: int) -> None:
    h = np.broadcast_to(task.x, (4, *task.x.shape)).copy()
    for W in task.weights:
        w = W[first : first + 4]
        _ = h @ w, h.mT @ h, h @ w.mT


# ---- 平均場


def phase_diagram() -> Contest:
    grid = list(product(SIGMA_W.ravel(), SIGMA_B))
    shape = np.broadcast_shapes(SIGMA_W.shape, SIGMA_B.shape)

    def one_by_one() -> Array:
        return np.reshape([plain.chi(*point) for point in grid], shape)

    exact = one_by_one()

    def off(values: Array) -> float:
        np.testing.assert_allclose(values, exact, rtol=1e-6)
        return float(np.abs(values / exact - 1).max())

    runs: dict[str, Callable[[], Any]] = {
        OURS: partial(chi, tanh, SIGMA_W, SIGMA_B),
        PLAIN: one_by_one,
        VMAP: with_torch.chi,
        JAX: with_jax.chi,
        COMPILED: partial(afresh, with_jax.chi),
    }
    return Contest(f"平均場の相図: {len(grid)} 点の χ", runs, off, 0)


def measure(contest: Contest, rounds: int) -> dict[str, Any]:
    """1 周ごとに全員を走らせる。0 周目は慣らしで、時間に数えない。"""
    seconds: dict[str, list[float]] = {name: [] for name in contest.runs}
    cpu: dict[str, list[float]] = {name: [] for name in contest.runs}
    off: dict[str, float] = {}
    for round_ in range(rounds + 1):
        for name, run in contest.runs.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            answer = run()
            if round_:
                seconds[name].append(time.perf_counter() - began)
                cpu[name].append(time.process_time() - began_cpu)
            if name != FLOOR:
                off[name] = max(off.get(name, 0.0), contest.check(answer))
        print(f"{contest.title} {round_} 周目", flush=True)
    return {
        "title": contest.title,
        "flops": contest.flops,
        "seconds": seconds,
        "cpu": cpu,
        "off": off,
    }
