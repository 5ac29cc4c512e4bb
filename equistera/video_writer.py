"""A video that is written frame by frame, with the sound of another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from equistera.drawing import fitted
from equistera.errors import UserError, WriteError
from equistera.files import atomic_write

if TYPE_CHECKING:
    import av

#: Containers and encoders by the end of a file's name, the first encoder that FFmpeg was built with. CRF 18 and a
#: quantiser of 3 show no difference to an eye; without B-frames no player shows sound and frames apart.
_MPEG = (
    ("libx264", "yuv420p", {"preset": "veryfast", "crf": "18", "bf": "0"}),
    ("mpeg4", "yuv420p", {"flags": "+qscale", "global_quality": "354"}),
)
ENDINGS = {
    ".mp4": ("mp4", _MPEG),
    ".mov": ("mov", _MPEG),
    ".avi": ("avi", (("mjpeg", "yuvj420p", {"flags": "+qscale", "global_quality": "354"}),)),
}
#: Units of time in a second: the most for MPEG-4 is 65,535; all usual rates divide this.
TICKS = 60_000


class VideoWriter:
    """Writes a video, which has its name only when it is complete.

    Args:
        out: Its ending is one of :data:`ENDINGS`.
        rate: Frames a second; ``.avi`` has no other times.
        size: Width and height of the first frame; later ones of another size are fitted into it.
        aspect: Width of a pixel by its height; None: square.

    Attributes:
        notes: What could not be kept.

    Raises:
        UserError: It cannot be written there.
    """

    def __init__(self, out: Path, rate: Fraction, size: tuple[int, int], aspect: Fraction | None = None):
        import av

        self.out, self.notes = out, []
        container, encoders = ENDINGS[out.suffix.lower()]
        name, pixels, options = next(entry for entry in encoders if entry[0] in av.codecs_available)
        # H.264 and MPEG-4 with halved colour have even sides
        self._size = size if name == "mjpeg" else tuple(side + side % 2 for side in size)
        self._unit = 1 / rate if container == "avi" else Fraction(1, TICKS)
        self._ticks, self._uneven = -1, False
        self._other_sizes = self._damaged_sound = 0
        self._sound: Iterator[tuple[Fraction, av.Packet]] = iter(())
        self._next: tuple[Fraction, av.Packet] | None = None
        self._place = contextlib.ExitStack()
        self._file = self._place.enter_context(atomic_write(out, "wb"))
        with self._failures():
            self._container = av.open(self._file, "w", format=container)
            self._stream = self._container.add_stream(name, rate=rate.limit_denominator(TICKS), options=dict(options))
            self._stream.width, self._stream.height = self._size
            self._stream.pix_fmt = pixels
            self._stream.codec_context.time_base = self._unit
            # players take what says nothing for BT.709 where it is large; ours is made by BT.601
            self._stream.codec_context.colorspace = av.video.reformatter.Colorspace.SMPTE170M
            if aspect:
                self._stream.sample_aspect_ratio = aspect

    def copy_sound(self, source: av.container.InputContainer, start: Fraction) -> None:
        """Takes all sound of a video, opened for this alone, along as it is; before the first frame is written.

        ``start`` is where the video begins on its clock, in seconds.
        """
        tracks = {}
        for stream in source.streams.audio:
            kind = stream.codec_context.name if stream.codec_context else "of an unknown kind"
            try:
                if stream.codec_context is None:
                    raise ValueError
                tracks[stream.index] = self._container.add_stream_from_template(stream)
            except ValueError:
                self.notes.append(f"its sound ({kind}) is left out: {self.out.suffix} cannot hold it")
        if tracks:
            self._sound = self._packets(source, tracks, start)
            self._next = next(self._sound, None)

    def write(self, image: np.ndarray, time: Fraction) -> None:
        """Appends a frame, RGB uint8 [H, W, 3], shown at a second later than that of the frame before.

        Raises:
            UserError: It cannot be written.
        """
        import av

        ticks = max(round(time / self._unit), self._ticks + 1)
        # the rounding of a video of one rate is less than that
        self._uneven |= abs(ticks * self._unit - time) > Fraction(3, 4) * max(self._unit, Fraction(1, 1000))
        self._ticks = ticks
        picture = av.VideoFrame.from_ndarray(self._fitted(image), format="rgb24")
        picture.pts, picture.time_base = self._ticks, self._unit
        with self._failures():
            for packet in self._stream.encode(picture):
                self._container.mux(packet)
            self._hear(time)

    def close(self, sound_until: Fraction | None = None) -> None:
        """Gives the video its name; its sound ends at ``sound_until`` seconds, or where it ends.

        Raises:
            UserError: It cannot be put there.
        """
        with self._failures():
            for packet in self._stream.encode(None):
                self._container.mux(packet)
            self._hear(sound_until)
            self._container.close()
            self._place.close()
        if self._other_sizes:
            width, height = self._size
            self.notes.append(f"{self._other_sizes} frames of another size are fitted into {width}x{height} pixels")
        if self._damaged_sound:
            self.notes.append(f"{self._damaged_sound} pieces of its sound are damaged and left out")
        if self._uneven:
            self.notes.append(f"its frames come at uneven times, which {self.out.suffix} cannot hold; .mp4 can")

    def abandon(self) -> None:
        """Leaves nothing behind."""
        with contextlib.suppress(Exception):
            self._container.close()
        # whatever ends a block of atomic_write with an error takes its file away
        with contextlib.suppress(_AbandonedError, UserError), self._place:
            raise _AbandonedError

    def _packets(
        self, source: av.container.InputContainer, tracks: dict[int, av.AudioStream], start: Fraction
    ) -> Iterator[tuple[Fraction, av.Packet]]:
        """Second and packet, until the end or where no more can be read."""
        import av

        try:
            for packet in source.demux([source.streams[index] for index in tracks]):
                # the last one of a stream only says that it is over
                if packet.dts is None:
                    continue
                shift = round(start / packet.time_base)
                packet.dts -= shift
                if packet.pts is not None:
                    packet.pts -= shift
                second = packet.dts * packet.time_base
                if second < 0 and self._container.format.name == "avi":
                    # what an encoder puts before the beginning; the others can say that it is not to be heard
                    continue
                packet.stream = tracks[packet.stream_index]
                yield second, packet
        except (av.FFmpegError, OSError, IndexError) as error:
            # as where frames are read
            self.notes.append(f"its sound breaks off: {getattr(error, 'strerror', None) or error}")

    def _hear(self, until: Fraction | None) -> None:
        """Appends the sound up to a second."""
        import av

        while self._next is not None and (until is None or self._next[0] <= until):
            try:
                self._container.mux(self._next[1])
            except av.FFmpegError as error:
                # the disk's errors are not FFmpeg's; a damaged packet is one that its muxer takes for no sound
                if isinstance(error, OSError):
                    raise
                self._damaged_sound += 1
            self._next = next(self._sound, None)

    def _fitted(self, image: np.ndarray) -> np.ndarray:
        """The picture at the video's size: as it is, with a row or column doubled, or fitted in between black bars."""
        width, height = self._size
        below, right = height - image.shape[0], width - image.shape[1]
        if not (0 <= below <= 1 and 0 <= right <= 1):
            self._other_sizes += 1
            image = fitted(image, self._size)
            below, right = height - image.shape[0], width - image.shape[1]
            return cv2.copyMakeBorder(
                image, below // 2, below - below // 2, right // 2, right - right // 2, cv2.BORDER_CONSTANT
            )
        if below or right:
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        return np.ascontiguousarray(image)

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        import av

        try:
            yield
        except OSError as error:
            raise WriteError(self.out, error) from error
        except av.FFmpegError as error:
            raise UserError(f"cannot write {self.out}: {error.strerror or error}") from error


class _AbandonedError(Exception):
    """Ends a block whose file is not wanted."""
