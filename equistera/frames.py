"""Pictures that come from somewhere, one after the other, and the drawings that go somewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from equistera.dataset.images import JPEGS, LISTED, SUFFIXES, WRITTEN, ImageError, read_rgb
from equistera.dataset.paths import is_hidden
from equistera.errors import UserError
from equistera.files import atomic_write
from equistera.in_order import default_threads, in_order
from equistera.outputs import Written, check_targets, record
from equistera.words import counted, near

#: Who draws, for the records of folders.
TOOL = "visualize"


@dataclass(frozen=True)
class Frame:
    """One picture on its way.

    Attributes:
        name: Path relative to its folder with ``/``, or ``frame 17``.
        number: Place in the folder or video, from 0.
        image: RGB uint8 [H, W, 3]; None where it could not be read.
        error: Why not.
        time: Of a video, when it is shown, seconds from the beginning.
    """

    name: str
    number: int
    image: np.ndarray | None
    error: str = ""
    time: Fraction | None = None


class PictureFiles:
    """Picture files, read ahead in threads, and where their drawings are written.

    Args:
        folder: Folder of the pictures.
        names: Paths relative to it.
        targets: Files to draw into, by name; None to draw nothing.
        notes: What is worth a line at the end.

    Attributes:
        unit: What is counted.
        writers: Threads that may write at once.
        problems: What went wrong beside single pictures: nothing.
    """

    unit = "pictures"
    problems: tuple[str, ...] = ()

    def __init__(self, folder: Path, names: list[str], targets: dict[str, Path] | None, notes: Sequence[str] = ()):
        self.folder, self.names, self.targets, self.notes = folder, names, targets, notes
        self.writers = default_threads()

    def __len__(self) -> int:
        return len(self.names)

    def frames(self) -> Iterator[Frame]:
        """All pictures in order; those that cannot be read come with their error."""
        threads = default_threads()
        yield from in_order(self._read, enumerate(self.names), threads, ahead=2 * threads)

    def write(self, frame: Frame, drawing: np.ndarray) -> str:
        """Writes a drawing, RGB; returns what went wrong with it, or an empty text."""
        import cv2

        target = self.targets[frame.name]
        try:
            # OpenCV does not know every ending of a JPEG
            kind = ".jpg" if target.suffix.lower() in JPEGS else target.suffix
            done, encoded = cv2.imencode(kind, drawing[..., ::-1])
        except cv2.error as error:
            return f"cannot be written as {target.suffix}: {error.err}"
        if not done:
            return f"cannot be written as {target.suffix}"
        with atomic_write(target, "wb") as file:
            file.write(encoded.tobytes())
        record(TOOL, target)
        return ""

    def close(self) -> None:
        """Nothing is left open."""

    def abandon(self) -> None:
        """Nothing is half-written."""

    def _read(self, item: tuple[int, str]) -> Frame:
        number, name = item
        try:
            return Frame(name, number, read_rgb(self.folder / name))
        except ImageError as error:
            reason = error.summary.replace(f"{self.folder / name}", "").replace("  ", " ").strip()
            return Frame(name, number, None, reason)


def picture_folder(folder: str | Path, out: str | Path | None, overwrite: bool = False) -> PictureFiles:
    """The pictures of a folder and the folders below it, without drawings that an earlier call left there.

    Args:
        folder: Where they are.
        out: Where their drawings go, under the same names, with ``.jpg`` behind those that cannot be written; None to
            draw nothing. Inside ``folder`` it is not looked for pictures.
        overwrite: Whether drawings may replace other files than untouched drawings, but never one of the pictures.

    Raises:
        UserError: There is no such folder or no picture in it, or a drawing would take the place of another file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        if folder.is_file():
            raise UserError(f"{folder} is no folder", hint="Give one picture as --img")
        raise UserError(f"no such folder: {folder}{near(folder)}")
    if out is not None and Path(out).resolve() == folder.resolve():
        raise UserError("--out is the folder of the pictures; they are not overwritten", hint="Choose another folder")
    there = sorted(_pictures_below(folder, Path(out).resolve() if out else None))
    written = Written()
    names = [name for name in there if not written.by(TOOL, folder / name)]
    drawings = sorted({*there} - {*names})
    notes = [f"left out: {counted(len(drawings), 'drawings')} of this tool, such as {drawings[0]}"] if drawings else []
    if not names:
        raise UserError(f"no pictures in {folder}", notes, f"Looked for: {', '.join(SUFFIXES)}")
    if out is None:
        return PictureFiles(folder, names, None, notes)
    targets = {name: Path(out) / _drawn_name(name) for name in names}
    sources = [folder / name for name in names]
    check_targets("--out", targets.values(), inputs=sources, overwrite=overwrite, tool=TOOL)
    return PictureFiles(folder, names, targets, notes)


def _drawn_name(name: str) -> str:
    """The whole name, for ``a.heic`` may lie beside ``a.jpg``."""
    return name if name.lower().endswith(WRITTEN) else f"{name}.jpg"


def one_picture(path: str | Path, out: str | Path | None, overwrite: bool = False) -> PictureFiles:
    """One picture.

    Args:
        path: Where it is.
        out: File to draw into; None to draw nothing.
        overwrite: As for :func:`picture_folder`.

    Raises:
        UserError: There is no such picture, or ``out`` is the picture itself, no name of a picture, or another file.
    """
    path = Path(path)
    if out is not None:
        if Path(out).resolve() == path.resolve():
            raise UserError("--out is the picture itself; it is not overwritten", hint="Choose another name")
        if Path(out).suffix.lower() not in WRITTEN:
            raise UserError(
                f"--out {out} is no name of a picture that can be written", hint=f"Known: {', '.join(WRITTEN)}"
            )
    if path.is_dir():
        raise UserError(f"{path} is a folder", hint="Give it as --img-dir")
    if not path.is_file():
        there = sorted(name for name in (os.listdir(path.parent) if path.parent.is_dir() else ()) if _is_listed(name))
        hint = f"{path.parent} holds {counted(len(there), 'pictures')}, such as {there[0]}" if there else ""
        raise UserError(f"no such picture: {path}{near(path)}", hint=hint)
    if out is not None:
        check_targets("--out", [out], overwrite=overwrite, tool=TOOL)
    return PictureFiles(path.parent, [path.name], {path.name: Path(out)} if out else None)


def _pictures_below(folder: Path, left_out: Path | None) -> Iterator[str]:
    for here, folders, files in os.walk(folder):
        kept = [name for name in folders if not is_hidden(Path(name)) and Path(here, name).resolve() != left_out]
        folders[:] = kept
        for name in files:
            if _is_listed(name):
                yield Path(here, name).relative_to(folder).as_posix()


def _is_listed(name: str) -> bool:
    return name.lower().endswith(LISTED) and not is_hidden(Path(name))
