import numpy as np
import pytest

from equistera.tracks.tracks import Tracks


def made(**changes):
    values = {"keypoints": ("nose", "withers"), "times": [0.0, 0.04, 0.1], "raw": np.zeros((3, 1, 2, 2))}
    values |= {"confidence": np.ones((3, 1, 2)), **changes}
    return Tracks.of(**values)


def test_new_tracks_are_as_the_model_said():
    raw = np.arange(12.0).reshape(3, 1, 2, 2)
    raw[1, 0, 1] = np.nan
    tracks = made(raw=raw, size=(640, 480), source="ride.mp4")
    assert len(tracks) == 3
    assert tracks.individuals == ("animal1",)
    assert tracks.fps == pytest.approx(20)
    assert np.array_equal(tracks.points, tracks.raw, equal_nan=True)
    assert not tracks.changed.any()
    assert np.isnan(tracks.spread).all()
    assert tracks.known.sum() == tracks.seen.sum() == 5
    assert tracks.index["withers"] == 1


def test_nothing_changes_the_arrays():
    raw = np.zeros((3, 1, 2, 2))
    tracks = made(raw=raw)
    raw[:] = 7
    assert not tracks.raw.any()
    with pytest.raises(ValueError, match="read-only"):
        tracks.points[0] = 1
    other = tracks.with_(points=tracks.points + 1)
    assert other.points.all()
    assert not tracks.points.any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"times": [0.0, 0.04, 0.04]}, "rise"),
        ({"times": [0.0, 0.04, np.nan]}, "rise"),
        ({"times": [0.0, 0.04]}, "points: expected"),
        ({"keypoints": ("nose", "nose")}, "twice"),
        ({"confidence": np.ones((3, 2))}, "confidence: expected"),
        ({"individuals": ("a", "b")}, "points: expected"),
    ],
)
def test_what_contradicts_itself_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        made(**changes)


def test_rate_of_a_single_frame_is_not_known():
    tracks = made(times=[0.0], raw=np.zeros((1, 1, 2, 2)), confidence=np.ones((1, 1, 2)))
    assert np.isnan(tracks.fps)
