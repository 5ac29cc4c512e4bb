"""The annotation files of a converter's input: which ones there are, and their content."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from equistera.dataset import formats
from equistera.dataset.formats import deeplabcut
from equistera.dataset.formats.records import Export, NotLabels
from equistera.dataset.paths import is_hidden
from equistera.dataset.split import SPLITS, UNSPLIT
from equistera.dataset.split_dataset import SPLIT_FILE, UPDATES, read_split
from equistera.errors import UserError
from equistera.files import read_json
from equistera.progress import track
from equistera.words import counted, near

#: How the description of an annotation file starts that was converted.
CONVERTED = "Converted from"

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")

_YOLO_NEEDS = """YOLO's labels need a data.yaml beside them that says what their numbers are, with lines such as:
  train: images
  kpt_shape: [26, 3]
  names: [horse]
  kpt_names: {0: [nose, l_eye, ...]}"""


def annotation_files(source: Path, name: str = "auto") -> list[Path]:
    """Files that may hold annotations.

    Args:
        source: A file, taken as it is, or a folder to search.
        name: One of :data:`equistera.dataset.formats.NAMES`, or ``auto``.

    Returns:
        The files, sorted; without hidden ones. Where DeepLabCut left a CSV and an HDF5 file of the same labels, only
        the CSV.

    Raises:
        UserError: No such file or folder, or none in the folder.
    """
    if source.is_file():
        if source.suffix.lower() in _ARCHIVES:
            raise UserError(f"{source} is an archive", hint="Unpack it and give the folder with --input.")
        return [source]
    if not source.is_dir():
        raise UserError(
            f"no such file or folder: {source}{near(source)}",
            hint="Give the export of your labelling tool, or its folder, with --input.",
        )
    suffixes = formats.suffixes_of(name)
    visible = [path for path in sorted(source.rglob("*")) if not is_hidden(path.relative_to(source))]
    found = _without_copies(path for path in visible if path.suffix.lower() in suffixes and path.is_file())
    if not found:
        raise _none_found(source, name, suffixes, visible)
    return found


def _none_found(source: Path, name: str, suffixes: Sequence[str], visible: Sequence[Path]) -> UserError:
    """What to do where no file of a folder ends as annotations do."""
    others = formats.suffixes_of("auto")
    archives = [str(path) for path in visible if path.suffix.lower() in _ARCHIVES]
    hint = "Put the export of your labelling tool there."
    if archives:
        hint = "Unpack the archives first."
    elif any(path.suffix.lower() in others for path in visible):
        hint = f"Leave out --format {name}: there are files that other formats may have."
    elif any(path.suffix == ".txt" and "labels" in path.parts for path in visible):
        hint = _YOLO_NEEDS
    summary = f"no annotation file in {source}: expected one that ends in {', '.join(suffixes)}"
    return UserError(summary, archives, hint)


def _without_copies(files: Iterable[Path]) -> list[Path]:
    """Leaves out DeepLabCut's HDF5 files whose labels stand in a CSV file, too."""
    files = list(files)
    tables = {path.with_suffix("") for path in files if path.suffix.lower() == ".csv" and deeplabcut.accepts(path)}
    return [p for p in files if p.suffix.lower() not in deeplabcut.HDF5 or p.with_suffix("") not in tables]


def keep_input(files: Sequence[Path], source: Path, output: Path) -> tuple[list[Path], list[str]]:
    """Makes sure that no file that is read would be replaced by the output.

    Args:
        files: From :func:`annotation_files` of ``source``.
        output: Folder that annotation files are written to.

    Returns:
        The files without those of an earlier run, where the output lies in the input; and a note about these.

    Raises:
        UserError: Names the files.
    """
    written = {(output / f"{name}.json").resolve(): name for name in (*SPLITS, UNSPLIT, "split")}
    before = (output / UPDATES).resolve()
    files = [path for path in files if not path.resolve().is_relative_to(before)]
    own = [path for path in files if path.resolve() in written]
    kept = [path for path in files if path not in own]
    if own and (not kept or source.is_file() or not all(map(_is_ours, own))):
        raise UserError(
            "input files would be overwritten by the output:",
            map(str, own),
            "Choose another --output, or move them away if they are no input.",
        )
    return kept, [f"not read, for this command made them: {_some(own)}"] if own else []


def _is_ours(path: Path) -> bool:
    """Whether an earlier run wrote a file in the output."""
    try:
        content = read_json(path)
        if path.stem in read_split(path.parent).values() or path.name == SPLIT_FILE:
            return True
    except UserError:
        return False
    info = content.get("info") if isinstance(content, dict) else None
    return isinstance(info, dict) and str(info.get("description")).startswith(CONVERTED)


def read_all(files: Sequence[Path], name: str, wanted: Sequence[str] = ()) -> tuple[list[Export], list[str]]:
    """Reads annotation files.

    Args:
        files: From :func:`annotation_files`, and so is ``name``.
        wanted: The user's words for the animals.

    Returns:
        Their content, and notes for the user, such as which files hold no annotations.

    Raises:
        UserError: Files that cannot be read, all of them listed; or none holds annotations.
    """
    exports, others, problems = [], [], []
    for path in track(files, "reading", unit="files"):
        try:
            exports.append(formats.read(path, name, wanted))
        except NotLabels as error:
            others.append(error)
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError(f"{len(problems)} of {counted(len(files), 'files')} cannot be read:", problems)
    kinds: dict[str, list[NotLabels]] = defaultdict(list)
    for other in others:
        kinds[other.what].append(other)
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
