"""Several data sets in one run: whose points are which of ours, how much of an epoch is whose, what is drawn when."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from equistera import skeleton as skeletons
from equistera.dataset.coco import category_of, load_annotations, read_coco
from equistera.errors import UserError
from equistera.skeleton import Skeleton
from equistera.words import did_you_mean, near

#: Where the sources of a run stand in its config.
KEY = "train_dataloader.dataset.sources"
#: Keeps the order in which a source's animals are drawn apart from all else that the seed decides.
_STREAM = 9_313
#: ``DIR[:SKELETON][=WEIGHT]``; a drive letter is no skeleton's separator.
_ALSO = re.compile(r"(?P<data_root>.+?)(?::(?P<skeleton>[^\\:=]+))?(?:=(?P<weight>[^=:\\/]*))?")


@dataclass(frozen=True)
class Source:
    """A data set beside a run's own.

    Attributes:
        data_root: Folder of the data set; the other places are relative to it.
        name: What it is called; the folder's name if it is left out.
        ann_file: Training annotations.
        data_prefix: ``dict(img=...)``, folder of their pictures.
        val_ann_file: Annotations that it is scored by in each evaluation, if they are there; None for none.
        val_data_prefix: ``dict(img=...)``, folder of their pictures.
        skeleton: Name or path of the skeleton that it is labelled in; None: the one whose names the file has.
        weight: Samples that are drawn from it for each one of the run's own.
        point_weight: Factor on the weight of its points in the loss.
        leave_out: File names of pictures that are not used: a run writes here what is elsewhere in it, too.
        val_leave_out: Likewise, of those that score it.
    """

    data_root: str
    name: str = ""
    ann_file: str = "annotations/train.json"
    data_prefix: Mapping[str, str] | None = None
    val_ann_file: str | None = "annotations/val.json"
    val_data_prefix: Mapping[str, str] | None = None
    skeleton: str | None = None
    weight: float = 1.0
    point_weight: float = 1.0
    leave_out: Sequence[str] = ()
    val_leave_out: Sequence[str] = ()

    @classmethod
    def of(cls, entry: Any, key: str) -> Source:
        """Reads an entry of a config.

        Args:
            entry: What stands there.
            key: Where, for messages.

        Raises:
            UserError: It is not what a source can be; all findings are listed.
        """
        known = {name: default for name, default in vars(cls).items() if name in cls.__dataclass_fields__}
        if not isinstance(entry, Mapping) or not isinstance(entry.get("data_root"), str):
            example = 'dict(data_root="data/ap10k", weight=0.5)'
            raise UserError(f"{key}: expected a data set, such as {example}, found {str(entry)[:80]!r}")
        names = [*cls.__dataclass_fields__]
        problems = [f"{key}.{name}: unknown{did_you_mean(name, names)}" for name in entry if name not in names]
        for name in ("weight", "point_weight"):
            value = entry.get(name, known[name])
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
                problems.append(f"{key}.{name}: expected a number above 0, found {value!r}")
        for name in ("data_prefix", "val_data_prefix"):
            value = entry.get(name)
            if value is not None and not (isinstance(value, Mapping) and isinstance(value.get("img"), str)):
                problems.append(f"{key}.{name}: expected dict(img=FOLDER), found {value!r}")
        if "/" in str(entry.get("name", "")):
            problems.append(f"{key}.name: expected a name without /, found {entry['name']!r}")
        if problems:
            raise UserError("the config has values that no run can have:", problems)
        source = cls(**dict(entry))
        return replace(
            source,
            name=source.name or Path(source.data_root).resolve().name,
            data_prefix=dict(source.data_prefix or {"img": "images/train"}),
            val_data_prefix=dict(source.val_data_prefix or {"img": "images/val"}),
        )


def parse_also(text: str, option: str = "--also") -> dict[str, Any]:
    """The entry of a config that ``--also DIR[:SKELETON][=WEIGHT]``, or another ``option`` like it, stands for.

    >>> parse_also("data/ap10k:ap10k=0.5")
    {'data_root': 'data/ap10k', 'skeleton': 'ap10k', 'weight': 0.5}

    Raises:
        UserError: The weight is no number above 0.
    """
    match = _ALSO.fullmatch(text)
    found: dict[str, Any] = (
        {key: value for key, value in match.groupdict().items() if value is not None} if match else {}
    )
    if "skeleton" in found and Path(text.rpartition("=")[0] if "weight" in found else text).is_dir():
        # a folder with a colon in its name
        found["data_root"] = f"{found['data_root']}:{found.pop('skeleton')}"
    try:
        if "weight" in found:
            found["weight"] = float(found["weight"])
        if found and 0 < found.get("weight", 1) < float("inf"):
            return found
    except ValueError:
        # said below
        pass
    wanted = "DIR[:SKELETON][=WEIGHT]" if option == "--also" else "DIR[=WEIGHT]"
    raise UserError(
        f"{option} {text}: expected {wanted}, its weight a number above 0",
        hint=f"For example {option} rendered, or {option} rendered=0.5 for half the weight",
    )


def also_option(given: Sequence[str], more: Sequence[Mapping] = ()) -> str:
    """The ``--cfg-options`` entry that all of a run's ``--also`` are, with absolute places, and ``more`` behind them.

    Raises:
        UserError: One of them cannot be read, or no such folder is there.
    """
    entries = [parse_also(text) for text in given]
    for entry in entries:
        folder = Path(str(entry["data_root"]))
        if not folder.is_dir():
            raise UserError(f"--also: no such folder: {folder}{near(folder)}", hint="docs/data.md shows the layout")
        entry["data_root"] = str(folder.resolve())
        if str(entry.get("skeleton")).endswith(".json"):
            entry["skeleton"] = str(Path(str(entry["skeleton"])).resolve())
    return f"{KEY}={[*entries, *more]!r}"


def skeleton_of_file(ann_file: str | Path, own: Skeleton) -> Skeleton:
    """The skeleton whose names an annotation file has: ``own``, or a built-in one.

    Raises:
        UserError: There is none.
    """
    categories = [c for c in read_coco(ann_file)["categories"] if isinstance(c, dict) and c.get("keypoints")]
    names = {tuple(map(str, c["keypoints"])) for c in categories if isinstance(c["keypoints"], list)}
    for known in (own, *skeletons.builtin()):
        if names and all(len(found) == len(known) and known.is_named(found) for found in names):
            return known
    few = ", ".join(list(min(names, default=()))[:5]) or "none"
    raise UserError(
        f"{ann_file}: its keypoints ({few}, ...) are not those of {own.name!r} or of a built-in skeleton",
        hint="Name the skeleton that it is labelled in: --also DIR:SKELETON or DIR:FILE.json",
    )


@dataclass(frozen=True)
class Mapped:
    """Which points of another skeleton are exactly points of ours.

    Attributes:
        columns: int64 [K], place in the other skeleton of each of our points, -1 where it has none.
        taken: Names of the other skeleton's points that are ours, in its order.
        left: Names of those that are not.
    """

    columns: np.ndarray
    taken: tuple[str, ...]
    left: tuple[str, ...]


def map_points(skeleton: Skeleton, labelled_in: Skeleton) -> Mapped:
    """Points that a data set of another skeleton teaches; a point that is only near one of ours teaches nothing.

    Raises:
        UserError: No point is the same.
    """
    columns = np.full(len(skeleton), -1)
    if labelled_in.names == skeleton.names:
        columns = np.arange(len(skeleton))
    else:
        for match in skeleton.correspondence_from(labelled_in):
            if match.exact:
                columns[skeleton.index[match.target]] = labelled_in.index[match.source]
    if (columns < 0).all():
        raise UserError(
            f"skeleton {labelled_in.name!r} has no point that is exactly one of {skeleton.name!r}: nothing to learn",
            hint='Which points are the same stands as "correspondence" in a skeleton\'s file (equistera/skeletons)',
        )
    taken = {*columns.tolist()}
    names = labelled_in.names
    return Mapped(
        columns,
        tuple(name for i, name in enumerate(names) if i in taken),
        tuple(name for i, name in enumerate(names) if i not in taken),
    )


def mapped_annotations(
    ann_file: str | Path, skeleton: Skeleton, labelled_in: Skeleton, leave_out: Sequence[str] = ()
) -> dict:
    """Annotations of another skeleton, as :func:`equistera.dataset.coco.load_annotations` gives our own.

    A point that the other skeleton does not have is not labelled. Animals without any of our points, and those of the
    pictures that are to be left out, are not in it.

    Raises:
        UserError: The file cannot be used, or no point is the same.
    """
    coco = load_annotations(ann_file, labelled_in)
    columns, out = map_points(skeleton, labelled_in).columns, {*leave_out}
    images = [image for image in coco["images"] if image["file_name"] not in out]
    kept, annotations = {image["id"] for image in images}, []
    for annotation in coco["annotations"]:
        points = np.array(annotation["keypoints"], dtype=float).reshape(-1, 3)[columns]
        points[columns < 0] = 0
        labelled = int((points[:, 2] > 0).sum())
        if labelled and annotation["image_id"] in kept:
            annotations.append({**annotation, "keypoints": points.ravel().tolist(), "num_keypoints": labelled})
    return {**coco, "images": images, "annotations": annotations, "categories": [category_of(skeleton)]}


def shares(samples: int, weights: Sequence[float]) -> list[int]:
    """How many samples of an epoch are the run's own and of each source.

    Args:
        samples: Of the epoch.
        weights: Of the sources; the run's own counts 1.

    Returns:
        Their numbers, the own first; a source has at least one.

    Raises:
        UserError: None are left for the run's own.

    >>> shares(100, [0.5, 0.5])
    [50, 25, 25]
    """
    total = 1 + sum(weights)
    others = [max(1, round(samples * weight / total)) for weight in weights]
    if others and sum(others) >= samples:
        raise UserError(
            f"an epoch of {samples} samples has none of the run's own beside sources of weight "
            f"{', '.join(f'{weight:g}' for weight in weights)}",
            hint="A smaller weight, or a longer epoch: --cfg-options train_dataloader.dataset.epoch_samples=N",
        )
    return [samples - sum(others), *others]


class Draw:
    """Which animal of which data set stands at each place of an epoch.

    Each set is gone through in an endless shuffle, so that every animal of it is drawn as often as any other; what is
    drawn follows from seed, epoch and place alone, whoever asks.

    Args:
        seed: Of the run.
        sizes: Animals of the run's own set and of each source.
        counts: Samples of each in an epoch, see :func:`shares`.
    """

    def __init__(self, seed: int, sizes: Sequence[int], counts: Sequence[int]):
        self.seed, self.sizes, self.counts = seed, sizes, counts
        self._starts = np.cumsum([0, *counts])
        self._orders: dict[tuple[int, int], np.ndarray] = {}

    def at(self, epoch: int, place: int) -> tuple[int, int]:
        """``(set, animal)``: 0 is the run's own set."""
        which = int(np.searchsorted(self._starts, place, side="right")) - 1
        taken = epoch * self.counts[which] + place - int(self._starts[which])
        turn, position = divmod(taken, self.sizes[which])
        return which, int(self._order(which, turn)[position])

    def _order(self, which: int, turn: int) -> np.ndarray:
        """The order of a set in one of its turns, of which an epoch may see the end of one and the next."""
        if (which, turn) not in self._orders:
            self._orders = {key: order for key, order in self._orders.items() if key[0] != which or key[1] >= turn - 1}
            rng = np.random.default_rng((self.seed, _STREAM, which, turn))
            self._orders[which, turn] = rng.permutation(self.sizes[which])
        return self._orders[which, turn]
