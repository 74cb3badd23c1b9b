"""速さの測定が、いまのパッケージで動く。JAX の要る部分は、毎週 `bench -- --quick` が走らせる。"""

from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)


def test_every_share_of_a_training_step_takes_some_time():
    shares = import_module("shares").training(1)
    assert {"行列積", "活性化関数", "更新"} <= shares.keys()
    del shares["バイアスなど"]  # 行列積を引いた残りなので、1 回では雑音に埋もれる
    assert all(seconds > 0 for seconds in shares.values())


def test_both_ways_of_each_trade_are_timed():
    trades = import_module("trades").measure(2)
    assert len(trades) >= 3
    assert all(len(pair) == 2 and min(pair) > 0 for pair in trades.values())
