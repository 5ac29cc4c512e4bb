"""Tracks as COCO keypoint results, as ``tools/visualize.py --json`` and ``tools/test.py`` write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equistera.dataset.boxes import box_around
from equistera.evaluation.average_precision import instance_score
from equistera.files import write_json
from equistera.tracks.tracks import Tracks


def write_coco(tracks: Tracks, path: Path) -> None:
    """Writes one result for each animal and frame in which it has points.

    ``image_id`` is the frame's number; ``track_id`` (from 1, as in PoseTrack), ``individual`` and ``time`` (seconds)
    are added to COCO's fields. A point that is not known is ``0, 0, 0``.

    Raises:
        WriteError: It cannot be written.
    """
    write_json(path, [result for t in range(len(tracks)) for result in _results(tracks, t)])


def _results(tracks: Tracks, t: int) -> list[dict]:
    results = []
    width, height = tracks.size or (np.inf, np.inf)
    for a, individual in enumerate(tracks.individuals):
        known = tracks.known[t, a]
        if not known.any():
            continue
        place = tracks.points[t, a, known]
        box = box_around(place, width, height)
        if box is None:
            # a single point, or an animal beyond the picture's edge
            box = [*place.min(axis=0), *np.ptp(place, axis=0)]
        points = np.column_stack([tracks.points[t, a], np.nan_to_num(tracks.confidence[t, a])])
        points[~known] = 0
        results.append(
            {
                "image_id": t,
                "file_name": f"frame {t}",
                "category_id": 1,
                "bbox": np.round(box, 2).tolist(),
                "keypoints": np.round(points, 4).ravel().tolist(),
                "score": instance_score(points[known, 2]),
                "track_id": a + 1,
                "individual": individual,
                "time": float(tracks.times[t]),
            }
        )
    return results
