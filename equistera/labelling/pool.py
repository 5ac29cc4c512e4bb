"""All labelled pictures of a data set together, and folds of them in which no group is torn apart."""

from __future__ import annotations

import functools
import os
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equistera.dataset.coco import category_of, load_annotations, read_coco
from equistera.dataset.paths import picture_path
from equistera.dataset.phash import DISTANCE, duplicate_groups
from equistera.dataset.split import merge_groups, picture_groups
from equistera.dataset.split_dataset import recorded_rule
from equistera.dataset.split_report import copies
from equistera.errors import UserError
from equistera.skeleton import Skeleton
from equistera.words import counted


@dataclass(frozen=True)
class Source:
    """An annotation file and the folder of its pictures."""

    name: str
    ann_file: Path
    images: Path


@dataclass(frozen=True)
class Picture:
    """A picture with labelled animals.

    Attributes:
        source: Where its labels stand.
        image: Its entry there.
        name: Its path relative to the pool's folder.
    """

    source: Source
    image: dict
    name: str

    @property
    def path(self) -> Path:
        return picture_path(self.source.images, self.image["file_name"])


@dataclass(frozen=True)
class Pool:
    """N labelled animals on P pictures; make one with :meth:`read`.

    Attributes:
        skeleton: The K keypoints.
        folder: Holds the folders of all pictures.
        pictures: [P].
        annotations: [N], as :func:`equistera.dataset.coco.load_annotations` gives them.
        owner: int64 [N], the animal's picture.
        other_boxes: By picture: [M, 4] boxes of entries that have no points, crowds among them.
    """

    skeleton: Skeleton
    folder: Path
    pictures: tuple[Picture, ...]
    annotations: tuple[dict, ...]
    owner: np.ndarray
    other_boxes: Mapping[int, np.ndarray]

    @classmethod
    def read(cls, sources: Sequence[Source], skeleton: Skeleton) -> Pool:
        """Reads annotation files; pictures without a labelled animal are left out.

        Raises:
            UserError: One cannot be used, or none has a labelled animal.
        """
        folder = Path(os.path.commonpath([source.images.resolve() for source in sources]))
        pictures, annotations, owner = [], [], []
        others: dict[int, list] = defaultdict(list)
        for source in sources:
            content = load_annotations(source.ann_file, skeleton)
            by_picture = defaultdict(list)
            for annotation in content["annotations"]:
                by_picture[annotation["image_id"]].append(annotation)
            place = {}
            for image in content["images"]:
                if image["id"] in by_picture:
                    name = (source.images.resolve().relative_to(folder) / image["file_name"]).as_posix()
                    place[image["id"]] = len(pictures)
                    owner += [len(pictures)] * len(by_picture[image["id"]])
                    annotations += by_picture[image["id"]]
                    pictures.append(Picture(source, image, name))
            used = {annotation["id"] for annotation in content["annotations"]}
            # what load_annotations has left out: crowds, and animals with a box alone
            for entry in filter(_has_box, read_coco(source.ann_file)["annotations"]):
                if entry.get("id") not in used and entry.get("image_id") in place:
                    others[place[entry["image_id"]]].append(entry["bbox"])
        if not annotations:
            raise UserError("no animal with a labelled keypoint in", [str(source.ann_file) for source in sources])
        boxes = {p: np.array(own, dtype=float) for p, own in others.items()}
        return cls(skeleton, folder, tuple(pictures), tuple(annotations), np.array(owner), boxes)

    def __len__(self) -> int:
        return len(self.annotations)

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """float64 [N, K, 3], x, y, v."""
        return np.array([one["keypoints"] for one in self.annotations], dtype=float).reshape(len(self), -1, 3)

    @functools.cached_property
    def points(self) -> np.ndarray:
        """float64 [N, K, 2], NaN where not labelled."""
        return np.where(self.labels[..., 2:] > 0, self.labels[..., :2], np.nan)

    @functools.cached_property
    def boxes(self) -> np.ndarray:
        """float64 [N, 4], x, y, width, height."""
        return np.array([one["bbox"] for one in self.annotations], dtype=float)

    @functools.cached_property
    def animals_of(self) -> list[np.ndarray]:
        """int64 for each picture: its animals."""
        return np.split(np.arange(len(self)), np.cumsum(np.bincount(self.owner, minlength=len(self.pictures)))[:-1])

    def coco(self, pictures: Iterable[int]) -> dict:
        """COCO content of some pictures, named relative to :attr:`folder`, with ids of its own."""
        images, annotations = [], []
        for p in pictures:
            images.append({**self.pictures[p].image, "id": int(p), "file_name": self.pictures[p].name})
            annotations += [{**self.annotations[n], "id": int(n), "image_id": int(p)} for n in self.animals_of[p]]
        return {"images": images, "annotations": annotations, "categories": [category_of(self.skeleton)]}


def _has_box(entry: object) -> bool:
    box = entry.get("bbox") if isinstance(entry, dict) else None
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(value, (int, float)) for value in box):
        return False
    return bool(np.isfinite(box).all()) and min(box[2:]) > 0


def groups_of(pool: Pool, rule: str | None) -> dict[str, str]:
    """The group of each picture, by its name in the pool.

    Args:
        pool: The pictures.
        rule: ``--group-by``; None for that of the ``split.json`` beside each file. Near-duplicates and copies of one
            photo belong together too: a model that has seen one knows the other's labels.

    Raises:
        UserError: The rule does not fit the names, or pictures cannot be read.
    """
    groups = {}
    for source in {picture.source for picture in pool.pictures}:
        names = {one.image["file_name"]: one.name for one in pool.pictures if one.source == source}
        own = (recorded_rule(source.ann_file.parent) if rule is None else rule) or "none"
        found = picture_groups(names, own)
        # of pictures that stand alone the names are the groups, which need not be unique over several files
        groups |= {names[name]: name if own == "none" else group for name, group in found.items()}
        if own == "none":
            groups |= {name: name for name in names.values()}
    paths = {picture.name: picture.path for picture in pool.pictures}
    return merge_groups(groups, [*duplicate_groups(paths, DISTANCE), *copies(paths)])


def draw_folds(groups: Mapping[str, str], count: int, seed: int = 0) -> dict[str, int]:
    """The fold of each picture, 0 to count - 1: whole groups, the largest first, each to the fold with fewest pictures.

    Raises:
        UserError: There are fewer groups than folds.
    """
    members = defaultdict(list)
    for name, group in groups.items():
        members[group].append(name)
    if len(members) < count:
        raise UserError(
            f"{counted(len(groups), 'pictures')} in {counted(len(members), 'groups')} cannot fill {count} folds",
            hint="Ask for fewer --folds, group more finely (--group-by), or name trained models: --checkpoints",
        )
    order = sorted(members.values(), key=min)
    random.Random(f"equistera folds {seed}").shuffle(order)
    folds: dict[str, int] = {}
    sizes = [0] * count
    for names in sorted(order, key=len, reverse=True):
        smallest = sizes.index(min(sizes))
        folds |= dict.fromkeys(names, smallest)
        sizes[smallest] += len(names)
    return {name: folds[name] for name in groups}
