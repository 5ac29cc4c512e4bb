"""Following on frames that show coloured discs, with a model that sees discs: what it must do is then known."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from equistera import skeleton as skeletons
from equistera.frames import Frame
from equistera.mm.prediction.follow import VideoPoses
from equistera.mm.prediction.pose_drawing import Confidence
from equistera.mm.prediction.predict import Pose
from equistera.mm.prediction.stream import Box

SKELETON = skeletons.load("horse26")
#: Where the points of an animal are around its middle, in radii.
OFFSETS = np.stack([np.cos(np.arange(26)), np.sin(1.7 * np.arange(26))], axis=1)
RADIUS, SIZE = 20, (320, 240)
COLORS = ((255, 0, 0), (0, 0, 255))


class SeesDiscs:
    """Stands for a model: sure of a disc that lies well in its crop, of nothing elsewhere; counts its looks."""

    skeleton = SKELETON

    def __init__(self):
        self.looks = []

    def poses(self, crops, batch_size=16):
        crops = list(crops)
        self.looks.append(len(crops))
        for image, (x, y, width, height) in crops:
            left, top = max(0, int(x)), max(0, int(y))
            part = image[top : max(top, int(y + height)), left : max(left, int(x + width))].astype(int)
            seen = np.argwhere(part.max(axis=2) - part.min(axis=2) > 100) if part.size else np.empty((0, 2))
            middle = np.array([left, top]) + (seen.mean(axis=0)[::-1] if len(seen) else [width / 2, height / 2])
            sure = 0.95 if len(seen) > 0.9 * np.pi * RADIUS**2 else 0.1
            yield Pose(middle + RADIUS * OFFSETS, np.full(26, sure), np.array([x, y, width, height]))


class FindsDiscs:
    """Stands for a detector; remembers the frames that it was asked about."""

    def __init__(self):
        self.asked = []

    def __call__(self, frames):
        self.asked += [frame.number for frame in frames]
        return [[Box(box) for box in self._boxes(frame.image)] for frame in frames]

    def _boxes(self, image):
        for color in COLORS:
            seen = np.argwhere((np.abs(image.astype(int) - color) < 60).all(axis=2))
            if len(seen) > 200:
                (top, left), (bottom, right) = seen.min(axis=0), seen.max(axis=0)
                yield (float(left), float(top), float(right - left), float(bottom - top))


def film(*paths):
    """Frames at 25 a second in which discs go along paths [T, 2]; NaN where there is none."""
    for t in range(len(paths[0])):
        image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
        for path, color in zip(paths, COLORS, strict=False):
            if np.isfinite(path[t]).all():
                cv2.circle(image, np.rint(path[t]).astype(int).tolist(), RADIUS, color, -1)
        yield Frame(f"frame {t}", t, image, time=Fraction(t, 25))


def follow(frames, cheap=True, animals=None):
    """Middles of the animals by number and frame, and who was asked how often."""
    model, finder = SeesDiscs(), FindsDiscs()
    poses = VideoPoses(model, Confidence(None, 0.5, ""), finder, cheap, animals, batch_size=8)
    tracks, waiting = {}, []

    def look():
        found, ids = poses(waiting)
        for frame, here, numbers in zip(waiting, found, ids, strict=True):
            for pose, number in zip(here, numbers, strict=True):
                if number is not None:
                    tracks.setdefault(number, {})[frame.number] = (pose.points - RADIUS * OFFSETS)[0]
        waiting.clear()

    for frame in frames:
        waiting.append(frame)
        if len(waiting) >= poses.wanted:
            look()
    if waiting:
        look()
    return tracks, model, finder


def line(start, step, count=60):
    return np.array(start, float) + np.arange(count)[:, None] * np.array(step)


@pytest.mark.parametrize("cheap", [True, False])
def test_one_animal_is_followed_through_all_frames(cheap):
    path = line((60, 100), (3, 0.5))
    tracks, _, _ = follow(film(path), cheap)
    assert list(tracks) == [1]
    assert sorted(tracks[1]) == list(range(60))
    assert np.abs(np.stack([tracks[1][t] for t in range(60)]) - path).max() < 2


def test_batches_are_full_once_it_is_known_how_the_animal_moves():
    _, model, _ = follow(film(line((60, 100), (2, 0))), cheap=False)
    # a search costs nothing here: looks are of the batches and of what was looked at again
    assert sum(1 for count in model.looks if count == 8) >= 6


def test_a_search_is_not_repeated_while_the_animal_is_followed():
    _, _, finder = follow(film(line((60, 100), (2, 0))), cheap=False)
    assert len(finder.asked) == 1


def test_an_animal_that_turns_at_once_is_looked_for_again():
    path = np.vstack([line((60, 100), (4, 0), 30), line((176, 100), (-4, 0), 30)])
    tracks, _, _ = follow(film(path))
    assert sorted(tracks[1]) == list(range(60))


def test_an_animal_that_comes_in_later_is_found():
    late = line((150, 180), (0, 0))
    late[:30] = np.nan
    tracks, _, _ = follow(film(line((60, 60), (1, 0)), late))
    assert len(tracks) == 2
    assert min(tracks[2]) <= 38


def test_not_more_animals_than_there_are():
    tracks, _, _ = follow(film(line((60, 60), (1, 0)), line((200, 180), (0, 0))), animals=1)
    assert list(tracks) == [1]


def test_nobody_is_invented_and_the_search_is_asked_once_a_second():
    tracks, _, finder = follow(film(np.full((100, 2), np.nan)), cheap=False)
    assert tracks == {}
    assert 3 <= len(finder.asked) <= 5


def test_an_animal_that_was_hidden_is_found_again():
    path = line((60, 100), (2, 0), 90)
    path[30:45] = np.nan
    tracks, _, _ = follow(film(path), cheap=False)
    assert set(range(30)) <= set(tracks[1])
    assert max(max(frames) for frames in tracks.values()) == 89
