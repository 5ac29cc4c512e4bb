"""Files of tracks that something went wrong with: read, or refused in a line; never a traceback."""

import numpy as np
import pytest

from equistera.errors import UserError
from equistera.tracks import files
from equistera.tracks.tracks import Tracks

SUFFIXES = {"csv": ".csv", "parquet": ".parquet", "dlc-csv": ".csv", "dlc-h5": ".h5"}


@pytest.mark.parametrize("kind", SUFFIXES)
def test_damaged_files(two_horses, tmp_path, kind):
    path = tmp_path / f"x{SUFFIXES[kind]}"
    files.write(two_horses, path, kind)
    whole, rng = path.read_bytes(), np.random.default_rng(7)
    outcomes = set()
    for n in range(60):
        data = bytearray(whole)
        if n % 3 == 0:
            data = data[: rng.integers(0, len(data))]
        else:
            for place in rng.integers(0, len(data), 1 + n % 7):
                data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            outcomes.add(type(files.read(path, fps=25 if kind.startswith("dlc") else None)))
        except UserError:
            outcomes.add(UserError)
    assert outcomes <= {Tracks, UserError}
    assert UserError in outcomes
