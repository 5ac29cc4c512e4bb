"""Animals and pictures that come with an export or are gone in it, and to which split each new picture goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from equistera.dataset.images import ImageError
from equistera.dataset.paths import check_inside, picture_path
from equistera.dataset.phash import duplicate_groups
from equistera.dataset.place import image_dir
from equistera.dataset.repeats import Labelled
from equistera.dataset.split import UNSPLIT, assign, merge_groups, picture_groups
from equistera.dataset.split_dataset import ALL, POINTS, SPLIT_FILE, recorded_spec
from equistera.dataset.split_report import copies
from equistera.dataset.update.changes import ANIMAL_ADDED, ANIMAL_REMOVED, PICTURE_ADDED, Change
from equistera.dataset.update.known import KnownFile
from equistera.dataset.update.merge import Merge, added
from equistera.dataset.update.pictures import DataSetPictures
from equistera.errors import UserError
from equistera.files import read_json


@dataclass
class Additions:
    """What comes and goes beside corrections.

    Attributes:
        changes: Likewise.
        homes: Split of each new picture.
        places: Source of each new picture by where it is to be put.
    """

    changes: list[Change] = field(default_factory=list)
    homes: dict[str, str] = field(default_factory=dict)
    places: dict[Path, Path] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        odd: Sequence[tuple[Labelled, str, list[int], list[int]]],
        files: Mapping[str, KnownFile],
        folder: Path,
        pictures: DataSetPictures,
        merge: Merge,
        what: str,
    ) -> Additions:
        """Makes the changes in the files' texts.

        Raises:
            UserError: There are some, and only corrections were asked for; all are named.
        """
        new = {labelled.file_name: labelled for labelled, home, _, _ in odd if not home}
        if odd and what != ALL:
            raise UserError(
                f"--update {POINTS} corrects animals that the data set has; the export has others, or lacks some:",
                [*(f"{one.where}: the data set has no such picture" for one in new.values()), *merge.only_one_side],
                f"Take such pictures out of the export, or put them right there; --update {ALL} adds what is new and "
                "deletes what is lacking.",
            )
        self = cls()
        self.homes = homes_of({name: pictures.path_of(name) for name in new}, files, folder)
        for name, home in self.homes.items():
            self.places[check_inside(image_dir(folder, home), name, links=True)] = pictures.path_of(name)
        ids = _NextIds(files.values())
        for split, file in files.items():
            images: list[dict] = []
            annotations: list[dict] = []
            gone: list[int] = []
            for labelled, home, more, less in odd:
                if (home or self.homes[labelled.file_name]) == split:
                    if home:
                        image = file.images[labelled.file_name]
                    else:
                        image = ids.image(labelled)
                        images.append(image)
                        self.changes.append(Change(file.path.name, labelled.file_name, "", "", PICTURE_ADDED))
                    entries = [added(file, labelled, j, image["id"], ids.annotation(), merge.skeleton) for j in more]
                    annotations += entries
                    self.changes += self._animals(file, labelled.file_name, entries, less)
                    gone += less
            if images:
                file.text.change_list(["images"], new=images)
            if annotations or gone:
                file.text.change_list(["annotations"], gone, annotations)
        return self

    @staticmethod
    def _animals(file: KnownFile, name: str, more: Sequence[dict], gone: Collection[int]) -> list[Change]:
        at = file.path.name, name
        lost = [file.content["annotations"][position] for position in gone]
        return [
            *(Change(*at, entry["id"], "", ANIMAL_ADDED, (), tuple(entry["bbox"])) for entry in more),
            *(Change(*at, entry.get("id"), "", ANIMAL_REMOVED, tuple(entry.get("bbox") or ())) for entry in lost),
        ]


class _NextIds:
    """Ids that no entry of a data set has."""

    def __init__(self, files: Collection[KnownFile]):
        self._images = [image["id"] for file in files for image in file.images.values()]
        self._annotations = [entry["id"] for file in files for entry in file.content["annotations"]]

    def image(self, labelled: Labelled) -> dict:
        """The entry of a new picture."""
        width, height = labelled.frame.width, labelled.frame.height
        return {"id": self._next(self._images), "file_name": labelled.file_name, "width": width, "height": height}

    def annotation(self) -> int:
        """Of a new animal."""
        return self._next(self._annotations)

    @staticmethod
    def _next(ids: list) -> int:
        if texts := [one for one in ids if not isinstance(one, int)]:
            raise UserError(f"ids of the data set are texts, such as {texts[0]!r}: no new one can be given")
        ids.append(max(ids, default=0) + 1)
        return ids[-1]


def homes_of(new: Mapping[str, Path], files: Mapping[str, KnownFile], folder: Path) -> dict[str, str]:
    """The split of each new picture, by its file name: drawn as the data set was, with near-duplicates kept together.

    Args:
        new: Where each is.
        files: Of the data set.
        folder: Theirs, with ``split.json``.

    Raises:
        UserError: Nothing says how the data set was split, or pictures fit no group of its rule.
    """
    if not new or UNSPLIT in files:
        return dict.fromkeys(new, UNSPLIT)
    spec = recorded_spec(folder)
    kept = {name: split for split, file in files.items() for name in file.images}
    there = {name: path for name, split in kept.items() if (path := _placed(folder, split, name))}
    names = [*kept, *new]
    together = [*duplicate_groups({**there, **new}, spec.duplicate_distance), *copies(names)]
    assignment = assign(merge_groups(picture_groups(names, spec.group_by), together), spec.fractions, spec.seed, kept)
    homes = {name: assignment[name] for name in new}
    if missing := sorted({split for split in homes.values() if split not in files}):
        raise UserError(f"new pictures belong to {', '.join(missing)}, of which there is no file in {folder}")
    return homes


def split_record(folder: Path, homes: Mapping[str, str]) -> dict:
    """The content of ``split.json`` with new pictures in it; empty where there is none."""
    if not (folder / SPLIT_FILE).is_file():
        return {}
    record = read_json(folder / SPLIT_FILE)
    record["pictures"] = dict(sorted({**record["pictures"], **homes}.items()))
    for split, count in Counter(homes.values()).items():
        of_split = record.get("files", {}).get(split)
        if isinstance(of_split, dict) and isinstance(of_split.get("pictures"), int):
            of_split["pictures"] += count
    return record


def _placed(folder: Path, split: str, name: str) -> Path | None:
    try:
        path = picture_path(image_dir(folder, split), name)
    except ImageError:
        # found by verification; here it is only not compared
        return None
    return path if path.is_file() else None
