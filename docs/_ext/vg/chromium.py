"""Chromium のある所。試験、PDF、測定、CI が、同じ名前を同じ順に探す。

画面の部品を読み込まない chromium-headless-shell のほうが速いので、先に探す。
"""

import shutil
import sys

WHOLE = ("chromium", "chromium-browser", "google-chrome")
NAMES = ("chromium-headless-shell", *WHOLE)


def find(names: tuple[str, ...] = NAMES) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


if __name__ == "__main__":  # 名前を渡せば、その名前だけを探す
    sys.exit(find(tuple(sys.argv[1:]) or NAMES) is None)
