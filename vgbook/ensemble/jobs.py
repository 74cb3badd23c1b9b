"""仕事を走らせる: チャンクを executor に渡し、結果を待ち、失敗を場所とともに伝える。"""

import copy
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from vgbook._edge import check_count, check_rng
from vgbook._progress import progress_bar

Run: TypeAlias = Callable[[np.random.Generator, slice], Any]

LARGE = 31 * 2**20
"""一度に確保して返すバイト数。glibc が敷居を上げるのは、32 MiB までの領域を返したとき。"""


class Job(NamedTuple):
    """1 つの仕事: ある seed の乱数列で、集団のあるチャンクを計算する。"""

    seed: int
    rng: np.random.Generator
    part: slice

    @property
    def size(self) -> int:
        """チャンクに入っている、先頭の軸の長さ。"""
        return int(self.part.stop - self.part.start)

    def __str__(self) -> str:
        return f"{self.seed} 番の seed、集団の {self.part.start} から {self.part.stop - 1} 番"


def run_jobs(
    run: Run,
    parts: Sequence[slice],
    nbytes: int,
    rng: np.random.Generator,
    seeds: int,
    executor: Executor | None,
) -> list[Any]:
    """どの seed のどのチャンクにも ``run`` を呼び、結果を seed ごと、チャンクごとの順に返す。"""
    from threadpoolctl import threadpool_limits

    check_count("seeds", seeds)
    check_rng(rng)
    _check_executor(executor)
    threads = min(cpus(), seeds * len(parts))
    _check_memory(nbytes * (threads if executor is None else 1))
    children = _children(rng, seeds)
    _keep_freed_memory()
    jobs = [Job(i, child, part) for i, child in enumerate(children) for part in parts]
    # 小さな行列積では BLAS の中の並列化は遅くなるだけなので、並列はチャンクの単位でとる
    with threadpool_limits(limits=1):
        if executor is not None:
            return _gather(run, jobs, nbytes, executor)
        with ThreadPoolExecutor(threads) as pool:
            return _gather(run, jobs, nbytes, pool)


def _children(rng: np.random.Generator, seeds: int) -> list[np.random.Generator]:
    try:
        return rng.spawn(seeds)
    except TypeError as error:
        raise ValueError(
            "rng から、seed ごとの独立な乱数列を作れません。np.random.default_rng(0) のように種から"
            f"作った rng を渡してください。受け取った値: {rng!r}"
        ) from error


def _gather(run: Run, jobs: Sequence[Job], nbytes: int, executor: Executor) -> list[Any]:
    run = _send_once(executor, run)
    work = partial(_work, nbytes, os.getpid())
    futures: dict[Future[Any], Job] = {}
    total = sum(job.size for job in jobs)
    with _cancel_on_error(futures), progress_bar(total, "集団") as bar:
        for job in jobs:
            futures[_submit(executor, work, run, job)] = job
        for future in as_completed(futures):
            _check_finished(future, futures[future], run, executor)
            bar.update(futures[future].size)
    return [future.result() for future in futures]


def _work(nbytes: int, home: int, run: Run, job: Job) -> Any:
    from threadpoolctl import threadpool_limits

    _check_memory(nbytes)
    rng = copy.deepcopy(job.rng)  # 同じ seed のどのチャンクも、乱数列を初めから引く
    if os.getpid() == home:  # run_jobs が、もう支度を済ませている
        return run(rng, job.part)
    _keep_freed_memory()
    with threadpool_limits(limits=1):
        return run(rng, job.part)


def _keep_freed_memory() -> None:
    """解放した配列のメモリーを OS に返さず、次のチャンクに使い回させる。

    チャンクが終わるたびに返すと、次のチャンクはページを 1 枚ずつ受け取り直し、深いネットワークでは
    計算と並ぶ時間がかかる。glibc は、大きな領域が返されると、その 2 倍までのメモリーを手元に残す
    ようになる (mallopt(3) の M_MMAP_THRESHOLD)。ほかの C ライブラリでは何も変わらない。
    """
    np.empty(LARGE, np.uint8)


