"""DeepLabCut's ``CollectedData_*.h5``: the table that pandas wrote in its "fixed" layout, read with h5py.

Not with ``pandas.read_hdf``, which unpickles what it finds: opening a stranger's file would run a stranger's code. The
"fixed" layout that DeepLabCut and its napari plugin write today needs no pickles; files of its first versions ("table"
layout) do, and are refused in favour of the CSV file that lies beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from equistera import commands
from equistera.dataset.formats.deeplabcut import GIVE_LABELS, Column, check_scorer, export_of, is_label_file
from equistera.dataset.formats.records import Export, NotLabels
from equistera.errors import UserError

#: Cells of a table that is still read; 5,000 pictures with 26 points of 3 horses have 800,000.
MAX_CELLS = 50_000_000

#: File name endings, lower case.
SUFFIXES = (".h5", ".hdf5")

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def accepts(path: Path) -> bool:
    """Whether the file is HDF5."""
    with path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


def read(path: Path) -> Export:
    """Reads ``CollectedData_*.h5``.

    Raises:
        NotLabels: The name is not that of labels, and the file cannot be read: another program's, or predictions in the
            "table" layout, which video analysis writes.
        UserError: h5py is not installed, the file is damaged, or its layout is not the "fixed" one.
    """
    try:
        import h5py
    except ImportError as error:
        raise UserError("reading DeepLabCut's .h5 needs h5py", hint="pip install h5py") from error
    try:
        return _read(path, h5py)
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


def _read(path: Path, h5py: ModuleType) -> Export:
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


def _read_table(group: object, path: Path) -> Export:
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


def _labels(group: object, axis: str, path: Path) -> list[list[str]]:
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


def _texts(dataset: object, path: Path) -> list[str]:
    if dataset.dtype.kind != "S" or dataset.size * dataset.dtype.itemsize > MAX_CELLS:
        raise UserError(f"{path}: expected names, found {dataset.dtype} (pickled, or too many)")
    return [value.decode("utf-8") for value in dataset[:].tolist()]
