import errno
import gc
import itertools
import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from equistera import video, video_writer
from equistera.errors import UserError, WriteError
from equistera.files import atomic_write
from equistera.video import VideoFrames

FRAMES, SIZE, RATE = 12, (160, 120), 20


def frame(number: int, size=SIZE) -> np.ndarray:
    """RGB, red on the left and blue on the right, grey by number: survives any codec."""
    image = np.full((size[1], size[0], 3), 5 * number % 250, np.uint8)
    image[:, : size[0] // 4], image[:, -(size[0] // 4) :] = (255, 0, 0), (0, 0, 255)
    return image


def write(path, codec="libx264", frames=FRAMES, rate=RATE, size=SIZE, pixels=None, times=None, sound=None, **settings):
    """A video; ``times`` in thousandths of a second, ``sound`` the name of a codec."""
    with av.open(str(path), "w", **settings) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = pixels or {"mjpeg": "yuvj420p", "gif": "rgb8"}.get(codec, "yuv420p")
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        track = container.add_stream(sound, rate=44100, layout="mono") if sound else None
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(frame(number, size), format="rgb24")
            if times:
                picture.pts, picture.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if sound:
            tone = (np.sin(np.arange(round(44100 * frames / rate)) / 20) * 8000).astype(np.int16)
            audio = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
            audio.sample_rate = 44100
            container.mux(track.encode(audio))
            container.mux(track.encode(None))
    return path


def drawn(source: VideoFrames):
    """All frames written; what the new file holds."""
    for each in source.frames():
        source.write(each, each.image)
    source.close()
    return VideoFrames(source.out, None)


def sound_of(path) -> tuple[str, bytes]:
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        return stream.codec_context.name, b"".join(bytes(packet) for packet in container.demux(stream))


def turned(path, matrix=(0, 1, -1, 0)):
    """Puts a matrix (by default of a quarter turn) into the mp4's track header (ISO 14496-12, 8.3.2)."""
    content = bytearray(path.read_bytes())
    place = content.find(b"tkhd") + 4 + 4 + 20 + 8 + 8
    assert struct.unpack_from(">9i", content, place)[0] == 0x10000
    a, b, c, d = (0x10000 * value for value in matrix)
    struct.pack_into(">9i", content, place, a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(content)
    return path


def test_a_video_replaces_a_drawn_one_and_no_other_file(tmp_path):
    write(tmp_path / "a.mp4")
    write(tmp_path / "mine.mp4")
    before = (tmp_path / "mine.mp4").read_bytes()
    with pytest.raises(UserError, match="files exist already"):
        VideoFrames(tmp_path / "a.mp4", tmp_path / "mine.mp4")
    assert (tmp_path / "mine.mp4").read_bytes() == before
    for overwrite in (True, False):
        drawn(VideoFrames(tmp_path / "a.mp4", tmp_path / "mine.mp4", overwrite))
    assert len(list(VideoFrames(tmp_path / "mine.mp4", None).frames())) == FRAMES


KINDS = [
    ("a.mp4", "libx264", {}),
    ("a.mp4", "mpeg4", {}),
    ("a.avi", "mjpeg", {}),
    ("a.mkv", "libx264", {}),
    ("a.webm", "libvpx-vp9", {}),
    ("a.ts", "libx264", {}),
    ("a.mov", "libx265", {"pixels": "yuv420p10le"}),
    ("a.flv", "flv", {}),
    ("a.h264", "libx264", {}),
]


@pytest.mark.parametrize(("name", "codec", "settings"), KINDS)
def test_frames_come_in_order_as_rgb(tmp_path, name, codec, settings, capfd):
    if codec not in av.codecs_available:
        pytest.skip(f"FFmpeg was built without {codec}")
    write(tmp_path / name, codec, **settings)
    capfd.readouterr()
    source = VideoFrames(tmp_path / name, None)
    frames = list(source.frames())
    assert [f.number for f in frames] == list(range(FRAMES))
    assert len(source) == FRAMES
    assert not source.problems
    for number, found in enumerate(frames):
        assert np.abs(found.image.astype(int) - frame(number)).mean() < 12
        if name != "a.h264":
            assert float(found.time) == pytest.approx(number / RATE, abs=0.002)
    assert capfd.readouterr() == ("", "")


def test_grey_transparent_and_moving_gif_are_videos_too(tmp_path):
    write(tmp_path / "grey.mp4", pixels="gray")
    write(tmp_path / "clear.mov", "qtrle", pixels="argb")
    write(tmp_path / "moving.gif", "gif", rate=10)
    for name in ("grey.mp4", "clear.mov", "moving.gif"):
        frames = list(VideoFrames(tmp_path / name, None).frames())
        assert len(frames) == FRAMES
        assert {each.image.shape for each in frames} == {(SIZE[1], SIZE[0], 3)}


@pytest.mark.parametrize(
    ("matrix", "shape", "red", "blue"),
    [
        ((0, 1, -1, 0), (160, 120), (10, 60), (-10, 60)),  # clockwise: the left side comes to the top
        ((0, -1, 1, 0), (160, 120), (-10, 60), (10, 60)),
        ((-1, 0, 0, -1), (120, 160), (60, -10), (60, 10)),
        ((-1, 0, 0, 1), (120, 160), (60, -10), (60, 10)),  # mirrored, as a front camera
        ((1, 0, 0, 1), (120, 160), (60, 10), (60, -10)),
    ],
)
def test_a_phones_rotation_is_applied(tmp_path, matrix, shape, red, blue):
    source = VideoFrames(turned(write(tmp_path / "a.mp4", frames=2), matrix), tmp_path / "out.mp4")
    for video_read in (VideoFrames(tmp_path / "a.mp4", None), drawn(source)):
        first = next(video_read.frames()).image
        assert first.shape == (*shape, 3)
        assert first[red][0] > 200 > first[red][2]
        assert first[blue][2] > 200 > first[blue][0]


@pytest.mark.parametrize("rate", [Fraction(196263, 1000), Fraction(211222, 1000), Fraction(30000, 1001), 240, 7])
def test_every_rate_is_kept_in_mp4(tmp_path, rate, capfd):
    new = drawn(VideoFrames(write(tmp_path / "a.mp4", rate=rate), tmp_path / "out.mp4"))
    assert [path.name for path in sorted(tmp_path.glob("[!.]*"))] == ["a.mp4", "out.mp4"]
    assert float(new.rate) == pytest.approx(float(rate), rel=0.005)
    times = [float(each.time) for each in new.frames()]
    assert times == pytest.approx([number / rate for number in range(FRAMES)], abs=1 / 60_000)
    assert capfd.readouterr() == ("", "")


def test_uneven_times_are_kept_in_mp4_and_said_of_avi(tmp_path):
    times = [0, 33, 66, 120, 500, 533, 566, 1000, 1033, 1500, 1516, 2000]
    source = write(tmp_path / "a.mp4", times=times, rate=30)
    found = [float(each.time) for each in drawn(VideoFrames(source, tmp_path / "out.mp4")).frames()]
    assert found == pytest.approx([time / 1000 for time in times], abs=0.001)
    into_avi = VideoFrames(source, tmp_path / "out.avi")
    drawn(into_avi)
    assert into_avi.notes == ["its frames come at uneven times, which .avi cannot hold; .mp4 can"]


@pytest.mark.parametrize("name", ["2024-05-01T10:30:00.mp4", "concat:a.mp4", "%03d.mp4", "file:x.mp4", "ä 馬.mp4"])
def test_a_name_is_only_a_name(tmp_path, monkeypatch, name):
    # what FFmpeg takes for a protocol stands at the beginning
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.mp4").rename(name)
    assert len(list(drawn(VideoFrames(name, f"{name[:-4]} drawn.mp4")).frames())) == FRAMES


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{url}'\n",
        "[playlist]\nFile1={url}\n",
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{url}</BaseURL></MPD>',
    ],
)
def test_a_file_that_names_others_is_not_followed(tmp_path, content, monkeypatch):
    good = write(tmp_path / "good.mp4")
    opened = []
    monkeypatch.setattr("socket.socket.connect", lambda *_: opened.append("connect"))
    for url in ("good.mp4", str(good), "http://127.0.0.1:9/a.ts"):
        (tmp_path / "list.mp4").write_text(content.format(url=url))
        with pytest.raises(UserError, match="cannot read video"):
            VideoFrames(tmp_path / "list.mp4", None)
    assert not opened


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a.mp4", "concat:a.mp4|a.mp4", "a%01d.mp4", "-"])
def test_an_address_is_no_file(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a1.mp4")
    with pytest.raises(UserError, match="no such video"):
        VideoFrames(address, None)


@pytest.mark.parametrize(("name", "codec", "settings"), KINDS)
def test_stills_are_the_frames_of_their_times(tmp_path, name, codec, settings):
    if codec not in av.codecs_available:
        pytest.skip(f"FFmpeg was built without {codec}")
    write(tmp_path / name, codec, **settings)
    frames = list(VideoFrames(tmp_path / name, None).frames())
    chosen = [frames[number] for number in (9, 2, 0, FRAMES - 1)]
    stills = VideoFrames(tmp_path / name, None).stills([float(each.time) for each in chosen])
    # a stream without times or an index need not lead anywhere, but never to another frame
    given = [(each, still) for each, still in zip(chosen, stills, strict=True) if still is not None]
    assert all(np.array_equal(each.image, still) for each, still in given)
    assert len(given) == len(chosen) or name in ("a.h264", "a.ts")
    assert VideoFrames(tmp_path / name, None).stills([0.5 / RATE]) == [None]


def test_stills_of_uneven_times_and_far_keyframes(tmp_path):
    times = [0, 40, 90, 100, 300, 310, 420, 500, 900, 940, 941, 1500]
    write(tmp_path / "a.mkv", times=times)
    frames = list(VideoFrames(tmp_path / "a.mkv", None).frames())
    stills = VideoFrames(tmp_path / "a.mkv", None).stills([float(each.time) for each in frames])
    assert [float(each.time) for each in frames] == pytest.approx(np.array(times) / 1000)
    assert all(np.array_equal(each.image, still) for each, still in zip(frames, stills, strict=True))


def test_a_size_that_changes_half_way_goes_on(tmp_path):
    parts = [
        write(tmp_path / "1.ts", "mpeg2video", rate=25),
        write(tmp_path / "2.ts", "mpeg2video", rate=25, size=(80, 96)),
    ]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    sizes = [each.image.shape[:2] for each in VideoFrames(both, None).frames()]
    # the seam takes a frame
    first = sizes.count((120, 160))
    assert first in (11, 12)
    assert sizes == first * [(120, 160)] + 12 * [(96, 80)]
    source = VideoFrames(both, tmp_path / "out.mp4")
    frames = list(drawn(source).frames())
    assert source.notes == ["12 frames of another size are fitted into 160x120 pixels"]
    assert [each.image.shape[:2] for each in frames] == len(sizes) * [(120, 160)]
    # in the middle, between black bars, with the red on its left
    assert frames[-1].image[60, :28].max() < 30
    assert frames[-1].image[60, 40, 0] > 200
    # the second part starts at 0 again; its frames follow one after the other
    times = [float(each.time) for each in frames]
    assert np.diff(times) == pytest.approx([1 / 25] * (len(sizes) - 1), abs=0.001)


@pytest.mark.parametrize(
    ("name", "sound", "out"),
    [("a.mp4", "aac", "o.mp4"), ("a.mov", "pcm_s16le", "o.mov"), ("a.mkv", "aac", "o.mov"), ("a.mp4", "aac", "o.avi")],
)
def test_the_sound_is_copied_as_it_is(tmp_path, name, sound, out):
    source = VideoFrames(write(tmp_path / name, sound=sound, rate=25), tmp_path / out)
    new = drawn(source)
    assert not source.notes
    before, after = sound_of(tmp_path / name), sound_of(tmp_path / out)
    assert after[0] == before[0]
    # .avi has no word for what is before the beginning
    assert after[1] == before[1] or (out == "o.avi" and len(after[1]) > 100 and before[1].endswith(after[1]))
    assert [float(each.time) for each in new.frames()] == pytest.approx([n / 25 for n in range(FRAMES)], abs=0.001)


def test_sound_that_the_new_file_cannot_hold_is_said(tmp_path):
    source = VideoFrames(write(tmp_path / "a.avi", "mjpeg", sound="pcm_mulaw"), tmp_path / "out.mp4")
    assert len(list(drawn(source).frames())) == FRAMES
    assert source.notes == ["its sound (pcm_mulaw) is left out: .mp4 cannot hold it"]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "mpeg4"), ("a.avi", "mjpeg"), ("a.mkv", "libx264"), ("a.mp4", "libx264")]
)
def test_a_broken_tail_is_reported_and_the_rest_comes(tmp_path, name, codec):
    path = write(tmp_path / name, codec, frames=40, sound="aac" if name == "a.mp4" else None)
    content = bytearray(path.read_bytes())
    start, end = content.find(b"mdat") if name == "a.mp4" else 0, content.find(b"moov") - 4
    if name == "a.mp4":
        # as much is missing of a file that was copied only in part, with the index before it
        cut = start + int(0.7 * (end - start))
        content[cut:end] = bytes(end - cut)
    else:
        del content[int(0.7 * len(content)) :]
    path.write_bytes(content)
    source = VideoFrames(path, tmp_path / "out.mp4")
    written = len(list(drawn(source).frames()))
    assert 10 < written < 40
    assert len(source.problems) == 1
    assert source.problems[0].startswith(f"{name}: ")


