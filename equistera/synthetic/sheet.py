"""A contact sheet of synthetic horses with their keypoints drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from equistera import drawing, skeleton
from equistera.marks import check_targets, write_marked
from equistera.outputs import check_folder
from equistera.synthetic import labels, photo
from equistera.synthetic.sample import make_sample

_CELL, _COLUMNS = (320, 240), 4
#: Pictures on a sheet, and the quality of its JPEG.
PICTURES, _QUALITY = 12, 72


def check_sheet(path: str | Path) -> None:
    """Refuses early to replace another file than an earlier sheet, or a place that cannot be written.

    Raises:
        UserError: There is such a file, or it is such a place.
    """
    check_folder("--sheet", Path(path).parent)
    check_targets("--sheet", [Path(path)], hint="Choose another name")


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
    write_marked(Path(path), photo.encode(drawing.contact_sheet(cells, _COLUMNS, _CELL), _QUALITY))
    return Path(path)
