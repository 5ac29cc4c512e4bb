"""A split on disk: one annotation file a split and ``split.json``, which remembers where every picture is.

``split.json`` keeps the data set from being drawn anew when pictures are added. For people it also says how it was
drawn, and by a SHA-256 sum from which annotations.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from equistera.dataset.split import SPLITS, ImageId, SplitSpec, parts_of
from equistera.errors import UserError
from equistera.files import read_json, write_json
from equistera.outputs import check_targets

SPLIT_FILE = "split.json"
#: A repeated group that holds a repeat or a choice.
_ENDLESS = re.compile(r"[*+|}?][^()]*\)+[*+{]")
_VERSION = 1


def content_hash(coco: Mapping) -> str:
    """SHA-256, hexadecimal, of the images, annotations and categories.

    The same for any order of the entries and fields and any way to write the JSON (``1`` or ``1.0``, indentation).
    The pixels of the pictures do not count, nor do ``info`` and ``licenses``.
    """
    digest = hashlib.sha256()
    for key in ("images", "annotations", "categories"):
        entries = sorted(json.dumps(_plain(entry), sort_keys=True) for entry in coco.get(key, ()))
        digest.update(json.dumps([key, entries]).encode())
    return digest.hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value


def write_splits(
    coco: Mapping, assignment: Mapping[ImageId, str], out_dir: str | Path, spec: SplitSpec, *, overwrite: bool = False
) -> dict[str, Path]:
    """Writes ``train.json``, ``val.json``, ``test.json`` (where used) and, last, ``split.json``.

    Pictures of an existing ``split.json`` that are not in ``coco`` now stay remembered, in case they come back.

    Args:
        coco: COCO content; fields other than ``images`` and ``annotations`` go into every file.
        assignment: From :func:`equistera.dataset.split.assign`.
        out_dir: Folder, made if need be.
        spec: What the split was drawn with, for the record.
        overwrite: Replace files that exist.

    Returns:
        The file of each split.

    Raises:
        UserError: A file exists and ``overwrite`` is not set, or a file of the existing split would be left behind
            that this one does not have. Nothing is written then.
    """
    parts = parts_of(coco, assignment)
    files = planned_files(out_dir, tuple(parts), overwrite=overwrite)
    record = Path(out_dir) / SPLIT_FILE
    remembered = {**read_split(out_dir), **{image["file_name"]: assignment[image["id"]] for image in coco["images"]}}
    for name, part in parts.items():
        write_json(files[name], part)
    write_json(
        record,
        {
            "about": "Where every picture is. Keep it: pictures stay in their split when the data set grows.",
            "version": _VERSION,
            "fractions": dict(zip(SPLITS, spec.fractions, strict=False)),
            "seed": spec.seed,
            "group_by": spec.group_by,
            "duplicate_distance": spec.duplicate_distance,
            "input_sha256": content_hash(coco),
            "files": {
                name: {"file": files[name].name, "pictures": len(part["images"])} for name, part in parts.items()
            },
            "pictures": dict(sorted(remembered.items())),
        },
        indent=1,
    )
    return files


def planned_files(out_dir: str | Path, splits: Sequence[str], *, overwrite: bool = False) -> dict[str, Path]:
    """The file of each split, once it is sure that it may be written; for callers with long work before that.

    Raises:
        UserError: As :func:`write_splits`.
    """
    out_dir = Path(out_dir)
    files = {name: out_dir / f"{name}.json" for name in splits}
    check_targets("--output", [*files.values(), out_dir / SPLIT_FILE], overwrite=overwrite)
    others = set(read_split(out_dir).values()) - set(splits)
    left = [str(out_dir / f"{name}.json") for name in sorted(others) if (out_dir / f"{name}.json").exists()]
    if left:
        raise UserError(
            f"the existing split has files beside {', '.join(splits)}, which would stay with pictures in both:",
            left,
            "Move them away first.",
        )
    return files


def read_split(folder: str | Path) -> dict[str, str]:
    """Split of every picture, by file name, from the ``split.json`` of a folder; empty where there is none.

    Raises:
        UserError: The file is not one that :func:`write_splits` wrote.
    """
    record = Path(folder) / SPLIT_FILE
    return _read_record(record)["pictures"] if record.exists() else {}


def recorded_rule(folder: str | Path) -> str:
    """The ``--group-by`` that the split in a folder was drawn with; "" where there is none, or none to be trusted.

    Raises:
        UserError: As :func:`read_split`.
    """
    record = Path(folder) / SPLIT_FILE
    rule = _read_record(record).get("group_by") if record.exists() else ""
    # repeats of repeats can take years, and nobody knows who wrote the file
    return rule if isinstance(rule, str) and not _ENDLESS.search(rule) else ""


def _read_record(path: Path) -> dict:
    content = read_json(path)
    if not (
        isinstance(content, dict)
        and content.get("version") == _VERSION
        and isinstance(content.get("pictures"), dict)
        and all(name in SPLITS for name in content["pictures"].values())
    ):
        raise UserError(
            f"{path} is not a split file of version {_VERSION}",
            hint="Put the original back, or move it away to draw the split anew.",
        )
    return content