def test_how_many_frames_are_missing_is_said(tmp_path):
    path = write(tmp_path / "a.avi", "mjpeg", frames=40)
    path.write_bytes(path.read_bytes()[: int(0.7 * path.stat().st_size)])
    source = VideoFrames(path, None)
    read = len(list(source.frames()))
    assert source.problems == [
        f"a.avi: the last {40 - read} of 40 frames cannot be decoded (from frame {read}, second {read / RATE:.1f}, on)"
    ]


@pytest.mark.parametrize("name", ["out.mp4", "out.avi", "out.MOV"])
@pytest.mark.parametrize("size", [SIZE, (161, 121), (3, 5)])
def test_what_is_written_can_be_read(tmp_path, name, size):
    source = VideoFrames(write(tmp_path / "a.mkv", "ffv1", size=size, pixels="bgr0"), tmp_path / "new" / name)
    for item in source.frames():
        source.write(item, 255 - item.image)
    assert not (tmp_path / "new" / name).exists()
    source.close()
    assert [path.name for path in (tmp_path / "new").glob("[!.]*")] == [name]
    again = VideoFrames(tmp_path / "new" / name, None)
    assert again.rate == 20
    for number, found in enumerate(again.frames()):
        height, width = found.image.shape[:2]
        # a row or column is doubled where sides have to be even
        assert (width - size[0], height - size[1]) == ((0, 0) if name == "out.avi" else (size[0] % 2, size[1] % 2))
        if size != (3, 5):
            wanted = 255 - frame(number, size)
            assert np.abs(found.image[: size[1], : size[0]].astype(int) - wanted).mean() < 20
    assert number == FRAMES - 1


