import numpy as np
import pytest
from moving import HORSE, frame_times, seen, true_points

from equistera.tracks.tracks import Tracks


@pytest.fixture(scope="session")
def nobody():
    """A video in which no animal was found."""
    points = np.zeros((30, 0, len(HORSE), 2))
    return Tracks.of(HORSE.names, frame_times(30), points, points[..., 0], size=(640, 480), source="empty.mp4")


@pytest.fixture(scope="session")
def two_horses():
    """Two horses that meet, with all that tracks can hold: gaps, changes, a spread."""
    times = frame_times(40)
    times[20:] += 0.013
    truth = np.stack([true_points(times), true_points(times, start=400, speed=-1.0)], axis=1)
    tracks = seen(truth, times, missing=0.05)
    rng = np.random.default_rng(1)
    points, confidence = tracks.points.copy(), tracks.confidence.copy()
    points[3:6, 0, 2] = np.nan
    confidence[10:12, 1] = np.nan
    shape = confidence.shape
    spread = np.where(rng.random(shape) < 0.2, np.nan, rng.random(shape))
    return tracks.with_(
        points=points, confidence=confidence, spread=spread, changed=rng.integers(0, 8, shape),
        individuals=("Bella", "Zoé, the grey"),
    )  # fmt: skip
