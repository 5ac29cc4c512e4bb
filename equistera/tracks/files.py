"""The files that tracks are kept in; one place that knows all formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equistera import skeleton as skeletons
from equistera.dataset.formats.deeplabcut import HDF5, accepts
from equistera.errors import UserError
from equistera.skeleton import Skeleton
from equistera.tracks import deeplabcut, results, tidy
from equistera.tracks.tracks import Tracks
from equistera.words import did_you_mean, near


@dataclass(frozen=True)
class Format:
    """One of :data:`FORMATS`.

    Attributes:
        ending: What follows the video's name in a file's name.
        write: Writes tracks to a path.
    """

    ending: str
    write: Callable[[Tracks, Path], None]


#: By the name that a user gives.
FORMATS = {
    "csv": Format(".csv", tidy.write_csv),
    "parquet": Format(".parquet", tidy.write_parquet),
    "dlc-csv": Format(f"{deeplabcut.SCORER}.csv", deeplabcut.write_csv),
    "dlc-h5": Format(f"{deeplabcut.SCORER}.h5", deeplabcut.write_h5),
    "coco": Format(".coco.json", results.write_coco),
}
#: By the ending of a file, lower case.
_READERS = {".csv": tidy.read_csv, ".parquet": tidy.read_parquet}


def files_of(folder: Path, video: str, format: str) -> list[Path]:
    """The files that one video's tracks take in a format; the first is that to hand to :func:`write`.

    Args:
        folder: Where they lie.
        video: The video's name without its ending.
        format: One of :data:`FORMATS`.
    """
    path = folder / f"{video}{_format(format).ending}"
    return [path, tidy.side_file(path)] if format == "csv" else [path]


def write(tracks: Tracks, path: str | Path, format: str) -> None:
    """Writes tracks; whether that is allowed is asked beforehand, see :mod:`equistera.outputs`.

    Args:
        tracks: What is known.
        path: The file to make or replace.
        format: One of :data:`FORMATS`. Only ``csv`` and ``parquet`` keep everything.

    Raises:
        UserError: There is no such format.
        WriteError: It cannot be written.
    """
    _format(format).write(tracks, Path(path))


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise UserError(f"no format {name!r}{did_you_mean(name, FORMATS)}", hint=f"There are: {', '.join(FORMATS)}")
    return FORMATS[name]


def read(path: str | Path, skeleton: Skeleton | str | None = None, fps: float | None = None) -> Tracks:
    """Reads tracks that :func:`write` has written, or tables that others made in the same shape.

    Args:
        path: ``.csv`` or ``.parquet``; DeepLabCut's ``.csv`` or ``.h5``, Lightning Pose's ``.csv``.
        skeleton: Brings the keypoints into its order, under its names; None: as they stand in the file.
        fps: Frames a second, for files of DeepLabCut, which hold no times.

    Raises:
        UserError: No such file, or not of a known kind; it is damaged or contradicts itself; ``fps`` is missing, or not
            asked for.
        SkeletonError: The file's keypoints are not the skeleton's.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no such file: {path}" + (" is a folder" if path.is_dir() else near(path)))
    ending = path.suffix.lower()
    if ending not in (*_READERS, *HDF5):
        raise UserError(f"{path} is of no kind that holds tracks", hint=f"Read are: {', '.join((*_READERS, *HDF5))}")
    if ending in HDF5 or (ending == ".csv" and accepts(path)):
        if fps is None or not fps > 0:
            raise UserError(
                f"{path} holds no times, as all files of DeepLabCut: how many frames a second has the video?",
                hint="Give them with --fps. Tracks of this toolkit as .csv or .parquet have the times of all frames.",
            )
        tracks = deeplabcut.read(path, fps)
    elif fps is not None:
        raise UserError(f"{path} has the times of all frames; {fps:g} frames a second are not asked for")
    else:
        tracks = _READERS[ending](path)
    return tracks if skeleton is None else in_order_of(tracks, skeleton)


def renamed(tracks: Tracks, names: Mapping[str, str | None]) -> Tracks:
    """The same with other names for some keypoints.

    Args:
        tracks: Of others, who name them in their own way.
        names: New names by the present ones; None leaves a point out.

    Raises:
        UserError: Names are not there, or two points would have one name.
    """
    problems = [f"{name!r}: no such point" for name in names if name not in tracks.index]
    kept = [name for name in tracks.keypoints if names.get(name, name) is not None]
    new = [str(names.get(name, name)) for name in kept]
    problems += [f"{kept[k]!r}: another one is {name!r}, too" for k, name in enumerate(new) if name in new[:k]]
    if problems:
        hint = f"The tracks' points are {', '.join(tracks.keypoints)}"
        raise UserError("the keypoint map does not fit these tracks:", problems, hint)
    return _with_columns(tracks, new, np.array([tracks.index[name] for name in kept], dtype=int))


def in_order_of(tracks: Tracks, skeleton: Skeleton | str) -> Tracks:
    """The same with a skeleton's keypoints in its order.

    Raises:
        SkeletonError: They are others.
    """
    if isinstance(skeleton, str):
        skeleton = skeletons.load(skeleton)
    return _with_columns(tracks, skeleton.names, skeleton.columns_of(tracks.keypoints))


def _with_columns(tracks: Tracks, keypoints: Sequence[str], columns: np.ndarray) -> Tracks:
    arrays = {
        name: getattr(tracks, name)[:, :, columns] for name in ("points", "confidence", "raw", "changed", "spread")
    }
    return tracks.with_(keypoints=tuple(keypoints), **arrays)
