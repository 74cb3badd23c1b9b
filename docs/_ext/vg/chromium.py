"""Chromium のある所。試験、PDF、測定、CI が、同じ名前を同じ順に探す。

画面のない chromium-headless-shell は、頁を開くのに、ふつうの Chromium の半分の時間もかからない。
"""

import shutil
import sys

WHOLE = ("chromium", "chromium-browser", "google-chrome")
NAMES = ("chromium-headless-shell", *WHOLE)


def find(names: tuple[str, ...] = NAMES) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


if __name__ == "__main__":  # 名前を渡せば、その名前だけを探す
    sys.exit(find(tuple(sys.argv[1:]) or NAMES) is None)
