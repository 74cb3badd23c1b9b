"""6.3.2 (バッチ正規化) を MNIST で測り、結果を docs/appendix/mnist-batchnorm.json に書く。

画像の使い方は mnist.py と同じです。元の実験と同じく、学習に使うのは訓練データの先頭の 1000 枚です。

    python benchmarks/mnist_batchnorm.py フォルダ
"""

import argparse
import datetime
import json
import platform
from pathlib import Path

import numpy as np
from mnist import images

import vgbook as vg
from vgbook.experiments.trainings import BOOK_STDS

RESULTS = Path(__file__).parents[1] / "docs/appendix/mnist-batchnorm.json"
STEPS = 191


def final(accuracy: np.ndarray) -> list[list[float | None]]:
    """最後の更新の後の正解率 (種, 標準偏差)。発散したものは null。"""
    last = accuracy[:, -1].astype(float).round(4)
    return [[None if np.isnan(value) else float(value) for value in row] for row in last]


def measure(folder: Path, seeds: int) -> dict[str, object]:
    data, split = images(folder)
    grid = vg.batch_norm_grid(
        data, rng=np.random.default_rng(0), steps=STEPS, evaluate_every=STEPS - 1, seeds=seeds
    )
    networks = {"あり": grid.normalized, "なし": grid.plain}
    return {
        "date": datetime.date.today().isoformat(),
        "data": split,
        "versions": {"numpy": np.__version__, "python": platform.python_version()},
        "seed": 0,
        "steps": STEPS,
        "stds": BOOK_STDS.tolist(),
        "train_accuracy": {name: final(h.train_accuracy) for name, h in networks.items()},
        "test_accuracy": {name: final(h.test_accuracy) for name, h in networks.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULTS)
    args = parser.parse_args()
    report = measure(args.folder, args.seeds)
    args.output.write_text(json.dumps(report, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
