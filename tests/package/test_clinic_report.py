"""診断書: 文字の幅、Windows の文字、JSON、CI の入口、見張り。"""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import vgbook as vg
from vgbook.clinic import Diagnosis, LayerRecord, diagnose, html, text, watch
from vgbook.clinic.__main__ import main
from vgbook.clinic.record import Trial, finding
from vgbook.clinic.verdicts import CHAPTERS, VERDICTS, Remedy, named

DATA = vg.digits()
X, LABELS = DATA.x_train[:100], DATA.labels_train[:100]


@pytest.fixture(scope="module")
def sick():
    net = vg.mlp([64, *[50] * 6, 10], vg.relu, vg.normal(0.02), rng=np.random.default_rng(0))
    return diagnose(net, X, LABELS, optimizer=vg.SGD(0.05))


def test_columns_are_aligned_by_the_width_of_east_asian_characters():
    lines = text.table(("層", "判定"), [["a", "消失"], ["長い名前", "死"]])
    starts = [
        text.width(line[: line.index(last)])
        for line, last in zip(lines, ("判", "消", "死"), strict=True)
    ]
    assert starts == [10, 10, 10]


def test_neighbours_of_the_same_kind_and_verdict_share_one_row():
    layers = [LayerRecord(f"{i}", "Linear", delta=10.0**-i) for i in range(5)]
    rows = text.rows(Diagnosis(layers, []))
    assert [row[0] for row in rows] == ["0 .. 4 (5 層)"]
    assert rows[0][4] == "1.0e-04 .. 1.0e+00"


def test_a_report_can_be_printed_on_a_japanese_windows(sick):
    assert str(sick).encode("cp932")
    for verdict in VERDICTS.values():
        assert "".join([verdict.japanese, verdict.meaning, *verdict.advice()]).encode("cp932")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp932", "utf-8"])
def test_print_never_stops_at_a_character_the_terminal_lacks(sick, encoding, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    sys.stdout.write(str(sick))  # print がすること
    stream.flush()
    printed = stream.buffer.getvalue().decode(encoding)
    assert "vanishing" in printed
    assert ("消失" in printed) == (encoding in ("cp932", "utf-8"))


def test_a_report_is_a_text_even_without_a_standard_output(sick, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)  # Windows の pythonw
    assert str(sick).splitlines()[0] == sick.summary


def test_every_verdict_is_found_by_both_of_its_names():
    for verdict in VERDICTS.values():
        assert named(verdict.japanese) is named(verdict.slug) is verdict


def test_the_first_line_says_what_to_do_first(sick):
    root = sick.findings[0]
    assert str(sick).splitlines()[0] == sick.summary
    assert root.name in sick.summary
    assert root.cures[0] in sick.summary


def test_something_is_advised_even_when_everything_has_been_done():
    for verdict in VERDICTS.values():
        assert verdict.advice(set(Remedy)), verdict.japanese


def test_a_loss_jumped_only_if_it_exceeds_50_times_the_first():
    assert not Trial("", [1.0, 50.0, 0.5], reference=1.0).spiked
    assert Trial("", [1.0, 50.5, 0.5], reference=1.0).spiked


def test_a_report_survives_json(sick, tmp_path):
    sick.save(tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    again = Diagnosis.from_dict(content)
    assert again.to_dict() == content == sick.to_dict()
    assert str(again) == str(sick)


class Frame(list):
    """pandas の DataFrame のうち、使うところ。行の辞書を受け取り、欄の値で引けるようにする。"""

    def set_index(self, name):
        return {row[name]: row for row in self}


def test_the_frame_has_a_row_for_each_layer_with_its_verdicts(sick, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=Frame))
    frame = sick.to_frame()
    assert list(frame) == [layer.name for layer in sick.layers]
    assert [row["delta"] for row in frame.values()] == sick.delta.tolist()
    marked = [name for name, row in frame.items() if "消失" in row["verdicts"].split("、")]
    assert marked == [layer.name for layer in sick.layers if "消失" in sick.marks(layer)] != []


@pytest.mark.parametrize("content", [[], {}, {"format": 0}])
def test_what_is_not_a_report_is_refused(content):
    with pytest.raises(ValueError, match="診断書"):
        Diagnosis.from_dict(content)


HERE = {"PYTHONPATH": str(Path(__file__).parents[2])}


def damaged(sick, change):
    content = sick.to_dict()
    change(content)
    return content


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("layers"),
        lambda c: c["layers"][0].pop("h"),
        lambda c: c.update(layers=3),
        lambda c: c["findings"][0].update(slug="風邪"),
        lambda c: c["findings"][0].update(modules=[1, 2]),
        lambda c: c["layers"][0].update(h="0.1"),
        lambda c: c["findings"][0]["trials"][0].update(losses=["a"]),
        lambda c: c.update(findings=[[]]),
        lambda c: c.update(notes=3),
    ],
)
def test_a_damaged_report_is_told_from_a_verdict(sick, change, tmp_path, capsys):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(damaged(sick, change)), encoding="utf-8")
    assert main([str(path), "--fail-on", "any"]) == 2
    assert "形が違います" in capsys.readouterr().err


