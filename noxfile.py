# /// script
# dependencies = ["nox[uv]>=2025.10"]
# ///
# 上の 3 行があると、ふつうに入れた nox (pip、pipx、uv tool) も、uv を自分で用意してから動く。
import platform
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.10"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"  # uv sync が毎回 uv.lock のとおりに揃えるので、使い回してよい
nox.options.sessions = ["lint", "docs", "tests"]

BUILD = Path("docs/_build")
ENVIRONMENT = {
    "PYTHONPATH": None,  # 外の環境を混ぜない
    "PYTHONHOME": None,
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": None,
    "UV_COMPILE_BYTECODE": "1",  # 先に済ませておくと、ノートブックの起動が数秒早い
    "UV_COMPILE_BYTECODE_TIMEOUT": "0",  # 混んだ計算機でも待つ
    "OMP_NUM_THREADS": "1",  # 並列は 1 段上で行うので、BLAS のスレッドと奪い合わせない
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # glibc は大きな配列を返すたびに頁を手放す。手元に残すと、途中の配列を作るのが速くなる。
    # 3 つのどれかを決めると、glibc は残りの敷居を自分で上げなくなるので、3 つとも決める
    "MALLOC_TOP_PAD_": "67108864",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
}

# 並べた順のまま等分し、先に終わったほうが残りをもらう。同じファイルの試験は、たいてい同じ
# プロセスで走るので、使い捨ての本などの支度を何度もしない
PYTEST = ("pytest", "-n", "auto", "--dist=worksteal")


def sync(session: nox.Session, *groups: str, inexact: bool = False) -> None:
    """uv.lock に書かれた版を、session の環境に入れる。"""
    session.env.update(ENVIRONMENT, UV_PROJECT_ENVIRONMENT=session.virtualenv.location)
    options = ["--locked", "--quiet", "--no-default-groups", *(f"--group={g}" for g in groups)]
    if inexact:
        options.append("--inexact")
    session.run_install("uv", "sync", *options, f"--python={session.virtualenv.location}")


def sync_with_torch(session: nox.Session, *groups: str) -> None:
    """``groups`` に書かれたものと PyTorch を、session の環境に入れる。"""
    # PyTorch は答え合わせの相手であり、vgbook は使わない。uv.lock に書くと、どの計算機でも
    # GPU 用の数 GB のファイルを取りに行くことになるので、ここだけ pip に任せる。pip は、手元に
    # 用意した CPU 用のファイルや配布元が設定してあれば、それを使う。PyTorch が頼る小さな
    # パッケージの版は uv.lock が決めている。--inexact は、次の sync で PyTorch を消さないため。
    sync(session, *groups, inexact=True)
    session.run_install("python", "-m", "pip", "install", "--quiet", "torch==2.13.0")


def build(session: nox.Session, *options: str) -> None:
    """本を HTML に組む。"""
    # -E は要らない。失敗した組みは vg.build.incremental が覚えていて、次も失敗する
    strict = ["-n", "-W", "--keep-going", "-j", "auto", "-d", f"{BUILD}/doctrees"]
    session.run("sphinx-build", *strict, "-b", "html", *options, "docs", f"{BUILD}/html")


@nox.session
def docs(session: nox.Session) -> None:
    """本を HTML に組む。警告も、セルの失敗も、標準エラー出力も失敗とする。"""
    sync(session, "docs")
    build(session, *session.posargs)
    session.log(f"ブラウザーで開いてください: {(BUILD / 'html/index.html').resolve()}")


