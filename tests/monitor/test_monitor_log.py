import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from monitor_lines import epochs, train, val

from equistera.errors import UserError
from equistera.monitor.advice import advise
from equistera.monitor.log import NotStartedError, RunLogError, canonical_name, read_run
from equistera.monitor.summary import Summary

FIRST, SECOND, THIRD = "20260101_120000", "20260102_120000", "20260103_120000"


def test_one_start(tmp_path, write_log):
    write_log(tmp_path / FIRST, [train(1, 1, 4.0), train(1, 2, 3.0), val(1, AP=0.5), train(2, 3, 2.0)])
    run = read_run(tmp_path)
    positions, losses = run.training_curve("loss")
    assert positions.tolist() == [0.5, 1.0, 1.5]
    assert losses.tolist() == [4.0, 3.0, 2.0]
    assert run.evaluation_curve("val/AP")[0].tolist() == [1.0]
    assert run.plan.steps_per_epoch == 2
    assert run.position == 1.5
    assert [start.position for start in run.starts] == [0]


def test_resumed_twice_is_one_curve_and_the_later_start_wins(tmp_path, write_log):
    # killed in epoch 4, resumed after 2; killed in epoch 6, resumed after 5
    write_log(tmp_path / FIRST, [*epochs(1, 3, loss=1.0), val(2, AP=0.1), val(3, AP=0.1), train(4, 7, 1.0)])
    write_log(tmp_path / SECOND, [*epochs(3, 5, loss=2.0), val(3, AP=0.2), val(5, AP=0.2), train(6, 11, 2.0)])
    write_log(tmp_path / THIRD, [*epochs(6, 6, loss=3.0), val(6, AP=0.3)])
    run = read_run(tmp_path)
    positions, losses = run.training_curve("loss")
    assert positions.tolist() == [0.5 * i for i in range(1, 13)]
    assert losses.tolist() == [1.0] * 4 + [2.0] * 6 + [3.0] * 2
    assert [column.tolist() for column in run.evaluation_curve("val/AP")] == [[2, 3, 5, 6], [0.1, 0.2, 0.2, 0.3]]
    assert [start.position for start in run.starts] == [0, 2, 5]


def test_resumed_with_another_interval_leaves_nothing_stale(tmp_path, write_log):
    write_log(tmp_path / FIRST, [train(e, (e - 1) * 40 + i, 1.0) for e in (1, 2) for i in (10, 20, 30, 40)])
    write_log(tmp_path / SECOND, [train(2, 65, 2.0), train(2, 80, 2.0)])
    losses = read_run(tmp_path).training_curve("loss")[1]
    assert losses.tolist() == [1.0] * 4 + [2.0] * 2


def test_started_anew_in_the_same_folder_replaces_everything(tmp_path, write_log):
    write_log(tmp_path / FIRST, [*epochs(1, 5, loss=1.0), val(5, AP=0.9)])
    write_log(tmp_path / SECOND, epochs(1, 2, loss=2.0))
    run = read_run(tmp_path)
    assert set(run.training_curve("loss")[1]) == {2.0}
    assert not run.evaluations


def test_restart_within_one_file(tmp_path, write_log):
    write_log(tmp_path / FIRST, [*epochs(1, 3, loss=1.0), *epochs(2, 3, loss=2.0)])
    assert read_run(tmp_path).training_curve("loss")[1].tolist() == [1.0] * 2 + [2.0] * 4


def test_start_that_crashed_before_its_first_step_is_no_start(tmp_path, write_log):
    write_log(tmp_path / FIRST, epochs(1, 2))
    write_log(tmp_path / SECOND, [])
    (tmp_path / THIRD / "vis_data").mkdir(parents=True)
    run = read_run(tmp_path)
    assert len(run.starts) == 1
    assert run.position == 2