def test_a_file_nested_too_deeply_is_not_a_report(tmp_path, capsys):
    path = tmp_path / "report.json"
    path.write_text("[" * 100_000, encoding="utf-8")
    assert main([str(path)]) == 2
    assert "診断書として読めません" in capsys.readouterr().err


def test_a_file_with_a_byte_order_mark_is_read(sick, tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(sick.to_dict()), encoding="utf-8-sig")
    assert main([str(path), "--fail-on", "any"]) == 1


def test_a_terminal_without_japanese_does_not_change_the_verdict(sick, tmp_path):
    sick.save(tmp_path / "report.json")
    run = subprocess.run(
        [sys.executable, "-m", "vgbook.clinic", str(tmp_path / "report.json")],
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0
    assert b"vanishing" in run.stdout


@pytest.mark.skipif(os.name == "nt", reason="閉じた標準入出力を、シェルで作る")
@pytest.mark.parametrize("closed", ["| true", ">&-", "> /dev/full", ">&- 2>&-", "2>&-"])
@pytest.mark.parametrize(("broken", "code"), [(False, 1), (True, 2)])
def test_a_reader_that_goes_away_does_not_change_the_verdict(sick, tmp_path, closed, broken, code):
    """``| head`` で読むのをやめても、標準出力や標準エラー出力が閉じていても。"""
    path = tmp_path / "report.json"
    sick.save(path)
    if broken:
        path.write_text("{", encoding="utf-8")
    command = f"( {sys.executable} -m vgbook.clinic {path} --fail-on any; echo $? >code ) {closed}"
    subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, env=os.environ | HERE, check=False)
    assert (tmp_path / "code").read_text().strip() == str(code)


def test_ci_fails_on_the_named_verdicts_only(sick, tmp_path, capsys):
    path = tmp_path / "report.json"
    sick.save(path)
    root = sick.findings[0]
    assert main([str(path)]) == 0
    assert main([str(path), "--fail-on", root.name]) == 1
    assert main([str(path), "--fail-on", root.slug]) == 1
    assert main([str(path), "--fail-on", "BN の統計"]) == 0
    assert main([str(path), "--fail-on", "any"]) == 1
    assert root.name in capsys.readouterr().out
    path.write_text("{}", encoding="utf-8")
    assert main([str(path)]) == 2
    assert "診断書として読めません" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(path), "--fail-on", "風邪"])


@pytest.mark.parametrize(
    ("losses", "end"),
    [([9.0] * 15 + [1.0, 2.0, 3.0, 4.0, 5.0], 3.0), ([9.0] * 90 + [*range(10)], 4.5), ([2.0], 2.0)],
)
def test_a_trial_ends_at_the_mean_of_its_last_tenth_and_of_five_updates_at_least(losses, end):
    assert Trial("", losses, reference=1.0).end == end


