"""本を組む仕組み: 古い結果を残さない、失敗を見逃さない、何度組んでも同じ。

docs/ の設定と拡張をそのまま写した、数頁の使い捨ての本を、実際に組んで確かめる。
"""

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from building import sphinx, start

from vg.manuscript import DOCS

PROJECT = ("pyproject.toml", "README.md", "LICENSE")  # 本と一緒に配るホイールの材料
FILES = ("conf.py", "licenses.toml", "robots.txt")
MACHINERY = (*FILES, "_ext", "_static", "locale", "_ipython")
HEAD = (
    "---\ndescription: 試し。\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n\n# 試し\n\n"
)
FIGURE = """mystnb:
  figure:
    name: fig-line
    caption: 右上がりの直線。
  image:
    alt: 直線が右上がりに伸びる。"""

pytestmark = pytest.mark.slow
Pages = dict[str, str]


def cell(code: str, options: str = "") -> str:
    return (
        f"```{{code-cell}} python\n---\n{options}\n---\n{code}\n```\n\n"
        if options
        else (f"```{{code-cell}} python\n{code}\n```\n\n")
    )


class Book:
    """使い捨ての本。``vgbook`` も偽物に差し替える。"""

    def __init__(self, folder: Path, pages: Pages, answer: int = 42) -> None:
        self.folder, self.docs = folder, folder / "docs"
        for name in MACHINERY:
            copy = shutil.copytree if (DOCS / name).is_dir() else shutil.copy
            self.docs.mkdir(parents=True, exist_ok=True)
            copy(DOCS / name, self.docs / name)
        for name in PROJECT:
            shutil.copy(DOCS.parent / name, folder / name)
        self.set_package(answer)
        toctree = "\n".join(name for name in pages if name != "index")
        index = "---\ndescription: 表紙。\n---\n\n# 本\n\n"
        index += f"```{{toctree}}\n:numbered: 1\n\n{toctree}\n```\n"
        for name, text in {"index": index, **pages}.items():
            (self.docs / f"{name}.md").write_text(text, encoding="utf-8")
        (self.docs / "references.bib").touch()

    def set_package(self, answer: int) -> None:
        package = self.folder / "vgbook" / "__init__.py"
        package.parent.mkdir(exist_ok=True)
        package.write_text(f"answer = {answer}\n")

    def arguments(self, *options: str) -> list[str]:
        strict = ["-b", "html", "-n", "-W", "--keep-going"]
        return [*strict, *options, str(self.docs), str(self.docs / "_build" / "html")]

    def build(self, *options: str) -> subprocess.CompletedProcess[str]:
        return sphinx(self.arguments(*options), self.folder)

    def kill_when(self, pattern: str) -> None:
        """組み始め、``_build`` の中に ``pattern`` に合うファイルができたら、すぐに殺す。"""
        build = start(self.arguments(), self.folder)
        while not any((self.docs / "_build").glob(pattern)):
            assert build.is_alive(), "殺す前に終わってしまいました"
            time.sleep(0.002)
        build.kill()
        build.join()

    def git(self, *command: str) -> str:
        """git を走らせ、印刷したものを返す。利用者の設定には頼らない。"""
        who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        run = ["git", "-C", str(self.folder), *who, *command]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()

    def page(self, name: str) -> str:
        return (self.docs / "_build" / "html" / f"{name}.html").read_text(encoding="utf-8")

    def output(self, name: str) -> str:
        return re.findall(r"<pre><span></span>(\d+)\n</pre>", self.page(name))[0]

    def files(self) -> dict[str, bytes]:
        html = self.docs / "_build" / "html"
        paths = (p for p in html.rglob("*") if p.is_file() and ".doctrees" not in p.parts)
        return {str(p.relative_to(html)): p.read_bytes() for p in paths if p.name != ".buildinfo"}


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Book]:
    def new(pages: Pages, answer: int = 42) -> Book:
        return Book(tmp_path_factory.mktemp("book"), pages, answer)

    return new


ANSWER = cell("from vgbook import answer\n\nanswer")
GLUE = cell(
    'from myst_nb import glue\n\nglue("answer", 2 + 3, display=False)', "tags: [remove-cell]"
)
CHOICES = "- [ ] 6\n\n  掛け算です。\n- [x] 5\n\n  足し算です。\n"


def quiz(name: str, options: str, choices: str) -> str:
    return f":::{{quiz}} {name}\n{options}\n\n2 + 3 はいくつか。\n\n{choices}:::\n"


