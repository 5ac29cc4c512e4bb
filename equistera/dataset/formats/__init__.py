"""The annotation formats: which one a file is in, and its content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from equistera.dataset.coco import read_json
from equistera.dataset.formats import animalpose, coco, cvat, deeplabcut, deeplabcut_h5, labelstudio, yolo
from equistera.dataset.formats.records import Export, NotLabels, check_file


@dataclass(frozen=True)
class Format:
    """A format that can be read.

    Attributes:
        name: Value of ``--format``.
        title: Name for people.
        suffixes: File name endings, lower case.
        accepts: Whether a file (for JSON: its parsed content) is in this format.
        read: Reads it; JSON formats get the parsed content and the path.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    accepts: Callable[..., bool]
    read: Callable[..., Export]

    @property
    def is_json(self) -> bool:
        return ".json" in self.suffixes


#: Every format; a file's first match counts.
ALL = (
    Format("labelstudio", labelstudio.TITLE, (".json",), labelstudio.accepts, labelstudio.read),
    Format("coco", coco.TITLE, (".json",), coco.accepts, coco.read),
    Format("animalpose", animalpose.TITLE, (".json",), animalpose.accepts, animalpose.read),
    Format("cvat", cvat.TITLE, (".xml",), cvat.accepts, cvat.read),
    Format("deeplabcut", deeplabcut.TITLE, (".csv",), deeplabcut.accepts_csv, deeplabcut.read_csv),
    Format("deeplabcut", deeplabcut.TITLE, deeplabcut_h5.SUFFIXES, deeplabcut_h5.accepts, deeplabcut_h5.read),
    Format("yolo", yolo.TITLE, (".yaml", ".yml"), yolo.accepts, yolo.read),
)

#: Values of ``--format``.
NAMES = tuple(dict.fromkeys(f.name for f in ALL))


def suffixes_of(name: str) -> tuple[str, ...]:
    """Endings of files that may hold annotations in a format, or with ``auto`` in any."""
    return tuple(dict.fromkeys(suffix for f in ALL if name in ("auto", f.name) for suffix in f.suffixes))


def read(path: Path, name: str = "auto") -> Export | None:
    """Reads an annotation file.

    Args:
        path: The file.
        name: One of :data:`NAMES`; ``auto`` finds out by ending and content.

    Returns:
        Its content, or None where ``auto`` finds no annotations of a known format in it.

    Raises:
        NotLabels: The file is not in the format ``name``, or holds predictions.
        UserError: The file cannot be read or is damaged.
    """
    check_file(path)
    candidates = [f for f in ALL if path.suffix.lower() in f.suffixes and name in ("auto", f.name)]
    if any(f.is_json for f in candidates):
        content = read_json(path)
        for candidate in candidates:
            if candidate.accepts(content):
                return candidate.read(content, path)
    else:
        for candidate in candidates:
            if candidate.accepts(path):
                return candidate.read(path)
    if name == "auto":
        return None
    titles = {f.name: f"{f.title} ({', '.join(g.suffixes[0] for g in ALL if g.name == f.name)})" for f in ALL}
    raise NotLabels(
        f"{path} is not {titles[name]}", hint="Leave --format out to have the format found out from the content."
    )
