"""Following on frames that show coloured discs, with a model that sees discs: what it must do is then known."""

import dataclasses

import numpy as np
import pytest
from discs import OFFSETS, RADIUS, FindsDiscs, SeesDiscs, film

from equistera.mm.prediction.follow import VideoPoses
from equistera.mm.prediction.pose_drawing import Confidence
from equistera.mm.prediction.stream import Box


def follow(frames, cheap=True, animals=None):
    """Middles of the animals by number and frame, and who was asked how often."""
    model, finder = SeesDiscs(), FindsDiscs()
    tracks, _ = followed_by(model, finder, frames, cheap, animals)
    return tracks, model, finder


def followed_by(model, finder, frames, cheap=True, animals=None, background=0.0):
    """Middles of the animals by number and frame, and the numbers of the doubtful ones."""
    poses = VideoPoses(
        model, Confidence(None, 0.5, "", background), finder, finder.glance if cheap else None, animals, 8
    )
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
    return tracks, poses.doubtful


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
    late = line((150, 180), (0, 0), 80)
    late[:30] = np.nan
    tracks, _, _ = follow(film(line((60, 60), (1, 0), 80), late))
    assert len(tracks) == 2
    # half a second of 25 frames, and what is left of a batch of 8
    assert min(tracks[2]) <= 30 + 13 + 8


def test_a_detector_that_sees_everybody_is_asked_twice_a_second():
    _, _, finder = follow(film(line((60, 60), (1, 0), 150), line((200, 180), (0, 0), 150)))
    # 19 batches of 8 frames: at the end of every second one, and of each until both were seen twice
    assert 8 <= len(finder.asked) <= 13


def test_a_detector_mostly_glances_at_large_animals(monkeypatch):
    paths = line((60, 60), (1, 0), 150), line((200, 180), (0, 0), 150)
    _, _, finder = follow(film(*paths))
    # discs are small: a close look each time
    assert finder.glanced == []
    monkeypatch.setattr("equistera.mm.prediction.follow.SMALL", 0.1)
    tracks, _, finder = follow(film(*paths))
    assert {number: len(frames) for number, frames in tracks.items()} == {1: 150, 2: 150}
    closely = [number for number in finder.asked if number not in finder.glanced]
    assert closely[0] == 0
    # six seconds, a close look every two
    assert 3 <= len(closely) <= 4 < len(finder.glanced)


def test_who_is_missed_by_a_glance_is_looked_for_closely(monkeypatch):
    class OverlooksTheSecond(FindsDiscs):
        def glance(self, frames):
            return [boxes[:1] for boxes in super().glance(frames)]

    monkeypatch.setattr("equistera.mm.prediction.follow.SMALL", 0.1)
    finder, films = OverlooksTheSecond(), film(line((60, 60), (1, 0), 150), line((200, 180), (0, 0), 150))
    tracks, doubtful = followed_by(SeesDiscs(), finder, films)
    assert not doubtful
    assert {number: len(frames) for number, frames in tracks.items()} == {1: 150, 2: 150}


def test_an_empty_film_is_looked_at_closely_once_a_batch():
    tracks, _, finder = follow(film(np.full((100, 2), np.nan)))
    assert tracks == {}
    # at the beginning of a batch closely, at its end not once more
    assert len(finder.glanced) == len(finder.asked) / 2 == 50


def test_not_more_animals_than_there_are():
    tracks, _, _ = follow(film(line((60, 60), (1, 0)), line((200, 180), (0, 0))), animals=1)
    assert list(tracks) == [1]


def test_nobody_is_invented_and_the_search_is_asked_once_a_second():
    tracks, _, finder = follow(film(np.full((100, 2), np.nan)), cheap=False)
    assert tracks == {}
    assert 3 <= len(finder.asked) <= 5


def test_who_is_no_surer_than_a_background_is_nobody():
    for background, numbers in ((0.9, [1]), (0.96, [])):
        tracks, _ = followed_by(SeesDiscs(), FindsDiscs(), film(line((60, 100), (2, 0))), background=background)
        assert list(tracks) == numbers


def test_an_animal_that_was_hidden_is_found_again():
    path = line((60, 100), (2, 0), 90)
    path[30:45] = np.nan
    tracks, _, _ = follow(film(path), cheap=False)
    assert set(range(30)) <= set(tracks[1])
    assert max(max(frames) for frames in tracks.values()) == 89


