"""Downloading checkpoints so that it can be interrupted at any moment and never leaves a broken file in place.

A download grows in ``FILE.part``, is checked against the hash in its name and only then takes its name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from equistera.checkpoints import Checkpoint, file_hash, is_whole
from equistera.checkpoints.http_file import (
    DownloadError,
    NotThereError,
    UnreachableError,
    check_address,
    fetch_into,
)
from equistera.errors import UserError
from equistera.files import replace


def download(
    checkpoints: Sequence[Checkpoint],
    folder: str | Path,
    mirror: str | None = None,
) -> None:
    """Makes sure that checkpoints are in a folder.

    A file that is there already, by an earlier download or put there by hand, is checked and left alone.

    Args:
        checkpoints: What to get.
        folder: Where to put it; made if need be.
        mirror: Base URL of a server to ask instead of the public one: it has the files under the same paths, or all
            directly under that address.

    Raises:
        UserError: For the checkpoints that could not be had, with where to put each by hand. The others are there.
    """
    folder = Path(folder).absolute()
    if mirror:
        check_address(mirror)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror}") from error
    problems: list[str] = []
    unreachable: UnreachableError | None = None
    for checkpoint in checkpoints:
        path, urls = folder / checkpoint.file_name, _addresses(checkpoint, mirror)
        try:
            if path.exists():
                if not is_whole(path, checkpoint):
                    raise DownloadError(
                        f"the file that is there is damaged or another one (its SHA-256 does not begin with "
                        f"{checkpoint.hash_prefix}); it was left as it is: move it away first"
                    )
                print(f"{checkpoint.name}: there already, {path}")
            elif unreachable is not None and not is_whole(_part(path), checkpoint):
                raise unreachable
            else:
                _fetch(checkpoint, urls, path)
                print(f"{checkpoint.name}: saved as {path}")
        except DownloadError as error:
            problems.append(
                f"{checkpoint.name}: {error.summary}\n    by hand: save {checkpoint.url}\n          as {path}"
            )
            unreachable = error if isinstance(error, UnreachableError) else unreachable
        except OSError as error:
            problems.append(f"{checkpoint.name}: {error}")
    if problems:
        raise UserError(
            f"{len(problems)} of {len(checkpoints)} checkpoints are missing:",
            problems,
            "Run the same command again: it goes on where it stopped and checks files put there by hand.\n"
            "  Behind a proxy set HTTPS_PROXY; for another server use --mirror URL.",
        )


def listing(checkpoints: Sequence[Checkpoint], folder: str | Path) -> str:
    """A table of checkpoints and whether they are in a folder; files that are there are checked."""
    width = max(len(checkpoint.name) for checkpoint in checkpoints)
    lines = [f"{'name':{width}}  {'state':7}  {'AP':5}  what (AP is the one published for its own data)"]
    for one in checkpoints:
        ap = f"{one.ap:.3f}" if one.ap else "-"
        lines.append(f"{one.name:{width}}  {_state(one, Path(folder)):7}  {ap:5}  {one.what}")
    return "\n".join([*lines, f"in {Path(folder).absolute()}"])


def _state(checkpoint: Checkpoint, folder: Path) -> str:
    path = folder / checkpoint.file_name
    if path.exists():
        return "there" if is_whole(path, checkpoint) else "damaged"
    return "partly" if _part(path).exists() else "missing"


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _addresses(checkpoint: Checkpoint, mirror: str | None) -> list[str]:
    """Where to look, in turn."""
    if not mirror:
        return [checkpoint.url]
    base, path = mirror.rstrip("/"), urlsplit(checkpoint.url).path
    return [f"{base}{path}", f"{base}/{path.rsplit('/', 1)[-1]}"]


def _fetch(checkpoint: Checkpoint, urls: Sequence[str], path: Path) -> None:
    part = _part(path)
    while not is_whole(part, checkpoint):
        resumed = part.exists()
        content_type = _fetch_from_first(urls, part, checkpoint.name)
        found, size = file_hash(part), part.stat().st_size
        if found.startswith(checkpoint.hash_prefix):
            break
        part.unlink()
        if not resumed:
            raise DownloadError(
                f"the server sent another file: {size} bytes of {content_type}, whose SHA-256 begins with "
                f"{found[:8]}, expected {checkpoint.hash_prefix}"
            )
        print(f"{checkpoint.name}: the part that was there before is damaged, starting afresh")
    replace(part, path)


def _fetch_from_first(urls: Sequence[str], part: Path, name: str) -> str:
    """:func:`fetch_into` from the first address that has the file; of the last one every failure counts."""
    for url in urls[:-1]:
        with contextlib.suppress(NotThereError):
            return fetch_into(part, url, name)
    return fetch_into(part, urls[-1], name)