QUIZ = quiz("sum", ":value: answer", CHOICES)
NUMBER = quiz("number", ":value: answer", CHOICES.replace("[x]", "[=]"))
SCORES = ":::{quiz-scores}\n- [1 章](#chapter)\n:::\n"
GOOD = {
    "number": HEAD + ANSWER + "$$\nx = \\E[y]\n$$ (eq-mean)\n\n{eq}`eq-mean` は平均です。\n",
    "figure": HEAD + cell("import matplotlib.pyplot as plt\n\nplt.plot([1, 2]);", FIGURE),
    "quiz": HEAD.replace("# 試し", "(chapter)=\n# 試し") + GLUE + QUIZ + NUMBER + SCORES,
}


# --- 組める。何度組んでも同じ。古い結果を残さない ------------------------------------------------


@pytest.fixture(scope="module")
def good(write: Callable[..., Book]) -> Book:
    book = write(GOOD)
    run = book.build("-j", "2")  # 空のキャッシュを 2 つの読み手が同時に使う
    assert run.returncode == 0, run.stderr
    return book


def test_a_cold_parallel_build_shows_numbers_equations_and_figures(good: Book):
    assert good.output("number") == "42"
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML"' in good.page("number")
    assert "式\N{NO-BREAK SPACE}(1.1)" in good.page("number")
    assert 'alt="直線が右上がりに伸びる。"' in good.page("figure")
    assert "図 2.1" in good.page("figure")


def test_quizzes_are_lists_that_any_format_can_show(good: Book):
    source = good.docs
    options = ["-b", "text", "-n", "-W", "-q", str(source), str(source / "_build" / "text")]
    assert sphinx(options, good.folder).returncode == 0
    text = (source / "_build" / "text" / "quiz.txt").read_text(encoding="utf-8")
    for part in ("1. 6", "2. 5", "正解は 2 です。", "2. 足し算です。", "正解は 5 です。", "掛け算"):
        assert part in text


def test_building_again_reads_no_page_again(good: Book):
    run = good.build()
    assert run.returncode == 0
    assert "0 added, 0 changed, 0 removed" in run.stdout


