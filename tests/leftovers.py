"""消し忘れたファイル (統合の残り、エディターの控え) を探す。あれば失敗する。"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEFT = re.compile(r"\.(?:orig|rej|bak|swp|swo)$|~$|^#.*#$|^\.#")
FOLDERS = (".ci", ".github", "benchmarks", "docs", "tests", "vgbook")
MADE = {"_build", "node_modules", "__pycache__"}


def leftovers(root: Path) -> Iterator[str]:
    """``root`` の直下と、書いたもののあるフォルダーの中。"""
    inside = (path for folder in FOLDERS for path in (root / folder).rglob("*"))
    for path in [*root.glob("*"), *inside]:
        place = path.relative_to(root)
        if LEFT.search(path.name) and MADE.isdisjoint(place.parts):
            yield place.as_posix()


if __name__ == "__main__":
    if found := sorted(leftovers(ROOT)):
        sys.exit(f"消し忘れたファイルがあります: {', '.join(found)}")
