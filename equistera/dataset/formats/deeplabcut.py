"""DeepLabCut: ``CollectedData_<scorer>.csv`` and ``.h5``, for one animal or several.

The header has the rows scorer, (individuals,) bodyparts, coords; a row is one picture, named in one column
(``labeled-data/video1/img001.png``) or in three. Positions are pixels; an empty cell is a point that is not labelled.
DeepLabCut keeps no visibility, so every labelled point counts as visible; Lightning Pose has a column ``visible`` with
COCO's flags. DeepLabCut writes both files; the CSV is read where both are there.

How the HDF5 files are read: :mod:`~.deeplabcut_hdf5`.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from equistera import commands
from equistera.dataset.formats.deeplabcut_hdf5 import read_table
from equistera.dataset.formats.records import Animal, Export, NotLabels, Picture, Skip
from equistera.dataset.formats.values import ABSENT, VISIBLE, Unusable, flag, number, read_text, shown
from equistera.errors import UserError

TITLE = "DeepLabCut"

#: File name endings, lower case, and how such files start.
HDF5, _SIGNATURE = (".h5", ".hdf5"), b"\x89HDF\r\n\x1a\n"

_HEADER = ("scorer", "individuals", "bodyparts", "coords")

#: What DeepLabCut calls the "individual" that holds the points which a picture has only once, such as a gate.
_UNIQUE = "single"

_LIKELIHOOD, _VISIBLE = "likelihood", "visible"
_START = re.compile(rb'(?i)[\xef\xbb\xbf\xff\xfe]*(sep=.)?\s*"?scorer"?\s*([,;\t\r\n]|$)')
#: What pandas calls a column without a name.
_UNNAMED = re.compile(r"Unnamed: \d+")
GIVE_LABELS = "Give CollectedData_<scorer>.csv, which the labelling saves in labeled-data."

#: Individual, keypoint, and ``x``, ``y``, ``likelihood`` or ``visible`` (Lightning Pose).
Column = tuple[str, str, str]


def accepts(path: Path) -> bool:
    """Whether the file is HDF5, or a CSV that starts like DeepLabCut's."""
    with path.open("rb") as file:
        start = file.read(64)
    if path.suffix.lower() in HDF5:
        return start.startswith(_SIGNATURE)
    # every second byte of UTF-16 is 0 here
    return _START.match(start.replace(b"\0", b"")) is not None


def is_label_file(path: Path) -> bool:
    """Whether DeepLabCut and Lightning Pose use this file name for labels, and never for predictions."""
    return path.name.lower().startswith("collecteddata")


def read(path: Path) -> Export:
    """Reads ``CollectedData_*.csv`` or ``.h5``; semicolons and decimal commas, as Excel writes them, too.

    Raises:
        NotLabels: They are predictions. Or the name of an HDF5 file is not that of labels, and it cannot be read: it is
            another program's, or has the "table" layout, in which video analysis writes predictions.
        UserError: Not CSV, or the header is not DeepLabCut's; an HDF5 file is damaged or of another layout.
    """
    if path.suffix.lower() not in HDF5:
        return export_of(path, *csv_table(path))
    try:
        columns, names, values = h5_table(path)
        return export_of(path, columns, zip(names, values.tolist(), strict=True))
    except NotLabels:
        raise
    except UserError as error:
        if not is_label_file(path):
            what = "not called CollectedData..., and no table of labels in it (video analysis writes such predictions)"
            raise NotLabels(path, what, GIVE_LABELS) from error
        table = path.with_suffix(".csv")
        export = commands.line("python", "-c", f"import pandas; pandas.read_hdf({str(path)!r}).to_csv({str(table)!r})")
        hint = f"Convert the same labels in {table}." if table.is_file() else f"Where DeepLabCut is installed: {export}"
        raise UserError(error.summary, error.problems, error.hint or hint) from error


def csv_table(path: Path) -> tuple[list[Column], Iterator[tuple[str, Sequence[object]]]]:
    """What stands in the columns of a CSV file, and its rows: their names and cells.

    Raises:
        UserError: Not CSV, or the header is not DeepLabCut's.
    """
    # Excel's way to say which sign separates cells
    text = re.sub(r"\Asep=.\r?\n", "", read_text(path))
    separator = (re.search(r"[,;\t]", text) or [","])[0]
    decimal = "." if separator == "," else ","
    rows = _csv_rows(path, text, separator)
    header: dict[str, list[str]] = {}
    for row in rows:
        header[row[0].strip().lower()] = row
        if "coords" in header:
            break
    if not {"scorer", "bodyparts", "coords"} <= header.keys() <= set(_HEADER):
        raise UserError(
            f"{path} is not DeepLabCut's CollectedData: expected the rows {', '.join(_HEADER)}, "
            f"found {', '.join(shown(name) for name in list(header)[:4])}"
        )
    # the pictures' names take one column or three; the header is empty above the further ones
    width = len(header["coords"])
    first = next((i for i in range(1, width) if header["coords"][i].strip()), width)
    levels = [header.get(name, [""] * width) for name in _HEADER]
    if any(len(level) != width for level in levels):
        raise UserError(f"{path}: the header rows have different lengths: {sorted({len(level) for level in levels})}")
    check_scorer(path, levels[0][first:])
    columns = [(levels[1][i].strip(), levels[2][i].strip(), levels[3][i].strip()) for i in range(first, width)]

    filled = (row for row in rows if any(cell.strip() for cell in row))
    return columns, (("/".join(row[:first]), [cell.replace(decimal, ".") for cell in row[first:]]) for row in filled)


