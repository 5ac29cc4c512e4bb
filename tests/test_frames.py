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


def test_photos_of_phones_are_read_and_drawn_as_jpeg(folder, tmp_path):
    Image.new("RGB", (30, 20), "red").save(folder / "a.HEIC", format="HEIF")
    Image.new("RGB", (30, 20), "red").save(folder / "a.avif")
    pictures = picture_folder(folder, tmp_path / "out")
    for frame in pictures.frames():
        assert frame.image.shape == (20, 30, 3)
        assert not pictures.write(frame, frame.image)
    drawn = {path.name: cv2.imread(str(path)) for path in (tmp_path / "out").glob("[!.]*")}
    assert sorted(drawn) == ["a.HEIC.jpg", "a.avif.jpg", "a.jpg"]
    assert (np.abs(drawn["a.HEIC.jpg"].astype(int) - (0, 0, 255)) < 8).all()


def test_photos_that_cannot_be_read_are_listed_and_say_so(folder, tmp_path):
    for name in ("b.HEIC", "c.CR2", "d.gif"):
        (folder / name).write_bytes(b"\0\0\0\x18ftypheic" + bytes(4))
    found = {frame.name: frame.error for frame in picture_folder(folder, tmp_path / "out").frames()}
    assert list(found) == ["a.jpg", "b.HEIC", "c.CR2", "d.gif"]
    assert not found.pop("a.jpg")
    assert all("is not a picture that can be read" in error for error in found.values())


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
