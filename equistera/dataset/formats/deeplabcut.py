"""DeepLabCut: ``CollectedData_<scorer>.csv`` and ``.h5``, for one animal or several.

The header has the rows scorer, (individuals,) bodyparts, coords; a row is one picture, named in one column
(``labeled-data/video1/img001.png``) or in three. Positions are pixels; an empty cell is a point that is not labelled.
DeepLabCut keeps no visibility, so every labelled point counts as visible. It writes both files; the CSV is read where
both are there.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from equistera.dataset.formats.records import (
    ABSENT,
    VISIBLE,
    Animal,
    Export,
    NotLabels,
    Picture,
    Unusable,
    number,
    shown,
)
from equistera.errors import UserError

TITLE = "DeepLabCut"

_HEADER = ("scorer", "individuals", "bodyparts", "coords")

#: What DeepLabCut calls the "individual" that holds the points which a picture has only once, such as a gate.
_UNIQUE = "single"

#: Individual, keypoint, ``x`` or ``y``.
Column = tuple[str, str, str]


def accepts_csv(path: Path) -> bool:
    """Whether a CSV file starts like DeepLabCut's."""
    try:
        return next(_csv_rows(path), [""])[0] == _HEADER[0]
    except UserError:
        # an undecodable CSV in the input folder need not be an annotation file
        return False


def read_csv(path: Path) -> Export:
    """Reads ``CollectedData_*.csv``.

    Raises:
        UserError: Not CSV, or the header is not DeepLabCut's.
    """
    rows = _csv_rows(path)
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
    columns = [tuple(level[i].strip() for level in levels[1:]) for i in range(first, width)]

    def table() -> Iterator[tuple[str, Sequence[object]]]:
        for row in rows:
            if any(cell.strip() for cell in row):
                yield "/".join(row[:first]), row[first:]

    return export_of(path, columns, table())


def export_of(path: Path, columns: Sequence[Column], rows: Iterable[tuple[str, Sequence[object]]]) -> Export:
    """The table of either file as pictures.

    Args:
        path: The file.
        columns: What stands in each column.
        rows: Picture name and cells; an empty or NaN cell is not labelled.

    Raises:
        UserError: The columns are not pairs of x and y.
    """
    export = Export(path, TITLE)
    wanted = _columns_by_individual(path, columns)
    if len(wanted) > 1 and (unique := wanted.pop(_UNIQUE, None)):
        export.notes.append(f"{path.name}: left out what belongs to no animal ({_UNIQUE!r}): {', '.join(unique)}")
    export.keypoints[""] = list(dict.fromkeys(name for names in wanted.values() for name in names))
    for name, cells in rows:
        where = f"{path.name}, picture {name}"
        try:
            if len(cells) != len(columns):
                raise Unusable("a row has the wrong number of cells", f"{len(cells)}, expected {len(columns)}")
            export.add(Picture((name,), where, _animals(cells, wanted)))
        except Unusable as error:
            export.skip("picture", where, error)
    return export


def _csv_rows(path: Path) -> Iterator[list[str]]:
    """Rows with at least one cell."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield from filter(None, csv.reader(file))
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a CSV file in UTF-8: {error}") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def _columns_by_individual(path: Path, columns: Sequence[Column]) -> dict[str, dict[str, tuple[int, int]]]:
    """Positions of x and y, by individual and keypoint."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for position, (individual, name, coordinate) in enumerate(columns):
        if coordinate == "likelihood":
            raise NotLabels(
                f"{path} holds DeepLabCut's predictions (it has a likelihood), not labels",
                hint="Give CollectedData_<scorer>.csv, which the labelling saves.",
            )
        axes = found.setdefault(individual, {}).setdefault(name, {})
        if coordinate not in ("x", "y") or coordinate in axes or not name:
            raise UserError(f"{path}: column {position + 1} of the points is {shown(name)} {shown(coordinate)}")
        axes[coordinate] = position
    incomplete = [name for names in found.values() for name, axes in names.items() if len(axes) != 2]
    if incomplete or not found:
        raise UserError(f"{path}: columns x or y are missing", [f"keypoint {name!r}" for name in incomplete])
    return {who: {name: (axes["x"], axes["y"]) for name, axes in names.items()} for who, names in found.items()}


def _animals(cells: Sequence[object], wanted: Mapping[str, Mapping[str, tuple[int, int]]]) -> tuple[Animal, ...]:
    animals = []
    for names in wanted.values():
        points = {}
        for name, (column_x, column_y) in names.items():
            x, y = cells[column_x], cells[column_y]
            if _empty(x) and _empty(y):
                points[name] = (0.0, 0.0, ABSENT)
            else:
                points[name] = (number(x, name), number(y, name), VISIBLE)
        if any(visibility for *_, visibility in points.values()):
            animals.append(Animal(points))
    if not animals:
        raise Unusable("no point is labelled")
    return tuple(animals)


def _empty(cell: object) -> bool:
    if isinstance(cell, str):
        return cell.strip().lower() in ("", "nan")
    return isinstance(cell, float) and math.isnan(cell)
