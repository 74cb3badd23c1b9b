"""6.2.4 (初期値の比較) を MNIST で測り、結果を docs/appendix/mnist-initializers.json に書く。

MNIST は大きいので本には入れず、組むときにも取りに行きません。手元のフォルダを渡してください。
4 つのファイルがそろっていれば訓練用の 60000 枚で、試験用の 2 つだけなら、その 10000 枚を
8000 枚と 2000 枚に分けて測ります。どちらで測ったかも結果に書きます。

    python benchmarks/mnist.py フォルダ
"""

import argparse
import datetime
import json
import platform
from pathlib import Path

import numpy as np

import vgbook as vg
from vgbook.experiments.datasets import Dataset
from vgbook.experiments.mnist_files import mnist_pair

RESULTS = Path(__file__).parents[1] / "docs/appendix/mnist-initializers.json"
EVERY = 50  # 損失は、この回数ごとの平均を書く


def images(folder: Path) -> tuple[Dataset, str]:
    """データと、どの画像をどう使ったか。"""
    if any(folder.glob("train-images-idx3-ubyte*")):
        return vg.mnist(folder), "訓練用 60000 枚で学習し、試験用 10000 枚で測る"
    x, labels = mnist_pair(folder, "t10k")
    # 試験用の前半と後半は書いた人の集団が違うので、混ぜてから分ける
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[:8000], order[8000:]
    split = "試験用 10000 枚を混ぜ、8000 枚で学習し、残りの 2000 枚で測る"
    return Dataset(x[train], labels[train], x[test], labels[test]), split


def measure(folder: Path, seeds: int, steps: int) -> dict[str, object]:
    data, split = images(folder)
    history = vg.compare_initializers(
        data, rng=np.random.default_rng(0), steps=steps, evaluate_every=500, seeds=seeds
    )
    loss = history.loss.astype(float).reshape(seeds, -1, EVERY, 3).mean(axis=2)
    return {
        "date": datetime.date.today().isoformat(),
        "data": split,
        "versions": {"numpy": np.__version__, "python": platform.python_version()},
        "seed": 0,
        "initializers": ["標準偏差 0.01", "Xavier", "He"],
        "every": EVERY,
        "loss": loss.round(4).tolist(),
        "at": history.at[0].tolist(),
        "test_accuracy": history.test_accuracy.astype(float).round(4).tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=RESULTS)
    args = parser.parse_args()
    report = measure(args.folder, args.seeds, args.steps)
    args.output.write_text(json.dumps(report, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
