"""伸び方: ネットワークの数に対する時間とメモリー、チャンクの大きさとスレッドの数に対する時間。"""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from tasks import DEPTH, GAINS, SAMPLES, WIDTH, data

from vgbook import batch_norm_grid, compare_initializers, gradient_flow, normal, tanh, xavier

Array = np.ndarray


def train_members(members: int, updates: int) -> None:
    compare_initializers(
        data(),
        init=normal(np.full(members, 0.1)),
        rng=np.random.default_rng(0),
        steps=updates,
        seeds=1,
        evaluate_every=None,
    )


def seconds_of(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def cpu_of(run: Callable[[], Any]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def over_members(sizes: list[int], updates: int, rounds: int) -> dict[str, Any]:
    """集団の大きさを変えて、同じ回数だけ更新する。CPU 時間 [秒] を返す。"""
    train_members(4, 1)
    cpu: list[list[float]] = [[] for _ in sizes]
    for _ in range(rounds):
        for times, size in zip(cpu, sizes, strict=True):
            times.append(cpu_of(partial(train_members, size, updates)))
    return {"members": sizes, "updates": updates, "cpu": cpu}


def memory(sizes: list[int]) -> dict[str, Any]:
    """別のプロセスで走らせた、最も多いときのメモリー [バイト]。大きさ 0 は import だけ。"""
    command = [sys.executable, __file__]
    peaks = [int(subprocess.check_output([*command, str(size)])) for size in sizes]
    return {"members": sizes, "bytes": peaks}


def over_executors(updates: int, rounds: int) -> dict[str, list[float]]:
    """6.3.2 の掃引を、スレッドとプロセスの数を変えて走らせる。"""
    # JAX のスレッドがあるので、fork では作れない
    processes = partial(ProcessPoolExecutor, mp_context=get_context("spawn"))
    kinds: dict[str, Callable[[], Executor]] = {
        "1 スレッド": partial(ThreadPoolExecutor, 1),
        "2 スレッド": partial(ThreadPoolExecutor, 2),
        "1 プロセス": partial(processes, 1),
        "2 プロセス": partial(processes, 2),
    }
    run = partial(batch_norm_grid, data(), seeds=1, evaluate_every=None)
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, make in kinds.items():
            with make() as executor:  # 起動の時間は数えない
                run(rng=np.random.default_rng(0), steps=1, executor=executor)
                job = partial(run, rng=np.random.default_rng(0), steps=updates, executor=executor)
                seconds[kind].append(seconds_of(job))
    return seconds


def over_chunks(updates: int, rounds: int) -> dict[str, Any]:
    """チャンクの大きさを変えたときの CPU 時間。6.3.2 の掃引と、深さ 50 の勾配の流れ。"""
    sizes = [1, 2, 4, 8, 16]
    deep = partial(gradient_flow, depth=DEPTH, width=WIDTH, samples=SAMPLES)
    runs: dict[str, Callable[..., Any]] = {
        "6.3.2": partial(batch_norm_grid, data(), steps=updates, evaluate_every=None),
        "勾配の流れ": partial(deep, tanh, xavier(gain=GAINS)),
    }
    cpu: dict[str, list[list[float]]] = {name: [[] for _ in sizes] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            for times, size in zip(cpu[name], sizes, strict=True):
                job = partial(run, rng=np.random.default_rng(0), seeds=1, chunk=size)
                times.append(cpu_of(job))
    return {"chunks": sizes, "cpu": cpu}


def peak_flops() -> float:
    """この計算機の 1 つの CPU の、大きな行列積の速さ [FLOP/秒]。"""
    a = np.random.default_rng(0).standard_normal((1000, 1000), np.float32)
    return 2e9 / min(cpu_of(lambda: a @ a) for _ in range(20))


if __name__ == "__main__":
    if members := int(sys.argv[1]):
        train_members(members, 1)
    # getrusage の ru_maxrss は、このプロセスを作った親の分まで数えてしまう
    status = dict(
        line.split(":")
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    )
    print(int(status["VmHWM"].split()[0]) * 1024)
