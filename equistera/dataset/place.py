"""Putting pictures where training looks for them, without touching the user's own files."""

from __future__ import annotations

import contextlib
import filecmp
import itertools
import os
import shutil
import uuid
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from equistera.dataset.images import ImageError
from equistera.dataset.paths import check_inside
from equistera.errors import UserError, WriteError
from equistera.files import link_or_copy, remove_unfinished, replace
from equistera.progress import track
from equistera.words import counted

#: Ways to put a picture: a link (hard, else symbolic, else a copy), a copy, or not at all.
WAYS = ("link", "copy", "none")


def image_dir(annotation_dir: str | Path, split: str) -> Path:
    """Where the pictures of a split belong: ``data/images/train`` for ``data/annotations``."""
    return Path(annotation_dir).absolute().parent / "images" / split


def place(places: Mapping[Path, Path], way: str, *, overwrite: bool = False) -> None:
    """Links or copies pictures; what is there already is left alone, and nothing is done where something is wrong.

    A hard link costs no space and stays good when the source is moved. Where there can be none (another disk), a
    symbolic link is made, and where there can be none either (Windows, some network drives), a copy.

    Args:
        places: Source picture, by the path it is to have; folders are made.
        way: One of :data:`WAYS`.
        overwrite: Replace other files that stand there.

    Raises:
        UserError: Pictures are missing, or other files stand in their places (all are listed), or one cannot be
            written.
    """
    if way == "none" or not places:
        return
    missing = [str(source) for source in places.values() if not source.is_file()]
    if missing:
        raise UserError(f"{len(missing)} of {counted(len(places), 'pictures')} not there:", missing)
    taken = [] if overwrite else [str(target) for target, source in places.items() if _is_another(target, source)]
    if taken:
        hint = "Move them away, or replace them with --overwrite."
        raise UserError("other files stand where pictures are to be put:", taken, hint)
    doing = "copying pictures" if way == "copy" else "linking pictures"
    for target, source in track(places.items(), doing, total=len(places)):
        if target.exists() and not _is_another(target, source):
            continue
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            remove_unfinished(target.parent, target.name)
            if way == "copy":
                shutil.copy2(source, temporary)
            else:
                link_or_copy(source.resolve(), temporary, symbolic=True)
            replace(temporary, target)
        except OSError as error:
            raise UserError(f"cannot put {source} at {target}: {WriteError(target, error).reason}") from error
        finally:
            # also there where source and target are links to one file: replacing then does nothing
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                temporary.unlink()


def clear(
    folders: Iterable[Path], sources: Mapping[str, Path], earlier: Collection[str], named: Collection[Path]
) -> list[str]:
    """Takes away pictures that an earlier run put where no annotation file names them now.

    Only what is left elsewhere goes: a link, or what an earlier run placed and is a copy. To be called after the
    annotation files are written, so that an interrupted run leaves no annotation without its picture.

    Args:
        folders: Folders that :func:`place` fills.
        sources: The user's pictures, by file name.
        earlier: File names that earlier annotation files had.
        named: The pictures that the annotation files name now.

    Returns:
        Lines for the user: how many went, and which may be the only copy and stay.
    """
    homes = {source.parent.resolve() for source in sources.values()}
    # a folder from which pictures come is the user's
    ours = [folder for folder in folders if not any(home.is_relative_to(folder.resolve()) for home in homes)]
    gone, left = 0, []
    for folder, name in itertools.product(ours, dict.fromkeys([*sources, *earlier])):
        try:
            path = check_inside(folder, name, links=True)
        except ImageError:
            continue  # not a name that this tool gave
        if path in named or not (path.is_symlink() or path.is_file()):
            continue
        same = name in sources and not _is_another(path, sources[name])
        elsewhere = path.is_symlink() or path.stat().st_nlink > 1
        if (same or name in earlier) if elsewhere else (same and name in earlier):
            try:
                path.unlink()
            except OSError as error:
                raise UserError(f"cannot take away {path}: {error.strerror}") from error
            gone += 1
        elif name in earlier:
            left.append(path)
    lines = [f"pictures of an earlier run taken out of folders where they do not belong now: {gone}"] if gone else []
    if left:
        lines.append(
            "warning: pictures that their folder's annotation file does not name stay, for they may be the only copy: "
            f"{len(left)}, such as {left[0]}"
        )
    return lines


def is_same(target: Path, source: Path) -> bool:
    """Whether the source, or a copy of it, stands in its place."""
    return os.path.lexists(target) and not _is_another(target, source)


def _is_another(target: Path, source: Path) -> bool:
    """Whether something else than the source, or than a copy of it, stands in its place."""
    if not os.path.lexists(target):
        return False
    try:
        return not target.is_file() or not (target.samefile(source) or filecmp.cmp(source, target, shallow=False))
    except OSError:
        return True  # what cannot be read cannot be known to be the same
