"""The tables that pandas writes into DeepLabCut's HDF5 files, read without running what is in them.

``pandas.read_hdf`` unpickles what it finds, so that opening a stranger's file would run a stranger's code. Of labels
there is the "fixed" layout, which needs no pickles; video analysis and DeepLabCut's first versions write the "table"
layout, whose column names are pickled: here nothing is unpickled but texts, numbers, lists and tuples.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equistera.errors import UserError

#: Cells of a table that is still read; 5,000 pictures with 26 points of 3 horses have 800,000.
MAX_CELLS = 50_000_000


@dataclass(frozen=True)
class Table:
    """A table with a header of several rows.

    Attributes:
        header: Of each level, the first one above, a text for each column.
        names: Of the rows.
        values: float [rows, columns].
    """

    header: list[list[str]]
    names: list[str]
    values: np.ndarray


def read_table(path: Path) -> Table:
    """Reads a file's only table.

    Raises:
        UserError: h5py is not installed; the file is damaged, holds no table or several, or one of another kind.
    """
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
            return _table_layout(tables[0], path) if "table" in tables[0] else _fixed_layout(tables[0], path)
    # what h5py and pickle raise on damaged files, by where the damage is
    except (
        OSError, KeyError, RuntimeError, ValueError, TypeError, IndexError, AttributeError, OverflowError, EOFError,
        pickle.UnpicklingError,
    ) as error:  # fmt: skip
        raise UserError(f"{path} cannot be read as DeepLabCut's HDF5: {error}") from error


def _fixed_layout(group: Any, path: Path) -> Table:
    if "block0_values" not in group or "block1_values" in group:
        raise UserError(f"{path} is an HDF5 table of a layout that needs pickles or holds no numbers")
    values = group["block0_values"]
    if values.ndim != 2 or values.size > MAX_CELLS or values.dtype.kind != "f":
        raise UserError(f"{path}: expected a table of numbers, found {values.dtype} {values.shape}")
    header = _labels(group, "block0_items", path)
    names = ["/".join(parts) for parts in zip(*_labels(group, "axis1", path), strict=True)]
    return _checked(path, Table(header, names, values[:].astype(float)))


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
    if dataset.dtype.kind not in "Si" or dataset.size * dataset.dtype.itemsize > MAX_CELLS:
        raise UserError(f"{path}: expected names, found {dataset.dtype} (pickled, or too many)")
    return _decoded(dataset[:])


def _decoded(values: np.ndarray) -> list[str]:
    """Texts, or whole numbers (video analysis numbers the frames)."""
    return [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values.tolist()]


def _table_layout(group: Any, path: Path) -> Table:
    table = group["table"]
    fields = table.dtype.fields or {}
    if set(fields) != {"index", "values_block_0"}:
        raise UserError(f"{path}: expected a table of numbers with names for its rows, found {', '.join(fields)[:80]}")
    index, values = fields["index"][0], fields["values_block_0"][0]
    if values.base.kind != "f" or len(values.shape) != 1 or table.size * values.shape[0] > MAX_CELLS:
        raise UserError(f"{path}: expected a table of numbers, found {values.base} {(table.size, *values.shape)}")
    if index.kind not in "Si":
        raise UserError(f"{path}: expected names or numbers of its rows, found {index}")
    columns = _plain(table.attrs["values_block_0_kind"])
    levels = len(columns[0]) if isinstance(columns, list) and columns and isinstance(columns[0], tuple) else 0
    if not levels or not all(isinstance(column, tuple) and len(column) == levels for column in columns):
        raise UserError(f"{path}: expected columns with several names, found {str(columns)[:80]}")
    if not all(isinstance(name, str) for column in columns for name in column):
        raise UserError(f"{path}: expected texts as names of columns")
    rows = table[:]
    header = [list(level) for level in zip(*columns, strict=True)]
    return _checked(path, Table(header, _decoded(rows["index"]), rows["values_block_0"].astype(float)))


def _checked(path: Path, table: Table) -> Table:
    shape = len(table.names), len(table.header[0])
    if table.values.shape != shape:
        raise UserError(f"{path}: {table.values.shape} numbers for {shape[0]} rows and {shape[1]} columns")
    return table


def _plain(pickled: Any) -> Any:
    return _PlainUnpickler(io.BytesIO(bytes(pickled))).load()


class _PlainUnpickler(pickle.Unpickler):
    """Makes nothing but what Python has a literal for."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not run here")
