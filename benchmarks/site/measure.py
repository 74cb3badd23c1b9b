"""できあがった本の HTML を測る。

``lighthouse`` は頁の種類ごとに Lighthouse (携帯電話の設定) を、``html`` は全頁に Nu Html Checker
を、``pages`` は等間隔に選んだ頁に Chromium を走らせる。目標に届かなければ失敗する。
結果を docs/appendix に書くのは、``--write`` を付けたときだけ (付録の頁が実行し直される)。
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import table
from serving import served

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))

from vg import chromium  # noqa: E402

Result = tuple[bool, dict[str, Any]]  # 目標に届いたか、測ったもの
HTML = ROOT / "docs" / "_build" / "html"
RESULTS = ROOT / "docs" / "appendix" / "site-results.json"
KINDS = {
    "表紙": "index.html",
    "式の多い章": "part3/he.html",
    "確認テスト": "quiz.html",
    "API": "api/layers.affine.html",
    "用語集": "glossary.html",
    "検索": "search.html",
}
CATEGORIES = {"performance": 98, "accessibility": 100, "best-practices": 100, "seo": 100}
TIMES = {"LCP": "largest-contentful-paint", "TBT": "total-blocking-time"}
CHROME = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"]
VIEWS = [(1280, "light"), (1280, "dark"), (360, "light")]
SAMPLE = 12
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WATCH = """
    window.seen = { LCP: 0, CLS: 0, TBT: 0 };
    const watch = (type, add) => new PerformanceObserver((list) =>
      list.getEntries().forEach(add)).observe({ type, buffered: true });
    watch("largest-contentful-paint", (e) => { seen.LCP = e.startTime; });
    watch("layout-shift", (e) => { seen.CLS += e.value; });
    watch("longtask", (e) => { seen.TBT += Math.max(0, e.duration - 50); });
