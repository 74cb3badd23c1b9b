"""診断の章に残した PyTorch の診断書は、いまのコードの結果と同じである。"""

import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
ROOT = Path(__file__).parents[2]
RECORDED = json.loads((ROOT / "docs/part6/clinic-results.json").read_text(encoding="utf-8"))[
    "reports"
]
SPEC = importlib.util.spec_from_file_location("chapter", ROOT / "benchmarks/clinic/chapter.py")
chapter = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(chapter)
FRESH = {name: getattr(chapter, name) for name in ("first", "treated", "watched")} | chapter.OTHERS


def recorded(name):
    return RECORDED[name] if name in RECORDED else RECORDED["others"][name]


def told(report):
    """計算機が違っても変わらない部分。"""
    return [
        (f["slug"], f["severity"], f["modules"], f["cures"], [t["name"] for t in f["trials"]])
        for f in report["findings"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", FRESH)
def test_the_recorded_report_is_that_of_a_fresh_run(name):
    fresh, kept = FRESH[name]().to_dict(), recorded(name)
    assert told(fresh) == told(kept)
    for now, then in zip(fresh["layers"], kept["layers"], strict=True):
        assert now["name"] == then["name"]
        for measured in ("h", "delta"):
            if then[measured] is None:  # 測れなかったことも、同じである
                assert now[measured] is None
            else:
                assert now[measured] == pytest.approx(then[measured], rel=0.05)
