from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera.errors import UserError
from equistera.training.checkpoints import (
    ResumePoint,
    checkpoint_bytes,
    choose_resume_point,
    disk_use,
    newest_first,
    outdated,
    renumbered,
    saves_after,
    saves_in_run,
    steps_done,
)

FOLDER = Path("runs/mine")


def test_which_epochs_are_saved():
    assert [epoch for epoch in range(1, 13) if saves_after(epoch, 5, 12)] == [5, 10, 12]
    assert saves_in_run(5, 12) == 3
    assert saves_in_run(5, 10) == 2
    assert saves_in_run(50, 10) == 1


@given(st.integers(1, 50), st.integers(1, 200))
def test_saves_are_counted_as_they_happen(interval, epochs):
    assert saves_in_run(interval, epochs) == sum(saves_after(epoch, interval, epochs) for epoch in range(1, epochs + 1))


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("epoch_12.pth", 480),
        ("step_485.pth", 485),
        ("epoch_0.pth", 0),
        ("best.pth", None),
        ("latest.pth", None),
        ("epoch_x.pth", None),
        ("epoch_12.pth.part", None),
        (".epoch_12.pth", None),
        ("epoch_-1.pth", None),
        ("epoch_99999999999999999999.pth", None),
    ],
)
def test_steps_behind_a_name(name, steps):
    assert steps_done(name, 40) == steps


def test_order_goes_by_number_and_not_by_text():
    names = ["epoch_9.pth", "best.pth", "epoch_10.pth", "step_405.pth", "step_360.pth", "epoch_2.pth", "notes.txt"]
    assert newest_first(names, 40) == ["step_405.pth", "epoch_10.pth", "epoch_9.pth", "step_360.pth", "epoch_2.pth"]


def test_which_are_deleted():
    names = ["epoch_5.pth", "epoch_10.pth", "epoch_15.pth", "step_610.pth", "best.pth", "latest.pth"]
    assert outdated(names, 2, 40) == ["epoch_10.pth", "epoch_5.pth"]
    assert outdated(names, 9, 40) == []
    assert outdated(names, 0, 40) == []


def test_the_newest_that_loads():
    tried = []

    def problem_of(name):
        tried.append(name)
        return {"epoch_15.pth": "ends early", "step_610.pth": "empty"}.get(name)

    names = ["epoch_5.pth", "epoch_15.pth", "step_610.pth", "epoch_10.pth", "best.pth"]
    assert choose_resume_point(FOLDER, names, 40, problem_of) == ResumePoint(
        "epoch_10.pth", (("step_610.pth", "empty"), ("epoch_15.pth", "ends early"))
    )
    assert tried == ["step_610.pth", "epoch_15.pth", "epoch_10.pth"]


def test_nothing_to_resume():
    assert choose_resume_point(FOLDER, ["run.json"], 40, lambda name: None) is None
    with pytest.raises(UserError, match=r"runs/mine holds best\.pth, but no epoch_N\.pth") as error:
        choose_resume_point(FOLDER, ["best.pth", "run.json"], 40, lambda name: None)
    assert "Without --resume" in error.value.hint
    with pytest.raises(UserError, match="no checkpoint in runs/mine loads") as error:
        choose_resume_point(FOLDER, ["epoch_5.pth", "epoch_10.pth"], 40, lambda name: "empty")
    assert error.value.problems == ["epoch_10.pth: empty", "epoch_5.pth: empty"]


def test_sizes():
    assert checkpoint_bytes(1000, 900) == 4 * (1000 + 2 * 900)
    assert checkpoint_bytes(1000, 900, averaged=True) == 4 * (2 * 1000 + 2 * 900)
    assert checkpoint_bytes(1000, 0, moments=0) == 4000


@pytest.mark.parametrize(
    ("keep", "saves", "used"),
    [
        (2, 60, 3 * 200 + 50),  # two kept while a third is written, and best.pth
        (2, 2, 2 * 200 + 2 * 50),  # best.pth written anew
        (2, 1, 200 + 2 * 50),
        (0, 60, 60 * 200 + 2 * 50),
    ],
)
def test_disk(keep, saves, used):
    assert disk_use(200, 50, keep, saves) == used


def test_checkpoints_within_an_epoch_keep_their_place_when_it_gets_other_steps():
    names = ["epoch_1.pth", "step_7.pth", "best.pth", "step_x.pth"]
    assert renumbered(names, before=4, now=2) == {"step_7.pth": "step_3.pth"}
    assert newest_first(["epoch_1.pth", "step_3.pth"], 2) == ["step_3.pth", "epoch_1.pth"]
    assert newest_first(["epoch_2.pth", "step_3.pth"], 2) == ["epoch_2.pth", "step_3.pth"]
