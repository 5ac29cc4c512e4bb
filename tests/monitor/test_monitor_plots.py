import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from monitor_lines import epochs, train, val
from PIL import Image

from equistera.errors import UserError
from equistera.monitor.log import RunLogError
from equistera.monitor.plots import check_out, panels, plot_run, plot_runs


def full(first=1, last=4, ap=0.5, **train_values):
    """Epochs with everything that our runs log."""
    lines = []
    for epoch in range(first, last + 1):
        lines += epochs(epoch, epoch, **{"lr/stem": 0.0, "lr/stage3": 0.0 if epoch < 3 else 1e-4, "lr/head": 1e-3})
        scores = {"AP": ap, "AP50": 0.8, "PCK@0.1": 0.7, "PCK@0.1/nose": 0.9, "PCK@0.1/l_eye": float("nan")}
        lines.append(val(epoch, **scores) | {"train_subset/AP": ap + 0.1})
    return lines


def titles(runs):
    return [panel.title for panel in panels(runs)]


def test_panels_of_one_run(make_run):
    phases = [
        {"name": "a", "start": 0, "end": 2},
        {"name": "b", "start": 2, "end": 3},
        {"name": "c", "start": 9, "end": 10},
    ]
    shown = panels({"run": make_run(full(), phases=phases)})
    assert [panel.title for panel in shown] == [
        "Training loss",
        "Learning rate by stage",
        "Validation",
        "Training subset and validation: AP",
    ]
    assert all(panel.marks == {2: "b"} for panel in shown)
    assert [line.label for line in shown[1].lines] == ["stem (frozen)", "stage3 (frozen until 2)", "head"]
    assert [line.label for line in shown[2].lines] == ["AP (best 0.500 at 4)", "AP50", "PCK@0.1"]
    assert np.allclose(shown[3].lines[2].y, 0.1)


def test_stages_with_the_same_rates_are_one_line(make_run):
    run = make_run(epochs(1, 2, **{"lr/stem": 1e-3, "lr/head": 1e-3}))
    assert [line.label for line in panels({"run": run})[1].lines] == ["stem, head"]


def test_panels_without_data_are_left_out(make_run):
    assert titles({"run": make_run(epochs(1, 2))}) == ["Training loss", "Learning rate"]
    nan = [line | {"loss": float("nan")} for line in full()]
    assert "Training loss" not in titles({"run": make_run(nan, "nan")})


def test_broken_loss_is_marked_where_it_begins(make_run):
    lines = [*epochs(1, 2), *epochs(3, 3, loss=float("nan"))]
    assert panels({"run": make_run(lines)})[0].marks == {2.5: "loss not finite"}


def test_panels_of_several_runs_leave_out_runs_without_the_metric(make_run):
    runs = {
        "ours": make_run(full(), "ours"),
        "foreign": make_run([*epochs(1, 3), {"coco/AP": 0.4, "step": 3}], "foreign"),
    }
    shown = {panel.title: [line.label for line in panel.lines if line.label] for panel in panels(runs)}
    assert shown["Validation: AP"] == ["ours (best 0.500 at 4)", "foreign (best 0.400 at 3)"]
    assert shown["Validation: PCK@0.1"] == ["ours (best 0.700 at 4)"]
    assert shown["Training subset minus validation"] == ["ours"]
    assert shown["Training loss"] == ["ours", "foreign"]


def test_phases_are_marked_only_where_all_runs_share_them(make_run):
    phases = [{"name": "a", "start": 0, "end": 2}, {"name": "b", "start": 2, "end": 9}]
    same = {name: make_run(full(), name, phases=phases) for name in ("x", "y")}
    assert panels(same)[1].marks == {2: "b"}
    assert panels(same | {"z": make_run(full(), "z")})[1].marks == {}


def test_a_mark_is_named_where_it_stands(make_run, tmp_path, monkeypatch):
    named, annotate = [], Axes.annotate

    def spy(axes, text, xy, **look):
        named.append((text, xy))
        return annotate(axes, text, xy, **look)

    monkeypatch.setattr(Axes, "annotate", spy)
    phases = [{"name": "a", "start": 0, "end": 3}, {"name": "b", "start": 3, "end": 9}]
    plot_runs({"run": make_run(full(), phases=phases)}, tmp_path / "out.png")
    assert set(named) == {("b", (3, 1))}


