"""The pictures that were chosen, as a folder: the pictures, a table of them and why, and a page to look at."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from equistera import drawing, html
from equistera.dataset.images import read_reduced, read_rgb
from equistera.errors import UserError, WriteError
from equistera.files import atomic_write, link_or_copy
from equistera.labelling.doubt import Seen
from equistera.labelling.sources import Source
from equistera.outputs import Written, check_folder, check_targets, record
from equistera.progress import track
from equistera.skeleton import Skeleton
from equistera.video import VideoFrames
from equistera.words import counted

TOOL = "pick_frames"
#: In the folder: the pictures, the table, the page.
IMAGES, TABLE, PAGE = "images", "chosen.csv", "chosen.html"
COLUMNS = ("file", "source", "frame", "time", "group", "worth", "reasons")
#: Signs that no file name has on Windows or on most memory sticks.
_NOT_EVERYWHERE = re.compile(r'[<>:"|?*\\\x00-\x1f]')
#: JPEG quality of frames: high, they are labelled and trained on.
_QUALITY = 95
#: Width and height of a thumbnail, pixels.
_PANEL = (360, 270)


@dataclass(frozen=True)
class Row:
    """One chosen picture.

    Attributes:
        source: The video, or the picture.
        frame: Its number in the video.
        time: Seconds in the video; None of a picture.
        worth: 0 to 1; None without a model.
        reasons: In words.
        animal: What the model sees, the animal that speaks for the picture.
    """

    source: Source
    frame: int
    time: float | None
    worth: float | None
    reasons: Sequence[str]
    animal: Seen | None


def check_out(out: Path, read: Iterable[Path], overwrite: bool) -> None:
    """Refuses a folder that holds an earlier choice or pictures that this tool has not put there.

    Raises:
        UserError: It does, without ``overwrite``, or with it pictures that are not this tool's.
        WriteError: It cannot be written.
    """
    check_targets("--out", [out / TABLE, out / PAGE], inputs=read, overwrite=overwrite)
    check_folder("--out", out / IMAGES)
    ours = Written()
    there = sorted((out / IMAGES).iterdir()) if (out / IMAGES).is_dir() else []
    foreign = [str(path) for path in there if not path.name.startswith(".") and not ours.by(TOOL, path)]
    if foreign:
        raise UserError("--out holds pictures that this tool did not put there:", foreign, "Choose another --out")
    if there and not overwrite:
        raise UserError(f"{out / IMAGES} holds an earlier choice", hint="Add --overwrite, or choose another --out")


def write(
    out: Path, rows: Sequence[Row], about: Mapping[str, str], skeleton: Skeleton | None = None, threshold: float = 0.5
) -> None:
    """Writes pictures, table and page.

    Args:
        out: The folder, as :func:`check_out` found it; the pictures of an earlier choice are taken away.
        rows: In the order of their choice.
        about: Lines of the page.
        skeleton: Of the animals, where there are any.
        threshold: Points with less confidence are dimmed.
    """
    names = file_names(rows)
    ours = Written()
    for path in (out / IMAGES).iterdir() if (out / IMAGES).is_dir() else ():
        if path.name not in names and ours.by(TOOL, path):
            path.unlink()
    (out / IMAGES).mkdir(parents=True, exist_ok=True)
    figures: dict[int, Markup] = {}
    for i, image in track(_written(out, rows, names), "writing", len(rows)):
        figures[i] = html.photo(_thumbnail(image, rows[i], skeleton, threshold), names[i], max_side=max(_PANEL))
    with atomic_write(out / TABLE) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for name, row in zip(names, rows, strict=True):
            time, frame = ("", "") if row.time is None else (f"{row.time:.3f}", row.frame)
            worth = "" if row.worth is None else f"{row.worth:.3f}"
            table.writerow(
                [f"{IMAGES}/{name}", row.source.path, frame, time, row.source.group, worth, "; ".join(row.reasons)]
            )
    record(TOOL, out / TABLE)
    captions = [_caption(name, row) for name, row in zip(names, rows, strict=True)]
    with atomic_write(out / PAGE) as file:
        file.write(
            html.render(
                "chosen.html",
                title=f"{len(rows)} pictures to label",
                about=about,
                pictures=[(figures[i], *caption) for i, caption in enumerate(captions)],
            )
        )
    record(TOOL, out / PAGE)
    if renamed := sum(portable(row.source.path.stem) != row.source.path.stem for row in rows):
        print(f"{counted(renamed, 'pictures')} have _ in their names for signs that Windows does not take ({TABLE})")
    print(f"written: {out / IMAGES}, {out / TABLE}, {out / PAGE}")


def file_names(rows: Sequence[Row]) -> list[str]:
    """Names for the pictures, all different, also where case does not count: ``<video>_<frame>.jpg``, or their own.

    Of the same name in several folders, the others get as much of their folders before it as tells them apart.
    """
    taken: set[str] = set()
    names = []
    for row in rows:
        parts = row.source.path.absolute().parts
        path = row.source.path
        last = portable(f"{path.stem}_{row.frame:06d}.jpg" if row.source.video else path.name)
        name, used = last, 1
        while name.casefold() in taken and used < len(parts) - 1:
            used += 1
            name = portable("_".join([*parts[-used:-1], last]))
        stem, ending = os.path.splitext(name)
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}{ending}"
        taken.add(name.casefold())
        names.append(name)
    return names


def portable(name: str) -> str:
    """A file name that every system takes."""
    return _NOT_EVERYWHERE.sub("_", name)


def _written(out: Path, rows: Sequence[Row], names: Sequence[str]) -> Iterator[tuple[int, np.ndarray]]:
    """Puts the pictures into the folder; yields the number of each and its pixels, video by video."""
    own: dict[Path, list[int]] = {}
    for i, row in enumerate(rows):
        own.setdefault(row.source.path, []).append(i)
    for path, members in own.items():
        if not rows[members[0]].source.video:
            for i in members:
                _place(path, out / IMAGES / names[i])
                yield i, read_reduced(path, 1600) if rows[i].animal is None else read_rgb(path)
            continue
        for i, image in _frames(path, {i: rows[i] for i in members}):
            _save(image, out / IMAGES / names[i])
            yield i, image


def _place(path: Path, target: Path) -> None:
    """The original picture under its new name."""
    try:
        target.unlink(missing_ok=True)
        link_or_copy(path, target)
    except OSError as error:
        raise WriteError(target, error) from error
    record(TOOL, target)


def _save(image: np.ndarray, target: Path) -> None:
    import cv2

    _, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    with atomic_write(target, "wb") as file:
        file.write(encoded.tobytes())
    record(TOOL, target)


def _frames(path: Path, rows: Mapping[int, Row]) -> Iterator[tuple[int, np.ndarray]]:
    """The frames of a video by the numbers of their rows: where the file leads to them, else from the beginning on."""
    left, video = dict(rows), VideoFrames(path, None)
    for i, row in rows.items():
        (still,) = video.stills([row.time or 0.0])
        if still is None:
            break
        del left[i]
        yield i, still
    if not left:
        return
    wanted = {row.frame: i for i, row in left.items()}
    for frame in VideoFrames(path, None).frames():
        if frame.number in wanted and frame.image is not None:
            yield wanted.pop(frame.number), frame.image
        if not wanted:
            return
    raise UserError(f"{path} has changed: frames {', '.join(map(str, wanted))} are gone")


def _thumbnail(image: np.ndarray, row: Row, skeleton: Skeleton | None, threshold: float) -> np.ndarray:
    if row.animal is None or skeleton is None:
        return drawing.fitted(image, _PANEL)
    animal = row.animal
    origin, factor = drawing.view(image.shape, animal.box, animal.points, _PANEL)
    panel = drawing.cut(image, origin, factor, _PANEL)
    points, scale = (animal.points - origin) * factor, 1.2 * drawing.stroke_scale(max(_PANEL))
    drawing.draw_pose(panel, points, skeleton, scores=animal.confidence, threshold=threshold, scale=scale)
    return panel


def _caption(name: str, row: Row) -> tuple[str, str, str]:
    """Name, where it is from, and why."""
    where = row.source.name if row.time is None else f"{row.source.name}, {row.time:.2f} s (frame {row.frame})"
    worth = "" if row.worth is None else f" (worth {row.worth:.2f})"
    return name, where, "; ".join(row.reasons) + worth
