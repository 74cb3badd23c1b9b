"""試験が失敗できることの試験: ``vgbook`` を 1 か所ずつ壊し、試験が気づくかを数える。

``python tests/mutation [--sample N] [--seed S] [--jobs J] [モジュール ...]``

壊し方 (変異) の一覧は ``operators.py`` にある。モジュールごとに N 個を乱数で選び、その 1 か所だけを
変えたパッケージの写しで、まず同じ名前の試験と doctest を、次に残りの中核の試験を走らせる。
出来合いの道具を使わないのは、標本を取り、種を固定し、見逃しの判定を理由とともに残すためである。
``judged.toml`` には、変えても意味が変わらない変異と、見逃した変異の判定を書く。
``--output`` の JSON は、本の付録のページが表にする。``--judge`` は、その JSON に判定を書き足す。
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from operators import Mutant, mutant_name, mutants
from tqdm import tqdm

ROOT = Path(__file__).parents[2]
JUDGED = Path(__file__).with_name("judged.toml")
CORE = (
    *("activations", "initializers", "layers", "normalization", "residual", "recurrent", "losses"),
    *("network", "optimizers", "training", "gradcheck", "quadrature", "moments", "meanfield"),
)
TARGET = 0.9
TIMEOUT = 900  # 秒。止まらなくなった変異は、気づかれたと数える


@dataclass(frozen=True)
class Outcome:
    """1 つの変異の結末。"""

    module: str
    line: int
    text: str
    before: str
    after: str
    verdict: str  # "killed", "survived", "equivalent"
    why: str = ""

    @property
    def name(self) -> str:
        return mutant_name(self.module, self.text, self.before, self.after)


def first_tests(module: str) -> list[str]:
    return [f"tests/test_{module}.py", f"vgbook/{module}.py"]


def other_tests(module: str) -> list[str]:
    mirrored = {f"tests/test_{name}.py" for name in CORE}
    wide = {"tests/test_bad_input.py", "tests/test_dtypes.py", "tests/test_shapes.py"}
    return sorted((mirrored | wide) - set(first_tests(module)))


def notices(folder: Path, tests: list[str]) -> bool:
    """``folder`` にある壊れた写しで、どれかの試験が失敗するか。"""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", *tests],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "CI": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT,
        check=False,
    )
    if run.returncode not in (0, 1, 2):  # 2 は、読み込むだけで失敗したとき
        raise RuntimeError(f"pytest を走らせられません: {run.stdout.decode()[-2000:]}")
    return run.returncode != 0


def copy(folder: Path) -> None:
    ignored = shutil.ignore_patterns("_build", "__pycache__", ".*")
    for name in ("vgbook", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)


def judge(mutant: Mutant, equivalent: dict[str, str]) -> Outcome:
    def outcome(verdict: str, why: str = "") -> Outcome:
        place = (mutant.module, mutant.line, mutant.text, mutant.before, mutant.after)
        return Outcome(*place, verdict, why)

    if (why := equivalent.get(mutant.name)) is not None:
        return outcome("equivalent", why)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy(folder)
        (folder / "vgbook" / f"{mutant.module}.py").write_text(mutant.source, encoding="utf-8")
        try:
            killed = any(
                notices(folder, tests)
                for tests in (first_tests(mutant.module), other_tests(mutant.module))
            )
        except subprocess.TimeoutExpired:
            return outcome("killed", f"{TIMEOUT} 秒で終わらない")
    return outcome("killed" if killed else "survived")


def chosen(modules: list[str], sample: int, seed: int) -> Iterator[Mutant]:
    """モジュールごとに ``sample`` 個。0 なら全部。"""
    for module in modules:
        source = (ROOT / "vgbook" / f"{module}.py").read_text(encoding="utf-8")
        every = list(mutants(module, source))
        rng = random.Random(f"{seed} {module}")
        yield from sorted(
            rng.sample(every, min(sample, len(every))) if sample else every, key=lambda m: m.line
        )


def report(outcomes: list[Outcome]) -> float:
    """表を印刷し、意味の変わる変異のうち気づかれた割合を返す。"""
    print("\nモジュール      変異  気づいた  見逃した  同じ意味")
    for module in (m for m in CORE if any(o.module == m for o in outcomes)):
        verdicts = [o.verdict for o in outcomes if o.module == module]
        counts = [verdicts.count(v) for v in ("killed", "survived", "equivalent")]
        print(f"{module:14}  {len(verdicts):4}" + "".join(f"  {count:8}" for count in counts))
    for o in outcomes:
        if o.verdict != "killed" or o.why:
            print(f"{o.verdict}: vgbook/{o.module}.py:{o.line}: {o.before} → {o.after} {o.why}")
    changed = [o for o in outcomes if o.verdict != "equivalent"]
    return sum(o.verdict == "killed" for o in changed) / len(changed)


def write(outcomes: list[Outcome], path: Path, reasons: dict[str, str]) -> None:
    """気づかなかった変異には、その判定を添える。"""
    told = [
        o if o.verdict == "killed" else replace(o, why=reasons.get(o.name, "")) for o in outcomes
    ]
    rows = ",\n".join(json.dumps(asdict(o), ensure_ascii=False) for o in told)
    path.write_text(f"[\n{rows}\n]\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="パッケージを壊し、試験が気づくかを数えます。")
    parser.add_argument("modules", nargs="*", default=[], help="既定は中核のすべて")
    parser.add_argument("--sample", type=int, default=20, help="モジュールごとの数。0 なら全部")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, help="結果を書く JSON")
    parser.add_argument("--judge", type=Path, help="走らせずに、判定だけを書き足す JSON")
    options = parser.parse_args()
    modules = options.modules or list(CORE)
    if unknown := set(modules) - set(CORE):
        parser.error(f"中核のモジュールを渡してください。受け取った値: {sorted(unknown)}")
    judged = tomllib.loads(JUDGED.read_text(encoding="utf-8"))
    equivalent, reasons = judged["equivalent"], judged["equivalent"] | judged["missed"]
    if options.judge:
        rows = json.loads(options.judge.read_text(encoding="utf-8"))
        write([Outcome(**row) for row in rows], options.judge, reasons)
        return 0
    known = {mutant.name for module in CORE for mutant in chosen([module], 0, 0)}
    if stale := reasons.keys() - known:
        parser.error(f"judged.toml に、いまのコードにない変異があります: {sorted(stale)}")
    todo = list(chosen(modules, options.sample, options.seed))
    with ThreadPoolExecutor(options.jobs) as pool:
        done = pool.map(lambda mutant: judge(mutant, equivalent), todo)
        outcomes = list(tqdm(done, total=len(todo), unit="変異"))
    rate = report(outcomes)
    print(f"\n{rate:.1%} に気づきました (目標 {TARGET:.0%})。")
    if options.output:
        write(outcomes, options.output, reasons)
    return 0 if rate >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
