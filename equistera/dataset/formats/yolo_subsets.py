"""What a YOLO data YAML speaks of: its subsets, their pictures, and the label file of each.

A subset is a folder, a text file of picture names, or a list of either, under any key: CVAT names the keys as its users
name their subsets. Only label files in the YAML's own folder are read. Pictures are named here and looked for later, as
for every other format, so that they may lie elsewhere.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from equistera.dataset.formats.records import Export, Skip
from equistera.dataset.formats.values import read_text, shown
from equistera.dataset.images import LISTED
from equistera.dataset.paths import is_hidden
from equistera.errors import UserError

#: Fields that are not subsets whatever stands in them (https://docs.ultralytics.com/datasets/pose).
_OTHER_FIELDS = ("path", "nc", "names", "kpt_shape", "kpt_names", "flip_idx", "download", "channels", "roboflow")
#: Keys that always are subsets.
_USUAL = re.compile(r"(train|val|valid|test)(ing|idation)?", re.IGNORECASE)
#: A list has one line a picture.
_MAX_LIST_BYTES = 16 * 1024**2


@dataclass
class Subsets:
    """The pictures of a data YAML.

    Attributes:
        path: The YAML file.
        content: What stands in it.
        export: Takes what is left out, and notes.
        labels: Label files of the pictures so far.
    """

    path: Path
    content: Mapping
    export: Export
    labels: set[PurePosixPath] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.root = self.path.parent.resolve()
        base = self.content.get("path")
        self._base = _parts(base) if isinstance(base, str) else []

    def pictures(self) -> Iterator[tuple[PurePosixPath, PurePosixPath]]:
        """Name of every picture and its label file, both relative to the YAML's folder.

        A picture that is known by its label file only has a name without an ending.

        Raises:
            UserError: No subset is there; or one is neither a folder, nor a list, nor a picture.
        """
        missing = []
        subsets = [key for key in self.content if self._is_subset(key)]
        for key in subsets:
            for entry in self._entries(key):
                if not isinstance(entry, str) or "\0" in entry:
                    raise UserError(f"{self.path}: {key} must be the name of a folder or file, found {shown(entry)}")
                place = self._place(entry, key)
                if place is None:
                    missing.append(f"{key} is {shown(entry)}, which {self._why_not(entry)}")
                    continue
                pictures = list(self._in(place, key))
                for picture in pictures:
                    label = self._label(picture)
                    self.labels.add(label)
                    yield picture, label
                if not pictures:
                    self.export.notes.append(f"{self.path.name}: {key} ({entry!r}) holds no pictures")
        if not self.labels and missing:
            raise UserError(
                f"{self.path}: {missing[0]}" if len(missing) == 1 else f"{self.path} names nothing that is there:",
                missing if len(missing) > 1 else (),
                "Put the data YAML into the folder that holds labels/ and images/, and give that folder with --input.",
            )
        if not subsets:
            raise UserError(
                f"{self.path} names no pictures: expected train, val or another subset, found "
                f"{', '.join(map(str, self.content))}",
                hint="Add a line such as 'train: images/train' to it.",
            )
        self.export.skips += [Skip("subset", self.path.name, "a subset is not there", text) for text in missing]
        self._name_the_others()

    def _entries(self, key: object) -> list:
        value = self.content[key]
        return [entry for entry in (value if isinstance(value, list) else [value]) if entry not in (None, "")]

    def _is_subset(self, key: object) -> bool:
        entries = self._entries(key)
        if not isinstance(key, str) or key in _OTHER_FIELDS or not entries:
            return False
        if _USUAL.fullmatch(key):
            return True
        return all(isinstance(entry, str) and "\0" not in entry for entry in entries) and any(
            _looks_like_a_path(entry) or self._place(entry, "") for entry in entries
        )

    def _place(self, entry: str, key: str, beside: Sequence[str] = ()) -> PurePosixPath | None:
        """Where an entry lies in the YAML's folder, or None.

        Paths of another computer are taken by their end; that is said. Ultralytics, too, tries the YAML's own folder
        where ``path`` leads to none.

        Args:
            entry: A folder, list or picture.
            key: The subset, for the note; "" for none.
            beside: Folder that ``./`` stands for.
        """
        parts = _parts(entry)
        for parents in (beside, *(self._base[i:] for i in range(len(self._base))), ()):
            if parts and self._is_there(place := PurePosixPath(*parents, *parts)):
                return place
        for i in range(1, len(parts)):
            # a folder "images" is everybody's
            if parts[i:] != ["images"] and self._is_there(place := PurePosixPath(*parts[i:])):
                if key and not Path(entry).is_relative_to(self.root):
                    note = f"{self.path.name}: {key} is {entry!r}, taken for {place} beside it"
                    if note not in self.export.notes:
                        self.export.notes.append(note)
                return place
        return None

    def _is_there(self, place: PurePosixPath) -> bool:
        labels = label_of(place) if place.suffix.lower() in LISTED else _folder_of_labels(place)
        return any(_exists(self.root / path, self.root) for path in (place, labels))

    def _why_not(self, entry: str) -> str:
        outside = ".." in entry.replace("\\", "/").split("/") and _exists(self.root / entry.replace("\\", "/"))
        return f"leads out of {self.root}" if outside else f"is not found in {self.root}"

    def _in(self, place: PurePosixPath, key: str) -> Iterator[PurePosixPath]:
        """Pictures of a folder (sorted) or list, or the picture itself."""
        here, labels = self.root / place, self.root / _folder_of_labels(place)
        if here.is_dir() or labels.is_dir():
            pictures = sorted(self._files(here, LISTED))
            known = {self._label(picture) for picture in pictures}
            alone = (label for label in self._files(labels, (".txt",)) if label not in known)
            names = [place / label.relative_to(_folder_of_labels(place)) for label in alone if self._is_label(label)]
            yield from pictures
            yield from sorted(name.with_suffix("") for name in names)
        elif place.suffix.lower() == ".txt":
            for line in filter(None, map(str.strip, read_text(here, _MAX_LIST_BYTES).splitlines())):
                if "\0" in line:
                    raise UserError(f"{here} is not a list of pictures")
                beside = place.parent.parts if line.startswith(("./", ".\\")) else ()
                yield self._place(line, "", beside) or PurePosixPath(*_parts(line) or ["?"])
        elif place.suffix.lower() in LISTED:
            yield place
        else:
            raise UserError(f"{self.path}: {key} is {shown(str(place))}, expected a folder, a .txt file or pictures")

    def _label(self, picture: PurePosixPath) -> PurePosixPath:
        """The label file of a picture: where it belongs, beside the picture, or in another case or Unicode form."""
        places = label_of(picture), picture.parent / label_of(picture).name
        there = [place for place in places if _exists(self.root / place, self.root)]
        alike = [] if there else self._by_spelling.get(_spelled(places[0]), [])
        return there[0] if there else alike[0] if len(alike) == 1 else places[0]

    @functools.cached_property
    def _by_spelling(self) -> dict[str, list[PurePosixPath]]:
        found: dict[str, list[PurePosixPath]] = {}
        for label in self._files(self.root, (".txt",)):
            found.setdefault(_spelled(label), []).append(label)
        return found

    def _files(self, folder: Path, endings: Sequence[str]) -> Iterator[PurePosixPath]:
        for path in folder.rglob("*"):
            if path.suffix.lower() in endings and not is_hidden(path.relative_to(folder)):
                yield PurePosixPath(path.relative_to(self.root).as_posix())

    def _is_label(self, label: PurePosixPath) -> bool:
        """Whether a text file starts like a label: others, such as classes.txt, lie among them."""
        try:
            with (self.root / label).open("rb") as file:
                return re.match(rb"(\xef\xbb\xbf)?\s*[0-9]", file.read(16)) is not None
        except OSError:
            return False

    def _name_the_others(self) -> None:
        """Tells of label files that no subset names."""
        others = Counter(
            label.parent
            for label in itertools.chain(*self._by_spelling.values())
            if "labels" in label.parts[:-1] and label not in self.labels and self._is_label(label)
        )
        what = "label files that no subset of the data YAML names"
        self.export.skips += [
            Skip("subset", self.path.name, what, f"{folder}: {count}") for folder, count in sorted(others.items())
        ]


def label_of(picture: PurePosixPath) -> PurePosixPath:
    """``.../labels/.../name.txt`` for ``.../images/.../name.jpg``, else the text file beside the picture.

    Ultralytics replaces the last folder ``images`` of the whole path; one above the data set's folder leads out of it.
    """
    name = f"{picture.stem if picture.suffix.lower() in LISTED else picture.name}.txt"
    return _folder_of_labels(picture.parent) / name


def _folder_of_labels(folder: PurePosixPath) -> PurePosixPath:
    parts = list(folder.parts)
    for i in reversed(range(len(parts))):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return PurePosixPath(*parts)


def _parts(entry: str) -> list[str]:
    """Folders and name of a path that any system wrote; what leads upwards is left out with all before it."""
    parts = [part for part in entry.strip().replace("\\", "/").split("/") if part not in ("", ".")]
    last_up = max((i for i, part in enumerate(parts) if part == ".." or part.endswith(":")), default=-1)
    return parts[last_up + 1 :]


def _spelled(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()


def _looks_like_a_path(entry: str) -> bool:
    if "://" in entry:
        return False
    return entry.lower().endswith((".txt", *LISTED)) or (("/" in entry or "\\" in entry) and " " not in entry)


def _exists(place: Path, root: Path | None = None) -> bool:
    """Whether something is there, and in ``root`` even if links lead to it."""
    try:
        return place.exists() and (root is None or place.resolve().is_relative_to(root))
    except (OSError, RuntimeError, ValueError):
        return False  # a name that is too long or that no file can have, or links in a circle