def test_without_h264_mpeg4_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    for rate in (20, Fraction(196263, 1000)):
        new = drawn(VideoFrames(write(tmp_path / "a.mp4", rate=rate), tmp_path / "out.mp4"))
        assert new._stream.codec_context.name == "mpeg4"
        assert [float(f.time) for f in new.frames()] == pytest.approx([n / rate for n in range(FRAMES)], abs=1e-4)


def test_the_shape_of_pixels_is_kept(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height = SIZE
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(frame(0), format="rgb24")))
        container.mux(stream.encode(None))
    assert drawn(VideoFrames(path, tmp_path / "out.mp4"))._stream.sample_aspect_ratio == Fraction(16, 11)
    turned(path)
    assert drawn(VideoFrames(path, tmp_path / "out.mp4"))._stream.sample_aspect_ratio == Fraction(11, 16)


def test_an_abandoned_video_leaves_nothing(tmp_path):
    source = VideoFrames(write(tmp_path / "a.mp4", sound="aac"), tmp_path / "out.mp4")
    item = next(source.frames())
    source.write(item, item.image)
    source.abandon()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("room", [0, 2000, 20_000])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, monkeypatch, room):
    class Full:
        def __init__(self, file):
            self.file, self.seek, self.tell = file, file.seek, file.tell

        def write(self, content):
            if self.file.tell() + len(content) > room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return self.file.write(content)

    class Place:
        def __init__(self, *arguments):
            self.inner = atomic_write(*arguments)

        def __enter__(self):
            return Full(self.inner.__enter__())

        def __exit__(self, *error):
            return self.inner.__exit__(*error)

    monkeypatch.setattr(video_writer, "atomic_write", Place)
    source = VideoFrames(write(tmp_path / "a.mp4", frames=60, size=(320, 240)), tmp_path / "out.mp4")
    noise = np.random.default_rng(0)
    with pytest.raises(WriteError, match=r"cannot write .*out\.mp4: No space left on device") as error:  # noqa: PT012
        for each in source.frames():
            source.write(each, noise.integers(0, 255, each.image.shape, np.uint8))
        source.close()
    assert "Make room" in error.value.hint
    source.abandon()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_what_is_no_video_is_said(tmp_path, capfd):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    good = write(tmp_path / "a.mp4")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    cv2.imwrite(str(tmp_path / "picture.png"), frame(0))
    (tmp_path / "picture.png").rename(tmp_path / "renamed.mp4")
    cv2.imwrite(str(tmp_path / "picture.jpg"), frame(0))
    with av.open(str(tmp_path / "sound.m4a"), "w", format="mp4") as container:
        track = container.add_stream("aac", rate=44100, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.int16), format="s16", layout="mono")
        silence.sample_rate = 44100
        container.mux(track.encode(silence))
        container.mux(track.encode(None))
    (tmp_path / "hard.mp4").hardlink_to(good)
    for path, out, finding in (
        (tmp_path / "text.mp4", None, "cannot read video"),
        (tmp_path / "empty.mp4", None, "empty.mp4: it is empty"),
        (cut, None, "cannot read video"),
        (tmp_path / "gone.mp4", None, "no such video"),
        (tmp_path, None, "no such video"),
        (tmp_path / "picture.jpg", None, "is a picture, no video"),
        (tmp_path / "renamed.mp4", None, "is a picture, no video"),
        (tmp_path / "sound.m4a", None, "holds no video"),
        (good, good, "is the video itself"),
        (good, tmp_path / "hard.mp4", "is the video itself"),
        (good, tmp_path / "a.gif", "is no name of a video"),
    ):
        with pytest.raises(UserError, match=finding) as error:
            VideoFrames(path, out)
        assert len(str(error.value).splitlines()) <= 2
    assert capfd.readouterr() == ("", "")


