"""The space of a sweep as people write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera.errors import UserError
from equistera.experiments.space import Knob, override, read_space


@pytest.fixture
def read(tmp_path):
    def written(text):
        path = tmp_path / "space.toml"
        path.write_text(text, encoding="utf-8")
        return read_space(path)

    return written


def test_a_line_is_a_knob_however_its_key_is_written(read):
    knobs = read(
        "optim_wrapper.optimizer.lr = { low = 1e-3, high = 0.016, log = true }\n"
        '"train_dataloader.batch_size" = { low = 8, high = 64, log = true }\n'
        "[model]\ndropout = { low = 0, high = 0.3 }\n"
        '[train_dataloader.dataset]\naugmentation = { choices = ["balanced", "aggressive"] }\n'
    )
    assert knobs == [
        Knob("optim_wrapper.optimizer.lr", 0.001, 0.016, log=True),
        Knob("train_dataloader.batch_size", 8, 64, log=True),
        Knob("model.dropout", 0.0, 0.3),
        Knob("train_dataloader.dataset.augmentation", choices=("balanced", "aggressive")),
    ]
    assert [type(knob.distribution).__name__[:3] for knob in knobs] == ["Flo", "Int", "Flo", "Cat"]
    assert str(knobs[1]) == "whole numbers 8 to 64, on a log scale"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr = {", "is not TOML: Invalid"),
        ("", "names no knob"),
        ("lr = 3", r"lr: expected \{ low"),
        ("lr = { low = 1 }", "lr: high missing"),
        ("lr = { lo = 1, high = 2 }", "lr: no 'lo' here, did you mean 'low'?"),
        ("lr = { low = 2, high = 1 }", "lr: low 2 is not below high 1"),
        ("lr = { low = 0, high = 1, log = true }", "a log scale begins above 0"),
        ("lr = { low = nan, high = 1 }", "low and high are numbers"),
        ("lr = { low = true, high = 1 }", "low and high are numbers"),
        ("lr = { low = 1, high = 2, log = 1 }", "log is true or false"),
        ("lr = { low = 1, high = 2, choices = [1, 2] }", "choices and low, high contradict"),
        ("lr = { choices = [1] }", "a list of two or more"),
        ("lr = { choices = [[1, 2], [3, 4]] }", r"numbers, true, false and texts .* found \[1, 2\]"),
        ("lr = { choices = [1, '1'] }", "one is named twice"),
    ],
)
def test_what_is_no_space_is_named(text, said, read):
    with pytest.raises(UserError, match=said):
        read(text)


def test_all_findings_are_told_at_once(read):
    with pytest.raises(UserError) as told:
        read("a = { low = 1 }\nb = 2\nc.d = { choices = [1] }")
    assert len(told.value.problems) == 3


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_a_value_is_in_its_space_or_nowhere(value, end):
    knob = Knob("lr", low=1e-6, high=end)
    assert knob.place(value) == (value if value <= end else None)
    assert float(override("lr", value).partition("=")[2]) == value


def test_the_configs_own_value_is_found_among_choices_as_it_is_written():
    assert Knob("k", choices=("(64, 64)", "x")).place((64, 64)) == "(64, 64)"
    assert Knob("k", choices=(0.5, 1)).place(1.0) == 1
    assert Knob("k", choices=("a", "b")).place("c") is None
    assert Knob("k", 8, 64).place(16) == 16
    assert Knob("k", 8, 64).place(16.5) is None
    assert Knob("k", 8, 64).place(True) is None
    assert Knob("k", 8, 64).place("16") is None
