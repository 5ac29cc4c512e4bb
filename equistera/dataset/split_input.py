"""What is read to be split: checked by its shape, for which pydantic is imported only then."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypeAlias

import pydantic

from equistera.commands import verify_command
from equistera.dataset.coco import read_coco
from equistera.dataset.paths import name_parts
from equistera.errors import UserError, shape_problems

_Id: TypeAlias = pydantic.StrictInt | pydantic.StrictStr


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
        problems = shape_problems(error)
    if problems:
        raise UserError(f"{path} cannot be split:", problems, f"Look closer: {verify_command(path)}")
    return content


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