def test_what_the_detector_saw_once_is_let_go_and_told():
    """The pose model is sure of it: a bush."""

    class SeesBushOnce(FindsDiscs):
        def __call__(self, frames):
            return [boxes if frames[0].number == 0 else boxes[:1] for boxes in super().__call__(frames)]

    films = film(line((60, 60), (1, 0)), line((200, 180), (0, 0)))
    tracks, doubtful = followed_by(SeesDiscs(), SeesBushOnce(), films)
    assert doubtful == {2}
    assert max(tracks[2]) < 20
    assert sorted(tracks[1]) == list(range(60))


def test_an_animal_that_comes_in_fast_stays_the_same():
    """It leaves its box within a batch, before it is known how it moves."""
    late = line((380, 180), (-5, 0), 70)
    late[:20] = np.nan
    tracks, _, _ = follow(film(line((60, 60), (1, 0), 70), late))
    assert set(tracks) == {1, 2}
    assert sorted(tracks[1]) == list(range(70))
    # found at the end of a batch, followed from there
    assert sorted(tracks[2]) == list(range(min(tracks[2]), 70))
    assert min(tracks[2]) <= 20 + 13 + 8


def test_what_the_detector_is_unsure_of_is_only_followed_on():
    class IsUnsure(FindsDiscs):
        """Of the second animal, and of the first one after a second."""

        def __call__(self, frames):
            late = [frame.number >= 25 for frame in frames]
            return [
                [dataclasses.replace(box, score=0.4 if i or unsure else 0.8) for i, box in enumerate(boxes)]
                for boxes, unsure in zip(super().__call__(frames), late, strict=True)
            ]

    films = film(line((60, 60), (1, 0)), line((200, 180), (0, 0)))
    tracks, doubtful = followed_by(SeesDiscs(), IsUnsure(), films)
    assert not doubtful
    assert {number: sorted(frames) for number, frames in tracks.items()} == {1: list(range(60))}


def test_what_the_detector_does_not_see_any_more_is_taken_back():
    class LosesTheSecond(FindsDiscs):
        def __call__(self, frames):
            return [boxes if frames[0].number < 40 else boxes[:1] for boxes in super().__call__(frames)]

    finder = LosesTheSecond()
    poses = VideoPoses(SeesDiscs(), Confidence(None, 0.5, ""), finder, finder.glance, batch_size=8)
    frames, followed = list(film(line((60, 60), (1, 0), 100), line((200, 180), (0, 0), 100))), {1: [], 2: []}
    while frames:
        chunk, frames = frames[: poses.wanted], frames[poses.wanted :]
        for frame, numbers in zip(chunk, poses(chunk)[1], strict=True):
            for number in numbers:
                followed[number].append(frame)
    left = {n: [f.number for f in each if not poses.unseen(n, float(f.time))] for n, each in followed.items()}
    assert left[1] == list(range(100))
    assert max(frame.number for frame in followed[2]) >= 40
    # it was seen at least every two batches
    assert 40 > max(left[2]) >= 40 - 2 * 8


def test_a_part_of_an_animal_is_no_other_animal():
    class IsSure(SeesDiscs):
        """Of whatever is in the box, as a weak model is of a horse's head."""

        def poses(self, crops, batch_size=16):
            crops = list(crops)
            for pose, (_, (x, y, width, height)) in zip(super().poses(crops, batch_size), crops, strict=True):
                if pose.scores.mean() > 0.5:
                    yield pose
                else:
                    corner, size = np.array([x, y]), np.array([width, height])
                    points = corner + size * np.random.default_rng(0).uniform(0.1, 0.9, (26, 2))
                    yield dataclasses.replace(pose, points=points, scores=np.full(26, 0.7))

    class SeesHeads(FindsDiscs):
        def __call__(self, frames):
            found = super().__call__(frames)
            return [[*boxes, *(Box(part(box.xywh), 0.5) for box in boxes)] for boxes in found]

    def part(xywh):
        x, y, width, height = xywh
        return x + width / 2, y, width / 2, height / 2

    tracks, doubtful = followed_by(IsSure(), SeesHeads(), film(line((60, 100), (2, 0))))
    assert list(tracks) == [1]
    assert not doubtful
