import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera.training.checkpoints import (
    checkpoint_bytes,
    disk_use,
    due_after,
    epochs_done,
    newest_first,
    outdated,
    times_in_run,
)


def test_which_epochs_are_saved():
    assert [epoch for epoch in range(1, 13) if due_after(epoch, 5, 12)] == [5, 10, 12]
    assert times_in_run(5, 12) == 3
    assert times_in_run(5, 10) == 2
    assert times_in_run(50, 10) == 1


@given(st.integers(1, 50), st.integers(1, 200))
def test_saves_are_counted_as_they_happen(interval, epochs):
    assert times_in_run(interval, epochs) == sum(due_after(epoch, interval, epochs) for epoch in range(1, epochs + 1))


@pytest.mark.parametrize(
    ("name", "epochs"),
    [
        ("epoch_12.pth", 12),
        ("step_485.pth", None),
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
def test_epochs_behind_a_name(name, epochs):
    assert epochs_done(name) == epochs


def test_order_goes_by_number_and_not_by_text():
    names = ["epoch_9.pth", "best.pth", "epoch_10.pth", "epoch_2.pth", "notes.txt"]
    assert newest_first(names) == ["epoch_10.pth", "epoch_9.pth", "epoch_2.pth"]


def test_which_are_deleted():
    names = ["epoch_5.pth", "epoch_10.pth", "epoch_15.pth", "best.pth", "latest.pth"]
    assert outdated(names, 2) == ["epoch_5.pth"]
    assert outdated(names, 9) == []
    assert outdated(names, 0) == []


def test_sizes():
    assert checkpoint_bytes(1000, 900) == 4 * (1000 + 2 * 900)
    assert checkpoint_bytes(1000, 900, averaged=True) == 4 * (2 * 1000 + 2 * 900)
    assert checkpoint_bytes(1000, 0) == 4000


@pytest.mark.parametrize(
    ("keep", "saves", "used"),
    [
        (2, 60, 4 * 200 + 50),  # two kept and latest.pth while another is written, and best.pth
        (2, 2, 4 * 200 + 50),
        (2, 1, 3 * 200 + 50),
        (0, 60, 62 * 200 + 50),
    ],
)
def test_disk(keep, saves, used):
    assert disk_use(200, 50, keep, saves) == used
