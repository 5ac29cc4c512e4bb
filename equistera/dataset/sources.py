"""The annotation files of a converter's input: which ones there are, and their content."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from equistera.dataset import formats
from equistera.dataset.formats import deeplabcut, deeplabcut_h5
from equistera.dataset.formats.records import Export, NotLabels
from equistera.dataset.paths import is_hidden
from equistera.dataset.split import SPLITS
from equistera.errors import UserError
from equistera.progress import track

#: Name of the annotation file, and of the picture folder, of a data set that is not split.
UNSPLIT = "all"


def annotation_files(source: Path, name: str = "auto", leave_out: Iterable[Path] = ()) -> list[Path]:
    """Files that may hold annotations.

    Args:
        source: A file, taken as it is, or a folder to search.
        name: Format that is asked for; ``auto`` for any.
        leave_out: Folders that are not searched.

    Returns:
        The files, sorted; without hidden ones. Where DeepLabCut left a CSV and an HDF5 file of the same labels, only
        the CSV.

    Raises:
        UserError: No such file or folder, or none in the folder.
    """
    if source.is_file():
        if source.suffix.lower() == ".zip":
            raise UserError(f"{source} is an archive", hint="Unpack it and give the folder with --input.")
        return [source]
    if not source.is_dir():
        raise UserError(
            f"no such file or folder: {source}",
            hint="Give the export of your labelling tool, or its folder, with --input.",
        )
    avoided = {path.resolve() for path in leave_out if not source.resolve().is_relative_to(path.resolve())}
    suffixes = formats.suffixes_of(name)
    visible = [path for path in sorted(source.rglob("*")) if not is_hidden(path.relative_to(source))]
    found = _without_copies(
        path
        for path in visible
        if path.suffix.lower() in suffixes and path.is_file() and not avoided.intersection(path.resolve().parents)
    )
    if not found:
        archives = [str(path) for path in visible if path.suffix.lower() == ".zip"]
        raise UserError(
            f"no annotation file in {source}: expected one that ends in {', '.join(suffixes)}",
            archives,
            "Unpack the archives first." if archives else "Put the export of your labelling tool there.",
        )
    return found


def _without_copies(files: Iterable[Path]) -> list[Path]:
    """Leaves out DeepLabCut's HDF5 files whose labels stand in a CSV file, too."""
    files = list(files)
    tables = {path.with_suffix("") for path in files if path.suffix.lower() == ".csv" and deeplabcut.accepts_csv(path)}
    return [p for p in files if p.suffix.lower() not in deeplabcut_h5.SUFFIXES or p.with_suffix("") not in tables]


def keep_input(files: Sequence[Path], output: Path) -> None:
    """Makes sure that no file that is read would be replaced by the output.

    Raises:
        UserError: Names the files.
    """
    written = {(output / f"{name}.json").resolve() for name in (*SPLITS, UNSPLIT, "split")}
    if own := [str(path) for path in files if path.resolve() in written]:
        raise UserError("input files would be overwritten by the output:", own, "Choose another --output.")


def read_all(files: Sequence[Path], name: str) -> tuple[list[Export], list[str]]:
    """Reads annotation files.

    Args:
        files: From :func:`annotation_files`.
        name: One of :data:`equistera.dataset.formats.NAMES`, or ``auto``.

    Returns:
        Their content, and notes for the user, such as which files hold no annotations.

    Raises:
        UserError: Files that cannot be read, all of them listed; or none holds annotations.
    """
    exports, others, problems = [], [], []
    for path in track(files, "reading", unit="files"):
        try:
            exports.append(formats.read(path, name))
        except NotLabels as error:
            others.append(error)
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError(f"{len(problems)} of {len(files)} files cannot be read:", problems)
    kinds: dict[str, list[NotLabels]] = defaultdict(list)
    for error in others:
        kinds[error.what].append(error)
    if not exports:
        first, *more = kinds.values()
        raise UserError(
            f"{_some(error.path for error in first)}: {first[0].what}",
            [f"{_some(error.path for error in kind)}: {kind[0].what}" for kind in more],
            " ".join(dict.fromkeys(error.hint for error in others)),
        )
    notes = Counter(note for export in exports for note in export.notes)
    return exports, [
        *(f"{note} ({times} files)" if times > 1 else note for note, times in notes.items()),
        *(f"left out: {_some(error.path for error in kind)}: {kind[0].what}" for kind in kinds.values()),
    ]


def _some(paths: Iterable[Path]) -> str:
    files = list(map(str, paths))
    return ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
