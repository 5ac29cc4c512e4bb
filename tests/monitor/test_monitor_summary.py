import json
import os
from datetime import datetime

import numpy as np
import pytest
from monitor_lines import epochs, train, val

from equistera.monitor.log import read_run
from equistera.monitor.plots import panels
from equistera.monitor.run import gap_curve, smooth
from equistera.monitor.summary import FINISHED, RUNNING, SILENT, Summary, is_finished


def test_summary_of_a_run_by_hand(make_run):
    keypoints = {"PCK@0.1/nose": 0.9, "PCK@0.1/l_eye": 0.4}
    lines = [
        *epochs(1, 3, **{"lr/stage3": 0.0, "lr/head": 0.002}),
        val(1, AP=0.2, AP50=0.4) | {"train_subset/AP": 0.3},
        val(2, AP=0.6, AP50=0.8, median_px=3.0, **keypoints) | {"train_subset/AP": 0.7},
        val(3, AP=0.5, AP50=0.7, **{"PCK@0.1/nose": 0.1}) | {"train_subset/AP": 0.8},
    ]
    phases = [{"name": "head", "start": 0, "end": 2}, {"name": "full", "start": 2, "end": 9}]
    run = make_run(lines, max_epochs=9, steps_per_epoch=2, phases=phases)
    summary = Summary(run, now=run.last_write + 5)
    assert (summary.best, summary.best_epoch) == (0.6, 2)
    assert (summary.last, summary.last_epoch) == (0.5, 3)
    assert summary.gap == pytest.approx(0.3)
    assert summary.phase == "full"
    assert summary.lr == {"stage3": 0.0, "head": 0.002}
    assert summary.at_best == {"AP50": 0.8, "median_px": 3.0}
    assert summary.keypoints == {"nose": 0.9, "l_eye": 0.4}
    assert summary.state == RUNNING
    # 6 epochs of 2 steps of 0.5 s
    assert summary.seconds_left == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("hook", "metric", "epoch"),
    [
        ("best='val/PCK@0.1'", "PCK@0.1", 4),
        ("best='val/PCK@0.1/nose'", "PCK@0.1/nose", 6),
        ("best='val/AP'", "AP", 2),
        ("save_best='coco/AP'", "AP", 2),
        ("save_best='NME', rule='less'", "AP", 2),  # falls as a model gets better: no curve to judge a run by
        ("best='val/AUC'", "AP", 2),  # not evaluated
        ("interval=5", "AP", 2),
    ],
)
def test_the_best_epoch_is_that_of_the_metric_which_chose_best_pth(make_run, hook, metric, epoch):
    scores = {2: (0.6, 0.3, 0.1), 4: (0.5, 0.7, 0.2), 6: (0.4, 0.6, 0.9)}
    entries = [val(at, **{"AP": a, "PCK@0.1": b, "PCK@0.1/nose": c}) for at, (a, b, c) in scores.items()]
    work_dir = make_run([*epochs(1, 6), *entries]).work_dir
    (work_dir / "20260101_120000" / "vis_data" / "config.py").write_text(
        f"default_hooks = dict(checkpoint=dict({hook}))\n"
    )
    for written in (None, {"max_epochs": 6}):
        if written:
            (work_dir / "run.json").write_text(json.dumps(written))
        run = read_run(work_dir)
        summary = Summary(run)
        assert (summary.metric, summary.best_epoch) == (metric, epoch)
        assert {line.best for panel in panels({"run": run}) for line in panel.lines if line.best is not None} == {epoch}


def test_of_equal_scores_the_finer_one_decides_as_for_best_pth(make_run):
    scores = {2: (0.0, 0.3, 0.2), 4: (0.0, 0.4, 0.3), 6: (0.0, 0.4, 0.2), 8: (0.0, 0.1, 0.1)}
    lines = [val(at, **{"AP": a, "PCK@0.1": p, "normalised_error": e}) for at, (a, p, e) in scores.items()]
    summary = Summary(make_run([*epochs(1, 8), *lines]))
    assert (summary.metric, summary.best, summary.best_epoch) == ("AP", 0.0, 6)


def test_the_latest_of_equal_scores_is_the_best_as_in_best_pth(make_run):
    lines = [val(1, AP=0.5, AP50=0.7), val(2, AP=0.5, AP50=0.8), val(3, AP=0.4)]
    run = make_run([*epochs(1, 3), *lines])
    summary = Summary(run)
    assert (summary.best_epoch, summary.at_best["AP50"]) == (2, 0.8)
    (marked,) = (line.best for panel in panels({"run": run}) for line in panel.lines if line.best is not None)
    assert marked == 2


