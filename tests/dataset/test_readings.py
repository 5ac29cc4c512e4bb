from pathlib import Path

import numpy as np
import pytest

from equistera import skeleton
from equistera.dataset.anatomy import reference_for
from equistera.dataset.annotate import Frame
from equistera.dataset.formats.records import Animal, Export
from equistera.dataset.readings import interpret, upper_left
from equistera.errors import UserError

HORSE = skeleton.load("horse26")
NAMES = {name: name for name in HORSE.names}
#: Of the reference horses' pictures, twice as large.
SIZE = np.array([640, 480])


@pytest.fixture(scope="module")
def horses():
    """Points float [12, 26, 3] in pixels, and boxes [12, 4] with room for ears and hooves."""
    keypoints = reference_for(HORSE)[::33][:12] * [2, 2, 1]
    points = np.where(keypoints[..., 2:] > 0, keypoints[..., :2], np.nan)
    low = np.maximum(np.nanmin(points, axis=1) - 8, 0)
    return keypoints, np.concatenate([low, np.minimum(np.nanmax(points, axis=1) + 8, SIZE) - low], axis=1)


def animal(rows, box=None):
    points = {name: (x, y, int(v)) for name, (x, y, v) in zip(HORSE.names, rows.tolist(), strict=True)}
    return Animal(points, box)


def read(keypoints, boxes=None, scale=(1.0, 1.0)):
    """Boxes as they were read, and what was said."""
    animals = []
    for n, rows in enumerate(keypoints):
        box = None if boxes is None else tuple(boxes[n].tolist())
        animals.append((animal(rows, box), Frame(*SIZE.tolist(), scale=scale)))
    found, notes = interpret(animals, Export(Path("a.json"), "COCO keypoints"), NAMES, HORSE)
    return np.array([one.box for one in found if one.box is not None]), notes


def moved(keypoints, change):
    return np.concatenate([change(keypoints[..., :2]), keypoints[..., 2:]], axis=2)


@pytest.mark.parametrize("count", [1, 2, 12])
def test_pixels_are_pixels(horses, count):
    keypoints, boxes = (values[:count] for values in horses)
    assert read(keypoints)[1] == []
    for given in (boxes, np.tile([0, 0, *SIZE], (count, 1))):
        found, notes = read(keypoints, given)
        assert notes == []
        assert found == pytest.approx(given)


def corners(boxes):
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def centred(boxes):
    return np.concatenate([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (corners, "corners (left, top, right, bottom)"),
        (lambda b: corners(b)[:, [1, 0, 3, 2]], "corners (top, left, bottom, right)"),
        (centred, "centre, width, height"),
        (lambda b: b[:, [1, 0, 3, 2]], "y, x, height, width"),
        (lambda b: b / np.tile(SIZE, 2), "fractions of the picture's sides"),
        (lambda b: b / np.tile(SIZE, 2) * 100, "percent of the picture's sides"),
        (lambda b: corners(b) / np.tile(SIZE, 2), "corners as fractions"),
        (lambda b: centred(b) / np.tile(SIZE, 2), "centre, width, height as fractions"),
    ],
)
def test_boxes_that_are_written_in_another_way_are_read_so_and_that_is_said(horses, write, words):
    keypoints, boxes = horses
    found, [note] = read(keypoints, write(boxes))
    assert note.startswith(f"a.json: boxes are not x, y, width, height but {words}")
    assert found == pytest.approx(boxes)


def test_corners_of_small_animals_that_would_fit_as_sizes(horses):
    """Taken for width and height they still lie in the picture; that they hold the points tightly gives them away."""
    keypoints, boxes = horses
    small, corner = moved(keypoints, lambda p: p * 0.3 + 180), corners(boxes * 0.3 + [180, 180, 0, 0])
    found, [note] = read(small, corner)
    assert "corners (left, top, right, bottom)" in note
    assert found == pytest.approx(boxes * 0.3 + [180, 180, 0, 0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p, b: p / SIZE, "no coordinate is above 0."),
        (lambda p, b: p / SIZE * 100, "percent"),
        (lambda p, b: p[..., ::-1], "with points as x and y exchanged, nearly all"),
        (lambda p, b: p - b[:, None, :2], "with points as measured from the box's corner"),
        (lambda p, b: (p - b[:, None, :2]) / b[:, None, 2:], ": fractions?"),
        (lambda p, b: p * 3, "points lie outside their pictures"),
    ],
)
def test_points_that_cannot_be_pixels_are_refused(horses, change, words):
    keypoints, boxes = horses
    with pytest.raises(UserError, match=r"a\.json: the coordinates are not pixels of these pictures") as error:
        read(moved(keypoints, lambda p: change(p, boxes)), boxes)
    assert words in error.value.problems[0]
    assert "Export again" in error.value.hint


