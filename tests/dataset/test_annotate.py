import math

import numpy as np
import pytest
from PIL import Image

from equistera import skeleton
from equistera.dataset.annotate import Frame, annotate, frame_of
from equistera.dataset.boxes import box_around, clip_box
from equistera.dataset.formats.records import Animal, Picture
from equistera.dataset.formats.values import Unusable
from equistera.dataset.images import ImageHeader, read_header, read_rgb

HORSE = skeleton.load("horse26")
NAMES = {name: name for name in HORSE.names}
FRAME = Frame(200, 100)


def horse(box=None, area=None, **points):
    return Animal(points, box, "", area)


def test_points_stand_in_the_skeletons_order():
    entry, outside = annotate(horse(l_eye=(10, 20, 1), nose=(30, 40, 2)), FRAME, NAMES, HORSE)
    assert entry["keypoints"][:6] == [30, 40, 2, 10, 20, 1]
    assert len(entry["keypoints"]) == 78
    assert not any(entry["keypoints"][6:])
    assert entry["num_keypoints"] == 2
    assert outside == []


def test_box_of_the_export_is_clipped_and_area_is_its_own_or_the_boxs():
    entry, _ = annotate(horse(box=(-10, 10, 50, 200), area=1e9, nose=(1, 20, 2)), FRAME, NAMES, HORSE)
    assert entry["bbox"] == [0, 10, 40, 90]
    assert entry["area"] == 3600
    entry, _ = annotate(horse(box=(0, 0, 10, 10), area=55.0, nose=(1, 2, 2)), FRAME, NAMES, HORSE)
    assert entry["area"] == 55


@pytest.mark.parametrize("box", [None, (300, 300, 10, 10), (5, 5, 0.1, 0.1), (math.inf, 0, 1, 1)])
def test_box_from_the_points_padded_and_clipped(box):
    entry, _ = annotate(horse(box=box, nose=(50, 40, 2), neck=(90, 60, 1), back=(0, 0, 0)), FRAME, NAMES, HORSE)
    assert entry["bbox"] == [46, 36, 48, 28]
    assert entry["area"] == 48 * 28
    entry, _ = annotate(horse(box=box, nose=(0, 0, 2), neck=(199, 99, 2)), FRAME, NAMES, HORSE)
    assert entry["bbox"] == [0, 0, 200, 100]


@pytest.mark.parametrize(
    ("animal", "reason"),
    [
        (horse(nose=(50, 40, 2)), "no box, and its points span none"),
        (horse(nose=(50, 40, 2), neck=(60, 40, 2)), "no box, and its points span none"),
        (horse(nose=(0.5, 0.2, 2), neck=(0.6, 0.4, 2), back=(0.9, 0.1, 2)), "all its points lie in one place"),
        (horse(nose=(50, 40, 0)), "no keypoint of the skeleton is labelled in the picture"),
        (horse(box=(0, 0, 9, 9), nose=(500, 40, 2)), "no keypoint of the skeleton is labelled in the picture"),
        (horse(box=(0, 0, 9, 9), poll=(5, 4, 2)), "no keypoint of the skeleton is labelled in the picture"),
    ],
)
def test_animals_that_cannot_be_trained_on(animal, reason):
    with pytest.raises(Unusable) as error:
        annotate(animal, FRAME, NAMES, HORSE)
    assert error.value.reason == reason


@pytest.mark.parametrize(("x", "y", "kept"), [(-1, 50, True), (-1.01, 50, False), (200, 100, True), (200.1, 50, False)])
def test_points_outside_the_picture_are_left_out_and_told(x, y, kept):
    entry, outside = annotate(horse(box=(0, 0, 9, 9), nose=(x, y, 2), neck=(5, 5, 2)), FRAME, NAMES, HORSE)
    assert [skip.detail for skip in outside] == ([] if kept else ["nose"])
    assert entry["keypoints"][2] == (2 if kept else 0)


def test_boxes_alone():
    assert box_around(np.array([[1.0, 2.0]]), 10, 10) is None
    assert box_around(np.zeros((0, 2)), 10, 10) is None
    assert clip_box([-5, -5, 3, 3], 10, 10) is None
    assert clip_box([5, 5, 100, 100], math.inf, 20) == [5, 5, 100, 15]


def picture(size=None, relative=False):
    return Picture(("a.jpg",), "", (), size, relative)


def test_frames_without_a_picture_on_disk():
    assert frame_of(picture((20, 10)), None) == Frame(20, 10)
    assert frame_of(picture((20, 10), relative=True), None) == Frame(20, 10, (20, 10))
    with pytest.raises(Unusable, match="does not give its size"):
        frame_of(picture(), None)


def test_frames_of_pictures_on_disk():
    upright, turned = ImageHeader(20, 10, 1, "JPEG"), ImageHeader(10, 20, 6, "JPEG")
    assert frame_of(picture(), upright) == Frame(20, 10)
    assert frame_of(picture((10, 20)), turned) == Frame(10, 20)
    assert frame_of(picture((20, 10)), turned, stored=True) == Frame(10, 20, orientation=6)
    # a smaller copy of the labelled picture has the same fractions, but not the same pixels
    assert frame_of(picture((2000, 1000), relative=True), upright) == Frame(20, 10, (20, 10))
    assert frame_of(picture((2000, 1000), relative=True), turned, stored=True) == Frame(10, 20, (20, 10), 6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_points_on_the_stored_picture_land_on_what_is_displayed(tmp_path, orientation):
    """A bright pixel in the stored picture, labelled there, is under the converted point in the displayed one."""
    stored = np.zeros((24, 40, 3), dtype=np.uint8)
    stored[5, 31] = 255
    image = Image.fromarray(stored)
    exif = image.getexif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    image.save(path, exif=exif)
    header = read_header(path)
    frame = frame_of(picture((40, 24)), header, stored=True)
    x, y = frame.to_pixels(31, 5)
    assert read_rgb(path)[int(y), int(x)].tolist() == [255, 255, 255]


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (3, 3, -5, 9), (300, 20, 9, 9)], ids=["zeros", "negative", "elsewhere"])
def test_a_box_without_a_size_in_the_picture_is_made_from_the_points_and_told(box):
    entry, left_out = annotate(horse(box=box, nose=(10, 20, 2), neck=(30, 40, 2)), FRAME, NAMES, HORSE)
    assert entry["bbox"] == [8, 18, 24, 24]
    assert [(skip.what, skip.reason) for skip in left_out] == [
        ("box", "has no size in the picture: made from the points")
    ]