@nox.session
def tests(session: nox.Session) -> None:
    """試験をすべて走らせる。本とブラウザーの試験には、先に docs が、それに Chromium が要る。"""
    sync_with_torch(session, "test", "docs")
    session.run(*PYTEST, *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """すべての頁を Chromium で開き、ノートブックを本の外で動かす。先に docs が要る。"""
    sync(session, "test", "docs")
    opened = ["tests/site", "-m", "browser or elsewhere", "--every-page"]
    session.run(*PYTEST, *opened, *session.posargs)


@nox.session
def doctest(session: nox.Session) -> None:
    """パッケージの docstring の例だけを走らせる。"""
    sync_with_torch(session, "test")  # 診断の一部は PyTorch を読み込む
    session.run("pytest", "vgbook", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """書式、よくある間違い、型、消し忘れたファイルを調べる。"""
    sync(session, "lint", "nox")
    session.run("python", "tests/leftovers.py")
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")
    session.run("mypy")


def edition(session: nox.Session, *kinds: str) -> None:
    """本を組み、それを ``kinds`` (epub、pdf) の形にして、本と一緒に置く。"""
    sync(session, "editions")
    build(session, "-t", "editions")
    for kind in kinds:
        made, shipped = BUILD / "editions" / f"vgbook.{kind}", BUILD / "html" / "editions"
        session.run("python", f"docs/_editions/{kind}.py", f"{BUILD}/html", str(made))
        session.run("python", "docs/_editions/check.py", f"{BUILD}/html", str(made))
        shipped.mkdir(exist_ok=True)
        shutil.copy(made, shipped)  # 調べて通ったものだけを、本と一緒に配る
        session.log(f"できました: {shipped / made.name}")


@nox.session
def editions(session: nox.Session) -> None:
    """EPUB と PDF を作り、調べ、表紙の頁からリンクする。Chromium が要る。"""
    edition(session, "epub", "pdf")


@nox.session
def epub(session: nox.Session) -> None:
    """EPUB だけを作る。"""
    edition(session, "epub")


@nox.session
def pdf(session: nox.Session) -> None:
    """PDF だけを作る。Chromium が要る。"""
    edition(session, "pdf")


@nox.session
def prose(session: nox.Session) -> None:
    """日本語の文を textlint で、英語のつづりを codespell で調べる。"""
    sync(session, "prose")
    written = ["docs", "vgbook", "tests", "benchmarks", "noxfile.py", "README.md"]
    session.run("codespell", *written, "CONTRIBUTING.md", "CHANGELOG.md", ".github")
    folder = BUILD / "prose"
    session.run("python", "docs/_prose/plain.py", str(folder))
    with session.chdir(folder):  # Node.js のパッケージも、組んだものの隣に置く
        session.run_install("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
        session.run("npx", "textlint", "docs/**/*.md")


@nox.session
def serve(session: nox.Session) -> None:
    """本を組みながら読む。docs/ か vgbook/ を保存すると、ページが新しくなる。"""
    sync(session, "docs")
    ignored = ("_build", "_ipython", "__pycache__")
    # serve の札があるときは CSP を書かない。書くと、ページを読み直させるスクリプトが動かない
    options = ["-j", "auto", "-t", "serve", "--watch=vgbook"]
    options += [f"--ignore=**/{folder}/**" for folder in ignored]
    session.run("sphinx-autobuild", *options, *session.posargs, "docs", f"{BUILD}/serve")


@nox.session
def linkcheck(session: nox.Session) -> None:
    """本の外へのリンクが生きているか調べる。"""
    sync(session, "docs")
    session.run("sphinx-build", "-j", "auto", "-b", "linkcheck", "docs", f"{BUILD}/linkcheck")


@nox.session
@nox.parametrize("resolution", ["lowest-direct", "highest"])
def versions(session: nox.Session, resolution: str) -> None:
    """いちばん古い版と新しい版のライブラリで、パッケージと、本を組む仕組みの試験を走らせる。"""
    sync_with_torch(session, "test", "docs")
    pins = Path(session.create_tmp(), "pins.txt")
    compile_pins = ["uv", "pip", "compile", "--quiet", "pyproject.toml", "--group=docs"]
    session.run_install(
        *compile_pins, f"--resolution={resolution}", "--upgrade", f"--output-file={pins}"
    )
    session.run_install("uv", "pip", "install", "--quiet", "--requirements", str(pins))
    tested = ["tests/package", "vgbook", "tests/site/test_build.py"]
    session.run(*PYTEST, *tested, *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """パッケージを 1 か所ずつ壊し、試験が気づくかを数える。"""
    sync_with_torch(session, "test", "docs", "mutation")
    session.run("python", "tests/mutation", *session.posargs)


@nox.session
@nox.parametrize("cpu", ["Haswell", "Nehalem", "Prescott"])
def rounding(session: nox.Session, cpu: str) -> None:
    """ほかの CPU と同じ丸め方でも、本のセルの assert がすべて成り立つことを確かめる。"""
    # 行列の積を足す順は、OpenBLAS が CPU を見て決める。最後の桁の違いも、学習のあいだに大きく育つ
    if platform.machine() not in ("x86_64", "AMD64"):
        session.skip("x86 の計算機でだけ、ほかの CPU の足し方を選べます")
    sync(session, "docs")
    session.env["OPENBLAS_CORETYPE"] = cpu
    folder = BUILD / "rounding" / cpu
    shutil.rmtree(folder, ignore_errors=True)
    options = ["-W", "--keep-going", "-q", "-j", "auto", "-d", f"{folder}/doctrees"]
    session.run("sphinx-build", *options, "-b", "dummy", "docs", f"{folder}/dummy")


@nox.session
def reproducible(session: nox.Session) -> None:
    """本を 2 度、まっさらから組み、できた HTML が 1 バイトも違わないことを確かめる。"""
    sync(session, "docs")
    folder = BUILD / "reproducible"
    shutil.rmtree(folder, ignore_errors=True)
    for name, jobs in (("first", "auto"), ("second", "1")):  # 並列の数も変える
        output = folder / name / "html"
        doctrees = folder / name / "doctrees"
        options = ["-n", "-W", "--keep-going", "-q", "-j", jobs, "-d", str(doctrees)]
        session.run("sphinx-build", *options, "-b", "html", "docs", str(output))
    two = [str(folder / name / "html") for name in ("first", "second")]
    session.run("diff", "--recursive", "--brief", "--exclude=.buildinfo", *two, external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """集団の学習の速さを、1 つずつ動かす場合、PyTorch、JAX、行列積だけと比べる。"""
    sync_with_torch(session, "bench")
    # numpy に、この計算機でいちばん速い行列積を選ばせる
    session.env.update(OPENBLAS_CORETYPE=None, OPENBLAS_L2_SIZE=None)
    session.run("python", "benchmarks/bench.py", *session.posargs)


@nox.session
def clinic(session: nox.Session) -> None:
    """診断の章の記録 (診断書、成績、見張りの費用、ほかの道具) を作り直す。"""
    sync_with_torch(session, "test")
    # 比べる相手は、この本の何からも使わないので、lock に入れずに版をここで決める。
    # torchinstruments は判定をしないので、比べない
    peers = ["torchmortem==0.1.1", "neural-observatory==0.5.1"]
    session.run_install("python", "-m", "pip", "install", "--quiet", *peers)
    parts = session.posargs or [
        "reports", "zoo", "patients", "held_back", "overhead", "peers",
    ]  # fmt: skip
    session.run("python", "benchmarks/clinic/record.py", *parts)


def measure_site(session: nox.Session, what: str, *groups: str) -> None:
    """できあがった本の HTML を測る。道具の版と中身は package-lock.json が決める。"""
    sync(session, "node", *groups)
    session.run_install("npm", "ci", "--silent", "--ignore-scripts", "--prefix", "benchmarks/site")
    session.run("python", "benchmarks/site/measure.py", what, *session.posargs)


@nox.session
def lighthouse(session: nox.Session) -> None:
    """頁の種類ごとに Lighthouse を走らせる。先に docs と Chromium が要る。静かな計算機で。"""
    measure_site(session, "lighthouse")


@nox.session
def html(session: nox.Session) -> None:
    """すべての頁を Nu Html Checker で調べる。先に docs と Java が要る。"""
    measure_site(session, "html")


@nox.session
def site(session: nox.Session) -> None:
    """ほかのサイトと比べる表の、この本の列を測る。先に docs、lighthouse、html が要る。"""
    measure_site(session, "pages", "test")
