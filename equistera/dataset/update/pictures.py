"""The pictures of a data set, to be found by what exports call them, and the user's others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from equistera.dataset.formats.values import Unusable
from equistera.dataset.images import ImageError
from equistera.dataset.locate import MISSING, PictureFinder
from equistera.dataset.paths import picture_path
from equistera.dataset.place import image_dir, is_same
from equistera.dataset.update.known import KnownFile


class DataSetPictures(PictureFinder):
    """Finds pictures under the names that a data set has for them: first those in its own folders, then others.

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
        self._places: dict[str, Path] = {}

    def home(self, file_name: str) -> list[str]:
        """The names of the files that have a picture."""
        return [split for split, file in self._files_of.items() if file_name in file.images]

    def find(self, names: Sequence[str], beside: str = "") -> str:
        """As :meth:`PictureFinder.find`; a picture that the data set has comes under its name there.

        Raises:
            Unusable: Also for another picture than the data set's that has its name, and for one in two splits.
        """
        found = self._find_own(names) if self._own else None
        if found is None:
            found = super().find(names, beside)
            self._places[found] = super().path_of(found)
        homes = self.home(found)
        if len(homes) > 1:
            files = " and ".join(f"{name}.json" for name in homes)
            raise Unusable("the picture is in two splits", f"{found}: {files}", "Take it out of one of them first.")
        for split in homes:
            try:
                own = picture_path(image_dir(self._folder, split), found)
            except ImageError as error:
                raise Unusable("a file name that is not followed", error.summary) from error
            if own.is_file() and own != self._places[found] and not is_same(own, self._places[found]):
                detail = f"{self._places[found]} is not {own}"
                raise Unusable("another picture than the data set's has its name", detail)
        return found

    def path_of(self, file_name: str) -> Path:
        return self._places[file_name]

    def notes(self) -> list[str]:
        return [*(self._own.notes() if self._own else ()), *super().notes()]

    def _find_own(self, names: Sequence[str]) -> str | None:
        try:
            found = self._own.find(names)
        except Unusable as error:
            if error.reason in MISSING:
                return None
            raise
        split, _, name = found.partition("/")
        if split not in self._files_of or not name:
            return None
        known = [known for known in self._files_of[split].images if known == name or known.replace("\\", "/") == name]
        if not known:
            # a picture that only lies there: perhaps of an earlier run
            return None
        self._places[known[0]] = self._own.path_of(found)
        return known[0]


def _below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
