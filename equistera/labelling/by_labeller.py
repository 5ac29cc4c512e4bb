"""One export of Label Studio in which several people labelled the same tasks, as a COCO file of each of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from equistera.dataset.convert import Request, convert_dataset
from equistera.dataset.split import UNSPLIT
from equistera.errors import UserError
from equistera.files import read_json, write_json
from equistera.skeleton import Skeleton

#: Folder of what is made of each labeller's annotations.
FOLDER = "labellers"
_HINT = "Give Label Studio's JSON export of tasks that several people annotated, or a COCO file of each labeller"


def separate(
    export: Path, out: Path, skeleton: Skeleton, img_dir: Path | None = None, categories: Sequence[str] = ()
) -> tuple[list[Path], list[str]]:
    """Writes a COCO file of each person who annotated tasks that others annotated too, below ``out``.

    Of several annotations by one person the newest is taken; those that were cancelled do not count.

    Args:
        export: Label Studio's JSON export.
        out: Gets a folder :data:`FOLDER`, which is this function's own.
        skeleton: Of the labels.
        img_dir: Folder of the pictures; by default the export's.
        categories: The user's words for the animals, as for :class:`equistera.dataset.convert.Request`.

    Returns:
        The files, and what to know of them.

    Raises:
        UserError: It is no such export, or one person's annotations cannot be converted.
    """
    tasks: dict[str, dict[int, dict]] = defaultdict(dict)
    content = read_json(export)
    if not isinstance(content, list) or not all(isinstance(task, dict) for task in content):
        raise UserError(f"{export} alone is no export of several labellers", hint=_HINT)
    for place, task in enumerate(content):
        for annotation in sorted(filter(_counts, task.get("annotations") or []), key=_when):
            tasks[_person(annotation)][place] = {**task, "annotations": [annotation]}
    shared = {place for own in tasks.values() for place in own if sum(place in other for other in tasks.values()) > 1}
    people = {who: own for who, own in tasks.items() if shared & {*own}}
    if len(people) < 2:
        raise UserError(f"no task of {export} was annotated by two people", hint=_HINT)
    files, notes = [], []
    for who, own in people.items():
        folder = out / FOLDER / re.sub(r"[^\w.@-]+", "_", who)
        copy = folder / "export.json"
        write_json(copy, [task for place, task in own.items() if place in shared])
        request = Request(
            copy,
            folder,
            skeleton,
            img_dir=img_dir or export.parent,
            categories=categories,
            split=None,
            images="none",
            overwrite=True,
        )
        try:
            said = convert_dataset(request)
        except UserError as error:
            raise UserError(f"the annotations by {who}: {error.summary}", error.problems, error.hint) from error
        notes += [f"{who}: {line.strip()}" for line in said.splitlines() if "skipped" in line]
        files.append(folder / f"{UNSPLIT}.json")
    left = len(content) - len(shared)
    return files, [
        *notes,
        *([f"{left} of {len(content)} tasks annotated by one person or none: left out"] if left else []),
    ]


def _counts(annotation: Any) -> bool:
    return isinstance(annotation, dict) and bool(annotation.get("result")) and not annotation.get("was_cancelled")


def _when(annotation: dict) -> str:
    return str(annotation.get("updated_at") or annotation.get("created_at") or "")


def _person(annotation: dict) -> str:
    who = annotation.get("completed_by")
    # newer exports write the person out
    return str((who.get("email") or who.get("id")) if isinstance(who, dict) else who)
