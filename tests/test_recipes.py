"""CONTRIBUTING の手順のとおりに足せば、試験が通る。写しの中で、関数、章、式、実験を実際に足す。"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
Edits = dict[str, list[tuple[str, str]]]  # ファイル → (前の文字列, その前に足す文字列)

ACTIVATION: Edits = {
    "vgbook/activations.py": [
        ('    "identity",\n', '    "hardtanh",\n'),
        (
            "# --- S 字型の仲間",
            "def _hardtanh(z: Array) -> Array:    return np.clip(z, -1.0, 1.0)\n"
            "def _d_hardtanh(z: Array) -> Array:\n"
            "    return np.where(np.isnan(z), z, (z > -1) & (z <= 1))\n\n",
        ),
        (
            "gelu = Activation(",
            'hardtanh = Activation("hardtanh", _hardtanh, _d_hardtanh, kinks=(-1.0, 1.0))\n',
        ),
    ],
    "tests/package/activation_table.py": [
        ("    identity,\n", "    hardtanh,\n"),
        ("    sigmoid: lambda", "    hardtanh: lambda z: min(max(z, -mp.mpf(1)), mp.mpf(1)),\n"),
    ],
}
CHAPTER = """---
description: 手順を確かめるための章です。
file_format: mystnb
kernelspec:
  name: python3
---

(sec-sample)=
# 試しの章

- **所要時間**：5 分

勾配の大きさを測ります。

$$
\\pd{L}{z} = 2z
$$ (eq-sample-square)

## 確認問題

```{code-cell} python
:tags: [hide-cell]
1 + 1
```
"""
PAGE: Edits = {
    "docs/part6/sample.md": [("", CHAPTER)],
    "docs/index.md": [("```\n\n```{toctree}\n:caption: 確認\n", "part6/sample\n")],
    "docs/quiz/part6.md": [("## 動かない損失の値", "[試しの章](#sec-sample)の問題です。\n\n")],
}
CHECK = '''"""試しの章の検算。"""

import sympy

from checks.engine import check


@check("eq-sample-square", "記号")
def square(rng):
    """L = z² の微分。"""
    z = sympy.Symbol("z")
    return {"z": z, r"\\pd{L}{z}": sympy.diff(z**2, z)}
'''
EXPERIMENT: Edits = {
    "vgbook/experiments/trainings.py": [
        (
            "def _data(",
            "def sample_experiment(*, rng: np.random.Generator, seeds: int = 10) -> Array:\n"
            '    """手順を確かめる実験です。\n\n'
            "    >>> sample_experiment(rng=np.random.default_rng(0)).shape\n"
            '    (10,)\n    """\n'
            "    return rng.standard_normal(seeds)\n\n\n",
        )
    ],
    "tests/package/test_experiments.py": [
        (
            "\n\ndef test_",
            "\n\ndef test_the_sample_experiment_gives_one_value_for_each_seed():\n"
            "    from vgbook.experiments.trainings import sample_experiment\n\n"
            "    assert sample_experiment(rng=np.random.default_rng(0), seeds=3).shape == (3,)\n",
        )
    ],
}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("_build", "node_modules", "__pycache__", "jupyter_execute")
    for name in ("vgbook", "tests", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def add(house: Path, edits: Edits) -> None:
    for name, places in edits.items():
        path = house / name
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for before, new in places:
            assert before in text, f"{name} に {before!r} がありません"
            text = text.replace(before, new + before, 1)
        path.write_text(text, encoding="utf-8")


def passed(house: Path, *arguments: str) -> int:
    """通った試験の数。1 つでも失敗すれば、この試験も失敗する。"""
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *arguments]
    environment = os.environ | {"PYTHONPATH": str(house), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        command, cwd=house, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout[-3000:]
    return int(run.stdout.rstrip().splitlines()[-1].partition(" passed")[0].rpartition(" ")[2])


def test_an_activation_needs_two_files(house: Path):
    assert len(ACTIVATION) == 2
    add(house, ACTIVATION)
    modules = ("activations", "dtypes", "moments", "meanfield", "properties")
    tests = [f"tests/package/test_{module}.py" for module in modules]
    assert passed(house, *tests, "-k", "hardtanh or every_public_name") > 20


def test_a_chapter_needs_three_files(house: Path):
    assert len(PAGE) == 3
    add(house, PAGE)
    index = house / "docs" / "index.md"
    text = index.read_text(encoding="utf-8")
    rows = re.findall(r"^\| [IV]+ \| \d+ .*\n", text, re.MULTILINE)  # 読書地図
    row = f"| VI | {len(rows) + 1} [試しの章](#sec-sample) | 足せるか | 5 分 |\n"
    index.write_text(text.replace(rows[-1], rows[-1] + row), encoding="utf-8")
    tests = [f"tests/book/test_{name}.py" for name in ("reading_map", "prose")]
    assert passed(house, *tests, "-k", "sample or contents") >= 5


def test_a_formula_needs_one_check(house: Path):
    add(house, PAGE | {"docs/checks/sample.py": [("", CHECK)]})
    assert passed(house, "tests/book/test_checks.py", "-k", "sample or checked_or_excused") >= 2


def test_an_experiment_needs_two_files(house: Path):
    assert len(EXPERIMENT) == 2
    add(house, EXPERIMENT)
    files = ("tests/package/test_experiments.py", "vgbook/experiments/trainings.py")
    assert passed(house, *files, "-k", "sample_experiment") == 2
