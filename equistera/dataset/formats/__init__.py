"""The annotation formats: which one a file is in, and its content; and files that people take for one of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from equistera.dataset.formats import animalpose, coco, cvat, deeplabcut, labelstudio, labelstudio_yolo, yolo
from equistera.dataset.formats.records import HORSE, Export, NotLabels
from equistera.dataset.formats.values import check_file, shown
from equistera.files import read_json


@dataclass(frozen=True)
class Format:
    """A format that can be read.

    Attributes:
        name: Value of ``--format``.
        reader: Has ``TITLE`` for people, ``accepts`` and ``read``. They get the path; of JSON the parsed content, which
            ``read`` gets before the path.
        needs: What a file of the format holds, for people.
        suffixes: File name endings, lower case.
        draws_boxes: Boxes stand beside the points, of animals and of other things: ``read`` also gets the user's words
            for the animals.
    """

    name: str
    reader: ModuleType
    needs: str
    suffixes: tuple[str, ...] = (".json",)
    draws_boxes: bool = False

    @property
    def is_json(self) -> bool:
        return self.suffixes == (".json",)


_CSV_OR_H5 = "CollectedData_<scorer>.csv, whose first rows start scorer, bodyparts and coords, or its .h5"

#: Every format; a file's first match counts.
ALL = (
    Format(
        "labelstudio", labelstudio, "a .json with a list of tasks, each with data and annotations", draws_boxes=True
    ),
    Format("coco", coco, "a .json with the lists images, annotations and categories"),
    Format("animalpose", animalpose, "the .json with an object images and the lists annotations and categories"),
    Format("cvat", cvat, "an .xml of <annotations> with <image>s", (".xml",), draws_boxes=True),
    Format("deeplabcut", deeplabcut, _CSV_OR_H5, (".csv", *deeplabcut.HDF5)),
    Format("yolo", yolo, "a .yaml with kpt_shape, beside labels/", (".yaml", ".yml")),
    Format("yolo", labelstudio_yolo, "its notes.json, beside labels/"),
)

#: Values of ``--format``.
NAMES = tuple(dict.fromkeys(f.name for f in ALL))

_EXPORT_JSON = "Export the project again in Label Studio's format 'JSON', which is read as it is."

#: Other files that people take for annotations: what they are, the next step, and how they are known by their parsed
#: JSON, or by the start of another text file.
_OTHERS: tuple[tuple[str, str, Callable[[object], bool]], ...] = (
    (
        "labelme's JSON, which is not read",
        "X-AnyLabeling opens labelme's files and exports YOLO pose (of points with the group_id of their box); write a "
        "data.yaml with train, kpt_shape, names and kpt_names beside that, and convert it.",
        lambda content: isinstance(content, dict) and "shapes" in content and "imagePath" in content,
    ),
    (
        "the notes of Label Studio's YOLO export, without keypoints",
        _EXPORT_JSON,
        lambda content: isinstance(content, dict) and content.keys() == {"categories", "info"},
    ),
    (
        "Label Studio's table, which is not read",
        _EXPORT_JSON,
        lambda start: isinstance(start, str) and {"annotation_id", "annotator"} <= set(start.split("\n")[0].split(",")),
    ),
    (
        "Pascal VOC, which has boxes and no keypoints",
        "Export the keypoints: in CVAT as 'CVAT for images 1.1'.",
        lambda start: isinstance(start, str) and "<annotation>" in start and "<object" in start,
    ),
)
_START_BYTES = 4096


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
    fitting = [f for f in candidates if f.reader.accepts(content if f.is_json else path)]
    for fit in fitting:
        if name in ("auto", fit.name):
            words = [wanted or (HORSE,)] if fit.draws_boxes else []
            return fit.reader.read(content, path, *words) if fit.is_json else fit.reader.read(path, *words)
    asked = [f for f in ALL if name in ("auto", f.name)]
    if fitting:
        what = f"not {asked[0].reader.TITLE} but {fitting[0].reader.TITLE}"
        raise NotLabels(path, what, f"Give --format {fitting[0].name}, or leave it out.")
    known = _start(path) if content is None else content
    for what, advice, is_it in _OTHERS:
        if is_it(known):
            raise NotLabels(path, what, advice)
    title = "no annotations of a known format" if name == "auto" else f"not {asked[0].reader.TITLE}"
    expected = "\n  ".join(["Expected:", *(f"{f.reader.TITLE}: {f.needs}" for f in asked)])
    raise NotLabels(path, f"{title}: {_described(path, content)}", expected)


def _described(path: Path, content: object | None) -> str:
    """In a few words, what stands in a file."""
    if isinstance(content, dict):
        fields = ", ".join(map(str, list(content)[:5]))
        return f"an object with {fields[:80]}{' ...' * (len(content) > 5)}" if content else "an empty object"
    if isinstance(content, list):
        entry = next((f" of {_described(path, item)}" for item in content[:1] if isinstance(item, dict)), "")
        return f"a list{entry}" if content else "an empty list"
    if content is not None:
        return shown(content)
    start = _start(path).strip()
    return f"a text that starts {shown(start.splitlines()[0], 40)}" if start else "no text"


def _start(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    return "" if b"\0" in start else start.decode("utf-8-sig", errors="replace")