def test_bare_evaluation_is_no_part_of_the_training(tmp_path, write_log):
    write_log(tmp_path / FIRST, [*epochs(1, 2), val(2, AP=0.5)])
    write_log(tmp_path / SECOND, [val(0, AP=0.7)])
    assert read_run(tmp_path).evaluation_curve("val/AP")[1].tolist() == [0.5]


@pytest.mark.parametrize("end", ['{"lr": 0.0', "\x00\x00\x00", '{"loss": 1.0, "epoch": 2, "iter": 3', "   "])
def test_half_written_last_line_is_fine(tmp_path, write_log, end):
    write_log(tmp_path / FIRST, epochs(1, 1), end=end)
    run = read_run(tmp_path)
    assert len(run.training) == 2
    assert run.unreadable_lines == 0


def test_whole_last_line_without_newline_counts(tmp_path, write_log):
    write_log(tmp_path / FIRST, epochs(1, 1), end=json.dumps(train(2, 3)))
    assert len(read_run(tmp_path).training) == 3


def test_broken_lines_in_the_middle_are_counted(tmp_path, write_log):
    write_log(tmp_path / FIRST, [train(1, 1), '{"lr": 0.0{"loss', "[1, 2]", "", train(1, 2), val(1, AP=0.5)])
    run = read_run(tmp_path)
    assert len(run.training) == 2
    assert run.unreadable_lines == 2


def test_nan_and_infinite_losses_are_kept(tmp_path, write_log):
    write_log(tmp_path / FIRST, [train(1, 1), train(1, 2, float("nan")), train(2, 3, float("inf"))])
    losses = read_run(tmp_path).training_curve("loss")[1]
    assert losses[0] == 1
    assert np.isnan(losses[1])
    assert np.isinf(losses[2])


def test_nan_and_minus_one_are_no_score(tmp_path, write_log):
    lines = [*epochs(1, 4), val(1, AP=float("nan")), val(2, AP=-1.0), val(3, AP=0.0), val(4, AP=0.5)]
    write_log(tmp_path / FIRST, lines)
    assert read_run(tmp_path).evaluation_curve("val/AP")[1].tolist() == [0.0, 0.5]


def test_evaluations_of_both_splits_of_an_epoch_are_one_point(tmp_path, write_log):
    write_log(tmp_path / FIRST, [*epochs(1, 1), val(1, AP=0.5), {"train_subset/AP": 0.75, "step": 1}])
    (point,) = read_run(tmp_path).evaluations
    assert point.values == {"val/AP": 0.5, "train_subset/AP": 0.75}


def test_names_with_hierarchy(tmp_path, write_log):
    write_log(tmp_path / FIRST, [{"train/loss": 2.0, "train/lr": 0.1, "epoch": 1, "iter": 1, "step": 1}])
    run = read_run(tmp_path)
    assert run.training_curve("loss")[1].tolist() == [2.0]
    assert run.training_curve("lr")[1].tolist() == [0.1]


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        ("val/AP", "val/AP"),
        ("coco/AP", "val/AP"),
        ("val/coco/AP .5", "val/AP50"),
        ("AP .75", "val/AP75"),
        ("coco/AP (M)", "val/coco/AP (M)"),
        ("PCK", "val/PCK"),
        ("PCK@0.1", "val/PCK@0.1"),
        ("val/PCK@0.1/l_eye", "val/PCK@0.1/l_eye"),
        ("PCK@0.1/l_eye", "val/PCK@0.1/l_eye"),
        ("train_subset/AP", "train_subset/AP"),
        ("train_subset/PCK@0.1", "train_subset/PCK@0.1"),
    ],
)
def test_canonical_name(logged, expected):
    assert canonical_name(logged) == expected


def test_stages_and_keypoints_in_the_order_of_the_log(tmp_path, write_log):
    keypoints = {"PCK@0.2/a": 0.5, "PCK@0.1/nose": 0.5, "PCK@0.1/l_eye": 0.25}
    write_log(tmp_path / FIRST, [train(1, 1, **{"lr/stage3": 0.0, "lr/head": 0.1}), val(1, **keypoints)])
    run = read_run(tmp_path)
    assert run.stages() == ["stage3", "head"]
    assert run.keypoint_metric() == ("PCK@0.1", ["nose", "l_eye"])


