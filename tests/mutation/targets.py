"""壊すモジュール。本の図を描く部屋 (``book``) は、値を持たないので除く。"""

from pathlib import Path

ROOT = Path(__file__).parents[2]
JUDGED = Path(__file__).with_name("judged.toml")
PACKAGE = ROOT / "vgbook"
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py" and "book" not in path.relative_to(PACKAGE).parts
)


def path_of(module: str) -> str:
    """モジュールのファイル。リポジトリの最上位から見た場所。"""
    return f"vgbook/{module.replace('.', '/')}.py"


def read(module: str) -> str:
    return (ROOT / path_of(module)).read_text(encoding="utf-8")
