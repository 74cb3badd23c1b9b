"""この本のための Sphinx 拡張。1 つの部品の Python、JavaScript、CSS、HTML を、1 つの部屋に置く。

部屋の ``.js`` と ``.css`` は ``_static`` の直下に配られ、``.html`` は furo のものより先に使われる。
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx


HERE = Path(__file__).parent
PARTS = (  # 同じ出来事には、この順に応える
    "build.garbage",  # ごみ集めの間を空ける
    "build.citations",  # 文献の引用を速く組む
    "build.pages",  # 検算の頁と API の頁を作る
    "build.sources",  # 「ソースコード」から、書かれたファイルへ
    "build.execution",  # 実行の環境とキャッシュの鍵
    "build.incremental",  # 失敗した組みの次は、全部の頁を読み直す
    "build.writers",  # 頁を書くプロセスの数
    "build.faults",  # 見逃してはならない誤りを警告にする
    "page.lines",  # 和文の途中の改行を空白にしない
    "page.folds",  # 続けて並ぶたたみを 1 つにする
    "page.powers",  # 4.9e-17 を 4.9 × 10⁻¹⁷ と書く
    "page.numbering",  # 章番号を部をまたいで続ける
    "math.checked",  # 式の「検算済み」の印と、検算の頁
    "math.typeset",  # 数式をビルド時に KaTeX で組む
    "search.index",  # 日本語の検索
    "search.terms",  # 読みの順に並べた索引
    "figures.stepper",  # 計算グラフを 1 手ずつ進める図
    "page.tables",  # 幅を決めた表
    "build.provenance",  # 本を組んだコミットと、乱数の種
    "build.licenses",  # 入っている作品の一覧
    "quiz.question",  # 答えると説明が返る問題
    "quiz.scores",  # その成績の一覧
    "page.reading",  # 章の位置、誤りの報告
    "page.navigation",  # 左の目次を、題だけから組む
    "figures.scripts",  # 動かせる図の JavaScript
    "figures.svg",  # 図を軽くする (page.markup が寸法を読む前に)
    "page.markup",  # 出力する HTML の手直し
    "page.share",  # 共有の札と絵、sitemap、404 の頁
    "page.cards",  # 用語・式・図への参照に重ねる札
    "page.weight",  # 使う字と CSS だけを残す
    "page.sheets",  # CSS を 1 枚にまとめる
    "page.csp",  # 本のファイルのほかは、読み込みも実行もさせない
    "notebook.ipynb",  # よそで動くノートブックを頁の隣に置く
)


def setup(app: Sphinx) -> dict[str, object]:
    docs = HERE.parents[1]
    rooms = sorted({HERE / part.partition(".")[0] for part in PARTS})
    app.config.templates_path += [str(room.relative_to(docs)) for room in rooms]
    app.config.html_static_path += [
        str(path.relative_to(docs))
        for room in rooms
        for path in sorted(room.iterdir())
        if path.suffix in (".js", ".css")
    ]
    for part in PARTS:
        import_module(f"vg.{part}").setup(app)
    # env_version を上げると、書き残しのない前回の組みの続きでも、全部の頁を読み直す
    return {"env_version": 4, "parallel_read_safe": True, "parallel_write_safe": True}