def _check_finished(future: Future[Any], job: Job, run: Run, executor: Executor) -> None:
    error = future.exception()
    unsent = isinstance(error, pickle.PicklingError | AttributeError | TypeError)
    if unsent and not isinstance(executor, ThreadPoolExecutor) and not _travels(run):
        raise TypeError(
            "run を別のプロセスに送れません。lambda や、関数の中で作った関数は送れないので、"
            "モジュールのいちばん外側で def した関数に変えてください (自作の Activation や"
            " Initializer の関数も同じです)。または executor を省いてください。"
            f"受け取った値: {run!r}"
        ) from error
    if isinstance(error, BrokenExecutor):
        raise RuntimeError(
            f"{job}の計算が終わる前に、計算していたプロセスがなくなりました。"
            "スクリプトで ProcessPoolExecutor を使うときは、executor を作って計算する部分を "
            'if __name__ == "__main__": の中に置いてください。Windows や macOS では、置かないと'
            "どのプロセスも始まりません。ノートブックでは、run を .py ファイルに書いて import して"
            "ください。どちらでもなければ、メモリー不足などで止められています。"
            "新しい executor で、同じ seed の rng から走らせ直せば、同じ結果になります。"
        ) from error
    if error is not None:
        error.add_note(f"{job}を計算しているときに起きました。")
        raise error


def _travels(run: Run) -> bool:
    """別のプロセスに送れるか。"""
    try:
        pickle.dumps(run)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


@contextmanager
def _cancel_on_error(futures: dict[Future[Any], Job]) -> Iterator[None]:
    """失敗や Ctrl-C のとき、まだ始まっていないチャンクを取りやめる。"""
    try:
        yield
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def _send_once(executor: Executor, run: Run) -> Any:
    """Dask では、データを抱えた ``run`` をチャンクごとに送らず、どの計算機にも一度だけ届ける。

    ``run`` を 1 つの仕事の答えとしておくと、チャンクの仕事はその答えを受け取り、届いた計算機が
    途中でいなくなっても、Dask が仕事をやり直して届け直す。
    """
    client = _dask_client(executor)
    return run if client is None else client.submit(_itself, run, pure=False)


def _itself(run: Run) -> Run:
    return run


def _submit(executor: Executor, work: Callable[..., Any], run: Any, job: Job) -> Future[Any]:
    try:
        return executor.submit(work, run, job)
    except RuntimeError as error:
        raise RuntimeError(
            f"executor が閉じているか壊れていて、実験を渡せません。受け取った値: {executor!r}"
        ) from error


def cpus() -> int:
    """このプロセスが使える CPU の数。"""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_memory(nbytes: int) -> None:
    """計算を始める前に、必要なバイト数が空いていることを確かめる。"""
    import psutil

    available = psutil.virtual_memory().available
    if nbytes > available:
        raise MemoryError(
            f"計算には {nbytes:,} バイトのメモリーが必要ですが、"
            f"使えるのは {available:,} バイトです。"
            "chunk、ネットワークの幅、標本数のどれかを小さくしてください。"
        )


def _check_executor(executor: object) -> None:
    """``executor`` が Executor で、Dask なら計算するワーカーがあることを確かめる。"""
    if executor is None:
        return
    if not isinstance(executor, Executor):
        raise TypeError(
            "executor には concurrent.futures.Executor を渡してください。"
            f"受け取った値: {executor!r}"
        )
    client = _dask_client(executor)
    if client is not None and not client.nthreads():
        raise ValueError(
            "executor の Dask クラスターに、計算するワーカーがありません。ワーカーを起動し、"
            f"client.wait_for_workers(1) で待ってから渡してください。受け取った値: {executor!r}"
        )


def _dask_client(executor: object) -> Any:
    """``executor`` が dask.distributed の `Client.get_executor` なら、その Client。"""
    return getattr(executor, "_client", None)
