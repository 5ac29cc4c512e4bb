"""Pretrained weights that the configs start from: which there are, where they lie, how to get them.

The table is ``manifest.json``. Nothing here downloads; ``equistera.checkpoints.download`` does.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from equistera import PROJECT, commands
from equistera.errors import UserError
from equistera.words import did_you_mean

#: What the three configs of the training guide need.
DEFAULT_NAMES = ("rtmpose_m_ap10k", "hrnet_w32_ap10k", "hrnet_w32_animalpose")

#: Detectors by what ``--det`` calls them: names of the manifest.
DETECTORS = {"rtmdet": "rtmdet_m_coco", "rtmdet_tiny": "rtmdet_tiny_coco"}

#: ``...-7a041aa1_20230206.pth`` (MMPose) or ``..._20220719_112220-229f527c.pth`` (MMDetection)
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8})(?:_\d{8})?\.pth$")


@dataclass(frozen=True)
class Licence:
    """Terms that a user agrees to before weights under them are fetched.

    Attributes:
        name: What ``--accept-licence`` takes.
        says: What is known of the terms, one fact each.
    """

    name: str
    says: tuple[str, ...]


@dataclass(frozen=True)
class Checkpoint:
    """One pretrained model.

    Attributes:
        name: What users and configs call it.
        url: Where it is published.
        what: One line for people.
        skeleton: Name of the keypoints it was trained on; empty for a detector.
        ap: AP published for its own data set, if any.
        sha256: Of the file, 64 hexadecimal digits, where public sources state it.
        mirrors: Further addresses of the same bytes, asked in turn.
        licence: Terms to agree to first, if any.
    """

    name: str
    url: str
    what: str
    skeleton: str = ""
    ap: float | None = None
    sha256: str = ""
    mirrors: tuple[str, ...] = ()
    licence: Licence | None = None

    @property
    def file_name(self) -> str:
        """The name it is saved under: that of the URL, because it carries the hash."""
        return unquote(urlsplit(self.url).path.rsplit("/", 1)[-1])

    @property
    def hash_prefix(self) -> str:
        """What the file's SHA-256 begins with: all of it where it is known, else the 8 digits in its name.

        Those 8 show a damaged or mistaken file. They are too few to keep out a forged one: that is the job of HTTPS and
        of loading with ``weights_only``. They may be wrong: OpenMMLab has replaced files without renaming them.
        """
        return self.sha256 or _HASH_IN_NAME.search(self.file_name)[1]


@functools.cache
def manifest() -> dict[str, Checkpoint]:
    """All checkpoints, by name."""
    content = json.loads((Path(__file__).parent / "manifest.json").read_text(encoding="utf-8"))
    terms = licences()
    found = {}
    for name, entry in content.items():
        if not name.startswith("_"):
            mirrors, licence = entry.pop("mirrors", ()), terms.get(entry.pop("licence", ""))
            found[name] = Checkpoint(name, **entry, mirrors=tuple(mirrors), licence=licence)
    return found


@functools.cache
def licences() -> dict[str, Licence]:
    """All terms that someone has to agree to, by name."""
    content = json.loads((Path(__file__).parent / "licences.json").read_text(encoding="utf-8"))
    return {name: Licence(name, tuple(says)) for name, says in content.items()}


def find(names: Iterable[str]) -> list[Checkpoint]:
    """The checkpoints of these names, each once.

    Raises:
        UserError: Unknown names, all of them listed.
    """
    known = manifest()
    names = list(dict.fromkeys(names))
    unknown = [f"{name!r}{did_you_mean(name, known)}" for name in names if name not in known]
    if unknown:
        raise UserError("no checkpoint of this name:", unknown, f"There are: {', '.join(known)}")
    return [known[name] for name in names]


def published_as(path: str | Path) -> Checkpoint | None:
    """The checkpoint that is published under a file's name, if there is one."""
    return next((known for known in manifest().values() if known.file_name == Path(path).name), None)


def default_dir() -> Path:
    """``checkpoints/`` in the project's folder, wherever the tool is started from."""
    return (PROJECT if (PROJECT / "pyproject.toml").exists() else Path.cwd()) / "checkpoints"


def path_of(name: str) -> Path:
    """Where a checkpoint of the manifest lies, or is to be put.

    Raises:
        UserError: Unknown name.
    """
    return default_dir() / find([name])[0].file_name


def detector_weights(detector: str, given: str | Path | None = None) -> Path:
    """The weights of a detector.

    Args:
        detector: A key of :data:`DETECTORS`.
        given: What the user named instead of what :data:`DETECTORS` names.

    Raises:
        UserError: They are not there.
    """
    path = Path(given) if given else path_of(DETECTORS[detector])
    if not path.is_file():
        raise UserError(
            f"--det {detector}: its weights are missing, {path} does not exist",
            hint="" if given else f"Fetch them: {command_for(DETECTORS[detector])}",
        )
    return path


def command_for(name: str) -> str:
    """The command that downloads a checkpoint, for the message of whoever misses it.

    Raises:
        UserError: Unknown name.
    """
    return commands.tool("download_checkpoints", find([name])[0].name)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(path: Path, checkpoint: Checkpoint) -> bool:
    """Whether there is a file at ``path`` that is the checkpoint."""
    return path.is_file() and file_hash(path).startswith(checkpoint.hash_prefix)
