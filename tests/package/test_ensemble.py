"""集団を走らせる: 乱数列の独立、チャンクと実行の場所によらない結果、失敗の伝え方。"""

import os
import platform
import signal
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import psutil
import pytest

from vgbook.activations import Activation, relu, tanh
from vgbook.ensemble.chunks import CHUNK_BYTES, chunk_size, footprint, over_members, take
from vgbook.ensemble.jobs import cpus
from vgbook.ensemble.seeds import over_seeds
from vgbook.experiments.datasets import Dataset, gaussian
from vgbook.experiments.flow import gradient_flow, measure
from vgbook.experiments.schedule import Schedule, Training
from vgbook.experiments.trainings import (
    batch_norm_grid,
    compare_initializers,
    learning_speed,
)
from vgbook.initializers import he, normal, stack, xavier
from vgbook.layers.normalization import BatchNorm


class Pair(NamedTuple):
    a: np.ndarray
    b: tuple[np.ndarray, np.ndarray]


def draw(rng):
    return Pair(rng.standard_normal(3), (rng.standard_normal(2), np.array(1)))


def fail(rng):
    raise RuntimeError("実験の失敗")


def rng():
    return np.random.default_rng(0)


def small(dtype=np.float32):
    """13 個の特徴、3 クラスの小さなデータ。SIMD の幅で割り切れない大きさにしてある。"""
    x = gaussian(57, 13, rng=rng()).astype(dtype)
    labels = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    return Dataset(x[:40], labels[:40], x[40:], labels[40:])


EXPERIMENTS = {
    "gradient_flow": partial(
        gradient_flow, tanh, xavier(gain=np.linspace(0.5, 3, 7)), depth=4, width=19, samples=11
    ),
    "gradient_flow (2 軸)": partial(
        gradient_flow, relu, he(gain=[[0.5, 1.0]] * 3, copies=(2,)), depth=3, width=7, samples=5
    ),
    "compare_initializers": partial(
        compare_initializers,
        small(),
        init=stack(normal(0.01), xavier(), he()),
        lr=np.array([0.1, 0.2, 0.3]),
        hidden=(11, 7),
        steps=7,
        batch_size=9,
        evaluate_every=3,
    ),
    "batch_norm_grid": partial(
        batch_norm_grid,
        small(np.float64),
        stds=[1e200, 1.0, 0.3, 0.1, 0.01],
        hidden=(11, 7),
        steps=7,
        batch_size=9,
        evaluate_every=3,
    ),
    "learning_speed": partial(
        learning_speed,
        small(),
        init=normal([1.0, 0.5, 0.25]),
        hidden=(11, 7),
        steps=5,
        batch_size=9,
        every=2,
        norm=BatchNorm,
    ),
}


def leaves(result):
    """結果に含まれる配列を、名前の順に並べる。"""
    if not isinstance(result, tuple):
        return [result]
    return [array for field in result for array in leaves(field)]