def test_frames_too_large_for_the_memory_are_refused_before_one_is_made(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4")
    monkeypatch.setattr(video, "MAX_PIXELS", SIZE[0] * SIZE[1] // 2)
    with pytest.raises(UserError, match="has frames of 160x120 pixels, over 0 million"):
        VideoFrames(path, None)


def test_a_frame_that_becomes_too_large_on_the_way_is_not_made(tmp_path, monkeypatch):
    both = tmp_path / "both.h264"
    parts = [write(tmp_path / f"{size[0]}.h264", size=size) for size in (SIZE, (640, 480))]
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    monkeypatch.setattr(video, "MAX_PIXELS", 100 * 1000)
    source = VideoFrames(both, None)
    assert {each.image.shape[:2] for each in source.frames()} == {(120, 160)}
    assert "frames damaged or cannot be decoded" in source.problems[0]


def test_few_frames_are_held_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "AHEAD_PIXELS", 3 * SIZE[0] * SIZE[1])
    source = VideoFrames(write(tmp_path / "a.mp4", frames=40), None)
    decoded, upright = itertools.count(), video._upright
    monkeypatch.setattr(video, "_upright", lambda *given: (next(decoded), upright(*given))[1])
    frames = source.frames()
    next(frames)
    frames.close()
    assert next(decoded) <= 5


def test_frames_that_are_done_with_need_no_collection_of_garbage(tmp_path):
    source = VideoFrames(turned(write(tmp_path / "a.mp4", frames=40)), tmp_path / "out.mp4")
    gc.collect()
    gc.disable()
    try:
        drawn(source)
        held = sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert held < 5


def test_frames_without_times_follow_at_the_videos_rate(tmp_path):
    source = VideoFrames(write(tmp_path / "a.h264", rate=25), tmp_path / "out.mp4")
    times = [float(each.time) for each in drawn(source).frames()]
    assert np.diff(times) == pytest.approx([1 / float(source.rate)] * (FRAMES - 1), abs=0.001)


def test_one_frame_is_a_video(tmp_path):
    assert len(list(drawn(VideoFrames(write(tmp_path / "a.mp4", frames=1), tmp_path / "out.mp4")).frames())) == 1


def test_a_place_below_a_file_is_said(tmp_path):
    source = write(tmp_path / "a.mp4")
    with pytest.raises(UserError, match="is a file where a folder is needed"):
        VideoFrames(source, source / "out.mp4")


def test_pictures_of_an_unknown_kind_are_said(tmp_path):
    path = write(tmp_path / "a.avi", "mjpeg")
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"ZZZZ"))
    with pytest.raises(UserError, match="its pictures are of a kind that is not known"):
        VideoFrames(path, None)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "mpeg4"), ("a.ts", "libx264")])
def test_damage_anywhere_is_a_sentence_at_most(tmp_path, name, codec, capfd):
    content = write(tmp_path / name, codec, sound="aac").read_bytes()
    rng, said = np.random.default_rng(0), set()
    for _ in range(12):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 20):
            damaged[place] = rng.integers(256)
        (tmp_path / name).write_bytes(damaged)
        try:
            source = VideoFrames(tmp_path / name, tmp_path / "out.mp4")
            drawn(source)
            said.update(source.problems, source.notes)
        except UserError as error:
            said.add(error.summary)
    assert said
    assert not any("cannot write" in text for text in said)
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]
    capfd.readouterr()
