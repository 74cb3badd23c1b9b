"""本の組み方。ここには選択だけを書き、仕組みは ``_ext`` に置く。"""

import os
import sys
from datetime import timedelta, timezone
from importlib.metadata import metadata
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE / "_ext"), str(ROOT)]

# pyproject.toml の [project.urls]。名前 → URL
URLS = dict(url.split(", ", 1) for url in metadata("vgbook").get_all("Project-URL", []))

# ---- 本 -------------------------------------------------------------------
project = "勾配消失問題 — 導いて、動かして、確かめる"
author = metadata("vgbook")["Author"]
copyright = f"2026, {author}"  # noqa: A001
release = version = version_of("vgbook")
language = "ja"
root_doc = "index"
exclude_patterns = ["_*/**", "**/README.md", "Thumbs.db", ".DS_Store"]
locale_dirs = [str(HERE / "locale")]  # 相対にすると読まれない
nitpicky = True
# 日付はコミットだけで決まる。履歴のない所や浅い写しで組むと、日付のない本になる
html_last_updated_fmt = "%Y-%m-%d"
git_last_updated_timezone = timezone(timedelta(hours=9))
git_untracked_show_sourcelink = True
suppress_warnings = ["git.subprocess_error", "git.command_not_found", "git.too_shallow"]
# 誤りの報告先。pyproject.toml の [project.urls] に Issues を書くと、頁の末尾から下書きが開く
issues_url = URLS.get("Issues")
nitpick_ignore_regex = [  # ほかの本の言葉。インターネットなしで組めるように、リンクしない
    ("py:.*", r"(numpy|np|ArrayLike|NDArray|Array|collections|concurrent|os|optional)\b.*"),
    ("py:data", r"[a-z_]+"),
]

extensions = [
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
    "sphinx_last_updated_by_git",  # 頁ごとの最終更新日
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx.ext.napoleon",
    "vg",  # この本のための部品。_ext/vg に、部屋ごとに置く
]

# ---- 本文 -----------------------------------------------------------------
myst_enable_extensions = [
    "attrs_block",
    "attrs_inline",
    "colon_fence",
    "deflist",
    "dollarmath",
    "fieldlist",
    "substitution",
]
myst_dmath_double_inline = True
myst_heading_anchors = 3
myst_update_mathjax = False
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"
bibtex_tooltips = False  # 札 (_ext/vg/page/cards.py) が文献を見せる

numfig = True
numfig_format = {
    "figure": "図 %s",
    "table": "表 %s",
    "code-block": "リスト %s",
    "section": "第 %s 章",
}
math_numfig = True
math_eqref_format = "式 ({number})"
math_macros = {
    r"\R": r"\mathbb{R}",
    r"\E": r"\operatorname{\mathbb{E}}",
    r"\Var": r"\operatorname{Var}",
    r"\Cov": r"\operatorname{Cov}",
    r"\diag": r"\operatorname{diag}",
    r"\tr": r"\operatorname{tr}",
    r"\sgn": r"\operatorname{sgn}",
    r"\RMS": r"\operatorname{RMS}",
    r"\relu": r"\operatorname{ReLU}",
    r"\T": r"^{\mathsf{T}}",  # 転置 W\T
    r"\norm": r"\left\lVert #1 \right\rVert",
    r"\abs": r"\left\lvert #1 \right\rvert",
    r"\pd": r"\frac{\partial #1}{\partial #2}",  # \pd{L}{W}
    r"\d": r"\mathrm{d}",  # 微分の d
}

# ---- 実行 -----------------------------------------------------------------
nb_execution_mode = "cache"  # 置き場も、失敗の見せ方も、_ext/vg/build が決める
nb_execution_timeout = 1800  # 秒。1 セルあたり。止まらないセルを見つけるため。混んだ計算機でも待つ
nb_output_stderr = "error"
nb_merge_streams = True
nb_render_markdown_format = "myst"  # 表と数式も使える
nb_code_prompt_show = "{type}を表示"
nb_code_prompt_hide = "{type}を隠す"
os.environ |= {
    # セルが使う vgbook は、どこで組んでも隣のもの。キャッシュの鍵もそれで決まる
    "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    "IPYTHONDIR": str(HERE / "_ipython"),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "TQDM_DISABLE": "1",
}

# ---- 配るもの ------------------------------------------------------------
# pyproject.toml の [project.urls] に書くと、ノートブックの入れ方とリンクが変わる
# 公開先が環境変数で URL を知らせるときは、それを使う
html_baseurl = URLS.get("Documentation") or os.environ.get("READTHEDOCS_CANONICAL_URL", "")
notebook_repository = URLS.get("Repository", "")

# ---- API ------------------------------------------------------------------
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # 型と形は docstring が日本語で述べる
autodoc_preserve_defaults = True
autodoc_use_type_comments = False  # 注釈に書いた型はない。探すだけで数秒かかる
default_role = "code"  # docstring の `x`
napoleon_google_docstring = False
napoleon_use_param = False  # 型は文として書く (「長さ n の配列」など)。リンクにしない
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]
smartquotes_action = "D"  # 「引数 -- 説明」の -- を – に
smartquotes_excludes = {}

# ---- 見た目 ---------------------------------------------------------------
html_theme = "furo"
html_title = project
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = [("print.css", {"media": "print"})]  # 画面のための CSS は vg.page.sheets が並べる
html_js_files = ["book.js"]
html_extra_path = ["robots.txt"]
html_copy_source = True  # 「この頁の原稿を見る」の先
html_scaled_image_link = False
html_show_sphinx = False
html_permalinks_icon = "#"
html_domain_indices = False
html_use_index = True
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
copybutton_exclude = ".linenos, .gp, .go"
html_theme_options = {
    "top_of_page_buttons": ["view"],
    "light_css_variables": {"color-code-background": "#f6f8fa"},
}
