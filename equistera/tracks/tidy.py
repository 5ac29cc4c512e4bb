"""Tracks as a tidy table, in CSV or Parquet: a row for each frame, individual and keypoint.

Nothing is lost: what is written is read back exactly. What does not fit into a table (the frames' size, the video's
name, the frames' times where there is no animal and so no row) stands in the Parquet file's metadata, or beside
``NAME.csv`` in ``NAME.csv.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equistera.errors import UserError
from equistera.files import atomic_write, read_json, write_json
from equistera.tracks.tracks import FILLED, SMOOTHED, SWAPPED, Tracks

if TYPE_CHECKING:
    import pyarrow

#: Columns, in this order. ``frame`` counts the file's frames from 0; ``time`` is in seconds, positions and ``spread``
#: in pixels; ``changed`` is a sum of :data:`~.tracks.SWAPPED`, :data:`~.tracks.FILLED` and :data:`~.tracks.SMOOTHED`.
COLUMNS = (
    "frame",
    "time",
    "individual",
    "keypoint",
    "x",
    "y",
    "confidence",
    "x_raw",
    "y_raw",
    "changed",
    "spread",
)
#: Those without which a table holds no tracks.
_NEEDED = COLUMNS[:6]
_KEY = b"equistera"
_ALL_BITS = SWAPPED | FILLED | SMOOTHED


def side_file(path: Path) -> Path:
    """Where the frames' size and the video's name stand beside a CSV file."""
    return path.with_name(f"{path.name}.json")


def write_csv(tracks: Tracks, path: Path) -> None:
    """Writes the table and its side file.

    Raises:
        WriteError: They cannot be written.
    """
    from pyarrow import csv

    plain = not any(set(name) & set(',"\r\n') for name in (*tracks.keypoints, *tracks.individuals))
    options = csv.WriteOptions(quoting_style="none" if plain else "needed", quoting_header="none")
    write_json(side_file(path), _about(tracks), indent=1)
    with atomic_write(path, "wb") as file:
        csv.write_csv(_table(tracks), file, options)


def write_parquet(tracks: Tracks, path: Path) -> None:
    """Writes the table.

    Raises:
        WriteError: It cannot be written.
    """
    from pyarrow import parquet

    table = _table(tracks).replace_schema_metadata({_KEY: json.dumps(_about(tracks)).encode()})
    with atomic_write(path, "wb") as file:
        parquet.write_table(table, file, compression="zstd")


def _about(tracks: Tracks) -> dict[str, Any]:
    return {
        "source": tracks.source,
        "size": tracks.size and list(tracks.size),
        "individuals": list(tracks.individuals),
        "keypoints": list(tracks.keypoints),
        **({} if tracks.individuals else {"times": tracks.times.tolist()}),
    }


def _table(tracks: Tracks) -> pyarrow.Table:
    import pyarrow as pa

    frames, animals, keypoints = tracks.confidence.shape

    def column(values: np.ndarray) -> pyarrow.Array:
        # NaN is an empty cell
        return pa.array(np.ascontiguousarray(values).ravel(), from_pandas=True)

    def names(texts: Sequence[str], positions: np.ndarray) -> pyarrow.Array:
        return pa.DictionaryArray.from_arrays(pa.array(positions.astype(np.int32)), pa.array(texts, pa.string()))

    t, a, k = (grid.ravel() for grid in np.indices((frames, animals, keypoints)))
    columns = [
        pa.array(t),
        pa.array(tracks.times[t]),
        names(tracks.individuals, a),
        names(tracks.keypoints, k),
        *(column(tracks.points[..., axis]) for axis in range(2)),
        column(tracks.confidence),
        *(column(tracks.raw[..., axis]) for axis in range(2)),
        column(tracks.changed),
        column(tracks.spread),
    ]
    return pa.table(dict(zip(COLUMNS, columns, strict=True)))


def read_csv(path: Path) -> Tracks:
    """Reads a table, and its side file if there is one; without it the frames' size is unknown.

    Raises:
        UserError: It is no such table, or contradicts itself.
    """
    import pyarrow as pa
    from pyarrow import csv

    kinds = {"individual": pa.string(), "keypoint": pa.string()}
    try:
        with path.open("rb") as file:
            table = csv.read_csv(file, convert_options=csv.ConvertOptions(column_types=kinds))
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read as a CSV file of tracks: {error}") from error
    side = side_file(path)
    about = read_json(side) if side.is_file() else {}
    return _tracks(path, table, _checked_about(side, about))


def read_parquet(path: Path) -> Tracks:
    """Reads a table.

    Raises:
        UserError: It is no such table, or contradicts itself.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with path.open("rb") as file:
            table = parquet.read_table(file)
        about = json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read as a Parquet file of tracks: {error}") from error
    return _tracks(path, table, _checked_about(path, about))


def _checked_about(path: Path, about: Any) -> dict[str, Any]:
    """The side file's content in the shape of :func:`_about`; what is not there is unknown."""
    if not isinstance(about, dict):
        raise UserError(f"{path}: expected an object with size and source")
    size = about.get("size")
    whole = isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size)
    if size is not None and not whole:
        raise UserError(f"{path}: size should be width and height in pixels, found {str(size)[:60]}")
    names = {key: about.get(key, []) for key in ("individuals", "keypoints")}
    for key, value in names.items():
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise UserError(f"{path}: {key} should be a list of names, found {str(value)[:60]}")
    times = about.get("times", [])
    known = isinstance(times, list) and all(type(time) in (int, float) and abs(time) < np.inf for time in times)
    if not known or (np.diff(times) <= 0).any():
        raise UserError(f"{path}: times should be numbers that rise, found {str(times)[:60]}")
    return {"size": size and tuple(size), "source": str(about.get("source", "")), "times": times, **names}


