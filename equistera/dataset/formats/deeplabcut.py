"""DeepLabCut: ``CollectedData_<scorer>.csv`` and ``.h5``, for one animal or several.

The header has the rows scorer, (individuals,) bodyparts, coords; a row is one picture, named in one column
(``labeled-data/video1/img001.png``) or in three. Positions are pixels; an empty cell is a point that is not labelled.
DeepLabCut keeps no visibility, so every labelled point counts as visible; Lightning Pose has a column ``visible`` with
COCO's flags. DeepLabCut writes both files; the CSV is read where both are there.

The HDF5 file is the table that pandas wrote in its "fixed" layout, read with h5py: ``pandas.read_hdf`` unpickles what
it finds, so that opening a stranger's file would run a stranger's code. Files of DeepLabCut's first versions ("table"
layout) need pickles, and are refused in favour of the CSV file that lies beside them.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from equistera import commands
from equistera.dataset.formats.records import (
    ABSENT,
    VISIBLE,
    Animal,
    Export,
    NotLabels,
    Picture,
    Unusable,
    flag,
    number,
    read_text,
    shown,
)
from equistera.errors import UserError

TITLE = "DeepLabCut"

#: File name endings, lower case, and how such files start.
HDF5, _SIGNATURE = (".h5", ".hdf5"), b"\x89HDF\r\n\x1a\n"
#: Cells of a table that is still read; 5,000 pictures with 26 points of 3 horses have 800,000.
MAX_CELLS = 50_000_000

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
    return _read_h5(path) if path.suffix.lower() in HDF5 else _read_csv(path)


def _read_csv(path: Path) -> Export:
    rows, decimal = _csv_rows(path)
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

    def table() -> Iterator[tuple[str, Sequence[object]]]:
        for row in rows:
            if any(cell.strip() for cell in row):
                yield "/".join(row[:first]), [cell.replace(decimal, ".") for cell in row[first:]]

    return export_of(path, columns, table())


def export_of(path: Path, columns: Sequence[Column], rows: Iterable[tuple[str, Sequence[object]]]) -> Export:
    """The table of either file as pictures.

    Args:
        path: The file.
        columns: What stands in each column.
        rows: Picture name and cells; an empty or NaN cell is not labelled.

    Raises:
        NotLabels: They are predictions.
        UserError: The columns are not x and y of named points.
    """
    export = Export(path, TITLE)
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
        try:
            if len(cells) != len(columns):
                raise Unusable("a row has the wrong number of cells", f"{len(cells)}, expected {len(columns)}")
            animals, problems = _animals(cells, wanted)
            if not animals:
                raise problems[0] if problems else Unusable("no point is labelled")
            export.add(Picture((name,), where, animals))
            for error in problems:
                export.skip("point", where, error)
        except Unusable as error:
            export.skip("picture", where, error)
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


def _csv_rows(path: Path) -> tuple[Iterator[list[str]], str]:
    """Rows with at least one cell, and the sign before the decimals."""
    # Excel's way to say which sign separates cells
    text = re.sub(r"\Asep=.\r?\n", "", read_text(path))
    separator = re.search(r"[,;\t]", text)
    comma = separator is None or separator[0] == ","

    def rows() -> Iterator[list[str]]:
        try:
            yield from filter(None, csv.reader(io.StringIO(text, newline=""), delimiter="," if comma else separator[0]))
        except csv.Error as error:
            raise UserError(f"{path} is not a CSV file: {error}") from error

    return rows(), "." if comma else ","


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


def _read_h5(path: Path) -> Export:
    try:
        return _read_file(path)
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


def _read_file(path: Path) -> Export:
    try:
        import h5py
    except ImportError as error:
        raise UserError("reading DeepLabCut's .h5 needs h5py", hint="pip install h5py") from error
    try:
        with h5py.File(path, "r") as file:
            # DeepLabCut calls the table df_with_missing, napari-deeplabcut keypoints
            tables = [
                group for group in file.values() if isinstance(group, h5py.Group) and "pandas_type" in group.attrs
            ]
            if len(tables) != 1:
                raise UserError(f"{path} holds {len(tables)} tables, expected one")
            return _read_table(tables[0], path)
    # what h5py raises on damaged files, by where the damage is
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise UserError(f"{path} cannot be read as DeepLabCut's HDF5: {error}") from error


def _read_table(group: Any, path: Path) -> Export:
    if "block0_values" not in group or "block1_values" in group:
        raise UserError(f"{path} is an HDF5 table of a layout that needs pickles or holds no numbers")
    values = group["block0_values"]
    if values.ndim != 2 or values.size > MAX_CELLS or values.dtype.kind != "f":
        raise UserError(f"{path}: expected a table of numbers, found {values.dtype} {values.shape}")
    levels = _labels(group, "block0_items", path)
    if len(levels) not in (3, 4):
        raise UserError(
            f"{path}: expected the header scorer, (individuals,) bodyparts, coords; found {len(levels)} levels"
        )
    check_scorer(path, levels[0])
    individuals = levels[1] if len(levels) == 4 else [""] * len(levels[0])
    columns: list[Column] = list(zip(individuals, levels[-2], levels[-1], strict=True))
    names = ["/".join(parts) for parts in zip(*_labels(group, "axis1", path), strict=True)]
    if values.shape != (len(names), len(columns)):
        raise UserError(f"{path}: {values.shape} numbers for {len(names)} pictures and {len(columns)} columns")

    def rows() -> Iterator[tuple[str, Sequence[object]]]:
        yield from zip(names, values[:].astype(float).tolist(), strict=True)

    return export_of(path, columns, rows())


def _labels(group: Any, axis: str, path: Path) -> list[list[str]]:
    """The levels of a pandas index, each as long as the axis."""
    if axis in group:
        return [_texts(group[axis], path)]
    levels = []
    while f"{axis}_level{len(levels)}" in group:
        words = _texts(group[f"{axis}_level{len(levels)}"], path)
        codes = group[f"{axis}_label{len(levels)}"]
        if codes.size > MAX_CELLS:
            raise UserError(f"{path}: {axis} has {codes.size} entries")
        # -1 stands for a missing label
        levels.append([words[code] if code >= 0 else "" for code in codes[:].tolist()])
    if not levels:
        raise UserError(f"{path}: {axis} is missing")
    return levels


def _texts(dataset: Any, path: Path) -> list[str]:
    if dataset.dtype.kind != "S" or dataset.size * dataset.dtype.itemsize > MAX_CELLS:
        raise UserError(f"{path}: expected names, found {dataset.dtype} (pickled, or too many)")
    return [value.decode("utf-8") for value in dataset[:].tolist()]