def test_mmpose_names_and_no_run_file(make_run):
    lines = [*epochs(1, 2), {"coco/AP": 0.5, "coco/AP .5": 0.75, "coco/AP (M)": -1.0, "step": 2}]
    summary = Summary(make_run(lines))
    assert (summary.metric, summary.best, summary.at_best) == ("AP", 0.5, {"AP50": 0.75})
    assert summary.max_epochs is None
    assert summary.seconds_left is None
    assert summary.lr == {"": 0.001}
    assert summary.gap is None


def test_pck_is_the_judge_where_ap_is_missing(make_run):
    summary = Summary(make_run([*epochs(1, 2), {"PCK": 0.5, "AP": -1.0, "step": 1}]))
    assert (summary.metric, summary.best) == ("PCK", 0.5)


def test_before_the_first_evaluation(make_run):
    summary = Summary(make_run(epochs(1, 1)))
    assert (summary.metric, summary.best, summary.last, dict(summary.keypoints)) == ("", None, None, {})


def test_nan_loss_shows(make_run):
    assert np.isnan(Summary(make_run([train(1, 1), train(1, 2, float("nan"))])).loss)


@pytest.mark.parametrize(
    ("lines", "finished"),
    [
        ([*epochs(1, 3), val(3, AP=0.5)], True),
        ([*epochs(1, 3), val(2, AP=0.5)], False),  # the last evaluation is still to come
        (epochs(1, 3), True),
        (epochs(1, 2), False),
        ([*epochs(1, 2), train(3, 5)], False),
        # an interval of 5 with 6 steps an epoch: step 6 is never logged
        ([train(1, 5), train(2, 11), train(3, 17)], True),
        ([train(1, 3), train(1, 6), train(2, 9), train(2, 12), train(3, 15)], False),
    ],
)
def test_is_finished(make_run, lines, finished):
    assert is_finished(make_run(lines, max_epochs=3)) is finished


@pytest.mark.parametrize(("seconds", "state"), [(30, RUNNING), (599, RUNNING), (601, SILENT)])
def test_silence(make_run, seconds, state):
    run = make_run(epochs(1, 2), max_epochs=9)
    assert Summary(run, now=run.last_write + seconds).state == state


def test_long_epochs_may_be_silent_longer(make_run):
    run = make_run(epochs(1, 2, time=500.0), max_epochs=9)
    assert Summary(run, now=run.last_write + 2900).state == RUNNING
    assert Summary(run, now=run.last_write + 3100).state == SILENT


def test_finished_run_is_not_silent(make_run):
    run = make_run([*epochs(1, 3), val(3, AP=0.5)], max_epochs=3)
    summary = Summary(run, now=run.last_write + 1e6)
    assert (summary.state, summary.seconds_left) == (FINISHED, None)


@pytest.mark.parametrize(
    ("elapsed", "seconds_per_epoch", "whole"),
    [
        (6.0, 1.5, True),  # 4 epochs of 1 s, with 0.5 s of validation each
        (2.0, 1.0, False),  # sooner than its steps: a copied file or another time zone
        (90_000.0, 1.0, False),
    ],
)
def test_pace_from_the_clock_where_it_agrees_with_the_steps(tmp_path, write_log, elapsed, seconds_per_epoch, whole):
    began = datetime(2026, 1, 2, 12, 0, 0)
    first = write_log(tmp_path / "20260101_120000", epochs(1, 2))
    second = write_log(tmp_path / began.strftime("%Y%m%d_%H%M%S"), epochs(3, 6))
    os.utime(first, (began.timestamp() - 3600,) * 2)
    os.utime(second, (began.timestamp() + elapsed,) * 2)
    summary = Summary(read_run(tmp_path))
    assert summary.seconds_per_epoch == pytest.approx(seconds_per_epoch)
    assert summary.whole_epochs is whole
    assert summary.resumed_at == (2,)


def test_gap_only_at_epochs_with_both(make_run):
    later = {"train_subset/AP": 1, "step": 3}
    lines = [*epochs(1, 3), val(1, AP=0.5), val(2, AP=0.5) | {"train_subset/AP": 0.75}, later]
    epochs_with_both, gaps = gap_curve(make_run(lines), "AP")
    assert (epochs_with_both.tolist(), gaps.tolist()) == ([2], [0.25])


def test_smooth_is_the_median_of_what_came_before():
    assert smooth(np.array([1.0, 5.0, 3.0, np.nan, 9.0]), 3).tolist() == [1.0, 3.0, 3.0, 4.0, 6.0]
    assert np.isnan(smooth(np.array([np.nan, np.inf]), 2)).all()
    assert len(smooth(np.array([]), 3)) == 0