def test_other_batch_size_after_resuming_keeps_positions_in_their_epoch(tmp_path, write_log):
    write_log(tmp_path / FIRST, epochs(1, 2, steps=10))
    write_log(tmp_path / SECOND, [train(3, 21), train(3, 25), train(4, 26), train(4, 30)])
    (tmp_path / "run.json").write_text('{"steps_per_epoch": 10}')
    positions = read_run(tmp_path).training_curve("loss")[0]
    assert (np.diff(positions) >= 0).all()
    assert positions[-1] == 3.0


def test_folder_of_one_start_is_read_as_well(tmp_path, write_log):
    write_log(tmp_path / FIRST, epochs(1, 3))
    write_log(tmp_path / SECOND, epochs(4, 4))
    assert read_run(tmp_path / FIRST).position == 3


def test_folders_without_a_time_stamp_do_not_count(tmp_path, write_log):
    write_log(tmp_path / FIRST, epochs(1, 3))
    write_log(tmp_path / "earlier_20260105_120000", epochs(1, 1))
    assert read_run(tmp_path).position == 3


def check_error(work_dir: Path, *parts: str, kind: type = RunLogError) -> None:
    with pytest.raises(kind) as caught:
        read_run(work_dir)
    for part in parts:
        assert part in str(caught.value)


def test_missing_folder_with_a_near_name(tmp_path, write_log):
    write_log(tmp_path / "rtmpose_m" / FIRST, epochs(1, 1))
    check_error(tmp_path / "rtmpose-n", "no such folder", "did you mean 'rtmpose_m'?")


def test_empty_folder(tmp_path):
    check_error(tmp_path, "is empty", "<timestamp>/vis_data/scalars.json")


def test_foreign_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    check_error(tmp_path, "no run log", "<timestamp>/vis_data/scalars.json")


def test_file_instead_of_folder(tmp_path):
    (tmp_path / "log.json").write_text("{}")
    check_error(tmp_path / "log.json", "is a file")


def test_folder_of_several_runs(tmp_path, write_log):
    write_log(tmp_path / "a" / FIRST, epochs(1, 1))
    write_log(tmp_path / "b" / FIRST, epochs(1, 1))
    check_error(tmp_path, "several runs", "a, b")


def test_iteration_based_or_other_log(tmp_path, write_log):
    write_log(tmp_path / FIRST, [{"loss": 1.0, "iter": 5, "step": 5}, "nonsense", {"mode": "train"}])
    check_error(tmp_path, "no training step among the 3 lines", "1 are not JSON", "'epoch'")


@pytest.mark.parametrize("content", [b"", b'{"lr": ', b"\n\n"])
def test_nothing_logged_yet(tmp_path, write_log, content):
    write_log(tmp_path / FIRST, []).write_bytes(content)
    check_error(tmp_path, "has not logged a training step yet", kind=NotStartedError)


def test_started_without_a_log(tmp_path):
    (tmp_path / FIRST).mkdir()
    check_error(tmp_path, "has not logged", kind=NotStartedError)


def test_huge_file_is_refused_unread(tmp_path, write_log, monkeypatch):
    monkeypatch.setattr("equistera.monitor.log.MAX_LOG_BYTES", 10)
    write_log(tmp_path / FIRST, epochs(1, 1))
    check_error(tmp_path, "too large")


