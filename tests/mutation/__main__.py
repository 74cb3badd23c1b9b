"""試験が失敗できることの試験: ``vgbook`` を 1 か所ずつ壊し、試験が気づくかを数える。

``python tests/mutation [--sample N] [--seed S] [--jobs J] [モジュール ...]``

壊し方 (変異) の一覧は ``operators.py`` にある。モジュールごとに N 個を乱数で選び、その 1 か所だけを
変えたパッケージの写しで、その行を通る試験 (``witnesses.py``) を走らせる。
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
from targets import JUDGED, MODULES, ROOT, path_of, read
from tqdm import tqdm
from witnesses import MEASURE, Witnesses

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


def every_test() -> list[str]:
    """パッケージの試験と doctest。本の図の試験は除く。"""
    drawn = {f"test_{path.stem}.py" for path in (ROOT / "vgbook" / "book").glob("*.py")}
    every = (ROOT / "tests" / "package").glob("test_*.py")
    rest = [f"tests/package/{path.name}" for path in every if path.name not in drawn]
    return [*sorted(rest), *map(path_of, MODULES)]


def nearest_first(module: str, tests: list[str]) -> list[str]:
    """同じ名前か、同じ部屋の名前の試験と、その doctest から。気づくのが早い。"""
    near = tuple([f"tests/package/test_{word}.py" for word in module.split(".")])
    return sorted(tests, key=lambda test: not test.startswith((path_of(module), *near)))


def notices(folder: Path, tests: list[str], *options: str, timeout: float | None = TIMEOUT) -> bool:
    """``folder`` にある写しで、どれかの試験が失敗するか。"""
    (folder / "tests.txt").write_text("\n".join(tests), encoding="utf-8")
    pytest = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider"]
    pytest += ["-m", "not slow"]
    run = subprocess.run(
        [*pytest, *options, "@tests.txt"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "CI": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )
    if run.returncode == 4 and tests != every_test():  # 壊すと、証人の名前まで変わるとき
        return notices(folder, every_test())
    if run.returncode not in (0, 1, 2):  # 2 は、読み込むだけで失敗したとき
        raise RuntimeError(f"pytest を走らせられません: {run.stdout.decode()[-2000:]}")
    return run.returncode != 0


def copy(folder: Path) -> None:
    ignored = shutil.ignore_patterns("_build", "__pycache__", ".*")
    for name in ("vgbook", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in ("docs", "benchmarks"):  # 章のプログラムと、病気のネットワークを使う試験のため
        (folder / name).symlink_to(ROOT / name)


def judge(mutant: Mutant, equivalent: dict[str, str], witnesses: Witnesses) -> Outcome:
    def outcome(verdict: str, why: str = "") -> Outcome:
        place = (mutant.module, mutant.line, mutant.text, mutant.before, mutant.after)
        return Outcome(*place, verdict, why)

    if (why := equivalent.get(mutant.name)) is not None:
        return outcome("equivalent", why)
    tests = witnesses.of(mutant, read(mutant.module)) or every_test()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy(folder)
        (folder / path_of(mutant.module)).write_text(mutant.source, encoding="utf-8")
        try:
            killed = notices(folder, nearest_first(mutant.module, tests))
        except subprocess.TimeoutExpired:
            return outcome("killed", f"{TIMEOUT} 秒で終わらない")
    return outcome("killed" if killed else "survived")


def chosen(modules: list[str], sample: int, seed: int) -> Iterator[Mutant]:
    """モジュールごとに ``sample`` 個。0 なら全部。"""
    for module in modules:
        every = list(mutants(module, read(module)))
        rng = random.Random(f"{seed} {module}")
        yield from sorted(
            rng.sample(every, min(sample, len(every))) if sample else every, key=lambda m: m.line
        )


def report(outcomes: list[Outcome]) -> float:
    """表を印刷し、意味の変わる変異のうち気づかれた割合を返す。"""
    print("\nモジュール                変異  気づいた  見逃した  同じ意味")
    for module in (m for m in MODULES if any(o.module == m for o in outcomes)):
        verdicts = [o.verdict for o in outcomes if o.module == module]
        counts = [verdicts.count(v) for v in ("killed", "survived", "equivalent")]
        print(f"{module:24}  {len(verdicts):4}" + "".join(f"  {count:8}" for count in counts))
    for o in outcomes:
        if o.verdict != "killed" or o.why:
            print(f"{o.verdict}: {path_of(o.module)}:{o.line}: {o.before} → {o.after} {o.why}")
    changed = [o for o in outcomes if o.verdict != "equivalent"]
    return sum(o.verdict == "killed" for o in changed) / len(changed)


def write(outcomes: list[Outcome], path: Path, reasons: dict[str, str], commit: str) -> None:
    """気づかなかった変異には、その判定を添える。"""
    told = [
        o if o.verdict == "killed" else replace(o, why=reasons.get(o.name, "")) for o in outcomes
    ]
    rows = ",\n".join(json.dumps(asdict(o), ensure_ascii=False) for o in told)
    path.write_text(f'{{"commit": "{commit}", "outcomes": [\n{rows}\n]}}\n', encoding="utf-8")


def head() -> str:
    """壊したコードのコミット。"""
    command = ("git", "-C", str(ROOT), "describe", "--always", "--exclude=*", "--dirty")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description="パッケージを壊し、試験が気づくかを数えます。")
    parser.add_argument(
        "modules",
        nargs="*",
        default=[],
        help="losses や training.losses。既定は、本の図を除くすべて",
    )
    parser.add_argument("--sample", type=int, default=20, help="モジュールごとの数。0 なら全部")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, help="結果を書く JSON")
    parser.add_argument("--judge", type=Path, help="走らせずに、判定だけを書き足す JSON")
    options = parser.parse_args()
    short = {module.rpartition(".")[2]: module for module in MODULES}
    modules = [short.get(name, name) for name in options.modules] or list(MODULES)
    if unknown := set(modules) - set(MODULES):
        parser.error(f"次のどれかを渡してください: {MODULES}。受け取った値: {sorted(unknown)}")
    judged = tomllib.loads(JUDGED.read_text(encoding="utf-8"))
    equivalent, reasons = judged["equivalent"], judged["equivalent"] | judged["missed"]
    if options.judge:
        known = json.loads(options.judge.read_text(encoding="utf-8"))
        outcomes = [Outcome(**row) for row in known["outcomes"]]
        write(outcomes, options.judge, reasons, known["commit"])
        return 0
    todo = list(chosen(modules, options.sample, options.seed))
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(options.jobs) as pool:
        copy(Path(name))
        # すべての試験を記録しながら走らせるので、混んだ計算機では 1 時間かかることもある
        if notices(Path(name), every_test(), *MEASURE, f"-n{options.jobs}", timeout=None):
            parser.error("壊す前の試験が失敗します。先に、試験を通してください。")
        witnesses = Witnesses(Path(name))
        done = pool.map(lambda mutant: judge(mutant, equivalent, witnesses), todo)
        outcomes = list(tqdm(done, total=len(todo), unit="変異"))
    rate = report(outcomes)
    print(f"\n{rate:.1%} に気づきました (目標 {TARGET:.0%})。")
    if options.output:
        write(outcomes, options.output, reasons, head())
    return 0 if rate >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