STUCK = Trial("そのまま", [1.0, 0.99], reference=1.0)
FELL = Trial("そのまま", [1.0, 0.5], reference=1.0)
LAYER = LayerRecord("0", "Linear", delta=1.0)


@pytest.mark.parametrize(
    ("conclusion", "layers", "trials"),
    [
        ("不明", [], []),
        ("不明", [LAYER], [STUCK]),
        ("不明", [LAYER], [STUCK, FELL]),  # 変えた試しではなく、そのままの試しで決める
        ("良好", [LAYER], []),
        ("良好", [LAYER], [FELL]),
    ],
)
def test_only_what_is_known_to_be_well_is_healthy(conclusion, layers, trials, tmp_path):
    report = Diagnosis(layers, [], trials=trials)
    assert report.summary.startswith(conclusion)
    assert (report.healthy, report.unknown) == (conclusion == "良好", conclusion == "不明")
    assert report.to_dict()["healthy"] == report.healthy
    report.save(tmp_path / "report.json")
    for name, code in (("any", 0), ("不明", report.unknown), ("unknown", report.unknown)):
        assert main([str(tmp_path / "report.json"), "--fail-on", name]) == code


def test_what_is_ill_is_not_unknown(sick):
    assert (sick.healthy, sick.unknown) == (False, False)


def test_the_figure_shows_the_layers_and_the_trials(sick):
    fig = sick.figure()
    labels = [ax.get_ylabel() for ax in fig.axes]
    assert labels == ["出力", "勾配 δ", "更新の比", "損失"]
    assert len(fig.axes[3].lines) == len(sick.findings[0].trials)


def test_the_lowest_panel_of_layers_names_them():
    layers = [LayerRecord(name, "Linear", update=1e-3) for name in ("fc1", "fc2", "head")]
    trial = Trial("そのまま", [1.0, 0.1], reference=1.0)
    axes = Diagnosis(layers, [], trials=[trial]).figure().axes
    assert [tick.get_text() for tick in axes[2].get_xticklabels()] == ["fc1", "fc2", "head"]


@pytest.mark.parametrize(("dead", "shown"), [((0.0, 0.5), True), ((0.0, 0.0), False)])
def test_a_share_is_a_column_when_any_layer_has_it(dead, shown):
    layers = [LayerRecord(f"{i}", f"種類 {i}", dead=share) for i, share in enumerate(dead)]
    assert ('<th scope="col">死</th>' in html.page(Diagnosis(layers, []))) == shown


def test_a_curve_in_the_page_fills_its_box_and_stays_inside():
    steep = Trial("急", [1.0, 0.1, 0.01], reference=1.0)
    flat = Trial("平ら", [1.0, 1.0, 1.001], reference=1.0)
    ill = finding("vanishing", ("fc1",), "測定", trials=(steep, flat))
    curves = [
        np.array([point.split(",") for point in points.split()], float)
        for points in re.findall('polyline points="(.*?)"', html.page(Diagnosis([], [ill])))
    ]
    for x, y in map(np.transpose, curves):
        assert (x.min(), x.max()) == (2, html.WIDTH - 2)
        assert y.max() == html.HEIGHT - 4
    heights = [np.ptp(curve[:, 1]) for curve in curves]
    assert heights[0] == html.HEIGHT - 8
    assert heights[1] < 1  # 平らな損失は、平らに見える


def test_vgbook_is_imported_without_torch():
    code = "import sys, vgbook, vgbook.clinic; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- 見張り -------------------------------------------------------------------------------


def loop(model, optimizer, steps, w=None, spoil=None):
    torch = sys.modules["torch"]
    x = torch.tensor(X, dtype=torch.float32)
    y = torch.tensor(LABELS)
    for i in range(steps):
        if i == spoil:
            raise KeyboardInterrupt
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        if w is not None:
            w.loss(loss.detach())