"""


def chromium_path() -> str:
    path = chromium.find(chromium.WHOLE)  # 読者が使うものに近いほう
    if path is None:
        raise SystemExit("Chromium がありません。apt-get install chromium などで入れてください。")
    return path


def keep(section: str, figures: dict[str, Any]) -> None:
    """測ったものを、前に測ったほかのものと並べて残す。"""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    measured = {"date": f"{date.today()}", "load": os.getloadavg()[0], **figures}
    known |= {section: measured}
    text = json.dumps(known, ensure_ascii=False, indent=1, sort_keys=True)
    RESULTS.write_text(text + "\n", encoding="utf-8")
    table.write(known, RESULTS.with_name("site-table.csv"))


# --- Lighthouse ----------------------------------------------------------------------------


def audit(url: str) -> dict[str, float]:
    """1 回の測定: 4 つの点数と時間。満点でない項目は、端末に書き出す。"""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        subprocess.run(
            [
                *(str(HERE / "node_modules" / ".bin" / "lighthouse"), url, "--quiet"),
                *("--output=json", f"--output-path={report}"),
                f"--only-categories={','.join(CATEGORIES)}",
                f"--chrome-flags={' '.join(CHROME)}",
            ],
            env=os.environ | {"CHROME_PATH": chromium_path()},
            check=True,
        )
        result = json.loads(report.read_text(encoding="utf-8"))
    for name, category in result["categories"].items():
        for reference in category["auditRefs"]:
            detail = result["audits"][reference["id"]]
            if reference["weight"] and detail["score"] not in (None, 1):
                value = detail.get("displayValue", "")
                print(f"    {name}: {detail['title']} {detail['score']} {value}")
    scores = {name: round(100 * result["categories"][name]["score"]) for name in CATEGORIES}
    return scores | {key: result["audits"][name]["numericValue"] for key, name in TIMES.items()}


def lighthouse(runs: int) -> Result:
    figures = {}
    with served(HTML) as site:
        for kind, page in KINDS.items():
            audits = [audit(site + page) for _ in range(runs)]
            figures[kind] = {key: median(a[key] for a in audits) for key in audits[0]}
            print(kind, figures[kind], flush=True)
    fine = all(
        page[name] >= least for page in figures.values() for name, least in CATEGORIES.items()
    )
    return fine, {"runs": runs, "pages": figures}


# --- Nu Html Checker --------------------------------------------------------------------------


def html() -> Result:
    jar = HERE / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"
    if shutil.which("java") is None:
        raise SystemExit(
            "Java がありません。apt-get install default-jre-headless などで入れてください。"
        )
    # スタックは、KaTeX の深い入れ子のために広くする
    command = ["java", "-Xss4m", "-jar", str(jar), "--errors-only", "--format", "json"]
    run = subprocess.run(
        [*command, "--skip-non-html", str(HTML)], capture_output=True, text=True, check=False
    )
    errors = json.loads(run.stderr)["messages"]
    for error in errors:
        print(f"{error['url']}:{error.get('lastLine')}: {error['message']}")
    return not errors, {"pages": len(list(HTML.rglob("*.html"))), "errors": len(errors)}


# --- Chromium -------------------------------------------------------------------------------


def sample() -> list[str]:
    pages = sorted(
        str(p.relative_to(HTML)) for p in HTML.rglob("*.html") if "_modules" not in p.parts
    )
    return [pages[i * len(pages) // SAMPLE] for i in range(SAMPLE)]


def visit(browser: Any, url: str, width: int, scheme: str) -> dict[str, Any]:
    """1 頁を 1 つの見方で開いたときの、誤り、通信、速さ。"""
    from axe_playwright_python.base import AXE_SCRIPT

    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    seen: Counter[str] = Counter()
    page.on("console", lambda m: seen.update(["console"] if m.type == "error" else []))
    page.on("request", lambda r: seen.update(["requests"]))
    page.on("request", lambda r: seen.update([] if "127.0.0.1" in r.url else ["elsewhere"]))
    page.on("requestfinished", lambda r: seen.update(bytes=r.sizes()["responseBodySize"]))
    page.add_init_script(WATCH)
    page.goto(url, wait_until="networkidle")
    times = page.evaluate("seen")
    box = "document.querySelector('.content')"
    wide = page.evaluate(f"{box}.scrollWidth > {box}.clientWidth")
    page.evaluate(AXE_SCRIPT)
    faults = {}
    for name, tags in {"axe": WCAG, "axe_best": ["best-practice"]}.items():
        rules = {} if name == "axe_best" else {"target-size": {"enabled": True}}
        found = page.evaluate("(o) => axe.run(o)", {"runOnly": tags, "rules": rules})["violations"]
        faults[name] = len(found)
    context.close()
    keys = ("console", "requests", "elsewhere", "bytes")
    return {**times, **faults, "wide": wide, **{key: seen[key] for key in keys}}


def answers(browser: Any, site: str) -> dict[str, float]:
    """試験の表の問いを引く。"""
    table = tomllib.loads(
        (ROOT / "tests" / "site" / "search_queries.toml").read_text(encoding="utf-8")
    )
    page = browser.new_page()
    page.goto(f"{site}search.html")
    places, times = [], []
    for query, expected in ((q, p) for group in table.values() for q, p in group.items() if p):
        ms, links = page.evaluate(
            """(query) => {
              const input = document.querySelector(".search-form input");
              const start = performance.now();
              input.value = query;
              input.dispatchEvent(new Event("input"));
              const links = document.querySelectorAll("#search-results > li > a");
              return [performance.now() - start, [...links].map((a) => a.getAttribute("href"))];
            }""",
            query,
        )
        hits = [i for i, link in enumerate(links, 1) if link.startswith(tuple(expected))]
        places.append(min(hits, default=float("inf")))
        times.append(ms)
    return {
        "queries": len(places),
        "hit1": sum(place == 1 for place in places) / len(places),
        "hit3": sum(place <= 3 for place in places) / len(places),
        "MRR": sum(1 / place for place in places) / len(places),
        "ms": median(times),
    }


def pages() -> Result:
    from playwright.sync_api import sync_playwright

    with served(HTML) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROME[1:])
        rows = {
            f"{name} {width} {scheme}": visit(browser, site + name, width, scheme)
            for name in sample()
            for width, scheme in VIEWS
        }
        figures = {"views": rows, "search": answers(browser, site)}
        browser.close()
    bad = ("axe", "console", "elsewhere", "wide")
    # axe_best は数えるだけ: empty-table-header が、式だけの見出し (MathML) を空とみなす
    shown = {key: sum(row[key] for row in rows.values()) for key in (*bad, "axe_best")}
    print(shown, figures["search"])
    return not any(row[key] for row in rows.values() for key in bad), figures


def main() -> None:
    parser = argparse.ArgumentParser(description="できあがった本の HTML を測ります。")
    parser.add_argument("what", choices=["lighthouse", "html", "pages"])
    parser.add_argument("--runs", type=int, default=3, help="Lighthouse を頁ごとに走らせる回数")
    parser.add_argument("--write", action="store_true", help="結果を docs/appendix に書く")
    chosen = parser.parse_args()
    if not (HTML / "index.html").exists():
        raise SystemExit("本がまだありません。先に `nox -s docs` を実行してください。")
    measure: dict[str, Callable[[], tuple[bool, Any]]] = {
        "lighthouse": partial(lighthouse, chosen.runs),
        "html": html,
        "pages": pages,
    }
    fine, figures = measure[chosen.what]()
    if chosen.write:
        keep({"pages": "browser"}.get(chosen.what, chosen.what), figures)
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
