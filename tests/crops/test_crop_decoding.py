import cv2
import numpy as np
import pytest
from crop_cases import smooth_picture
from PIL import Image

from equistera.crops.decoding import decode, from_blocks, reduction, warp
from equistera.dataset.images import read_header, read_rgb
from equistera.errors import UserError


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(640, 480), (637, 479)])
def test_a_reduced_photo_maps_to_the_whole_one_whatever_its_orientation(tmp_path, orientation, size):
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(smooth_picture(*size)[..., ::-1].copy()).save(path, quality=98, exif=exif)
    whole = read_rgb(path)[..., ::-1].astype(float)
    header = read_header(path)
    for wanted in (1, 2.5, 4, 100):
        factor = reduction(header, wanted)
        reduced, (scale, offset) = decode(path.read_bytes(), path, header, factor), from_blocks(factor)
        y, x = np.mgrid[8 : reduced.shape[0] - 8, 8 : reduced.shape[1] - 8].astype(np.float32)
        there = cv2.remap(
            whole, (x * scale + offset).astype(np.float32), (y * scale + offset).astype(np.float32), cv2.INTER_LINEAR
        )
        assert np.abs(there - reduced[8:-8, 8:-8]).mean() < 2.5
    assert reduction(header, 8) == (8 if size == (640, 480) or orientation == 1 else 1)


def test_only_jpeg_is_decoded_smaller(tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), smooth_picture(64, 48))
    assert reduction(read_header(tmp_path / "photo.png"), 8) == 1


def test_a_damaged_photo_is_named(tmp_path):
    path = tmp_path / "photo.jpg"
    cv2.imwrite(str(path), smooth_picture(64, 48))
    header = read_header(path)
    with pytest.raises(UserError, match=r"cannot decode .*photo\.jpg"):
        decode(b"", path, header)
    with pytest.raises(UserError, match="it has 64x48"):
        decode(path.read_bytes(), path, type(header)(100, 50, 1, "JPEG"))


@pytest.mark.parametrize("factor", [1, 1.4, 1.6, 2.3, 3.7, 7.9])
def test_a_warp_that_shrinks_averages(factor):
    """Fine stripes become grey, where sampling would show moire; a smooth picture stays what it is."""
    stripes = np.zeros((600, 600, 3), np.uint8)
    stripes[:, ::2] = 255
    matrix = np.array([[1 / factor, 0, 0.0], [0, 1 / factor, 0]])
    size = (int(560 / factor), int(560 / factor))
    if factor > 1.5:
        ours, sampled = (
            np.std(warped[4:-4, 4:-4])
            for warped in (warp(stripes, matrix, size), cv2.warpAffine(stripes, matrix, size))
        )
        assert ours < 0.5 * sampled or ours < 2
    smooth = smooth_picture(600, 600)
    difference = np.abs(warp(smooth, matrix, size).astype(int) - cv2.warpAffine(smooth, matrix, size))[4:-4, 4:-4]
    assert difference.max() <= 4


def test_a_turned_view_of_a_corner_is_the_same_whatever_is_left_out():
    """Only the part that is shown is averaged: the result does not depend on where it lies."""
    picture = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    angle = np.radians(25)
    linear = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / 3
    for corner in [(150, 120), (1100, 800), (600, 450)]:
        matrix = np.column_stack([linear, np.array([32, 32]) - linear @ corner])
        shrunk = cv2.resize(picture, (400, 300), interpolation=cv2.INTER_AREA)
        to_shrunk = matrix @ np.array([[3, 0, 1], [0, 3, 1], [0, 0, 1.0]])
        assert np.array_equal(warp(picture, matrix, (64, 64)), cv2.warpAffine(shrunk, to_shrunk, (64, 64)))


def test_transparency_is_white_in_training_too(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2] = (10, 20, 30, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    header = read_header(tmp_path / "a.png")
    picture = decode((tmp_path / "a.png").read_bytes(), "a.png", header)
    assert picture[[0, 3], 0].tolist() == [[30, 20, 10], [255, 255, 255]]


def test_sides_beyond_what_opencv_takes_are_refused_in_words(tmp_path):
    Image.new("L", (1 << 21, 1)).save(tmp_path / "wide.bmp")
    with pytest.raises(UserError, match=r"cannot decode .*wide\.bmp"):
        decode((tmp_path / "wide.bmp").read_bytes(), tmp_path / "wide.bmp", read_header(tmp_path / "wide.bmp"))