def assert_same_bits(a, b):
    for ours, theirs in zip(leaves(a), leaves(b), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_every_array_gets_a_seed_axis_in_the_same_structure():
    result = over_seeds(draw, rng=rng(), seeds=4)
    assert isinstance(result, Pair)
    assert result.a.shape == (4, 3)
    assert [b.shape for b in result.b] == [(4, 2), (4,)]


def test_each_seed_has_a_stream_of_its_own():
    a = over_seeds(draw, rng=rng(), seeds=50).a
    assert len(np.unique(a)) == a.size
    assert abs(np.corrcoef(a[:-1].ravel(), a[1:].ravel())[0, 1]) < 0.25


def test_more_seeds_extend_the_same_experiment():
    np.testing.assert_array_equal(
        over_seeds(draw, rng=rng(), seeds=3).a, over_seeds(draw, rng=rng(), seeds=5).a[:3]
    )


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("chunk", [1, 2, 3, 1000])
def test_the_chunk_does_not_change_a_bit(name, chunk):
    run = EXPERIMENTS[name]
    assert_same_bits(run(rng=rng(), seeds=2, chunk=chunk), run(rng=rng(), seeds=2, chunk=None))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_member_in_a_chunk_is_the_member_trained_in_one_stack(name, monkeypatch):
    """チャンクに分けない 1 つの集団が、もとの答えである。"""
    monkeypatch.setattr("vgbook.ensemble.chunks.CHUNK_BYTES", 10**12)
    whole = EXPERIMENTS[name](rng=rng(), seeds=2)
    monkeypatch.setattr("vgbook.ensemble.chunks.CHUNK_BYTES", 1)
    assert_same_bits(EXPERIMENTS[name](rng=rng(), seeds=2), whole)


def test_the_members_of_a_chunk_are_those_of_a_plain_loop():
    init, data = normal([1.0, 0.3, 0.1]), small()
    history = compare_initializers(
        data, init=init, hidden=(5,), steps=4, batch_size=9, rng=rng(), seeds=2, chunk=2
    )
    training = Training(data, init, (5,), Schedule(0.01, 4, 9, 100, reevaluate=True))
    for i, child in enumerate(rng().spawn(2)):
        alone = training.run(child)
        np.testing.assert_array_equal(history.loss[i], alone.loss)


@contextmanager
def dask_cluster(n_workers=2):
    """この計算機のプロセスでできた Dask のクラスター。"""
    distributed = pytest.importorskip("distributed")
    import dask

    quiet = {"distributed.worker.memory.terminate": False}
    with (
        dask.config.set(quiet),
        distributed.LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",  # 空いている番号。2 つの試験が同時に走っても重ならない
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_threads_and_processes_give_the_same_bits():
    run = partial(EXPERIMENTS["batch_norm_grid"], seeds=2)
    here = run(rng=rng())
    for kind in (ThreadPoolExecutor, ProcessPoolExecutor):
        with kind(2) as executor:
            assert_same_bits(run(rng=rng(), executor=executor, chunk=2), here)


def test_an_experiment_run_by_hand_gives_the_same_bits():
    init = xavier(gain=[0.5, 1.0])
    here = gradient_flow(tanh, init, rng=rng(), depth=4, width=20, samples=10, seeds=3)
    serial = [measure(tanh, init, child, depth=4, width=20, samples=10) for child in rng().spawn(3)]
    for ours, alone in zip(here, zip(*serial, strict=True), strict=True):
        np.testing.assert_array_equal(ours, np.stack(alone))


def test_the_axes_of_a_result_are_named():
    flow = EXPERIMENTS["gradient_flow"](rng=rng(), seeds=2)
    assert flow.axes["h"] == ("seed", ..., "layer")
    assert flow.h.shape == (2, 7, 4)
    history = EXPERIMENTS["compare_initializers"](rng=rng(), seeds=2)
    assert history.axes["loss"] == ("seed", "step", ...)
    assert history.axes["train_accuracy"] == ("seed", "measurement", ...)
    speed = EXPERIMENTS["learning_speed"](rng=rng(), seeds=2)
    assert speed.axes["dW"] == ("seed", "measurement", ..., "layer")
    for result in (flow, history, speed):
        for name, axes in result.axes.items():
            ensemble = (7,) if result is flow else (3,)
            named = len(axes) - (... in axes) + len(ensemble) * (... in axes)
            assert getattr(result, name).ndim == named, name


# ---- メモリー


def test_the_memory_of_a_sweep_is_that_of_a_chunk():
    def peak(members):
        init = xavier(gain=np.ones(members))
        tracemalloc.start()
        with ThreadPoolExecutor(1) as one:
            gradient_flow(
                tanh, init, depth=5, width=50, samples=50, rng=rng(), seeds=1, chunk=4,
                executor=one,
            )  # fmt: skip
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(4)  # 初めての import を数に入れない
    assert peak(64) < 1.2 * peak(4)


@pytest.mark.parametrize("norm", [None, BatchNorm])
def test_the_footprint_is_close_to_what_is_used(norm):
    data = Dataset(*(a.repeat(20, axis=0) for a in small()))
    init, hidden = normal(np.full(8, 0.1)), (100, 100, 100)
    training = Training(data, init, hidden, Schedule(0.1, 3, 200), norm=norm)
    training.run(rng())
    tracemalloc.start()
    training.run(rng())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    expected = 8 * footprint([13, *hidden, 3], 200, np.float32)
    assert 0.5 * expected < most < 1.5 * expected


def test_a_chunk_too_large_for_memory_is_refused_before_it_starts():
    started = []

    def run(rng, part):
        started.append(part)

    init, needed = xavier(gain=np.ones(8)), 10**13
    parent = rng()
    with pytest.raises(MemoryError, match=f"{4 * needed:,} バイト"):
        over_members(
            run, init, rng=parent, seeds=1, nbytes=needed, chunk=4, executor=ThreadPoolExecutor(1)
        )
    assert not started
    assert parent.bit_generator.seed_seq.n_children_spawned == 0
    with pytest.raises(MemoryError, match="バイト"):
        gradient_flow(relu, he(), rng=rng(), width=10**7, samples=1)
    many = [normal(np.ones((1000, 1))), normal(np.ones(10))]  # 切り分けられない、10000 個の集団
    with pytest.raises(MemoryError, match=f"{10**13:,} バイト"):
        over_members(run, many, rng=parent, seeds=1, nbytes=10**9)


# ---- 失敗


def test_a_failure_in_one_seed_is_not_swallowed():
    with pytest.raises(RuntimeError, match="実験の失敗") as caught:
        over_seeds(fail, rng=rng(), seeds=2)
    assert "番の seed、集団の 0 から 0 番を" in caught.value.__notes__[0]


def test_a_type_error_inside_a_lambda_is_not_taken_for_a_pickle_that_failed():
    def wrong(rng):
        return "1" + 1

    with pytest.raises(TypeError, match="str") as caught:
        over_seeds(wrong, rng=np.random.default_rng(0), seeds=2)
    assert "送れません" not in str(caught.value)


def test_a_failure_starts_no_further_chunk():
    started = []

    def run(rng):
        started.append(rng)
        raise RuntimeError

    with ThreadPoolExecutor(1) as executor, pytest.raises(RuntimeError):
        over_seeds(run, rng=rng(), seeds=1000, executor=executor)
    assert len(started) < 1000


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="seeds には 1 以上の整数"):
        over_seeds(draw, rng=rng(), seeds=0)
    with pytest.raises(TypeError, match="rng"):
        over_seeds(partial(draw), rng=np.random.RandomState(0), seeds=2)
    with pytest.raises(ValueError, match=r"gain.*有限"):
        gradient_flow(relu, he(gain=[1.0, np.inf]), rng=rng())
    for chunk in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="chunk には 1 以上の整数"):
            gradient_flow(relu, he(gain=[1.0, 2.0]), rng=rng(), chunk=chunk)
    with pytest.raises(ValueError, match=r"lr.*\(3,\)"):
        EXPERIMENTS["compare_initializers"](rng=rng(), lr=np.array([0.1, 0.2]), chunk=2)


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_a_closed_executor_is_refused(kind):
    executor = kind(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="executor が閉じている"):
        over_seeds(draw, rng=rng(), seeds=2, executor=executor)


