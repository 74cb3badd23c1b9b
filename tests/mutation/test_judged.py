"""変異の判定 (``judged.toml``) が、いまのコードにある変異のもので、写しの試験が始められること。"""

import runpy
import tomllib
from pathlib import Path

import pytest
from operators import mutants, names
from targets import JUDGED, MODULES, read
from witnesses import statement

RUNNER = runpy.run_path(str(Path(__file__).with_name("__main__.py")))
TABLES = tomllib.loads(JUDGED.read_text(encoding="utf-8"))
WRITTEN = [name for table in TABLES.values() for name in table]


@pytest.mark.parametrize("module", sorted({name.partition(":")[0] for name in WRITTEN}))
def test_every_judgement_is_of_a_mutant_of_today(module: str):
    assert module in MODULES
    known = set(names(module, read(module)))
    assert [name for name in WRITTEN if name.startswith(f"{module}: ") and name not in known] == []


def test_the_names_are_those_of_the_mutants():
    source = "def f(x):\n    return x + 1 if x > 0 else max(x, 2)\n"
    made = list(mutants("m", source))
    assert [mutant.name for mutant in made] == list(names("m", source)) != []
    assert all(mutant.source != source for mutant in made)


def test_the_unbroken_copy_has_everything_its_tests_read(tmp_path: Path):
    RUNNER["copy"](tmp_path)
    assert not RUNNER["notices"](tmp_path, ["tests/package"], "--collect-only")


def test_the_statement_around_a_line_is_what_a_test_must_pass_through():
    source = """def f(
    x=1,
):
    if x > (
        2
    ):
        return max(
            x, 2
        )
"""
    spans = [statement(source, line) for line in (2, 5, 8)]
    assert spans == [range(1, 4), range(4, 7), range(7, 10)]