def test_without_boxes(horses):
    keypoints, _ = horses
    with pytest.raises(UserError, match=r"fractions"):
        read(moved(keypoints[:1], lambda p: p / SIZE))
    with pytest.raises(UserError, match=r"lie outside their pictures"):
        read(moved(keypoints, lambda p: p * 3))
    [note] = read(moved(keypoints, lambda p: [0, 480] + p * [1, -1]))[1]
    assert "stand upside down: is y measured from the bottom" in note
    [note] = read(moved(keypoints, lambda p: p / 2))[1]
    assert "all points lie in the upper left" in note


def test_relative_numbers_are_measured_in_their_pictures(horses):
    keypoints, boxes = horses
    fractions = moved(keypoints, lambda p: p / SIZE)
    assert read(fractions, boxes / np.tile(SIZE, 2), scale=tuple(SIZE.tolist()))[1] == []
    with pytest.raises(UserError, match="lie outside their pictures"):
        read(keypoints, scale=tuple(SIZE.tolist()))


def test_boxes_that_are_not_the_animals_are_counted(horses):
    keypoints, boxes = horses
    others = np.roll(boxes, 1, axis=0) * 0.4
    [note] = read(keypoints, others)[1]
    assert "12 of 12 boxes do not hold their animal's points" in note
    # a few are no matter of the whole file: verification names them
    assert read(keypoints, np.concatenate([others[:2], boxes[2:]]))[1] == []


def test_points_in_the_very_corner_are_no_labels(horses):
    keypoints = horses[0].copy()
    labelled = keypoints[..., 2] > 0
    keypoints[~labelled] = [0, 0, 2]
    keypoints[0, 0] = [-1, -1, 1]
    animals = [(animal(rows), Frame(*SIZE.tolist())) for rows in keypoints]
    found, [note] = interpret(animals, Export(Path("a.json"), "COCO keypoints"), NAMES, HORSE)
    assert f"{(~labelled).sum() + labelled[0, 0]} points lie at exactly (0, 0) or (-1, -1): taken for not" in note
    assert [sum(flag > 0 for *_, flag in one.points.values()) for one in found][1:] == labelled.sum(axis=1).tolist()[1:]
    # one may be a click
    keypoints[~labelled] = 0
    assert read(keypoints)[1] == []


def test_flags_of_tools_that_know_only_labelled_and_not(horses):
    keypoints, _ = horses
    binary = np.concatenate([keypoints[..., :2], np.minimum(keypoints[..., 2:], 1)], axis=2)
    [note] = read(binary)[1]
    assert "labelled points has flag 2 (visible), all have 1: taken for visible" in note
    few = Animal({"nose": (5, 5, 1), "neck": (0, 0, 0)})
    export = Export(Path("a.json"), "COCO keypoints")
    assert interpret([(few, Frame(640, 480))], export, NAMES, HORSE)[0] == [few]
    many = [(Animal({name: (i, 9 * i, int(i > 3)) for i, name in enumerate(HORSE.names)}), Frame(640, 480))]
    [seen], _ = interpret(many, export, NAMES, HORSE)
    assert {flag for *_, flag in seen.points.values()} == {0, 2}


def test_nothing_is_said_of_pictures_of_unknown_size(horses):
    points = np.where(horses[0][..., 2:] > 0, horses[0][..., :2], np.nan)
    assert upper_left(points / 2, np.full((12, 2), np.nan)) == ""
    assert "all points lie in the upper left" in upper_left(points / 2, np.tile(SIZE, (12, 1)))