def test_a_changed_extension_reads_every_page_again(write: Callable[..., Book]):
    book = write({"prose": "---\ndescription: 文。\n---\n\n# 文\n\n勾配\n"})
    assert book.build().returncode == 0
    extension = book.docs / "_ext" / "vg" / "page" / "markup.py"
    extension.write_text(extension.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    run = book.build()
    assert run.returncode == 0
    assert "2 added" in run.stdout


def test_the_build_commit_is_never_an_old_one(write: Callable[..., Book]):
    prose = "---\ndescription: 版。\n---\n\n# 版\n\n```{build-commit}\n```\n"
    book = write({"commit": prose})
    assert book.build().returncode == 0
    assert "コミットは記録していません" in book.page("commit")
    book.git("init", "-q")
    book.git("add", "docs/index.md")
    for _ in range(2):
        book.git("commit", "-q", "--allow-empty", "-m", "手直し")
        run = book.build()
        assert run.returncode == 0
        assert "0 added, 1 changed, 0 removed" in run.stdout
        assert f"組んだコミットは {book.git('rev-parse', 'HEAD')} です。" in book.page("commit")
    index = book.docs / "index.md"
    index.write_text(index.read_text(encoding="utf-8") + "\n変更\n", encoding="utf-8")
    assert book.build().returncode == 0
    assert "手元の変更も含みます" in book.page("commit")


def test_equations_are_numbered_by_chapter_and_on_other_pages_from_one(write: Callable[..., Book]):
    def page(name: str) -> str:
        equations = "".join(f"$$\nx = {n}\n$$ (eq-{name}-{n})\n\n" for n in (1, 2))
        return f"---\ndescription: {name}。\n---\n\n# 頁\n\n{equations}{{eq}}`eq-{name}-2`\n"

    def index(*parts: str) -> str:
        numbered = [f"```{{toctree}}\n:numbered: 1\n\n{names}\n```\n" for names in parts]
        others = "```{toctree}\nx\ny\n```\n"
        return "---\ndescription: 表紙。\n---\n\n# 本\n\n" + "\n".join([*numbered, others])

    book = write({name: page(name) for name in "abcxy"} | {"index": index("a\nb", "c")})
    assert book.build().returncode == 0
    assert "式\N{NO-BREAK SPACE}(2.2)" in book.page("b")
    assert "式\N{NO-BREAK SPACE}(3.2)" in book.page("c")
    assert "式\N{NO-BREAK SPACE}(2)" in book.page("x")
    assert "式\N{NO-BREAK SPACE}(2)" in book.page("y")
    assert book.build().stdout.count("writing output") <= 1  # 書き直す頁はない
    (book.docs / "d.md").write_text(page("d"), encoding="utf-8")
    (book.docs / "index.md").write_text(index("d\na\nb", "c"), encoding="utf-8")
    assert book.build().returncode == 0
    assert "式\N{NO-BREAK SPACE}(4.2)" in book.page("c")  # 原稿は変わらないが、番号が変わった


def test_a_published_book_can_be_found_and_shared(write: Callable[..., Book]):
    from PIL import Image, ImageColor

    from vg.page.poster import GRADIENT, PLACE

    book = write(GOOD)
    base = "https://example.org/book/"
    assert book.build("-D", f"html_baseurl={base}").returncode == 0
    html = book.docs / "_build" / "html"
    page = book.page("number")
    assert f'<link rel="canonical" href="{base}number.html">' in page
    tags = dict(re.findall(r'<meta property="og:(.*?)" content="(.*?)">', page))
    assert (tags["title"], tags["description"], tags["locale"]) == ("試し", "試し。", "ja_JP")
    assert tags["url"] == f"{base}number.html"
    pictures = {name: html / "_static/share" / f"{name}.png" for name in ("figure", "number")}
    assert tags["image"] == f"{base}_static/share/number.png"
    drawn = {}
    for name, path in pictures.items():
        assert path.stat().st_size <= 100 * 1024
        with Image.open(path) as picture:
            assert picture.size == (int(tags["image:width"]), int(tags["image:height"]))
            drawn[name] = picture.convert("RGB").crop(PLACE)
    # 図のある頁には、その頁の図。ない頁には、層をさかのぼる棒
    gradient = ImageColor.getrgb(GRADIENT)
    assert gradient in {color for _, color in drawn["number"].getcolors()}
    assert gradient not in {color for _, color in drawn["figure"].getcolors()}
    assert len(drawn["figure"].getcolors()) > 2  # 白紙ではない
    assert f"Sitemap: {base}sitemap.xml" in (html / "robots.txt").read_text(encoding="utf-8")
    places = re.findall("<loc>(.*?)</loc>", (html / "sitemap.xml").read_text(encoding="utf-8"))
    assert places == [f"{base}{name}.html" for name in ("figure", "index", "number", "quiz")]
    lost = book.page("404")
    assert "canonical" not in lost
    links = re.findall(r'(?:href|src|action)="([^"]*)"', lost)
    assert links
    assert [link for link in links if not link.startswith(("/book/", "#", "https:"))] == []


def test_a_book_at_hand_has_no_addresses(good: Book):
    assert not any("sitemap" in name or "/share/" in name for name in good.files())
    assert "og:image" not in good.page("number")
    assert 'property="og:title"' in good.page("number")


def test_other_forms_of_the_site_are_refused(write: Callable[..., Book]):
    book = write(GOOD)
    run = book.build("-b", "dirhtml")
    assert run.returncode != 0
    assert "`-b html` で組んでください (dirhtml は使えません)" in run.stderr


def test_a_form_that_does_not_exist_is_refused_in_a_sentence(write: Callable[..., Book]):
    run = write(GOOD).build("-b", "doctest")
    assert run.returncode == 2
    assert "doctest という組み方はありません。本は `-b html`" in run.stderr
    assert "github.com" not in run.stderr


MOMENTS = (
    ".jupyter_cache/*/global.db",
    ".jupyter_cache/*/executed/*/base.ipynb",
    "html/.doctrees/environment.pickle",
    "html/figure.html",
)


def test_builds_killed_one_after_another_leave_nothing_half_done(
    good: Book, write: Callable[..., Book]
):
    """殺された組みの続きから進み、また殺される。最後は、殺されなかった本と 1 バイトも違わない。"""
    book = write(GOOD)  # 別の場所で、並列にせずに
    for moment in MOMENTS:
        book.kill_when(moment)
        for notebook in (book.docs / "_build").glob(".jupyter_cache/*/executed/*/base.ipynb"):
            notebook.write_bytes(notebook.read_bytes()[:1000])  # 書き込みの途中だったことにする
    run = book.build()
    assert run.returncode == 0, run.stderr
    assert book.files() == good.files()


def test_a_changed_package_is_executed_again_and_an_old_one_found_again(
    write: Callable[..., Book],
):
    book = write({"number": GOOD["number"]}, answer=271)
    for answer in (271, 31415, 271):  # 長さも変える: 同じ秒・同じ長さの変更を .pyc は見落とす
        book.set_package(answer)
        assert book.build().returncode == 0
        assert book.output("number") == str(answer)
    kept = book.docs / "_build" / ".jupyter_cache" / "pages" / "executed"
    assert len(list(kept.iterdir())) == 2


# --- 失敗を見逃さない ----------------------------------------------------------------------


def test_failing_cells_stop_the_build_with_their_causes_and_the_next_build_too(
    write: Callable[..., Book],
):
    book = write({"bad": HEAD + cell("1 / 0"), "worse": HEAD + cell("[][0]")})
    for options in (["-j", "2"], []):
        run = book.build(*options)
        assert run.returncode != 0
        assert "ZeroDivisionError" in run.stderr
        assert "IndexError" in run.stderr
        assert "失敗した頁があります: bad, worse" in run.stderr
        assert len(run.stderr.splitlines()) < 40
        assert "Sphinx error" not in run.stderr
        assert "please open an issue" not in run.stderr
    (book.docs / "bad.md").write_text(HEAD + cell("1"), encoding="utf-8")
    (book.docs / "worse.md").write_text(HEAD + cell("2"), encoding="utf-8")
    run = book.build()
    assert run.returncode == 0, run.stderr
    assert "0 added, 2 changed, 0 removed" in run.stdout  # 失敗した頁だけを読み直す
    assert not list((book.docs / "_build" / "html").rglob("*.log"))


def test_a_cell_that_takes_too_long_stops_the_build(write: Callable[..., Book]):
    run = write({"slow": HEAD + cell("import time\n\ntime.sleep(60)")}).build(
        "-D", "nb_execution_timeout=1"
    )
    assert run.returncode != 0
    assert "CellTimeoutError" in run.stderr


# 図は、セルが終わってから描かれる。そこで起きた例外は、セルの失敗にならない
BROKEN_FIGURE = 'import matplotlib.pyplot as plt\n\nplt.title(r"$\\undefined$");'
NO_ALT = FIGURE[: FIGURE.index("  image:")].rstrip().replace("fig-line", "fig-noalt")
FAULTY = [
    quiz("a", ":value: answer", CHOICES.replace("[x]", "[?]").replace("[ ]", "[x]")),
    quiz("b", ":value: answer", CHOICES.replace("[ ] 6", "[x] 6").replace("[x] 5", "[ ] 5")),
    quiz("c", ":tolerance: 1%", CHOICES),
    quiz("d", ":value: answer", CHOICES + "- [ ] 1\n"),
    quiz("e", ":value: answer", ""),
    quiz("twin", ":value: answer", CHOICES),
    quiz("twin", ":value: answer", CHOICES),
]
BAD = {
    "quizzes": HEAD + GLUE + "\n".join(FAULTY),
    "stderr": HEAD + cell('import sys\n\nprint("x", file=sys.stderr)'),
    "warned": HEAD + cell('import warnings\n\nwarnings.warn("x")'),
    "display": HEAD + cell(BROKEN_FIGURE),
    "noalt": HEAD + cell("import matplotlib.pyplot as plt\n\nplt.plot([1, 2]);", NO_ALT),
    "typo": HEAD + "$$\n\\fracc{1}{2}\n$$\n",
    "kanji": HEAD + "$x = 勾配$\n",
    "rawtex": HEAD + "\\begin{align}\na\n\\end{align}\n",
    "nometa": "# 要約のない頁\n",
    "dangling": HEAD + "{numref}`fig-nowhere`\n",
}


@pytest.fixture(scope="module")
def complaints(write: Callable[..., Book]) -> str:
    book = write(BAD)
    first, second = book.build("-j", "2"), book.build()
    assert first.returncode == second.returncode == 1
    # 2 度目も全部言う。カーネルが終わりぎわに書く行は、あったりなかったりするので数えない
    named = [[line for line in run.stderr.splitlines() if ".md" in line] for run in (first, second)]
    assert len(named[0]) == len(named[1]) >= len(BAD)
    return second.stderr


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("stderr", "stderr was found"),
        ("stderr", "標準エラー出力:"),
        ("warned", "stderr was found"),
        ("display", "セルの出力に例外が残っています"),
        ("noalt", "図に代替文がありません"),
        ("typo", "数式を組めません"),
        ("kanji", "数式を組めません"),
        ("rawtex", "数式になっていない TeX"),
        ("nometa", "description: がありません"),
        ("dangling", "fig-nowhere"),
        ("quizzes", "計算した答えと印が違います"),
        ("quizzes", "計算した答えを示してください"),
        ("quizzes", "説明のない選択肢があります"),
        ("quizzes", "印 ([x] など) のない選択肢"),
        ("quizzes", "選択肢の箇条書き"),
        ("quizzes", "問題の名前が 2 度使われています: twin"),
    ],
)
def test_each_fault_is_a_warning_that_names_its_page(complaints: str, page: str, message: str):
    assert any(f"{page}.md" in line and message in line for line in complaints.splitlines())
