"""A split on disk: one annotation file a split and ``split.json``, which remembers where every picture is.

``split.json`` keeps the data set from being drawn anew when pictures are added. For people it also says how it was
drawn, and by a SHA-256 sum from which annotations.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import pydantic

from equistera.commands import verify_command
from equistera.dataset.coco import read_coco
from equistera.dataset.paths import name_parts
from equistera.dataset.split import SPLITS, ImageId, SplitSpec, parts_of
from equistera.errors import UserError
from equistera.files import read_json, write_json

SPLIT_FILE = "split.json"
#: A repeated group that holds a repeat or a choice.
_ENDLESS = re.compile(r"[*+|}?][^()]*\)+[*+{]")
_VERSION = 1
_Id = pydantic.StrictInt | pydantic.StrictStr


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
    coco: Mapping,
    assignment: Mapping[ImageId, str],
    out_dir: str | Path,
    spec: SplitSpec,
    *,
    overwrite: bool = False,
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
    remembered = {
        **read_split(out_dir),
        **{image["file_name"]: assignment[image["id"]] for image in coco["images"]},
    }
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
    existing = [path for path in (*files.values(), out_dir / SPLIT_FILE) if path.exists()]
    if existing and not overwrite:
        raise UserError(
            "files exist already and are not overwritten:",
            map(str, existing),
            "Add --overwrite to replace them (pictures of the existing split stay where they are), "
            "or choose another --output.",
        )
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


class _Image(pydantic.BaseModel):
    id: _Id
    file_name: Annotated[str, pydantic.Field(min_length=1)]


class _Annotation(pydantic.BaseModel):
    id: _Id = 0
    image_id: _Id
    category_id: _Id = 0
    keypoints: list = []


class _Category(pydantic.BaseModel):
    id: _Id
    keypoints: list[str] = []


class _Coco(pydantic.BaseModel):
    """What splitting relies on."""

    model_config = pydantic.ConfigDict(strict=True)

    images: Annotated[list[_Image], pydantic.Field(min_length=1)]
    annotations: list[_Annotation]
    categories: list[_Category]


def read_to_split(path: str | Path) -> dict:
    """Reads a COCO file and checks what splitting relies on; finding the rest is ``verify_dataset``'s job.

    Returns:
        The content as it is: the lists ``images`` (unique ``id`` and ``file_name``), ``annotations`` (whose
        ``image_id`` exists) and ``categories``.

    Raises:
        UserError: All problems together.
    """
    content = read_coco(path)
    try:
        _Coco.model_validate(content)
        problems = [*_contradictions(content), *_not_finite(content)]
    except pydantic.ValidationError as error:
        # an id that is neither a number nor a text is told twice, as either
        problems = list(dict.fromkeys(map(_in_words, error.errors())))
    if problems:
        raise UserError(f"{path} cannot be split:", problems, f"Look closer: {verify_command(path)}")
    return content


def _in_words(error: Mapping) -> str:
    """``images[0].file_name: Input should be a valid string, found 7``."""
    types = {"int", "str"}.intersection(error["loc"][-1:])
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"] if part not in types)
    own_words = {"model_type": "should be an object"}
    problem = "should be a whole number or a text" if types else own_words.get(error["type"], error["msg"])
    return f"{place.removeprefix('.')}: {problem}, found {str(error['input'])[:60]}"


def _contradictions(content: dict) -> Iterator[str]:
    ids = Counter(image["id"] for image in content["images"])
    names = Counter("/".join(name_parts(image["file_name"])) for image in content["images"])
    for what, counts in (("image id", ids), ("picture", names)):
        yield from (f"{what} {value!r} stands {times} times" for value, times in counts.items() if times > 1)
    for i, annotation in enumerate(content["annotations"]):
        if annotation["image_id"] not in ids:
            label = annotation.get("id", f"number {i}")
            yield f"annotation {label}: image_id {annotation['image_id']!r} is no image of the file"


def _not_finite(value: object, place: str = "") -> Iterator[str]:
    """Python reads NaN and Infinity from a file, but no JSON has them."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{place} is a number that is not finite"
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from _not_finite(inner, f"{place}[{key}]" if place else str(key))
