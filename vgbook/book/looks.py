"""図の見た目: 言葉ごとに 1 つの色・印・線種と、字の大きさ。

h は青、δ は朱、dW は緑で、「Xavier」や「tanh」も、本のどこでも同じ見た目です (`LOOKS`)。
図は、幅 390 ピクセルの電話の画面でも、どの字も 10 ピクセルより小さくならない大きさで描きます。
"""

from typing import Any

COLORS = {
    "h": "#0072B2",
    "delta": "#C04F00",
    "dW": "#007A5A",
    "theory": "#595959",
    "消失": "#0072B2",
    "良好": "#007A5A",
    "爆発": "#C04F00",
}
"""概念の色。Okabe and Ito (2008) の配色を、白い紙の上の字としても読める濃さにしました。"""

SERIES = (
    ("#0072B2", "o", "-"),
    ("#C04F00", "s", "--"),
    ("#007A5A", "^", "-."),
    ("#AA4499", "D", ":"),
    ("#8A6D00", "v", (0, (5, 1, 1, 1))),
    ("#4B4B4B", "P", (0, (1, 1))),
    ("#6A3D9A", "X", (0, (6, 2))),
)
"""系列の (色, 印, 線種)。比べる線が何本あるときも、この順に使います。"""

LOOKS = {
    # 信号
    "h": 0,
    "δ": 1,
    "dW": 2,
    # 重みの初期値
    "Xavier": 0,
    "LSUV": 1,
    "He": 2,
    "直交": 3,
    "標準偏差 0.01": 4,
    "標準偏差 1": 5,
    "4/√n": 6,
    # 活性化関数
    "シグモイド": 0,
    "恒等関数": 1,
    "ReLU": 2,
    "tanh": 3,
    "GELU": 4,
    "SELU": 5,
    "SiLU": 6,
    # 正規化
    "BN あり": 0,
    "BN なし": 1,
}
"""本のどこでも同じ見た目にする言葉と、`SERIES` の番号。"""

WIDTH = 4.8
"""図の幅 [インチ]。電話の本文の幅 (358 ピクセル) に縮めても、字の大きさが変わりません。"""


def look(series: int | str) -> tuple[str, str, Any]:
    """系列の (色, 印, 線種)。``series`` は `SERIES` の番号か、`LOOKS` の言葉。

    Raises
    ------
    ValueError
        `LOOKS` にない言葉のとき。

    Examples
    --------
    >>> look("He") == look(2) == SERIES[2]
    True
    """
    if isinstance(series, str):
        if series not in LOOKS:
            raise ValueError(
                f"series には番号か、{list(LOOKS)} のどれかを渡してください。"
                f"受け取った値: {series!r}"
            )
        series = LOOKS[series]
    return SERIES[series % len(SERIES)]


def style() -> None:
    """この本の図の体裁 (日本語フォント、文字の大きさ、色) を Matplotlib に設定する。

    Examples
    --------
    >>> style()
    >>> import matplotlib.pyplot as plt
    >>> plt.rcParams["svg.fonttype"]
    'path'
    """
    import matplotlib.pyplot as plt
    import matplotlib_fontja
    from cycler import cycler
    from matplotlib.scale import register_scale

    from vgbook.book.powers import PowerScale

    matplotlib_fontja.japanize()
    register_scale(PowerScale)
    plt.rcParams.update(
        {
            # 前の書体にない字 (₁ や ² など) は次の書体で補う
            "font.family": [*plt.rcParams["font.family"], "DejaVu Sans"],
            "font.size": 11,
            "axes.titlesize": 11,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.unicode_minus": False,
            "axes.prop_cycle": cycler(color=[color for color, _, _ in SERIES]),
            "grid.color": "#B0B0B0",
            "grid.alpha": 0.5,
            "grid.linewidth": 0.6,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "lines.markersize": 5,
            "figure.figsize": (WIDTH, 3.2),
            "figure.constrained_layout.use": True,
            "figure.constrained_layout.h_pad": 0.08,  # 上の図の軸の名前を、下の図の題から離す
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "svg.fonttype": "path",
            "svg.hashsalt": "vgbook",
        }
    )


def figure(
    rows: int = 1,
    columns: int = 1,
    *,
    width: float = WIDTH,
    height: float = 3.2,
    sharex: bool = False,
    sharey: bool = False,
) -> tuple[Any, Any]:
    """本文の幅に合わせた図を作る。

    Parameters
    ----------
    rows, columns : int
        並べる軸の数。
    width, height : float
        図全体の幅と高さ [インチ]。
    sharex, sharey : bool
        軸の範囲を共有するか。

    Returns
    -------
    fig, ax
        ``rows × columns`` が 1 なら軸 1 つ、そうでなければ軸の配列。

    Examples
    --------
    >>> fig, axes = figure(1, 3)
    >>> axes.shape
    (3,)
    """
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, figsize=(width, height), sharex=sharex, sharey=sharey)
