"""Checks of the pictures on disk: there, whole, and of the size that the annotation file says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from equistera.dataset.boxes import EDGE
from equistera.dataset.images import ImageError, ImageHeader, UnclearPixelsError, check_whole, read_header
from equistera.dataset.paths import ends_with, name_parts, picture_path
from equistera.dataset.phash import Turned, turned_hashes
from equistera.dataset.verify.annotation_file import AnnotationFile
from equistera.dataset.verify.findings import Item
from equistera.progress import track

#: EXIF orientations that exchange the sides in words (EXIF 2.3, 4.6.4 A): how a viewer turns the stored picture.
_TURNS = {
    5: "mirrors it and turns it to the left",
    6: "turns it to the right",
    7: "mirrors it and turns it to the right",
    8: "turns it to the left",
}


@dataclass(frozen=True)
class PictureState:
    """What was found on disk.

    Attributes:
        code: Key of the checks, or "" for a picture that is fine.
        problem: What is wrong, for people.
        path: Where it is; None for a name that is not followed.
        header: None where it cannot be read.
        file_size: Bytes.
        hashes: Perceptual hashes; None where the picture was not decoded.
    """

    code: str = ""
    problem: str = ""
    path: Path | None = None
    header: ImageHeader | None = None
    file_size: int = 0
    hashes: Turned | None = None


def inspect(image_dir: Path, name: str, decode: bool) -> PictureState:
    """Looks at one picture.

    Args:
        image_dir: The picture folder.
        name: File name from the annotation file.
        decode: Also decode the pixels (at reduced scale, which still reads them all) and hash them.
    """
    try:
        path = picture_path(image_dir, name)
    except ImageError as error:
        return PictureState("picture-path", error.summary)
    try:
        there = path.is_file()
    except OSError as error:
        return PictureState("picture-unreadable", f"cannot read {path}: {error.strerror}", path)
    if not there:
        return PictureState("picture-missing", f"{path} is not there", path)
    header = None
    try:
        header = read_header(path)
        check_whole(path, header)
        return PictureState("", "", path, header, path.stat().st_size, turned_hashes(path) if decode else None)
    except ImageError as error:
        # a header that could be read belongs to a picture whose pixels cannot
        damaged = header is not None and not isinstance(error, UnclearPixelsError)
        code = "picture-truncated" if damaged else "picture-unreadable"
        return PictureState(code, " ".join((error.summary, error.hint)).strip(), path, header)


def inspected(file: AnnotationFile, decode: bool, workers: int | None = None) -> AnnotationFile:
    """The file, once all its pictures were looked at, on all cores (reading and decoding release Python's lock)."""
    names = list(dict.fromkeys(entry["file_name"] for entry in file.pictures))
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        found = pool.map(lambda name: inspect(file.image_dir, name, decode), names)
        found = track(found, f"checking pictures of {file.path.name}", len(names))
        return replace(file, states=dict(zip(names, found, strict=True)))


def check_pictures(file: AnnotationFile) -> Iterator[Item]:
    """Pictures that cannot be used, and sizes that differ from the file's."""
    for place, (entry, state) in enumerate(zip(file.pictures, file.picture_states, strict=True)):
        if state.code:
            yield Item(state.code, state.problem, picture=place)
        if state.path is not None and not ends_with(state.path.parts, name_parts(entry["file_name"])):
            text = f"{entry['file_name']}: {state.path.relative_to(file.image_dir)}"
            yield Item("picture-spelling", text, picture=place)
        if state.header is None or np.isnan(file.picture_sizes[place]).any():
            continue
        if tuple(file.picture_sizes[place]) != state.header.size:
            yield _other_size(file, place, entry["file_name"], state.header)


def _other_size(file: AnnotationFile, place: int, name: str, header: ImageHeader) -> Item:
    width, height = file.picture_sizes[place].astype(int).tolist()
    said = f"{name}: the file says {width}x{height}, the picture has {header.width}x{header.height}"
    if is_unturned(file, place, header):
        text = f"{said}: its EXIF orientation {header.orientation} {_TURNS[header.orientation]}"
        fit = points_fit_turned(file, place, header)
        return Item("picture-rotated", f"{text}{'; the points fit the turned picture' * fit}", picture=place)
    factor = header.width / width
    scaled = abs(height * factor - header.height) <= 1
    return Item("picture-size", f"{said}{f', {factor:.3g} times as large' if scaled else ''}", picture=place)


def is_unturned(file: AnnotationFile, place: int, header: ImageHeader) -> bool:
    """Whether the file gives the size before the EXIF rotation."""
    return header.orientation in _TURNS and tuple(file.picture_sizes[place]) == header.stored_size


def points_fit_turned(file: AnnotationFile, place: int, header: ImageHeader) -> bool:
    """Whether the picture's points prove that they were made on the turned picture: outside the size in the file, but
    inside that of the turned one."""
    own = file.labelled_points[file.annotations_by_picture.get(place, [])].reshape(-1, 2)
    own = own[np.isfinite(own).all(axis=1)]
    if not len(own):
        return False
    outside_stored = (own > file.picture_sizes[place] - 1 + EDGE).any()
    return bool(outside_stored and (own >= -EDGE).all() and (own <= np.array(header.size) - 1 + EDGE).all())
