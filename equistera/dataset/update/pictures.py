"""The pictures of a data set, to be found by what exports call them, and the user's others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from equistera.dataset.animals import PictureAnimals, posix
from equistera.dataset.formats.values import Unusable
from equistera.dataset.images import ImageError
from equistera.dataset.locate import MISSING, NOT_FOUND, PictureFinder
from equistera.dataset.paths import picture_path
from equistera.dataset.place import image_dir, is_same
from equistera.dataset.update.known import KnownFile

_TWO_SPLITS = "several splits have a picture of this name"
_SAY_SPLIT = "--img-dir names the folder of the right ones, such as data/images/val; or put the split before the name."


class DataSetPictures(PictureFinder):
    """Finds pictures as a data set knows them: by the split, and the name there.

    Its own names come first: a tool may have put folders before them. Then its pictures on disk are found as those of
    any export, then the user's others.

    Args:
        folder: Of the annotation files.
        files: From :func:`equistera.dataset.update.known.read_known`.
        others: Folder of the user's pictures; the data set's own folder of a split means that split alone.

    Raises:
        UserError: No such folder.
    """

    def __init__(self, folder: Path, files: Mapping[str, KnownFile], others: Path):
        self._folder = folder
        own = image_dir(folder, "").resolve()
        self._own = PictureFinder(own) if own.is_dir() else None
        super().__init__(others, () if self._own is None else _below(own))
        self._meant = [split for split in files if others.resolve() == own / split] or [*files]
        #: names in the files by split, by what they have in common
        self._homes: dict[str, dict[str, str]] = defaultdict(dict)
        for split, file in files.items():
            for name in file.images:
                self._homes[posix(name)][split] = name
        self._names = PictureAnimals({}, dict.fromkeys(self._homes, 0))
        self._places: dict[str, Path] = {}
        self._known: dict[str, tuple[str, str]] = {}
        #: whether the folder of the user's pictures, or it as a part of the data set's own, was of any use
        self.used_others = others.resolve().is_relative_to(own) or own.is_relative_to(others.resolve())

    def known(self, found: str) -> tuple[str, str]:
        """Split and ``file_name`` of what :meth:`find` has found; of a picture that is new ``""`` and that."""
        return self._known.get(found, ("", found))

    def find(self, names: Sequence[str], beside: str = "") -> str:
        """As :meth:`PictureFinder.find`; a picture that the data set has comes with its split before its name.

        Raises:
            Unusable: Also for another picture than the data set's that has its name, and for one in two splits.
        """
        missing, there = None, None
        try:
            found = super().find(names, beside)
            there = super().path_of(found)
            self.used_others = True
        except Unusable as error:
            if error.reason not in MISSING:
                raise
            missing = error
        homes = self._possible(names)
        if len(homes) > 1 and there is not None:
            homes = [home for home in homes if (own := self._placed(*home)) is None or is_same(own, there)]
        if len(homes) > 1:
            splits = " and ".join(f"{split}.json" for split, _ in homes)
            raise Unusable(_TWO_SPLITS, f"{homes[0][1]}: {splits}", _SAY_SPLIT)
        if homes:
            found, there = self._own_one(*homes[0], there)
        elif missing is not None:
            raise missing
        self._places[found] = there
        return found

    def path_of(self, file_name: str) -> Path:
        return self._places[file_name]

    def notes(self) -> list[str]:
        return [*(self._own.notes() if self._own else ()), *super().notes()]

    def _possible(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Splits and names of the data set's pictures that may be meant."""
        found = next((known for name in names if (known := self._names.find(name)) is not None), None)
        homes = [(split, name) for split, name in self._homes.get(found, {}).items() if split in self._meant]
        if len(homes) == 1 or self._own is None:
            return homes
        try:
            split, _, name = self._own.find(names).partition("/")
        except Unusable as error:
            if error.reason in MISSING or homes:
                return homes
            raise
        # a picture that only lies there may be of an earlier run
        own = self._homes.get(name, {}).get(split)
        return [(split, own)] if own is not None and split in self._meant else homes

    def _own_one(self, split: str, name: str, there: Path | None) -> tuple[str, Path]:
        """What a picture of the data set's is known by from now on, and where it is."""
        own = self._placed(split, name)
        if own is not None and there is not None and not is_same(own, there):
            raise Unusable("another picture than the data set's has its name", f"{there} is not {own}")
        place = own or there
        if place is None:
            raise Unusable(NOT_FOUND, f"{name}, which {split}.json has")
        for other, twin in self._homes[posix(name)].items():
            copy = self._placed(other, twin)
            if other != split and copy is not None and is_same(copy, place):
                detail = f"{name}: {split}.json and {other}.json"
                raise Unusable("the picture is in two splits", detail, "Take it out of one of them first.")
        found = f"{split}.json: {name}"
        self._known[found] = split, name
        return found, place

    def _placed(self, split: str, name: str) -> Path | None:
        try:
            path = picture_path(image_dir(self._folder, split), name)
        except ImageError as error:
            raise Unusable("a file name that is not followed", error.summary) from error
        return path if path.is_file() else None


def _below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
