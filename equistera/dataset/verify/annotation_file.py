"""A COCO keypoint file read with all its mistakes: what can be read is read, what cannot is NaN or left to a check."""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equistera.dataset.coco import is_id, read_coco
from equistera.errors import UserError
from equistera.skeleton import Skeleton, SkeletonError
from equistera.words import near

if TYPE_CHECKING:
    from equistera.dataset.verify.pictures import PictureState

#: Longest side that a picture can have: that of a JPEG (ITU-T T.81, B.2.2), with room for stitched panoramas.
MAX_SIDE = 1_000_000
#: Coordinates beyond are no pixels, and would overflow in what is computed from them.
MAX_COORDINATE = 10.0 * MAX_SIDE


@dataclass(frozen=True)
class AnnotationFile:
    """One file and what the checks want to know about it.

    Attributes:
        path: The file.
        image_dir: Folder of its pictures.
        content: What the file holds, unchanged.
        skeleton: The points expected.
        states: What was found on disk, by file name; nothing where the pictures were not looked at.
    """

    path: Path
    image_dir: Path
    content: dict
    skeleton: Skeleton
    states: Mapping[str, PictureState] = field(default_factory=dict)

    @functools.cached_property
    def pictures(self) -> list[dict]:
        """Entries of ``images`` that have an id and a file name."""
        return [entry for entry in self.content["images"] if picture_problem(entry) == ""]

    @functools.cached_property
    def picture_states(self) -> list[PictureState]:
        """Of :attr:`pictures`, once they were looked at."""
        return [self.states[entry["file_name"]] for entry in self.pictures]

    @functools.cached_property
    def picture_position(self) -> dict[int | str, int]:
        """Position in :attr:`pictures`, by id; the first of several."""
        return {entry["id"]: i for i, entry in reversed(list(enumerate(self.pictures)))}

    @functools.cached_property
    def annotations(self) -> list[dict]:
        """Entries of ``annotations`` that are objects."""
        return [entry for entry in self.content["annotations"] if isinstance(entry, dict)]

    @functools.cached_property
    def annotations_by_picture(self) -> dict[int, list[int]]:
        """Positions in :attr:`annotations`, by position in :attr:`pictures`."""
        result = defaultdict(list)
        for n in range(len(self.annotations)):
            if (picture := self.picture_of(n)) is not None:
                result[picture].append(n)
        return dict(result)

    @functools.cached_property
    def columns(self) -> dict[int | str, np.ndarray]:
        """By category id: where each keypoint of the skeleton stands."""
        result = {}
        for category in self.content["categories"]:
            names = keypoint_names(category)
            if names and is_id(category.get("id")):
                try:
                    result[category["id"]] = self.skeleton.columns_of(names)
                except SkeletonError:
                    continue  # the check of the names reports it
        return result

    @functools.cached_property
    def named_categories(self) -> set[int | str]:
        """Ids of the categories that name keypoints, the skeleton's or others."""
        entries = [category for category in self.content["categories"] if keypoint_names(category)]
        return {category["id"] for category in entries if is_id(category.get("id"))}

    @functools.cached_property
    def keypoints(self) -> np.ndarray:
        """float64 [N, K, 3], in the skeleton's order; NaN for what is not a number, or all NaN for the wrong count."""
        result = np.full((len(self.annotations), len(self.skeleton), 3), np.nan)
        for n, entry in enumerate(self.annotations):
            columns = self.columns_for(n)
            if columns is not None:
                result[n] = coordinates(entry["keypoints"]).reshape(-1, 3)[columns]
        return result

    @functools.cached_property
    def well_formed(self) -> np.ndarray:
        """bool [N]: 'keypoints' is a list of the right length under a category with the skeleton's names."""
        return np.array([self.columns_for(n) is not None for n in range(len(self.annotations))], dtype=bool)

    def columns_for(self, n: int) -> np.ndarray | None:
        """Where annotation ``n`` keeps each keypoint of the skeleton, None unless its values can be told apart."""
        entry = self.annotations[n]
        columns = self.columns.get(entry["category_id"]) if is_id(entry.get("category_id")) else None
        values = entry.get("keypoints")
        return columns if columns is not None and isinstance(values, list) and len(values) == 3 * len(columns) else None

    @functools.cached_property
    def flags(self) -> np.ndarray:
        """float64 [N, K]: visibility, 0 for points without usable coordinates."""
        usable = np.isfinite(self.keypoints).all(axis=2)
        return np.where(usable, self.keypoints[..., 2], 0)

    @functools.cached_property
    def labelled(self) -> np.ndarray:
        """bool [N, K]."""
        return self.flags > 0

    @functools.cached_property
    def labelled_points(self) -> np.ndarray:
        """float64 [N, K, 2], pixels; NaN where not labelled."""
        return np.where(self.labelled[..., None], self.keypoints[..., :2], np.nan)

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """float64 [N, K, 3]: x, y, visibility; 0 where not labelled."""
        return np.where(self.labelled[..., None], np.nan_to_num(self.keypoints), 0.0)

    @functools.cached_property
    def boxes(self) -> np.ndarray:
        """float64 [N, 4], x, y, width, height; NaN where it is not four numbers."""
        result = np.full((len(self.annotations), 4), np.nan)
        for n, entry in enumerate(self.annotations):
            if isinstance(entry.get("bbox"), list) and len(entry["bbox"]) == 4:
                result[n] = coordinates(entry["bbox"])
        return result

    @functools.cached_property
    def picture_sizes(self) -> np.ndarray:
        """float64 [M, 2]: width and height according to the file; NaN where missing or no size of a picture."""
        sizes = [[number(entry.get(key)) for key in ("width", "height")] for entry in self.pictures]
        array = np.array(sizes, dtype=float).reshape(-1, 2)
        return np.where(((array > 0) & (array <= MAX_SIDE)).all(axis=1, keepdims=True), array, np.nan)

    @functools.cached_property
    def annotation_picture_sizes(self) -> np.ndarray:
        """float64 [N, 2]: size of each annotation's picture."""
        places = [self.picture_of(n) for n in range(len(self.annotations))]
        sizes = np.concatenate([self.picture_sizes, [[np.nan, np.nan]]])
        return sizes[[-1 if place is None else place for place in places]]

    @property
    def populations(self) -> dict[str, int]:
        """How many there are of what checks count."""
        return {
            "annotations": len(self.annotations),
            "pictures": len(self.content["images"]),
            "keypoints": len(self.skeleton),
        }

    def picture_of(self, n: int) -> int | None:
        """Position of an annotation's picture, or None."""
        image_id = self.annotations[n].get("image_id")
        return self.picture_position.get(image_id) if is_id(image_id) else None

    def label(self, n: int) -> str:
        """``"annotation 12 (IMG_1.jpg)"``."""
        picture = self.picture_of(n)
        name = f" ({self.pictures[picture]['file_name']})" if picture is not None else ""
        own = self.annotations[n].get("id")
        return f"annotation {own if is_id(own) else f'number {n + 1}'}{name}"


