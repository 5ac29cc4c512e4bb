"""Drawings are known again, and stay pictures and videos that others can read."""

import cv2
import numpy as np
import pytest
from PIL import Image

from equistera.dataset.images import JPEGS, WRITTEN, has_end
from equistera.errors import UserError
from equistera.frames import Frame, PictureFiles
from equistera.marks import check_targets, is_marked, marked, video_mark

PICTURE = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", WRITTEN)
def test_a_marked_picture_is_the_same_picture(tmp_path, suffix):
    encoded = cv2.imencode(".jpg" if suffix in JPEGS else suffix, PICTURE)[1].tobytes()
    path, plain = tmp_path / f"a{suffix}", tmp_path / f"plain{suffix}"
    plain.write_bytes(encoded)
    path.write_bytes(marked(encoded, suffix))
    assert is_marked(path)
    assert not is_marked(plain)
    np.testing.assert_array_equal(cv2.imread(str(path)), cv2.imread(str(plain)))
    with Image.open(path) as image, Image.open(plain) as same:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(same))
        kind, copy = image.format, image.copy()
    with Image.open(path) as image:
        image.verify()
    if kind in ("JPEG", "PNG"):
        with path.open("rb") as file:
            assert has_end(file, kind)
    # saved anew by somebody, it is theirs
    copy.save(path, format=kind)
    assert not is_marked(path)


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "mp4v"), (".avi", "MJPG")])
def test_a_marked_video_plays(tmp_path, suffix, codec):
    path = tmp_path / f"a{suffix}"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, (64, 48))
    for _ in range(5):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    assert not is_marked(path)
    with path.open("ab") as file:
        file.write(video_mark(suffix))
    assert is_marked(path)
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    assert [capture.read()[0] for _ in range(6)] == [True] * 5 + [False]


def test_only_drawings_are_replaced(tmp_path):
    ours, foreign, new = tmp_path / "ours.jpg", tmp_path / "text.jpg", tmp_path / "new.jpg"
    ours.write_bytes(marked(cv2.imencode(".jpg", PICTURE)[1].tobytes(), ".jpg"))
    foreign.write_text("notes")
    check_targets("--out", [ours, new], overwrite=False)
    with pytest.raises(UserError, match="no drawings of this tool") as caught:
        check_targets("--out", [ours, foreign, new], overwrite=False)
    assert caught.value.problems == [str(foreign)]
    check_targets("--out", [ours, foreign, new], overwrite=True)
    with pytest.raises(UserError, match="place of a folder"):
        check_targets("--out", [tmp_path], overwrite=True)


def test_drawings_of_a_folder_are_marked(tmp_path):
    source = PictureFiles(tmp_path, ["a.png"], {"a.png": tmp_path / "out" / "a.png"})
    assert source.write(Frame("a.png", 0, None), PICTURE) == ""
    assert is_marked(tmp_path / "out" / "a.png")
