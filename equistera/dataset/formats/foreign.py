"""Files that are no annotations of a format that is read: what they are, and what to do with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from equistera.dataset.formats.records import shown

_START_BYTES = 4096


@dataclass(frozen=True)
class Foreign:
    """A kind of file that people take for one that is read.

    Attributes:
        what: What it is.
        advice: The next step.
        is_it: Whether it is this, by its parsed JSON, or by the start of another text file.
    """

    what: str
    advice: str
    is_it: Callable[[object], bool]


_LABEL_STUDIO = "Export the project again in Label Studio's format 'JSON', which is read as it is."

KINDS = (
    Foreign(
        "labelme's JSON, which is not read",
        "X-AnyLabeling opens labelme's files and exports YOLO pose (of points with the group_id of their box); write a "
        "data.yaml with train, kpt_shape, names and kpt_names beside that, and convert it.",
        lambda content: isinstance(content, dict) and "shapes" in content and "imagePath" in content,
    ),
    Foreign(
        "the notes of Label Studio's YOLO export, which does not say what its points are",
        _LABEL_STUDIO,
        lambda content: isinstance(content, dict) and content.keys() == {"categories", "info"},
    ),
    Foreign(
        "Label Studio's table, which is not read",
        _LABEL_STUDIO,
        lambda start: isinstance(start, str) and {"annotation_id", "annotator"} <= set(start.split("\n")[0].split(",")),
    ),
    Foreign(
        "Pascal VOC, which has boxes and no keypoints",
        "Export the keypoints: in CVAT as 'CVAT for images 1.1'.",
        lambda start: isinstance(start, str) and "<annotation>" in start and "<object" in start,
    ),
)


def kind_of(path: Path, content: object | None) -> Foreign | None:
    """What a file is known as, or None.

    Args:
        path: The file.
        content: Its parsed JSON; None for any other file.
    """
    known = _start(path) if content is None else content
    return next((kind for kind in KINDS if kind.is_it(known)), None)


def described(path: Path, content: object | None) -> str:
    """In a few words, what stands in a file."""
    if isinstance(content, dict):
        fields = ", ".join(map(str, list(content)[:5]))
        return f"an object with {fields[:80]}{' ...' * (len(content) > 5)}" if content else "an empty object"
    if isinstance(content, list):
        entry = next((f" of {described(path, item)}" for item in content[:1] if isinstance(item, dict)), "")
        return f"a list{entry}" if content else "an empty list"
    if content is not None:
        return shown(content)
    start = _start(path)
    return f"a text that starts {shown(start.strip().splitlines()[0], 40)}" if start.strip() else "no text"


def _start(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    return "" if b"\0" in start else start.decode("utf-8-sig", errors="replace")
