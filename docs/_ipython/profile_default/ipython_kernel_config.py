"""本のセルを動かすカーネルの設定。図は SVG、背景は透明、何度組んでも同じバイト列。"""

c = get_config()  # noqa: F821

c.IPKernelApp.log_level = 40
c.HistoryManager.enabled = False
c.InlineBackend.figure_formats = {"svg"}
c.InlineBackend.print_figure_kwargs = {
    "bbox_inches": "tight",
    "facecolor": "none",
    "metadata": {"Date": None},
}
c.InlineBackend.rc = {
    "svg.hashsalt": "vgbook",
    "axes.facecolor": "none",
    "legend.framealpha": 0,
}