HOSTILE = [
    train(1, 1) | {"epoch": 1.5},
    train(1, 1) | {"epoch": float("nan")},
    train(1, 1) | {"iter": float("inf")},
    train(1, 1) | {"iter": -3},
    train(1, 1) | {"epoch": True},
    train(1, 1) | {"epoch": 10**400},
    train(1, 1) | {"iter": "7"},
    {"val/AP": 0.5, "step": float("nan")},
    {"val/AP": 0.5, "step": -1},
    {"val/AP": 0.5, "step": [1]},
    "[" * 100_000,
    "1" * 10_000,
    "null",
    '"text"',
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_lines_count_as_nothing(tmp_path, write_log, line):
    write_log(tmp_path / FIRST, [train(1, 1), line, train(1, 2)])
    run = read_run(tmp_path)
    assert [point.position for point in run.training] == [0.5, 1.0]
    assert not run.evaluations


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["epoch", "iter", "loss", "lr", "lr/head", "step", "val/AP", "coco/AP", "PCK@0.1/x", "time"])
entries = st.dictionaries(names, json_values | st.integers(1, 9), max_size=6)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(entries.map(json.dumps) | st.text(max_size=20), max_size=12), tail=st.binary(max_size=20))
def test_anything_gives_a_run_or_a_user_error(tmp_path_factory, write_log, lines, tail):
    work_dir = tmp_path_factory.mktemp("run")
    content = "\n".join(lines).encode("utf-8", "surrogatepass") + tail
    write_log(work_dir / FIRST, []).write_bytes(content)
    try:
        run = read_run(work_dir)
    except UserError:
        return
    positions = run.training_curve("loss")[0]
    assert len(positions) == len(run.training) > 0
    assert (np.diff(positions) >= 0).all()


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(kills=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), max_size=4), steps=st.integers(1, 4))
def test_however_often_killed_the_curve_is_that_of_an_undisturbed_run(tmp_path_factory, write_log, kills, steps):
    """Each start goes on from a checkpoint up to three epochs before the kill, and logs its own number as the loss."""
    work_dir = tmp_path_factory.mktemp("run")
    resume, expected = 0, {}
    for number, (length, lost) in enumerate([*kills, (3, 0)]):
        last = resume + length
        lines = []
        for epoch in range(resume + 1, last + 1):
            lines += [*epochs(epoch, epoch, steps, loss=float(number)), val(epoch, AP=float(number))]
            expected[epoch] = number
        write_log(work_dir / f"202601{number + 1:02d}_000000", lines, end='{"half')
        resume = max(0, last - lost)
    final = max(epoch for epoch, number in expected.items() if number == len(kills))
    expected = {epoch: number for epoch, number in expected.items() if epoch <= final}
    run = read_run(work_dir)
    assert run.training_curve("loss")[1].tolist() == [n for n in expected.values() for _ in range(steps)]
    assert np.allclose(run.training_curve("loss")[0], np.arange(1, final * steps + 1) / steps)
    assert dict(zip(*run.evaluation_curve("val/AP"), strict=True)) == expected


def test_what_no_log_holds_is_said(tmp_path, write_log):
    write_log(tmp_path / FIRST, epochs(4, 5))
    write_log(tmp_path / SECOND, epochs(8, 9))
    write_log(tmp_path / THIRD, epochs(9, 10))
    run = read_run(tmp_path)
    assert run.missing == ("epochs 1 to 3 are in no log here", "epochs 6 to 7 are in no log here")
    assert [finding.kind for finding in advise(Summary(run))][:2] == ["missing", "missing"]


def test_a_record_without_its_log_or_its_weights_is_noticed(tmp_path, write_log):
    write_log(tmp_path / FIRST, [*epochs(1, 2), val(2, AP=0.5)])
    (tmp_path / "best.pth").touch()
    (tmp_path / "run.json").write_text(json.dumps({"started": "2026-01-01 12:00:00"}))
    assert read_run(tmp_path).missing == ()
    (tmp_path / "run.json").write_text(json.dumps({"started": "2026-01-02 12:00:00"}))
    (tmp_path / "best.pth").unlink()
    assert read_run(tmp_path).missing == (
        f"run.json is of a start at 2026-01-02 12:00:00, whose log {SECOND} is not here",
        "there is no best.pth, though the run was evaluated",
    )
    # a start that has not logged its first step
    (tmp_path / SECOND).mkdir()
    assert len(read_run(tmp_path).missing) == 1
