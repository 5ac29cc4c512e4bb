"""CVAT's label definition: a skeleton and a rectangle (https://docs.cvat.ai/docs/annotation/manual-annotation/shapes/skeletons)."""

from __future__ import annotations

import json

import numpy as np

from equistera.dataset.formats.cvat import box_label
from equistera.errors import UserError
from equistera.skeleton import Skeleton, hex_color

#: CVAT's canvas for skeletons is 100 x 100, whatever the shape of the picture.
_CANVAS = 100
#: Characters that are written otherwise inside of XML: CVAT looks names up in the drawing as they stand.
_NOT_IN_NAMES = set("\"'<>&")


def labelling_config(skeleton: Skeleton, places: np.ndarray, category: str) -> str:
    """The labels as JSON, for the tab "Raw" of a CVAT task or project.

    Args:
        skeleton: Its points and links.
        places: float [K, 2], where the points of a freshly drawn animal lie, fractions of its rectangle.
        category: Name of the animal.

    Raises:
        UserError: CVAT cannot hold the names; all are listed.
    """
    if bad := [name for name in (*skeleton.names, category) if _NOT_IN_NAMES & set(name)]:
        raise UserError("names that CVAT cannot hold in a skeleton's drawing:", bad, "Leave out \" ' < > & there.")
    at = np.round(_CANVAS * places, 1).tolist()
    lines = [
        f'<line x1="{at[a][0]}" y1="{at[a][1]}" x2="{at[b][0]}" y2="{at[b][1]}" data-type="edge" '
        f'data-node-from="{a + 1}" data-node-to="{b + 1}"></line>'
        for a, b in skeleton.link_indices.tolist()
    ]
    circles = [
        f'<circle r="0.75" cx="{x}" cy="{y}" data-type="element node" data-element-id="{k}" data-node-id="{k}" '
        f'data-label-name="{name}"></circle>'
        for k, (name, (x, y)) in enumerate(zip(skeleton.names, at, strict=True), 1)
    ]
    points = [
        {"name": point.name, "type": "points", "color": hex_color(point.color), "attributes": []}
        for point in skeleton.keypoints
    ]
    animal = {"name": category, "type": "skeleton", "attributes": []}
    labels = [
        # lines first: circles lie on top of them
        {**animal, "sublabels": points, "svg": "\n".join([*lines, *circles])},
        {"name": box_label(category), "type": "rectangle", "attributes": []},
    ]
    return json.dumps(labels, indent=1, ensure_ascii=False) + "\n"
