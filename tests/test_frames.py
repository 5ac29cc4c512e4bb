import cv2
import numpy as np
import pytest
from PIL import Image

from equistera.dataset.images import JPEGS
from equistera.errors import UserError
from equistera.frames import one_picture, picture_folder


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.jpg"), np.zeros((20, 30, 3), np.uint8))
    return folder


def test_photos_that_must_be_converted_are_listed_and_say_so(folder, tmp_path):
    for name, brand in (("b.HEIC", b"heic"), ("c.heif", b"mif1"), ("d.avif", b"avif")):
        (folder / name).write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(4))
    found = {frame.name: frame.error for frame in picture_folder(folder, tmp_path / "out").frames()}
    assert list(found) == ["a.jpg", "b.HEIC", "c.heif", "d.avif"]
    assert not found.pop("a.jpg")
    assert all("must be converted to JPEG first" in error for error in found.values())


def test_a_folder_without_pictures_says_what_was_looked_for(folder):
    (folder / "a.jpg").rename(folder / "a.txt")
    with pytest.raises(UserError, match="no pictures") as caught:
        picture_folder(folder, None)
    assert ".jpg" in caught.value.hint
    assert ".heic" in caught.value.hint


def test_a_picture_that_is_not_there_is_answered_with_those_that_are(folder):
    with pytest.raises(UserError, match="no such picture") as caught:
        one_picture(folder / "sample.jpg", None)
    assert caught.value.hint.endswith("photos holds 1 picture, such as a.jpg")
    with pytest.raises(UserError, match="did you mean 'photos'"):
        one_picture(folder.parent / "photo" / "a.jpg", None)


def test_a_folder_and_a_picture_are_told_apart(folder):
    with pytest.raises(UserError, match="photos is a folder\n  Give it as --img-dir"):
        one_picture(folder, None)
    with pytest.raises(UserError, match="is no folder\n  Give one picture as --img"):
        picture_folder(folder / "a.jpg", None)


@pytest.mark.parametrize("suffix", JPEGS)
def test_a_drawing_has_the_name_of_its_picture_whatever_a_jpeg_is_called(tmp_path, suffix):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (16, 8)).save(tmp_path / "in" / f"a{suffix}", format="JPEG")
    pictures = picture_folder(tmp_path / "in", tmp_path / "out")
    for frame in pictures.frames():
        assert pictures.write(frame, frame.image) == ""
    with Image.open(tmp_path / "out" / f"a{suffix}") as drawn:
        assert (drawn.format, drawn.size) == ("JPEG", (16, 8))
