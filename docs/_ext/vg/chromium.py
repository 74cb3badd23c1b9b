"""Chromium のある所。試験、PDF、測定、CI が、同じ名前を同じ順に探す。"""

import shutil
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


if __name__ == "__main__":
    sys.exit(find() is None)