def _tracks(path: Path, table: pyarrow.Table, about: dict[str, Any]) -> Tracks:
    missing = [name for name in _NEEDED if name not in table.column_names]
    if missing:
        raise UserError(
            f"{path} is no table of tracks: there are no columns {', '.join(missing)}",
            [f"found: {', '.join(table.column_names[:12])}"],
            f"Expected, separated by commas: {', '.join(COLUMNS)}",
        )
    problems: list[str] = []
    frame, time, x, y = (_numbers(table, name, problems) for name in ("frame", "time", "x", "y"))
    for name, values in (("frame", frame), ("time", time)):
        if not problems and not np.isfinite(values).all():
            problems.append(f"{name}: empty in row {int(np.flatnonzero(~np.isfinite(values))[0]) + 2}")
    individuals, a = _names(table, "individual", about["individuals"], problems)
    keypoints, k = _names(table, "keypoint", about["keypoints"], problems)
    _refuse(path, problems)
    numbers, first, t = np.unique(frame, return_index=True, return_inverse=True)
    times = time[first] if len(frame) else np.array(about["times"], dtype=float)
    shape = len(times), len(individuals), len(keypoints)
    place = np.ravel_multi_index((t, a, k), shape)
    rows = np.bincount(place, minlength=int(np.prod(shape)))

    def spot(n: int) -> str:
        t, a, k = np.unravel_index(n, shape)
        return f"frame {numbers[t]:.0f}, {individuals[a]}, {keypoints[k]}"

    if (rows > 1).any():
        problems.append(f"{spot(int(rows.argmax()))} stands in {rows.max()} rows")
    if (time != times[t]).any():
        wrong = int(np.flatnonzero(time != times[t])[0])
        problems.append(f"frame {frame[wrong]:.0f} has the times {times[t[wrong]]:g} and {time[wrong]:g}")
    elif (np.diff(times) <= 0).any():
        wrong = int(np.flatnonzero(np.diff(times) <= 0)[0])
        problems.append(
            f"time does not rise: frame {numbers[wrong]:.0f} at {times[wrong]:g} s, "
            f"frame {numbers[wrong + 1]:.0f} at {times[wrong + 1]:g} s"
        )
    _refuse(path, problems)

    def grid(name: str, otherwise: Callable[[], np.ndarray], kind: type = np.float64) -> np.ndarray:
        values = _numbers(table, name, problems) if name in table.column_names else otherwise()
        filled = np.full(shape, 0 if kind is np.uint8 else np.nan, kind)
        with np.errstate(invalid="ignore"):
            filled.ravel()[place] = values.astype(kind)
        return filled

    nothing = np.full(len(place), np.nan)
    points = np.stack([grid("x", lambda: x), grid("y", lambda: y)], axis=-1)
    raw = np.stack([grid("x_raw", lambda: x), grid("y_raw", lambda: y)], axis=-1)
    confidence = grid("confidence", lambda: nothing, np.float32)
    spread = grid("spread", lambda: nothing, np.float32)
    bits = grid("changed", lambda: np.zeros(len(place)))
    for what, values in (("x and y", points), ("x_raw and y_raw", raw)):
        halves = np.isnan(values[..., 0]) != np.isnan(values[..., 1])
        if halves.any():
            problems.append(f"{spot(int(halves.argmax()))}: of {what} one is empty")
        if np.isinf(values).any():
            problems.append(f"{spot(int(np.isinf(values).any(axis=-1).argmax()))}: {what} should be finite")
    for name, values, low, high in (("confidence", confidence, 0, 1), ("spread", spread, 0, np.inf)):
        outside = (values < low) | (values > high)
        if outside.any():
            n = int(outside.argmax())
            problems.append(f"{spot(n)}: {name} should be from {low} to {high:g}, found {values.ravel()[n]:g}")
    bits = np.where(np.isnan(bits), 0, bits)
    odd = ~np.isin(bits, np.arange(_ALL_BITS + 1))
    if odd.any():
        n = int(odd.argmax())
        problems.append(f"{spot(n)}: changed should be a whole number to {_ALL_BITS}, found {bits.ravel()[n]:g}")
    _refuse(path, problems)
    return Tracks(
        keypoints=keypoints,
        individuals=individuals,
        times=times,
        points=points,
        confidence=confidence,
        raw=raw,
        changed=bits.astype(np.uint8),
        spread=spread,
        size=about["size"],
        source=about["source"],
    )


def _refuse(path: Path, problems: list[str]) -> None:
    if problems:
        raise UserError(f"{path} cannot be used as tracks:", problems)


def _numbers(table: pyarrow.Table, name: str, problems: list[str]) -> np.ndarray:
    """A column as float64 [N], NaN for empty cells."""
    import pyarrow as pa

    column = table.column(name)
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        problems.append(f"{name}: expected numbers, found {column.type}")
        return np.full(len(column), np.nan)
    return column.cast(pa.float64()).to_numpy().astype(np.float64)


def _names(
    table: pyarrow.Table, name: str, order: Sequence[str], problems: list[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """The names of a column, those of ``order`` first, then as they come; and each row's position among them."""
    import pyarrow as pa

    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        problems.append(f"{name}: expected names, found {column.type}")
        return (), np.zeros(0, int)
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    found = encoded.dictionary.to_pylist()
    if encoded.null_count or "" in found:
        problems.append(f"{name}: empty in some rows")
        return (), np.zeros(0, int)
    names = tuple(dict.fromkeys([*order, *found]))
    position = {text: n for n, text in enumerate(names)}
    return names, np.array([position[text] for text in found], dtype=int)[encoded.indices.to_numpy()]
