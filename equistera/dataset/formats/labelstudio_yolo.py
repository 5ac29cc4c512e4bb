"""Label Studio's YOLO export: label files as Ultralytics' beside a ``notes.json`` that names classes and points.

Its converter (label_studio_sdk 2.1) writes an animal for each rectangle, with the points that are inside of it in the
list of regions, in the order of their ``model_index``; ``notes.json`` names them in the order of the labels. These are
the same in the labels that this toolkit writes; nothing in the export shows whether they are in others.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from equistera.dataset.formats.records import Export, Picture, Skip
from equistera.dataset.formats.values import Unusable
from equistera.dataset.formats.yolo import BOX_ALONE, animals_of
from equistera.dataset.images import LISTED
from equistera.dataset.paths import is_hidden
from equistera.errors import UserError

TITLE = "Label Studio's YOLO"

_NO_POINTS = (
    "Label Studio writes points only if their labels have a model_index, as tools/labelling_config.py gives them, and "
    "they lie under a rectangle in the list of regions. JSON needs neither: export that."
)


def accepts(content: object) -> bool:
    """Whether parsed JSON is such notes, with points."""
    if not isinstance(content, dict) or content.keys() != {"categories", "info"}:
        return False
    categories = content["categories"]
    return isinstance(categories, list) and any(isinstance(c, dict) and c.get("keypoints") for c in categories)


def read(content: Any, path: Path) -> Export:
    """Reads the label files beside the notes; of a picture that is not there it takes its name from them.

    Raises:
        UserError: The notes name other points for each class, or the labels are missing.
    """
    names, classes = _names_and_classes(content["categories"], path)
    root, export = path.parent, Export(path, TITLE, tells_hidden=False)
    labels = sorted(p for p in (root / "labels").rglob("*.txt") if not is_hidden(p.relative_to(root)))
    if not labels:
        raise UserError(f"{path}: no label files in {root / 'labels'}", hint="Unpack the whole export.")
    beside = {
        p.stem: p.relative_to(root).as_posix() for p in (root / "images").rglob("*") if p.name.lower().endswith(LISTED)
    }
    for label in labels:
        where = f"{path.name}, {label.relative_to(root).as_posix()}"
        with export.leaving_out("picture", where):
            animals, problems = animals_of(label, classes, names, 3)
            # of a picture that is elsewhere the ending is not known
            name = beside.get(label.stem, label.stem)
            if not animals and not problems:
                export.empty.append(Picture((name,), where, ()))
                raise Unusable("the label file is empty")
            export.add(Picture((name,), where, tuple(animals), relative=True, plain_name=f"{label.stem}.jpg"))
            export.skips += [Skip.of("horse", where, problem) for problem in problems]
    export.skips = [replace(skip, hint=_NO_POINTS) if skip.reason == BOX_ALONE else skip for skip in export.skips]
    export.notes.append(
        f"{path.name}: Label Studio's YOLO export does not say which points are hidden, and names them rightly only if "
        "their labels stand in the order of their model_index: export JSON, which has neither fault"
    )
    return export


def _names_and_classes(categories: list, path: Path) -> tuple[list[str], dict[int, str]]:
    posed = [c for c in categories if isinstance(c, dict) and isinstance(c.get("keypoints"), list)]
    names, classes = posed[0]["keypoints"] if posed else [], {}
    for category in posed:
        if category["keypoints"] != names or type(category.get("id")) is not int:
            raise UserError(
                f"{path}: every class must have a number and the same keypoints", hint="Export JSON instead."
            )
        classes[category["id"]] = str(category.get("name", ""))
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise UserError(f"{path}: keypoints must be different names")
    return names, classes
