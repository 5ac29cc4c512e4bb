"""What ``tools/prelabel.py`` is asked for, and whether that can be done: refused before a network is loaded."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equistera import inputs
from equistera.checkpoints import file_hash
from equistera.dataset.export import targets_of
from equistera.dataset.formats import labelstudio
from equistera.dataset.formats.records import HORSE
from equistera.errors import UserError
from equistera.frames import PictureFiles, one_picture, picture_folder
from equistera.looking import Detector, LookOptions
from equistera.named_models import members_there, short_names
from equistera.outputs import check_targets
from equistera.words import counted, near

#: Values of ``--order`` beside a table of ``tools/pick_frames.py``.
LEAST_SURE, BY_NAME = "least-sure", "name"
#: Formats with the ending that a file of each needs.
FORMATS = {"labelstudio": ".json", "cvat": ".xml", "coco": ".json"}


@dataclass(frozen=True)
class PrelabelOptions(LookOptions):
    """What the user asked for; see ``tools/prelabel.py --help``. ``words`` are the model and the pictures."""

    words: Sequence[str]
    to: str
    out: str
    ann_file: str | None = None
    order: str = LEAST_SURE
    category: str | None = None
    url_prefix: str | None = None


@dataclass(frozen=True)
class PrelabelJob:
    """What is to be done; make it with :func:`settled`.

    Attributes:
        options: What the user asked for.
        config: The model's.
        checkpoint: Its weights.
        detector: None without one.
        source: The pictures.
        order: Names of pictures that come first, in this order; None for the least sure first.
        notes: What else is worth a line.
    """

    options: PrelabelOptions
    config: str
    checkpoint: Path
    detector: Detector | None
    source: PictureFiles
    order: list[str] | None
    notes: list[str]

    @property
    def out(self) -> Path:
        """The file to write."""
        return Path(self.options.out)

    def word(self, said: str) -> str:
        """What an animal is called of which a file with boxes says something, or nothing."""
        one_class = self.options.det_class[0] if self.options.det_class and len(self.options.det_class) == 1 else ""
        return self.options.category or said or one_class or HORSE

    @property
    def url_prefix(self) -> str:
        """What stands before a picture's name in a task of Label Studio."""
        return labelstudio.URL_PREFIX if self.options.url_prefix is None else self.options.url_prefix

    @property
    def model(self) -> str:
        """What this model's predictions are told apart from another's by."""
        [name] = short_names([self.checkpoint], "")
        return f"{name} {file_hash(self.checkpoint)[:8]}"


def settled(options: PrelabelOptions) -> PrelabelJob:
    """What the options come to; nothing is written.

    Raises:
        UserError: Something that is read is missing, something else is where it would be written, or the options
            contradict each other.
    """
    options.refuse_impossible()
    if options.det not in (None, "none") and options.ann_file:
        raise UserError("--ann-file and --det both say where to look; give one of them")
    if options.category is not None and not options.category.strip():
        raise UserError("--category: the animal needs a name", hint="Leave it out to call it horse")
    out = Path(options.out)
    if out.suffix.lower() != FORMATS[options.to]:
        raise UserError(f"--out {out}: expected a name that ends in {FORMATS[options.to]}, for --to {options.to}")
    model, pictures = _model_and_pictures(options.words)
    ((config, checkpoint),) = members_there(model, "CONFIG {path} PICTURE-OR-FOLDER ...", exported=True)
    if options.ann_file is not None:
        inputs.file(options.ann_file)
    detector = options.detector()
    source = _source(pictures)
    order, notes = _order(options.order, source)
    if len(options.det_class or ()) > 1 and options.category is None:
        notes.append(f"--det does not say which animals are {' or '.join(options.det_class)}: all are called {HORSE}")
    table = options.order if options.order not in (LEAST_SURE, BY_NAME) else None
    weights = detector.weights if detector else None
    read: list[str | Path | None] = [config, checkpoint, options.ann_file, weights, options.skeleton, table]
    read += [source.folder / name for name in source.names]
    check_targets("--out", targets_of(options.to, out), inputs=read, overwrite=options.overwrite)
    return PrelabelJob(options, config, checkpoint, detector, source, order, [*source.notes, *notes])


def _model_and_pictures(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """A config is followed by its weights; else the first word is a work dir or weights."""
    count = 2 if words[0].endswith(".py") else 1
    if len(words) <= count:
        raise UserError(
            "which pictures?" if len(words) == count else "which weights, and which pictures?",
            hint="Expected: [CONFIG] WORK_DIR|CHECKPOINT PICTURE-OR-FOLDER ...",
        )
    return list(words[:count]), list(words[count:])


def _source(words: Sequence[str]) -> PictureFiles:
    """The pictures that are named and those in folders that are named and below, each once, below a common folder."""
    sources = [_of_word(Path(word)) for word in words]
    if len(sources) == 1:
        return sources[0]
    notes = [note for source in sources for note in source.notes]
    try:
        root = Path(os.path.commonpath([source.folder.absolute() for source in sources]))
    except ValueError as error:
        raise UserError("pictures on several drives have no common folder", hint="Give one drive at a time") from error
    paths = [source.folder.absolute() / name for source in sources for name in source.names]
    names = dict.fromkeys(path.relative_to(root).as_posix() for path in paths)
    return PictureFiles(root, list(names), None, notes)


def _of_word(path: Path) -> PictureFiles:
    if path.is_dir():
        return picture_folder(path, None)
    if path.is_file():
        return one_picture(path, None)
    raise UserError(f"no such picture or folder: {path}{near(path)}")


def _order(text: str, source: PictureFiles) -> tuple[list[str] | None, list[str]]:
    """Names in the wanted order, and what is worth saying about it."""
    if text == LEAST_SURE:
        return None, []
    if text == BY_NAME:
        return sorted(source.names), []
    path = Path(inputs.file(text))
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"--order {path} cannot be read: {error}") from error
    if not rows or any(not row.get("file") for row in rows):
        raise UserError(
            f"--order {path} is no table of chosen pictures: expected a column 'file' that names one in each row",
            hint=f"tools/pick_frames.py writes one, chosen.csv; or give {LEAST_SURE} or {BY_NAME}",
        )
    by_path = {(source.folder / name).resolve(): name for name in source.names}
    found = [by_path.get((path.parent / row["file"]).resolve()) for row in rows]
    known = list(dict.fromkeys(name for name in found if name is not None))
    if not known:
        raise UserError(f"--order {path} names none of the pictures, but {rows[0]['file']} and others beside it")
    notes = []
    if missing := found.count(None):
        notes.append(f"--order names {counted(missing, 'pictures')} not among those given")
    if more := len(source.names) - len(known):
        notes.append(f"--order does not name {more} of the pictures: they come last, by name")
    return known, notes
