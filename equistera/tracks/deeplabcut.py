"""Tracks as DeepLabCut's video analysis writes them, for whatever reads those.

The header has the rows scorer, individuals (left out for a single animal, as DeepLabCut does, and for none), bodyparts
and coords with x, y, likelihood; a row is one frame, counted from 0. Source: DeepLabCut 3,
``create_df_from_prediction`` in ``pose_estimation_pytorch/apis/videos.py``; the HDF5 file has pandas' "table" layout
under the key ``df_with_missing``. Times, raw values and what was changed have no place there. Tracks of DeepLabCut and
Lightning Pose are read, too.
"""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from equistera.dataset.formats.deeplabcut import HDF5, csv_table, h5_table
from equistera.errors import UserError
from equistera.files import atomic_write
from equistera.tracks.tracks import Tracks, individual_names

if TYPE_CHECKING:
    import pandas

#: Who made the tracks. DeepLabCut puts it behind the video's name in that of the file, and others (SimBA) find the
#: video's name by cutting it off at ``DLC_``.
SCORER = "DLC_equistera"
KEY = "df_with_missing"
#: What pandas up to 2 wrote into every file.
_LAYOUT_VERSION = "0.15.2"
#: Bytes of pickled column names above which HDF5 refuses the "table" layout (its limit on an attribute is 64 KiB).
_MOST_NAMES = 60_000


def data_frame(tracks: Tracks, scorer: str = SCORER) -> pandas.DataFrame:
    """The table, as DeepLabCut has it in memory.

    Args:
        tracks: What is known; a point that is not is NaN, with the likelihood that the model gave it.
        scorer: Name in the first row of the header.
    """
    import pandas

    levels = [[scorer], list(tracks.individuals), list(tracks.keypoints), ["x", "y", "likelihood"]]
    names = ["scorer", "individuals", "bodyparts", "coords"]
    cells = np.concatenate([tracks.points, tracks.confidence[..., None].astype(np.float64)], axis=-1)
    if not tracks.individuals:
        # its readers expect a row for each frame, and columns
        cells = np.full((len(tracks), 1, *cells.shape[2:]), np.nan)
    if len(tracks.individuals) <= 1:
        del levels[1], names[1]
    columns = pandas.MultiIndex.from_product(levels, names=names)
    return pandas.DataFrame(cells.reshape(len(tracks), -1), columns=columns, index=range(len(tracks)))


def write_csv(tracks: Tracks, path: Path, scorer: str = SCORER) -> None:
    """Writes the table as CSV.

    Raises:
        WriteError: It cannot be written.
    """
    with atomic_write(path) as file:
        data_frame(tracks, scorer).to_csv(file, lineterminator="\n")


def write_h5(tracks: Tracks, path: Path, scorer: str = SCORER) -> None:
    """Writes the table as HDF5; the same tracks give the same bytes.

    Raises:
        WriteError: It cannot be written.
    """
    import pandas

    table = data_frame(tracks, scorer)
    # pandas reads either layout; other programs look for DeepLabCut's
    layout = "table" if len(pickle.dumps(list(table.columns), 0)) < _MOST_NAMES else "fixed"
    with warnings.catch_warnings():
        # of names that are long, which does no harm
        warnings.simplefilter("ignore", pandas.errors.PerformanceWarning)
        # in memory, so that it takes its place as a whole
        with pandas.HDFStore("memory", "w", driver="H5FD_CORE", driver_core_backing_store=0) as store:
            # an index of the rows would bring the time of day into the file
            store.put(KEY, table, format=layout, index=False, track_times=False)
            # pandas 3 leaves it out; pandas 2, with which DeepLabCut runs, takes the file for one of before 2012 then
            node = store.get_node(KEY)
            node._v_attrs.pandas_version = _LAYOUT_VERSION
            content = node._v_file.get_file_image()
    with atomic_write(path, "wb") as file:
        file.write(content)


def read(path: Path, fps: float) -> Tracks:
    """Reads what a video analysis wrote: ``.csv`` or ``.h5``.

    Args:
        path: The file.
        fps: Frames a second; the file holds no times.

    Raises:
        UserError: It is damaged, or holds labels of pictures.
    """
    if path.suffix.lower() in HDF5:
        columns, names, values = h5_table(path)
    else:
        columns, rows = csv_table(path)
        names, cells = [], []
        for name, row in rows:
            if len(row) != len(columns):
                raise UserError(f"{path}, row {name}: {len(row)} cells, expected {len(columns)}")
            names.append(name)
            cells.append([_number(path, name, cell) for cell in row])
        values = np.array(cells).reshape(len(names), len(columns))
    order, times = _frames(path, names, fps)
    individuals = list(dict.fromkeys(individual for individual, _, _ in columns))
    keypoints = list(dict.fromkeys(name for _, name, _ in columns))
    places = {column: n for n, column in enumerate(columns)}
    wanted = {(individual, name) for individual, name, _ in columns}
    lacking = [f"{' '.join(pair).strip()}" for pair in wanted if not all((*pair, axis) in places for axis in "xy")]
    if lacking or len(places) < len(columns):
        raise UserError(f"{path}: expected x, y and likelihood of each point, once", sorted(lacking))
    raw = np.full((len(names), len(individuals), len(keypoints), 2), np.nan)
    confidence = np.full(raw.shape[:3], np.nan)
    for a, individual in enumerate(individuals):
        for k, name in enumerate(keypoints):
            for axis, coordinate in enumerate("xy"):
                if (individual, name, coordinate) in places:
                    raw[:, a, k, axis] = values[order, places[individual, name, coordinate]]
            if (individual, name, "likelihood") in places:
                confidence[:, a, k] = values[order, places[individual, name, "likelihood"]]
    if np.isinf(raw).any() or (np.isnan(raw[..., 0]) != np.isnan(raw[..., 1])).any():
        raise UserError(f"{path}: a point has only one of x and y, or is infinitely far")
    if (confidence < 0).any() or (confidence > 1).any():
        raise UserError(f"{path}: likelihoods should be from 0 to 1, found {np.nanmax(np.abs(confidence)):g}")
    named = individual_names(1) if individuals == [""] else individuals
    return Tracks.of(keypoints, times, raw, confidence, individuals=named, source=path.stem)


def _number(path: Path, row: str, cell: object) -> float:
    text = str(cell).strip()
    try:
        value = float(text or "nan")
    except ValueError as error:
        raise UserError(f"{path}, row {row}: expected a number, found {text[:40]!r}") from error
    if np.isinf(value):
        raise UserError(f"{path}, row {row}: expected a finite number, found {text[:40]!r}")
    return value


def _frames(path: Path, names: list[str], fps: float) -> tuple[np.ndarray, np.ndarray]:
    """The rows in the order of their frames, and the frames' times."""
    try:
        frames = np.array([int(name) for name in names], dtype=np.int64)
    except ValueError as error:
        raise UserError(
            f"{path} holds labels of pictures ({names[0][:60]}), not the tracks of a video",
            hint="tools/convert_dataset.py reads labels",
        ) from error
    order = np.argsort(frames, kind="stable")
    twice = frames[order][1:][np.diff(frames[order]) == 0]
    if len(twice):
        raise UserError(f"{path}: frame {twice[0]} stands in two rows")
    return order, frames[order] / fps
