"""The annotation formats: which one a file is in, and its content."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from equistera.dataset.formats import animalpose, coco, cvat, deeplabcut, deeplabcut_h5, foreign, labelstudio, yolo
from equistera.dataset.formats.records import HORSE, Export, NotLabels, check_file
from equistera.files import read_json


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
        deeplabcut_h5.SUFFIXES,
        deeplabcut_h5.accepts,
        deeplabcut_h5.read,
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
    found = foreign.kind_of(path, content)
    asked = [f for f in ALL if name in ("auto", f.name)]
    if fitting:
        what = f"not {asked[0].title} but {fitting[0].title}"
        hint = f"Give --format {fitting[0].name}, or leave it out."
    elif found:
        what, hint = found.what, found.advice
    else:
        title = "no annotations of a known format" if name == "auto" else f"not {asked[0].title}"
        what = f"{title}: {foreign.described(path, content)}"
        hint = "\n  ".join(["Expected:", *dict.fromkeys(f"{f.title}: {f.needs}" for f in asked)])
    raise NotLabels(path, what, hint)
