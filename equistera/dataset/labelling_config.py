"""What a labelling tool must know of a skeleton before the first label, for ``tools/labelling_config.py``."""

from __future__ import annotations

from pathlib import Path

from equistera.dataset.formats import cvat, labelstudio
from equistera.errors import UserError
from equistera.files import atomic_write
from equistera.skeleton import Skeleton

# the only horse that there is to draw, and to take the places of points from, is the synthetic one
from equistera.synthetic import chart

#: Values of ``--to`` with the ending of the file that each makes.
ENDINGS = {"labelstudio": ".xml", "cvat": ".json", "picture": ".jpg"}

_NEXT = {
    "labelstudio": "In Label Studio: paste it into Settings, Labeling Interface, Code. Export as 'JSON'.",
    "cvat": "In CVAT: paste it into the tab 'Raw' of the task's or project's labels. Export as 'CVAT for images 1.1'.",
    "picture": "Give it to everybody who labels.",
}


def write_labelling_config(skeleton: Skeleton, to: str, output: Path, category: str, *, overwrite: bool = False) -> str:
    """Writes a labelling configuration, or the picture with the numbered points.

    Args:
        skeleton: Points to label.
        to: A key of :data:`ENDINGS`.
        output: The file.
        category: Name of the animal.
        overwrite: Replace a file that exists.

    Returns:
        What to do with it, for the terminal.

    Raises:
        UserError: Another ending, a file that exists, or a name that the tool cannot hold.
    """
    if output.suffix.lower() != ENDINGS[to]:
        raise UserError(f"{output}: expected a name that ends in {ENDINGS[to]}")
    if output.exists() and not overwrite:
        raise UserError(
            f"{output} exists already and is not overwritten", hint="Add --overwrite, or choose another name."
        )
    if not category.strip():
        raise UserError("the animal needs a name", hint="Leave --category out to call it horse.")
    if to == "labelstudio":
        content = labelstudio.labelling_config(skeleton, category).encode()
    elif to == "cvat":
        content = cvat.labelling_config(skeleton, chart.positions(skeleton), category).encode()
    else:
        content = chart.encode_chart(skeleton)
    with atomic_write(output, "wb") as file:
        file.write(content)
    return f"wrote {output}: the {len(skeleton)} points of {skeleton.name}\n{_NEXT[to]}"