def export_of(path: Path, columns: Sequence[Column], rows: Iterable[tuple[str, Sequence[object]]]) -> Export:
    """The table of either file as pictures; ``rows`` are names and cells, of which empty ones and NaN are no labels.

    Raises:
        NotLabels: They are predictions.
        UserError: The columns are not x and y of named points.
    """
    export = Export(path, TITLE, tells_hidden=False)
    if any(coordinate == _LIKELIHOOD for *_, coordinate in columns):
        if not is_label_file(path):
            raise NotLabels(path, "DeepLabCut's predictions (they have a likelihood), not labels", GIVE_LABELS)
        # napari-deeplabcut keeps the column of predictions that were put right by hand
        export.notes.append(f"{path.name} has likelihood columns, which labels do not need: left out")
    wanted = _columns_by_individual(path, columns)
    if len(wanted) > 1 and (unique := wanted.pop(_UNIQUE, None)):
        export.notes.append(f"{path.name}: left out what belongs to no animal ({_UNIQUE!r}): {', '.join(unique)}")
    export.keypoints[""] = list(dict.fromkeys(name for names in wanted.values() for name in names))
    for name, cells in rows:
        where = f"{path.name}, picture {name}"
        with export.leaving_out("picture", where):
            if len(cells) != len(columns):
                raise Unusable("a row has the wrong number of cells", f"{len(cells)}, expected {len(columns)}")
            animals, problems = _animals(cells, wanted)
            if not animals and not problems:
                export.empty.append(Picture((name,), where, ()))
            if not animals:
                raise problems[0] if problems else Unusable("no point is labelled")
            export.add(Picture((name,), where, animals))
            export.skips += [Skip.of("point", where, error) for error in problems]
    return export


def check_scorer(path: Path, cells: Iterable[str]) -> None:
    """Refuses a table that holds the labels of several people.

    Raises:
        UserError: Names them.
    """
    scorers = {name for cell in cells if (name := cell.strip())}
    if len(scorers) > 1:
        raise UserError(
            f"{path} holds the labels of {len(scorers)} scorers: {', '.join(sorted(scorers))}",
            hint="Keep the columns of one of them, in a file of its own for each if you want to compare them.",
        )


def _csv_rows(path: Path, text: str, separator: str) -> Iterator[list[str]]:
    """Rows with at least one cell."""
    try:
        yield from filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV file: {error}") from error


def _columns_by_individual(path: Path, columns: Sequence[Column]) -> dict[str, dict[str, dict[str, int]]]:
    """Positions of x, y and perhaps visible, by individual and keypoint."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    unnamed = dict.fromkeys(name for _, name, _ in columns if not name or _UNNAMED.match(name))
    if unnamed:
        raise UserError(
            f"{path} has body parts without a name:",
            map(shown, unnamed),
            "Versions of napari-deeplabcut wrote such files (its issue 188). Write the names of config.yaml into the "
            "row 'bodyparts', or take out the columns if they are empty.",
        )
    for position, (individual, name, coordinate) in enumerate(columns):
        axes = found.setdefault(individual, {}).setdefault(name, {})
        if coordinate not in ("x", "y", _VISIBLE, _LIKELIHOOD) or coordinate in axes:
            raise UserError(
                f"{path}: column {position + 1} of the points is {shown(name)} {shown(coordinate)}, expected x and y "
                f"(and {_VISIBLE} or {_LIKELIHOOD}), each once"
            )
        axes[coordinate] = position
    incomplete = [name for names in found.values() for name, axes in names.items() if not {"x", "y"} <= axes.keys()]
    if incomplete or not found:
        raise UserError(f"{path}: columns x or y are missing", [f"keypoint {name!r}" for name in incomplete])
    return found


def _animals(
    cells: Sequence[object], wanted: Mapping[str, Mapping[str, Mapping[str, int]]]
) -> tuple[tuple[Animal, ...], list[Unusable]]:
    """The animals that have points, and what is wrong with other points."""
    animals, problems = [], []
    for names in wanted.values():
        points = {}
        for name, axes in names.items():
            try:
                points[name] = _point({axis: cells[column] for axis, column in axes.items()}, name)
            except Unusable as error:
                points[name] = (0.0, 0.0, ABSENT)
                problems.append(error)
        if any(visibility for *_, visibility in points.values()):
            animals.append(Animal(points))
    return tuple(animals), problems


def _point(cell: Mapping[str, object], name: str) -> tuple[float, float, int]:
    placed = not (_empty(cell["x"]) and _empty(cell["y"]))
    visibility = VISIBLE if placed else ABSENT
    if _VISIBLE in cell and (placed or not _empty(cell[_VISIBLE])):
        visibility = flag(cell[_VISIBLE], f"{name}, {_VISIBLE}")
    return (number(cell["x"], name), number(cell["y"], name), visibility) if visibility else (0.0, 0.0, ABSENT)


def _empty(cell: object) -> bool:
    if isinstance(cell, str):
        return cell.strip().lower() in ("", "nan", "na", "n/a", "#n/a", "null", "none")
    return isinstance(cell, float) and math.isnan(cell)


def h5_table(path: Path) -> tuple[list[Column], list[str], np.ndarray]:
    """What stands in the columns of an HDF5 file's table, the names of its rows, and its cells, float [rows, columns].

    Raises:
        UserError: It is damaged, or of another kind.
    """
    levels, names, values = read_table(path)
    if len(levels) not in (3, 4):
        raise UserError(
            f"{path}: expected the header scorer, (individuals,) bodyparts, coords; found {len(levels)} levels"
        )
    check_scorer(path, levels[0])
    individuals = levels[1] if len(levels) == 4 else [""] * len(levels[0])
    return list(zip(individuals, levels[-2], levels[-1], strict=True)), names, values
