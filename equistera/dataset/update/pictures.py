"""The pictures of a data set, to be found by what exports call them, and the user's others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from equistera.dataset.animals import PictureAnimals, posix
from equistera.dataset.formats.values import Unusable
from equistera.dataset.images import ImageError
from equistera.dataset.locate import MISSING, NOT_FOUND, PictureFinder
from equistera.dataset.paths import picture_path
from equistera.dataset.place import image_dir, is_same
from equistera.dataset.update.known import KnownFile


class DataSetPictures(PictureFinder):
    """Finds pictures under the names that a data set has for them.

    Its own names come first: a tool may have put folders before them. Then its pictures on disk are found as those of
    any export, then the user's others.

    Args:
        folder: Of the annotation files.
        files: From :func:`equistera.dataset.update.known.read_known`.
        others: Folder of the user's pictures.

    Raises:
        UserError: No such folder.
    """

    def __init__(self, folder: Path, files: Mapping[str, KnownFile], others: Path):
        self._files_of, self._folder = files, folder
        own = image_dir(folder, "").resolve()
        self._own = PictureFinder(own) if own.is_dir() else None
        super().__init__(others, () if self._own is None else _below(own))
        self._names = PictureAnimals({}, {posix(name): 0 for file in files.values() for name in file.images})
        self._places: dict[str, Path] = {}

    def home(self, file_name: str) -> list[str]:
        """The names of the files that have a picture."""
        return [split for split, file in self._files_of.items() if file_name in file.images]

    def find(self, names: Sequence[str], beside: str = "") -> str:
        """As :meth:`PictureFinder.find`; a picture that the data set has comes under its name there.

        Raises:
            Unusable: Also for another picture than the data set's that has its name, and for one in two splits.
        """
        known = self._known(names)
        try:
            found = super().find(names, beside)
            there = super().path_of(found)
        except Unusable as error:
            if known is None or error.reason not in MISSING:
                raise
            found, there = known, None
        name = known or found
        homes = self.home(name)
        if len(homes) > 1:
            files = " and ".join(f"{home}.json" for home in homes)
            raise Unusable("the picture is in two splits", f"{name}: {files}", "Take it out of one of them first.")
        own = self._placed(homes[0], name) if homes else None
        if own is not None and there is not None and not is_same(own, there):
            raise Unusable("another picture than the data set's has its name", f"{there} is not {own}")
        if own is None and there is None:
            raise Unusable(NOT_FOUND, f"{name}, which the data set has")
        self._places[name] = own or there
        return name

    def path_of(self, file_name: str) -> Path:
        return self._places[file_name]

    def notes(self) -> list[str]:
        return [*(self._own.notes() if self._own else ()), *super().notes()]

    def _known(self, names: Sequence[str]) -> str | None:
        """The data set's name of a picture that it has."""
        for name in names:
            if (found := self._names.find(name)) is not None:
                return next(own for file in self._files_of.values() for own in file.images if posix(own) == found)
        if self._own is None:
            return None
        try:
            found = self._own.find(names)
        except Unusable as error:
            if error.reason in MISSING:
                return None
            raise
        # a picture that only lies there may be of an earlier run
        split, _, name = found.partition("/")
        images = self._files_of[split].images if split in self._files_of else ()
        return next((own for own in images if posix(own) == name), None)

    def _placed(self, split: str, name: str) -> Path | None:
        try:
            path = picture_path(image_dir(self._folder, split), name)
        except ImageError as error:
            raise Unusable("a file name that is not followed", error.summary) from error
        return path if path.is_file() else None


def _below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
