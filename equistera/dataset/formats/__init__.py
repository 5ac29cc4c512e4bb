"""The annotation formats: which one a file is in, and its content; and files that people take for one of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from equistera.dataset.formats import animalpose, coco, cvat, deeplabcut, labelstudio, yolo
from equistera.dataset.formats.records import HORSE, Export, NotLabels, check_file, shown
from equistera.files import read_json

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


@dataclass(frozen=True)
class Format:
    """A format that can be read.

    Attributes:
        name: Value of ``--format``.
        title: Name for people.
        needs: What a file of the format holds, for people.
        suffixes: File name endings, lower case.
        accepts: Whether a file (for JSON: its parsed content) is in this format.
        read: Reads it; JSON formats get the parsed content and the path.
        draws_boxes: Boxes stand beside the points, of animals and of other things: ``read`` also gets the user's words
            for the animals.
    """

    name: str
    title: str
    needs: str
    suffixes: tuple[str, ...]
    accepts: Callable[..., bool]
    read: Callable[..., Export]
    draws_boxes: bool = False

    @property
    def is_json(self) -> bool:
        return ".json" in self.suffixes


_DEEPLABCUT_NEEDS = "CollectedData_<scorer>.csv, whose first rows start scorer, bodyparts and coords, or its .h5"

#: Every format; a file's first match counts.
ALL = (
    Format(
        "labelstudio",
        labelstudio.TITLE,
        "a .json with a list of tasks, each with data and annotations",
        (".json",),
        labelstudio.accepts,
        labelstudio.read,
        draws_boxes=True,
    ),
    Format(
        "coco",
        coco.TITLE,
        "a .json with the lists images, annotations and categories",
        (".json",),
        coco.accepts,
        coco.read,
    ),
    Format(
        "animalpose",
        animalpose.TITLE,
        "the .json with an object images and the lists annotations and categories",
        (".json",),
        animalpose.accepts,
        animalpose.read,
    ),
    Format("cvat", cvat.TITLE, "an .xml of <annotations> with <image>s", (".xml",), cvat.accepts, cvat.read, True),
    Format(
        "deeplabcut",
        deeplabcut.TITLE,
        _DEEPLABCUT_NEEDS,
        (".csv",),
        deeplabcut.accepts_csv,
        deeplabcut.read_csv,
    ),
    Format(
        "deeplabcut",
        deeplabcut.TITLE,
        _DEEPLABCUT_NEEDS,
        deeplabcut.SUFFIXES,
        deeplabcut.accepts_h5,
        deeplabcut.read_h5,
    ),
    Format("yolo", yolo.TITLE, "a .yaml with kpt_shape, beside labels/", (".yaml", ".yml"), yolo.accepts, yolo.read),
)

#: Values of ``--format``.
NAMES = tuple(dict.fromkeys(f.name for f in ALL))


def suffixes_of(name: str) -> tuple[str, ...]:
    """Endings of files that may hold annotations in a format, or with ``auto`` in any."""
    return tuple(dict.fromkeys(suffix for f in ALL if name in ("auto", f.name) for suffix in f.suffixes))


def read(path: Path, name: str = "auto", wanted: Collection[str] = ()) -> Export:
    """Reads an annotation file.

    Args:
        path: The file.
        name: One of :data:`NAMES`; ``auto`` finds out by ending and content.
        wanted: The user's words for the animals; by default :data:`HORSE`.

    Raises:
        NotLabels: The file is not in the format ``name``, or in none, or holds predictions.
        UserError: The file cannot be read or is damaged.
    """
    check_file(path)
    candidates = [f for f in ALL if path.suffix.lower() in f.suffixes]
    content = read_json(path) if any(f.is_json for f in candidates) else None
    fitting = [f for f in candidates if f.accepts(content if f.is_json else path)]
    for fit in fitting:
        if name in ("auto", fit.name):
            words = [wanted or (HORSE,)] if fit.draws_boxes else []
            return fit.read(content, path, *words) if fit.is_json else fit.read(path, *words)
    found = kind_of(path, content)
    asked = [f for f in ALL if name in ("auto", f.name)]
    if fitting:
        what = f"not {asked[0].title} but {fitting[0].title}"
        hint = f"Give --format {fitting[0].name}, or leave it out."
    elif found:
        what, hint = found.what, found.advice
    else:
        title = "no annotations of a known format" if name == "auto" else f"not {asked[0].title}"
        what = f"{title}: {described(path, content)}"
        hint = "\n  ".join(["Expected:", *dict.fromkeys(f"{f.title}: {f.needs}" for f in asked)])
    raise NotLabels(path, what, hint)
