"""A video as a stream of frames, and the drawings as another video that keeps the times and the sound of the first.

FFmpeg reads and writes, by PyAV, and only ever a file that Python has opened: a name is never an address, a protocol or
a pattern, and a file that lists others (a playlist, ``ffconcat``) is no video.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from equistera.dataset.images import SUFFIXES, ImageError, read_header
from equistera.errors import UserError
from equistera.frames import TOOL, Frame
from equistera.in_order import in_order
from equistera.outputs import check_targets, record, same_file
from equistera.video_writer import ENDINGS, VideoWriter
from equistera.words import counted, near

if TYPE_CHECKING:
    import av

#: Containers that hold what they show, as FFmpeg names them. Playlists and lists of files are left out: they make it
#: open other files and addresses.
CONTAINERS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,gif,mxf,dv,h264,hevc,m4v,mjpeg,ivf,nut"
#: Larger frames are refused before one is decoded; 8K has 33 million pixels.
MAX_PIXELS = 70_000_000
#: Pixels that are decoded ahead at most, and frames.
AHEAD_PIXELS, AHEAD = 70_000_000, 8
#: Where a video does not say how many frames a second it has.
USUAL_RATE = Fraction(25)
#: Some containers only estimate the number of frames or their length: so many may be missing without a word.
ESTIMATE, ESTIMATED_SECONDS = 1, 1.0
#: A picture that belongs to a sound file, such as an album's cover (FFmpeg's AV_DISPOSITION_ATTACHED_PIC).
_COVER = 0x400
_MICROSECONDS = 1_000_000


class VideoFrames:
    """The frames of a video file and the video that they are drawn into.

    Frames are turned as the file says. A frame without a time of its own, or with one before that of the frame before,
    follows at the video's rate.

    Args:
        path: A file of one of :data:`CONTAINERS`.
        out: A name that ends in one of :data:`~equistera.video_writer.ENDINGS`, or None to draw nothing.
        overwrite: Whether it may replace another file than an untouched drawing, but never the video itself.

    Attributes:
        out: The file written.
        unit: What is counted.
        writers: Threads that may write at once: one, in order.
        problems: What went wrong with the video as a whole; complete after :meth:`close`.
        notes: In what the drawn video differs from the one read; complete after :meth:`close`.

    Raises:
        UserError: The video cannot be opened, or ``out`` is the video itself, no name of a video, or another file.
    """

    unit = "frames"
    writers = 1

    def __init__(self, path: str | Path, out: str | Path | None, overwrite: bool = False):
        self.path, self.out = Path(path), Path(out) if out is not None else None
        self.problems: list[str] = []
        self.notes: list[str] = []
        if not self.path.is_file():
            raise UserError(
                f"no such video: {path}{near(path)}",
                hint="Only files are read; fetch it first" if "://" in str(path) else "",
            )
        if self.out is not None:
            if same_file(self.out, self.path):
                raise UserError("--out is the video itself; it is not overwritten", hint="Choose another name")
            if self.out.suffix.lower() not in ENDINGS:
                raise UserError(f"--out {self.out} is no name of a video", hint=f"Known: {', '.join(ENDINGS)}")
            check_targets("--out", [self.out], overwrite=overwrite, tool=TOOL)
        if _is_picture(self.path):
            raise UserError(f"{path} is a picture, no video", hint="Give it as --img")
        self._container = open_video(self.path)
        self._stream = self._container.streams.best("video")
        if self._stream is None or self._stream.disposition & _COVER:
            raise UserError(f"{path} holds no video, only sound or text")
        context = self._stream.codec_context
        if context is None:
            raise UserError(f"cannot read video {path}: its pictures are of a kind that is not known")
        if context.width * context.height > MAX_PIXELS:
            raise UserError(
                f"{path} has frames of {context.width}x{context.height} pixels, over {MAX_PIXELS // 10**6} million",
                hint="Make it smaller first, with ffmpeg for instance",
            )
        # the size may change on the way
        context.options = {"max_pixels": str(MAX_PIXELS)}
        self._stream.thread_type = "AUTO"
        self.rate: Fraction = self._stream.average_rate or self._stream.guessed_rate or USUAL_RATE
        self._start = Fraction(self._container.start_time or 0, _MICROSECONDS)
        self._announced, self._read, self._damaged, self._left_out = self._stream.frames, 0, 0, 0
        self._broken: str | None = None
        self._last: Fraction | None = None
        self._turn: tuple[int, Matrix] | None = None
        self._writer: VideoWriter | None = None

    @property
    def targets(self) -> Path | None:
        """Whether drawings are wanted, as for pictures."""
        return self.out

    def __len__(self) -> int:
        """Frames read or, before the end, announced by the file."""
        return max(self._announced or int((self._length or 0) * self.rate), self._read)

    def frames(self) -> Iterator[Frame]:
        """All frames in order, read ahead in a thread.

        Raises:
            UserError: Not even the first can be decoded.
        """
        decoded = self._decoded()
        pixels = max(1, self._stream.codec_context.width * self._stream.codec_context.height)
        ahead = max(1, min(AHEAD, AHEAD_PIXELS // pixels))
        frames = in_order(lambda _: next(decoded, None), itertools.count(), threads=1, ahead=ahead)
        for frame in itertools.takewhile(lambda frame: frame is not None, frames):
            self._read += 1
            yield frame
        if not self._read:
            raise UserError(f"no frame of {self.path} can be decoded")
        self.problems += self._what_is_missing()

    def stills(self, times: Sequence[float]) -> list[np.ndarray | None]:
        """The frames of some times, without decoding what lies far from them; instead of :meth:`frames`.

        Args:
            times: Seconds, as :meth:`frames` says them.

        Returns:
            RGB, uint8 [H, W, 3] each; None where the file does not lead to a frame of exactly this time.
        """
        import av

        try:
            return [self._still(time) for time in times]
        except (av.FFmpegError, OSError):
            return [None] * len(times)

    def _still(self, time: float) -> np.ndarray | None:
        wanted = int((Fraction(time) + self._start) / self._stream.time_base)
        self._container.seek(wanted, stream=self._stream)
        for picture in self._container.decode(self._stream):
            own = self._own_time(picture)
            if own is None or float(own) > time or picture.is_corrupt:
                return None
            if float(own) == time:
                return self._image(picture)
        return None

    def write(self, frame: Frame, drawing: np.ndarray) -> str:
        """Appends a drawing, RGB; returns an empty text: what goes wrong concerns the whole video.

        Raises:
            UserError: It cannot be written.
        """
        if self._writer is None:
            self._writer = VideoWriter(self.out, self.rate, drawing.shape[1::-1], self._aspect(drawing))
            self._writer.copy_sound(open_video(self.path), self._start)
        self._writer.write(drawing, frame.time)
        return ""

    def close(self) -> None:
        """Gives the finished video its name.

        Raises:
            UserError: It cannot be put there.
        """
        if self._writer is not None:
            # behind the last frame that could be read there is nothing to be heard
            self._writer.close(self._last if self.problems else None)
            self.notes += self._writer.notes
            record(TOOL, self.out)

    def abandon(self) -> None:
        """Leaves no half-written video behind."""
        # what is read is left to its thread, which may still be at it
        if self._writer is not None:
            self._writer.abandon()

    def _decoded(self) -> Iterator[Frame]:
        import av

        numbers = itertools.count()
        for packet in self._packets():
            self._left_out += packet.is_discard
            try:
                pictures = packet.decode()
            except av.FFmpegError:
                self._damaged += 1
                continue
            for picture in pictures:
                number = next(numbers)
                self._damaged += picture.is_corrupt
                yield Frame(f"frame {number}", number, self._image(picture), time=self._time_of(picture))

    def _image(self, picture: av.VideoFrame) -> np.ndarray:
        # asked once and where it changes: a frame that has shown its side data lies in memory until a collection of
        # garbage
        if self._turn is None or self._turn[0] != picture.rotation:
            self._turn = picture.rotation, _matrix(picture)
        return _upright(picture.to_ndarray(format="rgb24"), self._turn[1])

    def _packets(self) -> Iterator[av.Packet]:
        import av

        try:
            yield from self._container.demux(self._stream)
        except (av.FFmpegError, OSError, IndexError) as error:
            # PyAV looks up a stream that turns up on the way among those of the beginning
            self._broken = "a further stream begins" if isinstance(error, IndexError) else error.strerror or str(error)
            # the decoder holds frames back until it hears that there are no more
            last = av.Packet()
            last.stream = self._stream
            yield last

    def _time_of(self, picture: av.VideoFrame) -> Fraction:
        """Seconds from the beginning."""
        time = self._own_time(picture)
        if self._last is not None and (time is None or time <= self._last):
            time = self._last + 1 / self.rate
        self._last = time or Fraction(0)
        return self._last

    def _own_time(self, picture: av.VideoFrame) -> Fraction | None:
        if picture.pts is None or picture.time_base is None:
            return None
        return max(Fraction(0), picture.pts * picture.time_base - self._start)

    @property
    def _length(self) -> Fraction | None:
        """Seconds, as the file says."""
        if self._stream.duration is not None:
            return self._stream.duration * self._stream.time_base
        # with sound it is that of whichever is longer
        if self._container.duration is None or self._container.streams.audio:
            return None
        return Fraction(self._container.duration, _MICROSECONDS)

    def _what_is_missing(self) -> list[str]:
        ends = self._last + 1 / self.rate
        where = f"(from frame {self._read}, second {float(ends):.1f}, on)"
        missing = self._announced - self._left_out - self._read
        if self._announced and missing > ESTIMATE:
            announced = counted(self._announced, "frames")
            return [
                f"{self.path.name}: {'the last ' if not self._damaged else ''}{missing} of {announced} "
                f"cannot be decoded {where if not self._damaged else ''}".rstrip()
            ]
        if self._broken is not None:
            return [f"{self.path.name}: broken off {where}: {self._broken}"]
        if not self._announced and self._length and self._length - ends > ESTIMATED_SECONDS:
            return [f"{self.path.name}: cut off: {float(self._length):.1f} s are announced {where}"]
        if self._damaged:
            return [f"{self.path.name}: {counted(self._damaged, 'frames')} damaged or cannot be decoded"]
        return []

    def _aspect(self, drawing: np.ndarray) -> Fraction | None:
        """Width of a pixel by its height."""
        aspect = self._stream.sample_aspect_ratio
        if not aspect:
            return None
        context = self._stream.codec_context
        turned = drawing.shape[1::-1] == (context.height, context.width) and context.height != context.width
        return 1 / aspect if turned else aspect


def open_video(path: Path) -> av.container.InputContainer:
    """Opens a file of one of :data:`CONTAINERS`.

    Raises:
        UserError: It is of another kind, or broken.
    """
    import av

    def refuse(url: str, flags: int, options: dict) -> None:
        raise PermissionError(f"a video leads to {url}")

    try:
        return av.open(
            path.open("rb"),
            container_options={"format_whitelist": CONTAINERS, "protocol_whitelist": "none"},
            metadata_errors="replace",
            io_open=refuse,
        )
    except (av.FFmpegError, OSError) as error:
        what = f"broken, or of a kind that is not known ({error.strerror or error})"
        raise UserError(
            f"cannot read video {path}: {what if path.stat().st_size else 'it is empty'}",
            hint="A recording that was cut off looks like this; ffmpeg can often repair or convert it.",
        ) from error


def _is_picture(path: Path) -> bool:
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        return bool(read_header(path))
    except ImageError:
        return False


#: Column x and row y are shown at (a x + c y, b x + d y) (FFmpeg's libavutil/display.h).
Matrix = tuple[int, int, int, int]


def _matrix(picture: av.VideoFrame) -> Matrix:
    found = picture.side_data.get("DISPLAYMATRIX")
    if found is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(found, np.int32)[:5].tolist()
    return a, b, c, d


def _upright(image: np.ndarray, matrix: Matrix) -> np.ndarray:
    """The picture, [H, W, 3], turned and mirrored as the file says; only quarter turns are made."""
    a, b, c, d = matrix
    if max(abs(b), abs(c)) > max(abs(a), abs(d)):
        image, mirrored, upside_down = image.transpose(1, 0, 2), c < 0, b < 0
    else:
        mirrored, upside_down = a < 0, d < 0
    return np.ascontiguousarray(image[:: -1 if upside_down else 1, :: -1 if mirrored else 1])
