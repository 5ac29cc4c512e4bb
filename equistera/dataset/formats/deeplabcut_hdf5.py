"""The tables that pandas writes into DeepLabCut's HDF5 files, read without running what is in them.

``pandas.read_hdf`` unpickles what it finds, so that opening a stranger's file would run a stranger's code. Of labels
there is the "fixed" layout, which needs no pickles; video analysis and DeepLabCut's first versions write the "table"
layout, whose column names are pickled: here nothing is unpickled but texts, numbers, lists and tuples.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from equistera.errors import UserError

#: Cells of a table that is still read; 5,000 pictures with 26 points of 3 horses have 800,000.
MAX_CELLS = 50_000_000

#: Of each level of the header, the first one above, a text for each column; names of the rows; float [rows, columns].
Table: TypeAlias = tuple[list[list[str]], list[str], np.ndarray]


def read_table(path: Path) -> Table:
    """Reads a file's only table.

    Raises:
        UserError: The file is damaged, holds no table or several, or one of another kind.
    """
    # only where there is such a file is its start paid for
    import h5py

    try:
        with h5py.File(path, "r") as file:
            # DeepLabCut calls the table df_with_missing, napari-deeplabcut keypoints
            tables = [
                group for group in file.values() if isinstance(group, h5py.Group) and "pandas_type" in group.attrs
            ]
            if len(tables) != 1:
                raise ValueError(f"it holds {len(tables)} tables, expected one")
            header, names, values = (_table_layout if "table" in tables[0] else _fixed_layout)(tables[0])
            if values.shape != (len(names), len(header[0])):
                raise ValueError(f"{values.shape} numbers for {len(names)} rows and {len(header[0])} columns")
            return header, names, values.astype(float)
    # ours, and what h5py and pickle raise on damaged files, by where the damage is
    except (
        OSError, KeyError, RuntimeError, ValueError, TypeError, IndexError, AttributeError, OverflowError, EOFError,
        pickle.UnpicklingError,
    ) as error:  # fmt: skip
        raise UserError(f"{path} cannot be read as DeepLabCut's HDF5: {error}") from error


def _fixed_layout(group: Any) -> Table:
    if "block0_values" not in group or "block1_values" in group:
        raise ValueError("a table of a layout that needs pickles or holds no numbers")
    values = group["block0_values"]
    if values.ndim != 2 or values.size > MAX_CELLS or values.dtype.kind != "f":
        raise ValueError(f"expected a table of numbers, found {values.dtype} {values.shape}")
    names = ["/".join(parts) for parts in zip(*_labels(group, "axis1"), strict=True)]
    return _labels(group, "block0_items"), names, values[:]


def _labels(group: Any, axis: str) -> list[list[str]]:
    """The levels of a pandas index, each as long as the axis."""
    if axis in group:
        return [_texts(group[axis])]
    levels = []
    while f"{axis}_level{len(levels)}" in group:
        words = _texts(group[f"{axis}_level{len(levels)}"])
        codes = group[f"{axis}_label{len(levels)}"]
        if codes.size > MAX_CELLS:
            raise ValueError(f"{axis} has {codes.size} entries")
        # -1 stands for a missing label
        levels.append([words[code] if code >= 0 else "" for code in codes[:].tolist()])
    if not levels:
        raise ValueError(f"{axis} is missing")
    return levels


def _texts(dataset: Any) -> list[str]:
    if dataset.dtype.kind not in "Si" or dataset.size * dataset.dtype.itemsize > MAX_CELLS:
        raise ValueError(f"expected names, found {dataset.dtype} (pickled, or too many)")
    return _decoded(dataset[:])


def _decoded(values: np.ndarray) -> list[str]:
    """Texts, or whole numbers (video analysis numbers the frames)."""
    return [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values.tolist()]


def _table_layout(group: Any) -> Table:
    table = group["table"]
    fields = table.dtype.fields or {}
    if set(fields) != {"index", "values_block_0"}:
        raise ValueError(f"expected a table of numbers with names for its rows, found {', '.join(fields)[:80]}")
    index, values = fields["index"][0], fields["values_block_0"][0]
    if values.base.kind != "f" or len(values.shape) != 1 or table.size * values.shape[0] > MAX_CELLS:
        raise ValueError(f"expected a table of numbers, found {values.base} {(table.size, *values.shape)}")
    if index.kind not in "Si":
        raise ValueError(f"expected names or numbers of its rows, found {index}")
    columns = _PlainUnpickler(io.BytesIO(bytes(table.attrs["values_block_0_kind"]))).load()
    levels = {len(column) if isinstance(column, tuple) else 0 for column in columns}
    if not isinstance(columns, list) or len(levels) != 1 or levels == {0}:
        raise ValueError(f"expected columns with several names, found {str(columns)[:80]}")
    if not all(isinstance(name, str) for column in columns for name in column):
        raise ValueError("expected texts as names of columns")
    rows = table[:]
    return [list(level) for level in zip(*columns, strict=True)], _decoded(rows["index"]), rows["values_block_0"]


class _PlainUnpickler(pickle.Unpickler):
    """Makes nothing but what Python has a literal for."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not run here")