def picture_size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        picture.load()
        return picture.size


def test_plot_run_writes_a_picture_beside_the_log_and_replaces_it(make_run, tmp_path):
    work_dir = make_run(full()).work_dir
    out = plot_run(work_dir)
    assert out == work_dir / "training_curves.png"
    assert picture_size(out)[0] > 1000
    before = out.read_bytes()
    with (work_dir / "20260101_120000" / "vis_data" / "scalars.json").open("a") as file:
        file.write('{"val/AP": 0.9, "step": 4}\n')
    assert plot_run(work_dir).read_bytes() != before
    assert [path.name for path in sorted(work_dir.glob("[!.]*"))] == ["20260101_120000", "training_curves.png"]


@pytest.mark.parametrize("name", ["a$b$c", "_hidden", "конь", "x" * 300, "100%"])
def test_odd_names_are_drawn_without_a_warning(make_run, tmp_path, name):
    runs = {name: make_run(full(), "a"), "other": make_run(full(ap=0.3), "b")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_runs(runs, tmp_path / "out.png")
        plot_runs({name: runs["other"]}, tmp_path / "out.png")
    assert picture_size(tmp_path / "out.png")[1] > 300


@pytest.mark.parametrize(
    "lines",
    [
        [train(1, 1)],
        [train(1, 1, 0.0), train(1, 2, -1.0)],
        [train(1, 1, float("nan"))],
        [train(1, 1), val(1, AP=0.0)],
        [train(1, 1, 1e300), train(1, 2, 1e-300)],
        [train(1, 1), val(1, **{"PCK@0.1/nose": float("nan")})],
        [*epochs(1, 3), val(1, **{"PCK@0.1/a": 0.5}), val(3, **{"PCK@0.1/b": 1.0})],
    ],
    ids=range(7),
)
def test_thin_logs_give_a_picture_without_a_warning(make_run, tmp_path, lines):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_runs({"run": make_run(lines)}, tmp_path / "out.png")
    assert picture_size(tmp_path / "out.png")[0] > 1000


def test_runs_whose_names_look_alike_in_ascii_are_all_drawn(make_run, monkeypatch, tmp_path):
    drawn, plot = [], Axes.plot

    def spy(axes, x, y, *style, **look):
        drawn.append(tuple(y))
        return plot(axes, x, y, *style, **look)

    monkeypatch.setattr(Axes, "plot", spy)
    plot_runs({"\u0436": make_run(full(ap=0.25), "a"), "\u044f": make_run(full(ap=0.75), "b")}, tmp_path / "out.png")
    assert {(0.25,) * 4, (0.75,) * 4} <= set(drawn)


def test_many_runs(make_run, tmp_path):
    runs = {f"run{i}": make_run(full(ap=i / 20), f"run{i}") for i in range(9)}
    plot_runs(runs, tmp_path / "out.png")
    assert picture_size(tmp_path / "out.png")[0] > 1000


def test_nothing_to_plot_is_an_error_and_leaves_no_file(make_run, tmp_path):
    run = make_run([{"loss": float("nan"), "epoch": 1, "iter": 1}])
    with pytest.raises(RunLogError, match="nothing to plot of run"):
        plot_runs({"run": run}, tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


def test_files_of_the_user_are_kept(make_run, tmp_path):
    curves = plot_runs({"run": make_run(full())}, tmp_path / "curves.png")
    check_out(curves)
    photo, text = tmp_path / "photo.png", tmp_path / "text.png"
    Image.new("RGB", (4, 4)).save(photo)
    text.write_text("mine")
    for path in (photo, text):
        before = path.read_bytes()
        with pytest.raises(UserError, match="--out: files exist already"):
            check_out(path)
        check_out(path, overwrite=True)
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "message"), [("out.jpg", r"\*\.png"), ("out", r"\*\.png"), ("folder.png", "place of a folder")]
)
def test_out_must_be_a_picture(tmp_path, name, message):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match=message):
        check_out(tmp_path / name)


def test_out_below_a_file_is_an_error(make_run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        plot_runs({"run": make_run(full())}, tmp_path / "file" / "out.png")
