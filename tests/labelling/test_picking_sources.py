"""Which videos and pictures are looked at, and which of their frames."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera.errors import UserError
from equistera.frames import Frame
from equistera.labelling.sources import find_sources, sampled


def frames_at(times, image=None):
    image = np.zeros((2, 2, 3), np.uint8) if image is None else image
    return [Frame(f"frame {i}", i, image, time=Fraction(time)) for i, time in enumerate(times)]


@given(
    steps=st.lists(st.fractions(Fraction(1, 500), 2), min_size=1, max_size=60), every=st.floats(0, 3, allow_nan=False)
)
def test_frames_are_far_apart_and_have_their_neighbours(steps, every):
    frames = frames_at(np.cumsum([Fraction(0), *steps]).tolist())
    taken = list(sampled(frames, every))
    assert taken[0].frame is frames[0]
    for one in taken:
        i = one.frame.number
        assert one.before is (frames[i - 1] if i else None)
        assert one.after is (frames[i + 1] if i + 1 < len(frames) else None)
    times = [float(one.frame.time) for one in taken]
    longest = float(max(steps))
    assert all(b - a >= every - 0.011 * longest for a, b in itertools.pairwise(times))
    # none is passed over that was due
    assert all(b - a < every + longest + 1e-9 for a, b in itertools.pairwise(times) if every)


def test_at_a_usual_rate_frames_come_evenly():
    taken = [one.frame.number for one in sampled(frames_at([i / 25 for i in range(60)]), 0.4)]
    assert taken == [0, 10, 20, 30, 40, 50]


def test_a_neighbour_of_another_size_is_none():
    frames = [*frames_at([0, 1]), Frame("frame 2", 2, np.zeros((3, 3, 3), np.uint8), time=Fraction(2))]
    assert [one.after is None for one in sampled(frames, 0)] == [False, True, True]


@pytest.fixture
def folder(tmp_path):
    for name in ("in/a/1.mp4", "in/a/2.jpg", "in/b/3.JPG", "in/b/notes.txt", "in/b/.hidden.jpg", "in/out/4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path / "in"


def test_folders_hold_videos_and_pictures(folder):
    sources, notes = find_sources([str(folder), str(folder / "a" / "1.mp4")], folder / "out")
    assert [(source.name, source.video) for source in sources] == [
        ("a/1.mp4", True),
        ("a/2.jpg", False),
        ("b/3.JPG", False),
    ]
    assert notes == ["1 file of other kinds left out: .txt"]
    assert len({source.group for source in sources}) == 3


def test_only_what_is_hidden_within_the_folder_is_passed_over(folder, monkeypatch):
    away = folder.rename(folder.parent / ".photos")
    (away / "b" / ".cache").mkdir()
    (away / "b" / ".cache" / "5.jpg").touch()
    monkeypatch.chdir(away / "b")
    for word in (away, "../../.photos"):
        names = [source.name for source in find_sources([str(word)], away / "out")[0]]
        assert names == ["a/1.mp4", "a/2.jpg", "b/3.JPG"]


def test_groups_follow_the_rule(folder):
    def groups(rule):
        return [source.group for source in find_sources([str(folder)], folder / "out", rule)[0]]

    assert groups("none") == ["", "", ""]
    assert groups(r"(\w)/") == ["a", "a", "b"]
    assert [group.rsplit("/", 1)[1] for group in groups("folder")] == ["a", "a", "b"]
    with pytest.raises(UserError, match="finds no group"):
        groups("z")


def test_what_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(UserError, match="no such video, picture or folder"):
        find_sources([str(folder / "c")], tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="neither videos nor pictures"):
        find_sources([str(tmp_path / "empty")], tmp_path / "out")