def read(path: str | Path, image_dir: str | Path | None, skeleton: Skeleton) -> AnnotationFile:
    """Reads a file for verification.

    Args:
        path: The annotation file.
        image_dir: Folder of its pictures; by default that of :func:`default_image_dir`.
        skeleton: The points expected.

    Returns:
        The file, whatever its entries hold.

    Raises:
        UserError: It is missing, not JSON, not a COCO file, or the picture folder does not exist.
    """
    path = Path(path)
    content = read_coco(path)
    if image_dir is not None and not Path(image_dir).is_dir():
        raise UserError(f"no such picture folder: {image_dir}{near(image_dir)}")
    return AnnotationFile(path, Path(image_dir or default_image_dir(path)), content, skeleton)


def default_image_dir(path: Path) -> Path:
    """``data/images/train`` for ``data/annotations/train.json`` where it exists, else the folder of the file."""
    beside = path.resolve().parent
    own = beside.parent / "images" / path.stem
    return own if own.is_dir() else beside


def picture_problem(entry: object) -> str:
    """Why an entry of ``images`` cannot be used, or "" if it can."""
    if not isinstance(entry, dict):
        return f"expected an object, found {short(entry)}"
    if not is_id(entry.get("id")):
        name = short(entry.get("file_name"))
        return f"'id' must be a whole number or a text, found {short(entry.get('id'))} (file name {name})"
    if not isinstance(entry.get("file_name"), str) or not entry["file_name"].strip():
        return f"picture {short(entry['id'])}: 'file_name' must be a text, found {short(entry.get('file_name'))}"
    return ""


def keypoint_names(category: object) -> list[str] | None:
    """The names of a category's keypoints, or None if it has none."""
    names = category.get("keypoints") if isinstance(category, dict) else None
    return [str(name) for name in names] if isinstance(names, list) and names else None


def number(value: Any) -> float:
    """A JSON number as float; NaN for anything else: training would not convert text either, and true is no number."""
    if type(value) not in (int, float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def coordinates(values: list) -> np.ndarray:
    """JSON numbers that can be pixels as float64; NaN for anything else."""
    array = np.array([number(value) for value in values])
    return np.where(np.abs(array) <= MAX_COORDINATE, array, np.nan)


def short(value: object) -> str:
    """A value for a message."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
