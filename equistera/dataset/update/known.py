"""The annotation files of a data set, as they are on disk: pictures, animals, and where each number stands."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equistera.dataset.coco import checked_entries, read_coco
from equistera.dataset.split import SPLITS, UNSPLIT
from equistera.dataset.update.json_text import JsonText
from equistera.errors import UserError
from equistera.skeleton import Skeleton
from equistera.words import near


@dataclass(frozen=True)
class KnownAnimal:
    """An annotation of a file.

    Attributes:
        position: Its place in the file's list.
        entry: What stands there.
        points: float64 [K, 3], x, y and flag in the skeleton's order.
        box: x, y, width, height; None where there is none.
        columns: int [K], where in its ``keypoints`` each of the skeleton's points stands.
    """

    position: int
    entry: dict
    points: np.ndarray
    box: tuple[float, ...] | None
    columns: np.ndarray

    @property
    def id(self) -> object:
        return self.entry.get("id")


@dataclass(frozen=True)
class KnownFile:
    """An annotation file.

    Attributes:
        path: The file.
        encoding: Of its text.
        text: To be changed.
        content: What the text says.
        images: Entries of pictures by ``file_name``.
        animals: By ``file_name`` of the picture; crowds are left out, and annotations without a list of keypoints.
    """

    path: Path
    encoding: str
    text: JsonText
    content: dict
    images: dict[str, dict]
    animals: dict[str, list[KnownAnimal]]

    def encoded(self) -> bytes:
        """The changed text as bytes."""
        return str(self.text).encode(self.encoding, "surrogatepass")


def read_known(folder: Path, skeleton: Skeleton) -> dict[str, KnownFile]:
    """The annotation files of a folder by their names: those of the splits, or else that of all pictures.

    Raises:
        UserError: There are none, or one cannot be read or has other keypoints.
    """
    names = [name for name in SPLITS if (folder / f"{name}.json").is_file()] or [UNSPLIT]
    if not (folder / f"{names[0]}.json").is_file():
        raise UserError(
            f"--update: no data set in {folder}{near(folder)}",
            hint="Expected there: train.json and val.json, or all.json. Without --update the export becomes one.",
        )
    return {name: _read(folder / f"{name}.json", skeleton) for name in names}


def _read(path: Path, skeleton: Skeleton) -> KnownFile:
    content = read_coco(path)
    images, entries = checked_entries(content, skeleton, path)
    names = {image["id"]: image["file_name"] for image in images}
    if len(set(names.values())) < len(names):
        twice = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
        raise UserError(f"{path} has pictures twice, which nothing can be told apart by:", twice)
    categories = {c["id"]: c["keypoints"] for c in content["categories"] if isinstance(c, dict) and c.get("keypoints")}
    animals: dict[str, list[KnownAnimal]] = defaultdict(list)
    for position, (raw, entry) in enumerate(zip(content["annotations"], entries, strict=True)):
        points = raw.get("keypoints")
        # what is labelled nowhere is no animal to train on, but its box may be one that is labelled now
        if raw.get("iscrowd") or not isinstance(points, list) or len(points) != 3 * len(skeleton):
            continue
        columns = skeleton.columns_of([str(name) for name in categories[raw["category_id"]]])
        known = entry["keypoints"] if entry else np.zeros(3 * len(skeleton))
        box = entry["bbox"] if entry else raw.get("bbox")
        animals[names[raw["image_id"]]].append(
            KnownAnimal(position, raw, np.reshape(known, (-1, 3)).astype(float), _box(box), columns)
        )
    data = path.read_bytes()
    encoding = json.detect_encoding(data)
    text = JsonText(data.decode(encoding, "surrogatepass"))
    return KnownFile(path, encoding, text, content, {image["file_name"]: image for image in images}, dict(animals))


def _box(values: object) -> tuple[float, ...] | None:
    if not isinstance(values, list) or len(values) != 4 or not all(isinstance(v, (int, float)) for v in values):
        return None
    return tuple(map(float, values)) if min(values[2:]) > 0 else None
