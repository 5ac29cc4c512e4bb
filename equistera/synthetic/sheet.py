"""A contact sheet of synthetic horses with their keypoints drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from equistera import drawing, skeleton
from equistera.files import atomic_write
from equistera.outputs import record
from equistera.synthetic import labels, photo
from equistera.synthetic.sample import make_sample

_CELL, _COLUMNS = (320, 240), 4
#: Pictures on a sheet, and the quality of its JPEG.
PICTURES, _QUALITY = 12, 72
#: Who writes it, for the records of folders.
TOOL = "make_demo_data"


def write_sheet(path: str | Path, seed: int = 0, skeleton_name: str = skeleton.DEFAULT) -> Path:
    """Writes the first pictures of the test split as one JPEG file.

    Args:
        path: The file to make, or an earlier sheet to replace.
        seed: As for a data set.
        skeleton_name: Points to draw.
    """
    target = skeleton.load(skeleton_name)
    cells = []
    for index in range(PICTURES):
        made = make_sample(seed, "test", index, (640, 480))
        picture = np.ascontiguousarray(cv2.imdecode(np.frombuffer(made.jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1])
        for label in made.labels:
            points = labels.convert(label.keypoints, target)
            drawing.draw_pose(picture, points[:, :2], target, visible=points[:, 2])
        cells.append(picture)
    with atomic_write(path, "wb") as file:
        file.write(photo.encode(drawing.contact_sheet(cells, _COLUMNS, _CELL), _QUALITY))
    record(TOOL, path)
    return Path(path)
