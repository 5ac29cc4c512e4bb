import struct

import cv2
import numpy as np
import pytest

from equistera import video
from equistera.errors import UserError
from equistera.video import VideoFrames

FRAMES, SIZE = 12, (160, 120)


def frame(number: int) -> np.ndarray:
    """RGB, red on the left and blue on the right, grey by number: survives any codec."""
    image = np.full((SIZE[1], SIZE[0], 3), 5 * number, np.uint8)
    image[:, :40], image[:, -40:] = (255, 0, 0), (0, 0, 255)
    return image


def write(path, codec="mp4v", frames=FRAMES):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 20, SIZE)
    for number in range(frames):
        writer.write(frame(number)[..., ::-1])
    writer.release()
    return path


def turned(path):
    """Puts the matrix of a quarter turn into the mp4's track header (ISO 14496-12, 8.3.2)."""
    content = bytearray(path.read_bytes())
    matrix = content.find(b"tkhd") + 4 + 4 + 20 + 8 + 8
    assert struct.unpack_from(">9i", content, matrix)[0] == 0x10000
    struct.pack_into(">9i", content, matrix, 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    path.write_bytes(content)
    return path


def test_a_video_replaces_a_drawn_one_and_no_other_file(tmp_path):
    write(tmp_path / "a.mp4")
    write(tmp_path / "mine.mp4")
    before = (tmp_path / "mine.mp4").read_bytes()
    with pytest.raises(UserError, match="no drawings of this tool"):
        VideoFrames(tmp_path / "a.mp4", tmp_path / "mine.mp4")
    assert (tmp_path / "mine.mp4").read_bytes() == before
    for overwrite in (True, False):
        source = VideoFrames(tmp_path / "a.mp4", tmp_path / "mine.mp4", overwrite)
        for each in source.frames():
            source.write(each, each.image)
        source.close()
    assert len(list(VideoFrames(tmp_path / "mine.mp4", None).frames())) == FRAMES


def test_frames_come_in_order_as_rgb(tmp_path):
    source = VideoFrames(write(tmp_path / "a.mp4"), None)
    frames = list(source.frames())
    assert [f.number for f in frames] == list(range(FRAMES))
    assert len(source) == FRAMES
    assert not source.problems
    for number, found in enumerate(frames):
        assert np.abs(found.image.astype(int) - frame(number)).mean() < 12


def test_a_phones_rotation_is_applied(tmp_path):
    source = VideoFrames(turned(write(tmp_path / "a.mp4")), None)
    first = next(source.frames()).image
    assert first.shape == (SIZE[0], SIZE[1], 3)
    # a turn clockwise brings the left side to the top
    assert first[10, 60, 0] > 200 > first[10, 60, 2]
    assert first[-10, 60, 2] > 200 > first[-10, 60, 0]


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mp4v"), ("a.avi", "MJPG")])
def test_a_broken_tail_is_reported_and_the_rest_comes(tmp_path, name, codec):
    path = write(tmp_path / name, codec, frames=40)
    content = bytearray(path.read_bytes())
    start, end = content.find(b"mdat") if codec == "mp4v" else 0, content.find(b"moov") - 4
    if codec == "mp4v":
        cut = start + int(0.7 * (end - start))
        content[cut:end] = bytes(end - cut)
    else:
        del content[int(0.7 * len(content)) :]
    path.write_bytes(content)
    source = VideoFrames(path, None)
    read = len(list(source.frames()))
    assert 10 < read < 39
    assert len(source.problems) == 1
    assert f"the last {40 - read} of 40 frames cannot be decoded (from frame {read}" in source.problems[0]


@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_what_is_written_can_be_read(tmp_path, name):
    source = VideoFrames(write(tmp_path / "a.mp4"), tmp_path / "new" / name)
    for item in source.frames():
        source.write(item, 255 - item.image)
    assert not (tmp_path / "new" / name).exists()
    source.close()
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]
    again = VideoFrames(tmp_path / "new" / name, None)
    assert again.rate == 20
    for number, found in enumerate(again.frames()):
        assert np.abs(found.image.astype(int) - (255 - frame(number))).mean() < 20
    assert number == FRAMES - 1


def test_without_an_encoder_for_mp4_an_avi_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(video.CODECS, ".mp4", "zzzz")
    source = VideoFrames(write(tmp_path / "a.mp4"), tmp_path / "out.mp4")
    for item in source.frames():
        source.write(item, item.image)
    source.close()
    assert source.out == tmp_path / "out.avi"
    assert len(list(VideoFrames(source.out, None).frames())) == FRAMES


def test_an_abandoned_video_leaves_nothing(tmp_path):
    source = VideoFrames(write(tmp_path / "a.mp4"), tmp_path / "out.mp4")
    item = next(source.frames())
    source.write(item, item.image)
    source.abandon()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_what_is_no_video_is_said(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    good = write(tmp_path / "a.mp4")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(good.read_bytes()[:3000])
    for path, out, finding in (
        (tmp_path / "text.mp4", None, "cannot read video"),
        (cut, None, "cannot read video"),
        (tmp_path / "gone.mp4", None, "no such video"),
        (good, good, "is the video itself"),
        (good, tmp_path / "a.gif", "is no name of a video"),
    ):
        with pytest.raises(UserError, match=finding):
            VideoFrames(path, out)


@pytest.mark.parametrize("source", ["out.avi", "a.avi"])
def test_an_avi_in_place_of_mp4_replaces_no_file_that_nobody_named(tmp_path, monkeypatch, source):
    monkeypatch.setitem(video.CODECS, ".mp4", "zzzz")
    read, taken = write(tmp_path / source, "MJPG"), tmp_path / "out.avi"
    taken.exists() or taken.write_text("mine")
    before = taken.read_bytes()
    drawn = VideoFrames(read, tmp_path / "out.mp4")
    item = next(drawn.frames())
    with pytest.raises(UserError, match=r"no encoder for \.mp4 here, and .*out\.avi exists already"):
        drawn.write(item, item.image)
    drawn.abandon()
    assert taken.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {source, "out.avi"}


def test_a_place_below_a_file_is_said(tmp_path):
    source = write(tmp_path / "a.mp4")
    with pytest.raises(UserError, match="is a file where a folder is needed"):
        VideoFrames(source, source / "out.mp4")
