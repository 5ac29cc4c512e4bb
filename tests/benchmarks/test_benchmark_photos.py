import cv2
import numpy as np
import pytest
from speed.photos import bytes_of, encode, make_photos, photo

from equistera import skeleton
from equistera.dataset.coco import load_annotations

HORSE = skeleton.load("horse26")


def test_photos_have_the_size_and_the_weight_of_a_cameras(tmp_path):
    folder = make_photos(tmp_path, 3, (640, 480), HORSE)
    assert all(cv2.imread(str(p)).shape == (480, 640, 3) for p in (folder / "images/train").iterdir())
    assert bytes_of(folder) / (640 * 480) == pytest.approx(0.3, abs=0.1)
    coco = load_annotations(folder / "annotations/train.json", HORSE)
    assert len(coco["annotations"]) == 3
    for annotation in coco["annotations"]:
        x, y, width, height = annotation["bbox"]
        assert 0.5 * 640 <= width <= 0.9 * 640
        assert min(x, y) >= 0
        assert x + width <= 640
        assert y + height <= 480
        points = np.array(annotation["keypoints"]).reshape(26, 3)
        assert (points[:, :2] >= (x, y)).all()
        assert (points[:, :2] <= (x + width, y + height)).all()
        assert (points[:, 2] == 2).all()


def test_they_are_made_once_and_a_stopped_making_is_made_again(tmp_path):
    folder = make_photos(tmp_path, 2, (160, 120), HORSE)
    before = (folder / "images/train/0000.jpg").stat().st_mtime_ns
    assert make_photos(tmp_path, 2, (160, 120), HORSE) == folder
    assert (folder / "images/train/0000.jpg").stat().st_mtime_ns == before
    (folder / "annotations/train.json").unlink()
    (folder / "images/train/0001.jpg").unlink()
    make_photos(tmp_path, 2, (160, 120), HORSE)
    assert (folder / "images/train/0001.jpg").exists()


def test_a_decoder_cannot_skip_them():
    """Flat pictures of the same size are a tenth of the bytes."""
    rng = np.random.default_rng(0)
    noisy, flat = (len(encode(p, 0.3)) for p in (photo((320, 240), rng), np.full((240, 320, 3), 128, np.uint8)))
    assert noisy > 10 * flat
