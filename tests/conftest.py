"""すべての試験が使う設定と、できあがった本や Chromium を渡す fixture。"""

import http.server
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]
CI = os.environ.get("CI", "") not in ("", "0", "false")

# ほかの仕事をしている計算機でも結果が変わらないように、1 例ごとの時間は制限しない。
# CI では毎回同じ例を試し、失敗を再現できるようにする。
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if CI else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-page", action="store_true", help="Chromium で、すべての頁を開く")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Chromium を使う試験に、印を付ける。"""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


def unavailable(reason: str) -> NoReturn:
    """手元では試験を飛ばす。CI では、調べずに済んだことにしないよう失敗させる。"""
    if CI:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """省いた試験の数と、走らせ方を、最後に 1 行ずつ示す。"""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"省いた試験 {count} 件: {reason}", yellow=True)


@pytest.fixture
def no_floating_point_warnings() -> Iterator[None]:
    """桁あふれ、0 での割り算、NaN を、計算の途中でも許さない。"""
    with np.errstate(all="raise", under="ignore"):
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """リポジトリの最上位のフォルダー。"""
    return ROOT


@pytest.fixture(scope="session")
def book(root: Path) -> Path:
    """できあがった本 (HTML) のフォルダー。"""
    html = root / "docs" / "_build" / "html"
    if not (html / "index.html").exists():
        unavailable("本がまだありません。`nox -s docs` の後に、もう一度走らせてください。")
    return html


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """試験の出力を汚さない。"""


@contextmanager
def serving(folder: Path, handler: type[Quiet] = Quiet) -> Iterator[str]:
    """この計算機の中だけで公開した ``folder`` の URL。"""
    here = partial(handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), here) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


@pytest.fixture(scope="session")
def site(book: Path) -> Iterator[str]:
    """この計算機の中だけで公開した本の URL。"""
    with serving(book) as url:
        yield url


# 書体のない字は、どれも同じ箱になる
JAPANESE = """() => {
    const drawn = (letter) => {
      const pen = document.createElement("canvas").getContext("2d");
      pen.font = "40px sans-serif";
      pen.fillText(letter, 0, 50);
      return pen.canvas.toDataURL();
    };
    return drawn("漢") !== drawn("字");
}"""


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    """画面を持たない Chromium。"""
    from playwright.sync_api import sync_playwright

    from vg.chromium import find

    path = find()
    if path is None:
        unavailable(
            "Chromium がありません。`apt-get install chromium-headless-shell` などで"
            "入れてください。"
        )
    with sync_playwright() as playwright:
        # --no-sandbox は、管理者権限で動く CI で Chromium を起動するために要る。
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page = browser.new_page()
        readable = page.evaluate(JAPANESE)
        page.close()
        if not readable:
            unavailable(
                "和文の字がありません。字の幅が読者の画面と違うので、"
                "`apt-get install fonts-noto-cjk` などで入れてください。"
            )
        # 滑らかに送る途中で測らないように、動きを減らす。動きを試すときは no-preference を求める
        still = {"reduced_motion": "reduce"}
        with (
            patch.object(browser, "new_context", partial(browser.new_context, **still)),
            patch.object(browser, "new_page", partial(browser.new_page, **still)),
        ):
            yield browser
        browser.close()
