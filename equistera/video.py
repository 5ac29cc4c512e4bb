"""A video as a stream of frames, and the drawings as another video.

OpenCV reads and writes; its FFmpeg turns frames by the rotation that a phone stores with a video.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from equistera.errors import UserError, WriteError
from equistera.frames import Frame
from equistera.in_order import in_order
from equistera.marks import check_targets, is_marked, mark_video
from equistera.outputs import check_folder, same_file

#: Codecs by file name ending, as OpenCV names them: MPEG-4 part 2, which its own FFmpeg can write everywhere (H.264
#: needs a library that it may not ship), and Motion JPEG, which OpenCV writes without FFmpeg.
CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
#: Where a video does not say how many frames a second it has.
USUAL_RATE = 25.0
#: Some containers only estimate the number of frames: so many may be missing without a word.
ESTIMATE = 1


class VideoFrames:
    """The frames of a video file and the video that they are drawn into.

    Args:
        path: Any file that OpenCV's FFmpeg reads.
        out: ``.mp4`` or ``.avi``, or None to draw nothing.
        overwrite: Whether it may replace a file that is no drawing of ours, but never the video itself.

    Attributes:
        out: The file written; ``.avi`` where no encoder for ``.mp4`` was found.
        unit: What is counted.
        writers: Threads that may write at once: one, in order.
        problems: What went wrong with the video as a whole; complete after :meth:`close`.

    Raises:
        UserError: The video cannot be opened, or ``out`` is the video itself, no name of a video, or another file.
    """

    unit = "frames"
    writers = 1

    def __init__(self, path: str | Path, out: str | Path | None, overwrite: bool = False):
        # a damaged video would fill the terminal with its decoder's complaints; what they come to is in `problems`
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        import cv2

        self.path, self.out = Path(path), Path(out) if out is not None else None
        self.problems: list[str] = []
        if not self.path.is_file():
            raise UserError(f"no such video: {path}")
        if self.out is not None and self.out.resolve() == self.path.resolve():
            raise UserError("--out-file is the video itself; it is not overwritten", hint="Choose another name")
        if self.out is not None and self.out.suffix.lower() not in CODECS:
            raise UserError(f"--out-file {out} is no name of a video", hint=f"Known: {', '.join(CODECS)}")
        if self.out is not None:
            check_targets("--out-file", [self.out], overwrite)
            check_folder("--out-file", self.out.parent)
        self._capture = cv2.VideoCapture(str(self.path))
        if not self._capture.isOpened():
            raise UserError(
                f"cannot read video {path}: broken, or of a kind that OpenCV does not know",
                hint="A recording that was cut off looks like this; ffmpeg can often repair or convert it.",
            )
        frames, rate = (self._capture.get(key) for key in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS))
        self._announced = int(frames) if math.isfinite(frames) and frames > 0 else 0
        self.rate = rate if math.isfinite(rate) and rate > 0 else USUAL_RATE
        self._read, self._writer, self._unfinished = 0, None, None

    @property
    def targets(self) -> Path | None:
        """Whether drawings are wanted, as for pictures."""
        return self.out

    def __len__(self) -> int:
        """Frames read or, before the end, announced by the file."""
        return max(self._announced, self._read)

    def frames(self) -> Iterator[Frame]:
        """All frames in order, read ahead in a thread.

        Raises:
            UserError: Not even the first can be decoded.
        """
        frames = in_order(self._next, itertools.count(), threads=1, ahead=8)
        for frame in itertools.takewhile(lambda frame: frame is not None, frames):
            self._read += 1
            yield frame
        if not self._read:
            raise UserError(f"no frame of {self.path} can be decoded")
        missing = self._announced - self._read
        if missing > ESTIMATE:
            self.problems.append(
                f"{self.path.name}: the last {missing} of {self._announced} frames cannot be decoded (from frame "
                f"{self._read}, second {self._read / self.rate:.1f}, on)"
            )

    def write(self, frame: Frame, drawing: np.ndarray) -> str:
        """Appends a drawing, RGB; returns an empty text: what goes wrong concerns the whole video."""
        if self._writer is None:
            self._open(drawing.shape[1], drawing.shape[0])
        self._writer.write(np.ascontiguousarray(drawing[..., ::-1]))
        return ""

    def close(self) -> None:
        """Gives the finished video its name.

        Raises:
            UserError: It cannot be put there.
        """
        self._capture.release()
        if self._writer is not None:
            self._writer.release()
            try:
                mark_video(self._unfinished)
                self._unfinished.replace(self.out)
            except OSError as error:
                raise WriteError(self.out, error) from error

    def abandon(self) -> None:
        """Leaves no half-written video behind."""
        self._capture.release()
        if self._writer is not None:
            self._writer.release()
            self._unfinished.unlink(missing_ok=True)

    def _next(self, number: int) -> Frame | None:
        done, image = self._capture.read()
        return Frame(f"frame {number}", number, np.ascontiguousarray(image[..., ::-1])) if done else None

    def _open(self, width: int, height: int) -> None:
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(self.out, error) from error
        wanted = self.out.suffix.lower()
        for ending in dict.fromkeys((wanted, ".avi")):
            instead = self.out.with_suffix(ending)
            ours = is_marked(instead) and not same_file(instead, self.path)
            if ending != wanted and os.path.lexists(instead) and not ours:
                # nobody asked for this name: what has it may be the user's, even the video that is read
                raise UserError(
                    f"cannot write {self.out}: no encoder for {wanted} here, and {instead} exists already",
                    hint="Give --out-file a name that ends in .avi",
                )
            unfinished = self.out.with_name(f".{self.out.stem}.part{ending}")
            writer = _writer(unfinished, CODECS[ending], self.rate, (width, height))
            if writer is not None:
                break
        else:
            raise UserError(f"cannot write {self.out}: no encoder for {' or '.join(CODECS)} here, or no room")
        if ending != wanted:
            self.out = self.out.with_suffix(ending)
        self._writer, self._unfinished = writer, unfinished


def _writer(path: Path, codec: str, rate: float, size: tuple[int, int]):
    import cv2

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, size)
    if writer.isOpened():
        return writer
    writer.release()
    path.unlink(missing_ok=True)
    return None
