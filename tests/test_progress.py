import pytest

from equistera import progress
from equistera.progress import duration, track


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.9, "1 h 00 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_items_pass_unchanged_and_a_line_says_what_was_done(capsys):
    assert list(track([3, 1, 2], "reading")) == [3, 1, 2]
    assert "reading: 3 pictures in" in capsys.readouterr().err


def test_without_a_terminal_long_work_says_how_far_it_is(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.0)
    assert list(track(iter("abc"), "reading", total=3, unit="files")) == list("abc")
    assert "reading: 1/3 files," in capsys.readouterr().err
