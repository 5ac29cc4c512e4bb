import io
import json

import pytest
from monitor_lines import epochs, val

from equistera.errors import UserError
from equistera.monitor.follow import monitor

START = "20260101_120000"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def append(work_dir, entries):
    with (work_dir / START / "vis_data" / "scalars.json").open("a") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in entries)


def test_one_look(tmp_path, write_log):
    write_log(tmp_path / START, [*epochs(1, 2), val(2, AP=0.5)])
    stream = io.StringIO()
    monitor([tmp_path], stream=stream)
    assert "AP 0.500 at epoch 2" in stream.getvalue()
    assert str(tmp_path / "training_curves.png") in stream.getvalue()
    assert (tmp_path / "training_curves.png").is_file()


def test_comparison_goes_to_its_own_file(tmp_path, write_log):
    for name in "ab":
        write_log(tmp_path / name / START, epochs(1, 2))
    stream = io.StringIO()
    monitor([tmp_path / "a", tmp_path / "b"], stream=stream)
    assert stream.getvalue().splitlines()[0].split() == ["run", "a", "b"]
    assert [path.name for path in tmp_path.glob("*/*.png")] == ["training_comparison.png"]


def test_all_bad_folders_are_told_at_once(tmp_path, write_log):
    write_log(tmp_path / "good" / START, epochs(1, 2))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as caught:
        monitor([tmp_path / "good", tmp_path / "empty", tmp_path / "missing"], stream=io.StringIO())
    assert len(caught.value.problems) == 2
    assert "is empty" in str(caught.value)
    assert "no such folder" in str(caught.value)


def test_the_same_run_twice(tmp_path):
    with pytest.raises(UserError, match="named twice"):
        monitor([tmp_path / "a", tmp_path / "b" / ".." / "a"])


def test_a_bad_out_is_refused_before_the_text(tmp_path, write_log):
    write_log(tmp_path / START, epochs(1, 2))
    stream = io.StringIO()
    with pytest.raises(UserError, match=r"\*\.png"):
        monitor([tmp_path], tmp_path / "out.txt", stream=stream)
    assert stream.getvalue() == ""


def live_run(work_dir, write_log):
    """A run of 3 epochs that goes on by one epoch whenever the watcher sleeps."""
    (work_dir / START).mkdir(parents=True)
    (work_dir / "run.json").write_text('{"max_epochs": 3, "steps_per_epoch": 2}')
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        epoch = len(naps)
        if epoch == 1:
            write_log(work_dir / START, [])
        append(work_dir, [*epochs(epoch, epoch), val(epoch, AP=epoch / 10)])

    return naps, sleep


def test_watch_follows_to_the_end_in_plain_lines(tmp_path, write_log):
    naps, sleep = live_run(tmp_path / "run", write_log)
    stream = io.StringIO()
    monitor([tmp_path / "run"], watch=7, stream=stream, sleep=sleep)
    assert naps == [7, 7, 7]
    lines = stream.getvalue().splitlines()
    assert lines[0] == "run: waiting for the first step"
    assert [line.split(",")[0] for line in lines[1:4]] == [f"run: epoch {epoch} of 3" for epoch in (1, 2, 3)]
    assert lines[3].endswith("finished")
    assert "best" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    assert (tmp_path / "run" / "training_curves.png").is_file()


def test_watch_redraws_a_terminal(tmp_path, write_log):
    _, sleep = live_run(tmp_path / "run", write_log)
    stream = Terminal()
    monitor([tmp_path / "run"], watch=7, stream=stream, sleep=sleep)
    screens = stream.getvalue().split("\x1b[H\x1b[2J")[1:]
    assert len(screens) == 4
    assert "waiting for the first step" in screens[0]
    assert "AP 0.200 at epoch 2" in screens[2]
    assert "Ctrl-C ends" in screens[2]
    assert "Ctrl-C ends" not in screens[3]


def test_nothing_new_is_not_printed_again(tmp_path, write_log):
    write_log(tmp_path / START, epochs(1, 1))
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 4:
            raise KeyboardInterrupt

    stream = io.StringIO()
    monitor([tmp_path], watch=1, stream=stream, sleep=sleep)
    assert len(naps) == 4
    assert stream.getvalue().count("epoch 1") == 1


def test_picture_is_drawn_anew_only_after_an_evaluation(tmp_path, write_log, monkeypatch):
    write_log(tmp_path / START, epochs(1, 1))
    drawn, naps = [], []
    monkeypatch.setattr("equistera.monitor.follow.plot_runs", lambda runs, out: drawn.append(len(naps)))

    def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 4:
            raise KeyboardInterrupt
        append(tmp_path, [val(1, AP=0.5)] if len(naps) == 2 else epochs(len(naps) + 1, len(naps) + 1))

    monitor([tmp_path], watch=1, stream=io.StringIO(), sleep=sleep)
    assert drawn == [0, 2]


def test_watching_a_folder_that_is_no_run_ends_at_once(tmp_path):
    with pytest.raises(UserError, match="is empty"):
        monitor([tmp_path], watch=1, stream=io.StringIO(), sleep=pytest.fail)
