from dataclasses import replace
from pathlib import Path

import pytest

from equistera import skeleton
from equistera.dataset.anatomy import reference_for
from equistera.dataset.formats.records import Animal, Export, Picture
from equistera.dataset.formats.values import Unusable
from equistera.dataset.images import ImageHeader
from equistera.dataset.orientation import CONTRADICTED, UNDECIDED, FoundPicture, frames_of

HORSE = skeleton.load("horse26")
NAMES = {name: name for name in HORSE.names}


def header(width=240, height=320, orientation=6):
    return ImageHeader(width, height, orientation, "JPEG")


def seen(*points, size=(320, 240), of=None, box=None, relative=False):
    """A photo of 240 x 320, stored as 320 x 240, with points (x, y)."""
    of = of or header()
    animal = Animal({HORSE.names[i]: (x, y, 2) for i, (x, y) in enumerate(points)}, box)
    return FoundPicture(Picture(("a.jpg",), "a.json", (animal,), size, relative), (animal,), "a.jpg", of)


def found(*pictures, sized="", exif=""):
    """The frames' orientations (1: taken as displayed), reasons where there is none, and what is said."""
    export = Export(Path("a.json"), "COCO keypoints", sized=sized)
    frames, notes = frames_of(pictures, export, exif, NAMES, HORSE)
    return [f.reason if isinstance(f, Unusable) else f.orientation for f in frames], notes


BOTH, BELOW, RIGHT = seen((10, 10), (200, 200)), seen((10, 10), (200, 300)), seen((10, 10), (300, 200))


def test_where_both_fit_and_nothing_decides_the_picture_is_refused():
    assert found(BOTH) == ([UNDECIDED], [])


@pytest.mark.parametrize(("picture", "orientation"), [(BELOW, 1), (RIGHT, 6)])
def test_points_beyond_one_of_the_sizes_decide_for_the_whole_file(picture, orientation):
    turns, [note] = found(BOTH, picture, BOTH)
    assert turns == [orientation] * 3
    assert "3 pictures of the size before their EXIF rotation" in note
    assert ("turned with them" if orientation == 6 else "those of the displayed picture") in note
    assert "points beyond the other size show it" in note
    # whatever the tool is known for
    assert found(picture, sized="shown" if orientation == 1 else "stored")[0] == [orientation]


def test_a_box_decides_too():
    assert found(seen((10, 10), box=(5, 5, 200, 300)))[0] == [1]
    assert found(seen((10, 10), box=(5, 5, 300, 200)))[0] == [6]


def test_points_that_contradict_each_other_decide_for_their_own_pictures_only():
    assert found(BELOW, RIGHT, BOTH)[0] == [1, 6, UNDECIDED]
    # a click just beside the picture, and one in neither picture, are no evidence
    assert found(seen((10, 10), (200, 243)))[0] == [UNDECIDED]
    assert found(seen((300, 10), (200, 300)))[0] == [UNDECIDED]


@pytest.mark.parametrize(("sized", "orientation"), [("shown", 6), ("stored", 1)])
def test_the_tool_decides_where_it_is_known(sized, orientation):
    turns, [note] = found(BOTH, sized=sized)
    assert turns == [orientation]
    assert "this is how COCO keypoints writes it" in note


def test_fractions_were_measured_in_the_picture_that_was_shown():
    assert found(seen((0.1, 0.9), relative=True))[0] == [6]
    smaller = seen((0.1, 0.9), size=(160, 120), relative=True)
    assert found(smaller)[0] == [6]


@pytest.mark.parametrize(("exif", "orientation"), [("applied", 1), ("ignored", 6)])
def test_what_the_user_says_goes_first(exif, orientation):
    turns, [note] = found(BOTH, BELOW, RIGHT, sized="shown", exif=exif)
    assert turns == [orientation] * 3
    assert "--exif says so" in note


def horse(n, stored, of):
    """A photo of a standing horse, labelled as it is displayed or as it is stored."""
    keypoints = reference_for(HORSE)[n * 40]
    scale = min(of.width, of.height) / 320
    points = {}
    for name, (x, y, v) in zip(HORSE.names, (keypoints * [scale, scale, 1]).tolist(), strict=True):
        if stored:
            # where the stored picture has to be labelled for the point to be displayed there
            right, bottom = of.width - 1, of.height - 1
            x, y = {6: (y, right - x), 3: (right - x, bottom - y), 8: (bottom - y, x)}[of.orientation]
        points[name] = (x, y, int(v))
    size = of.stored_size
    return FoundPicture(Picture(("a.jpg",), "a.json", (), size), (Animal(points),), "a.jpg", of)


@pytest.mark.parametrize("of", [header(), header(orientation=8), header(300, 300), header(320, 240, 3)])
@pytest.mark.parametrize("stored", [False, True])
def test_horses_stand_on_their_legs(of, stored):
    """Also where no size can tell: square photos, and those that are turned by 180 degrees.

    Of those that are stored turned to the right, points beyond the other size decide before.
    """
    turns, [note] = found(*(horse(n, stored, of) for n in range(5)))
    assert turns == [of.orientation if stored else 1] * 5
    assert "stand on their legs" in note or (of.orientation, stored) == (8, True)


@pytest.mark.parametrize("of", [header(320, 240, 2), header(320, 240, 3), header(320, 240, 4), header(300, 300)])
def test_where_no_size_tells_photos_are_taken_as_displayed_and_counted(of):
    turns, [note] = found(seen((10, 10), of=of, size=of.size), seen((10, 10), of=of, size=None))
    assert turns == [1, 1]
    assert note == (
        "a.json: 2 pictures with an EXIF orientation that no size shows: points taken as those of the displayed "
        "picture (as browsers show them; --exif ignored if the labelling tool did not)"
    )
    assert found(seen((10, 10), of=of, size=of.size), exif="ignored")[0] == [of.orientation]


def test_formats_without_sizes():
    none = [seen(*points, size=None) for points in ([(10, 10)], [(10, 10), (300, 200)])]
    assert found(*none)[0] == [6, 6]
    assert found(none[0])[0] == [1]


def test_pictures_that_nothing_is_to_be_said_about():
    assert found(seen((10, 10), size=(240, 320)), seen((10, 10), of=header(320, 240, 1))) == ([1, 1], [])
    square = seen((0.5, 0.5), size=(1000, 1005), of=header(1000, 1005), relative=True)
    assert found(square) == ([1], [])


def test_horses_that_lie_in_the_picture_whose_size_is_given():
    of = header()
    pictures = [horse(n, True, of) for n in range(5)]
    shown = [replace(one, picture=replace(one.picture, size=of.size)) for one in pictures]
    assert found(*shown) == ([CONTRADICTED] * 5, [])
    assert found(*shown, exif="applied")[0] == [1] * 5
    assert found(*shown, exif="ignored")[0] == [6] * 5
    upright = [
        replace(one, picture=replace(one.picture, size=of.size)) for one in (horse(n, False, of) for n in range(5))
    ]
    assert found(*upright) == ([1] * 5, [])


def test_another_picture_is_refused():
    [reason], _ = found(seen((10, 10), size=(400, 240)))
    assert reason == "the picture on disk is not the one that was labelled"


def test_width_and_height_exchanged_in_the_file():
    upright = header(240, 320, 1)
    assert found(seen((10, 10), of=upright))[0] == ["the picture on disk is not the one that was labelled"]
    turns, [note] = found(seen((10, 300), of=upright), seen((10, 10), of=upright))
    assert turns == [1, 1]
    assert "2 pictures have width and height exchanged in the export" in note
