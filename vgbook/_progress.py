"""長い計算の進み具合: 端末とノートブックに出し、ビルドした頁やファイルには残さない。"""

import sys
from typing import Any

NOTEBOOKS = {"ipykernel", "pyodide_kernel"}
"""標準エラー出力をノートブックのセルに流すパッケージ。"""


def progress_bar(total: int, desc: str, *, show: bool = True) -> Any:
    """進み具合の表示。ノートブックの標準エラー出力は端末ではないが、読む人がいるので表示する。

    環境変数 ``TQDM_DISABLE=1`` があれば、ノートブックでも出しません。本のビルドはこれを使います。
    """
    from tqdm import tqdm

    watched = sys.stderr is not None and (sys.stderr.isatty() or _is_notebook())
    # disable を渡さなければ、tqdm は環境変数 TQDM_DISABLE に従う
    silence: dict[str, Any] = {} if show and watched else {"disable": True}
    return tqdm(total=total, desc=desc, delay=1.0, **silence)


def _is_notebook() -> bool:
    return type(sys.stderr).__module__.partition(".")[0] in NOTEBOOKS