def die(rng):
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_death_of_a_process_in_a_pool_is_told_with_its_place():
    with (
        ProcessPoolExecutor(1) as executor,
        pytest.raises(RuntimeError, match=r"0 番の seed.*プロセスがなくなりました"),
    ):
        over_seeds(die, rng=rng(), seeds=1, executor=executor)


INTERRUPTED = """
import signal, sys, time
from concurrent.futures import ProcessPoolExecutor
import numpy as np
from vgbook.ensemble import over_seeds

def slow(rng):
    print("started", flush=True)
    time.sleep(0.5)
    return rng.random()

if __name__ == "__main__":
    # 背景で動く CI では SIGINT が無視されたまま引き継がれるので、端末と同じ扱いに戻す
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = np.random.default_rng(0)
    if sys.argv[1] == "processes":
        # 計算するプロセスは Ctrl-C を無視し、親が後始末をする。両方が同時に片付けようとすると、
        # ProcessPoolExecutor はまれに互いを待ち続ける
        ignore = (signal.SIGINT, signal.SIG_IGN)
        with ProcessPoolExecutor(2, initializer=signal.signal, initargs=ignore) as executor:
            over_seeds(slow, rng=rng, seeds=1000, executor=executor)
    over_seeds(slow, rng=rng, seeds=1000)
"""


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_ctrl_c_leaves_no_process_behind(kind, tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(INTERRUPTED)
    child = subprocess.Popen(
        [sys.executable, script, kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        assert child.stdout.readline().startswith("started")
        family = psutil.Process(child.pid).children(recursive=True)
        assert bool(family) == (kind == "processes")
        # チャンクを渡し終えるまで待つ。executor.submit の途中で割り込むと、CPython の executor が
        # 鍵を持ったまま止まることがまれにあり、それはこの試験の対象ではない
        time.sleep(2)
        os.killpg(child.pid, signal.SIGINT)  # 端末の Ctrl-C は、仲間のプロセス全部に届く
        _, stderr = child.communicate(timeout=120)
    finally:  # 失敗しても、ほかの試験に孤児を残さない
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    assert child.returncode != 0
    assert "KeyboardInterrupt" in stderr
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive


# ---- Dask のクラスター


def slow_draw(rng):
    time.sleep(0.2)
    return draw(rng)


@pytest.mark.slow
def test_a_dask_worker_that_dies_loses_nothing():
    expected = over_seeds(draw, rng=rng(), seeds=12)
    with dask_cluster() as client, ThreadPoolExecutor(1) as helper:
        workers = client.run(os.getpid)
        running = helper.submit(
            over_seeds, slow_draw, rng=rng(), seeds=12, executor=client.get_executor()
        )
        time.sleep(0.5)
        os.kill(next(iter(workers.values())), signal.SIGKILL)
        assert not running.done()
        assert_same_bits(running.result(timeout=60), expected)
        assert set(client.run(os.getpid).values()) != set(workers.values())


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_bits_and_refuses_when_it_has_no_workers():
    run = partial(EXPERIMENTS["batch_norm_grid"], seeds=2, chunk=2)
    with dask_cluster() as client:
        executor = client.get_executor()
        assert_same_bits(run(rng=rng(), executor=executor), run(rng=rng()))
        client.cluster.scale(0)
        deadline = time.monotonic() + 20
        while client.nthreads() and time.monotonic() < deadline:
            time.sleep(0.1)
        with pytest.raises(ValueError, match="ワーカーがありません"):
            over_seeds(draw, rng=rng(), seeds=2, executor=executor)


class Heavy:
    """送られるたびに、送った側のフォルダーに印を残す実験。"""

    def __init__(self, folder):
        self.folder = folder

    def __getstate__(self):
        (self.folder / str(time.monotonic_ns())).touch()
        return vars(self)

    def __call__(self, rng):
        return rng.random()


@pytest.mark.slow
def test_dask_gets_the_data_of_an_experiment_once_and_not_with_every_chunk(tmp_path):
    with dask_cluster() as client:
        over_seeds(Heavy(tmp_path), rng=rng(), seeds=20, executor=client.get_executor())
    assert 1 <= len(list(tmp_path.iterdir())) <= 4  # 呼んだ側で 1 度、ワーカーの間で高々数度


def test_only_the_cpus_of_this_process_are_counted(monkeypatch):
    """コンテナや taskset で狭められたプロセスでは、計算機の CPU の数ではない。"""
    free = {0: {2, 5}}  # 0 は、このプロセス
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: free.get(pid, set(range(64))))
    assert cpus() == 2


def test_chunks_are_of_the_given_bytes_and_are_dealt_evenly_to_the_cpus(monkeypatch):
    monkeypatch.setattr("vgbook.ensemble.chunks.cpus", lambda: 4)
    fits = CHUNK_BYTES // 3  # 1 つのチャンクに 3 個まで
    assert chunk_size(16, fits, seeds=1) == 2  # 8 つのチャンクを 4 つの CPU に 2 つずつ
    assert chunk_size(16, fits, seeds=2) == 3  # 6 つのチャンクと 2 つの seed で、3 つずつ
    assert chunk_size(16, fits, seeds=4) == 3
    assert chunk_size(4, 1, seeds=1) == 1  # 小さくても、CPU を休ませない
    assert chunk_size(4, 1, seeds=4) == 4
    assert chunk_size(2, 10**12, seeds=1) == 1


def test_a_part_of_an_initializer_is_the_same_numbers():
    init = stack(normal(0.01), xavier(), he())
    whole = init(5, 4, rng=rng())
    np.testing.assert_array_equal(take(init, slice(1, 3))(5, 4, rng=rng()), whole[1:])
    assert take(he(copies=(4,)), slice(0, 1)).ensemble == (4,)


REPEATED_FLOW = """
import resource
import numpy as np
from vgbook import tanh, xavier
from vgbook.experiments.flow import gradient_flow

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    gradient_flow(
        tanh, xavier(gain=np.linspace(0.5, 2, 8)), rng=np.random.default_rng(0),
        depth=50, samples=100, seeds=2, chunk=2,
    )
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(*(faults() for _ in range(6)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc の敷居の話")
def test_chunks_use_the_memory_of_the_chunks_before_them():
    """2 度目からは、新しいページをほとんど受け取らない。

    1 度か 2 度は、ほかのスレッドが先に取ったメモリーの代わりを受け取るので、中央値で比べる。
    """
    run = [sys.executable, "-c", REPEATED_FLOW]
    # Dask はワーカーを起こすとき、敷居を決める環境変数をこのプロセスに残す
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(run, env=env, capture_output=True, text=True, check=True)
    first, *later = map(int, done.stdout.split())
    assert np.median(later) < first / 100


def test_a_function_that_cannot_be_sent_to_a_process_says_what_to_change():
    mine = Activation("mine", lambda z: z, np.ones_like)
    with ProcessPoolExecutor(1) as pool:
        for run in (
            lambda: over_seeds(lambda rng: 1.0, rng=rng(), seeds=1, executor=pool),
            lambda: gradient_flow(
                mine, he(), rng=rng(), depth=2, width=3, samples=3, seeds=1, executor=pool
            ),
        ):
            with pytest.raises(TypeError, match="run を別のプロセスに送れません"):
                run()


def test_a_generator_without_a_seed_says_how_to_make_one():
    unseeded = np.random.Generator(np.random.RandomState(0)._bit_generator)
    with pytest.raises(ValueError, match=r"rng .*default_rng"):
        over_seeds(lambda rng: 1.0, rng=unseeded, seeds=2)