def made():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)
    )
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def test_watching_does_not_change_the_training():
    torch = pytest.importorskip("torch")
    plain, watched = made(), made()
    loop(*plain, 12)
    with watch(*watched, every=3):
        loop(*watched, 12)
    assert all(map(torch.equal, plain[0].parameters(), watched[0].parameters()))
    assert not any(m._forward_hooks for m in watched[0].modules())
    assert not watched[1]._optimizer_step_post_hooks


def test_a_watched_training_that_learns_is_healthy():
    model, optimizer = made()
    with watch(model, optimizer, every=5) as w:
        loop(model, optimizer, 60, w)
    report = w.report()
    assert report.healthy
    assert [layer.name for layer in report.layers] == ["0", "2", "4"]
    assert np.isfinite(report.update).all()
    assert len(w.samples) == 12


def test_memory_is_bounded():
    model, optimizer = made()
    with watch(model, optimizer, every=1) as w:
        loop(model, optimizer, 450, w)
    assert len(w.samples) <= 201
    assert len(w.losses) <= 401


def test_a_report_is_left_even_when_the_training_crashes(tmp_path):
    model, optimizer = made()
    path = tmp_path / "report.json"
    with pytest.raises(KeyboardInterrupt), watch(model, optimizer, every=2, save=path):
        loop(model, optimizer, 10, spoil=5)
    assert Diagnosis.from_dict(json.loads(path.read_text(encoding="utf-8"))).layers
    assert not any(m._forward_hooks for m in model.modules())


def test_the_step_at_which_values_stopped_being_finite_is_reported():
    model, optimizer = made()
    optimizer.param_groups[0]["lr"] = 1e20
    with watch(model, optimizer, every=1) as w:
        loop(model, optimizer, 6, w)
    assert w.report().findings[0].slug == "non-finite"


@pytest.mark.parametrize("every", [0, -1, 1.5])
def test_a_bad_interval_is_refused(every):
    with pytest.raises(ValueError, match="every"):
        watch(*made(), every=every)


def test_what_is_not_a_model_is_refused():
    model, optimizer = made()
    with pytest.raises(TypeError, match="watch には"):
        watch(optimizer, model)


# --- 章へのつなぎ -------------------------------------------------------------------------


def test_every_verdict_names_a_chapter_that_exists():
    docs = Path(__file__).parents[2] / "docs"
    for label in {verdict.section for verdict in VERDICTS.values()}:
        title, page = CHAPTERS[label]
        source = (docs / page).with_suffix(".md").read_text(encoding="utf-8")
        assert f"({label})=\n# {title}\n" in source


def test_a_finding_leads_to_the_chapter_that_derives_it(sick):
    title, page = sick.findings[0].verdict.chapter
    label = sick.findings[0].verdict.section
    assert f"「{title}」の章" in str(sick)
    assert f'<a href="../{page}#{label}">{title}</a>' in html.page(sick, base="..")


def test_without_a_published_book_the_chapter_is_named_and_not_linked(sick, monkeypatch):
    monkeypatch.setattr(html, "book", lambda: None)
    shown = html.page(sick)
    assert sick.findings[0].verdict.chapter.title in shown
    assert "<a " not in shown
    monkeypatch.setattr(html, "book", lambda: "https://example.org/book")
    assert '<a href="https://example.org/book/part' in html.page(sick)


@pytest.mark.skipif(sys.platform == "win32", reason="シェルのパイプを使う")
@pytest.mark.parametrize(
    ("end", "said"), [("| true", ""), (">&-", ""), ("> /dev/full", "診断書を表示できません")]
)
def test_the_judgement_survives_a_reader_that_is_gone(sick, tmp_path, end, said):
    if "full" in end and not Path("/dev/full").exists():
        pytest.skip("/dev/full のない計算機")
    sick.save(tmp_path / "r.json")
    command = f"{sys.executable} -m vgbook.clinic {tmp_path}/r.json --fail-on any {end}"
    run = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=os.environ | {"PYTHONUTF8": "1"},
    )
    assert run.returncode == 1
    assert run.stderr.startswith(said)
    assert "Traceback" not in run.stderr
    assert bool(run.stderr) == bool(said)
