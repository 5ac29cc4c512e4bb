"""A network that has left the workshop as one file: what the file says of itself, and which packages it takes.

``tools/export.py`` writes it, the tools that predict take an ``.onnx`` file as they take a checkpoint. It needs no
config: size and cut of the crops, the keypoints and what its confidences mean stand in its metadata, each value as
JSON.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import pydantic

from equistera import skeleton as skeletons
from equistera.errors import UserError, shape_problems
from equistera.skeleton import Skeleton

#: Ending of the files that tools take like a checkpoint.
ENDING = ".onnx"
#: What a graph takes and gives: crops uint8 RGB [N, height, width, 3]; points float32 [N, K, 2] in pixels of the crop,
#: (0, 0) the middle of its first one, and confidences float32 [N, K].
CROPS, POINTS, CONFIDENCE = "crops", "points", "confidence"
#: What a detector's takes and gives: one picture, fitted into the input, uint8 RGB [1, height, width, 3]; boxes float32
#: [M, 4], x1, y1, x2, y2 in pixels of the input, the surest first, and scores float32 [M].
PICTURE, BOXES, SCORES = "picture", "boxes", "scores"


def is_exported(path: str | Path) -> bool:
    """Whether a file's name is that of an exported network."""
    return str(path).lower().endswith(ENDING)


def require(*modules: str) -> None:
    """Refuses what needs packages that are not installed.

    Raises:
        UserError: One is not; the command that installs them is named.
    """
    if missing := [name for name in modules if importlib.util.find_spec(name) is None]:
        raise UserError(
            f"not installed: {', '.join(missing)}, which exported networks need",
            hint="In this project's folder: python -m pip install -e '.[export]'",
        )


@dataclass(frozen=True)
class Exported:
    """The metadata of an exported network.

    Attributes:
        kind: ``pose`` or ``detector``.
        codec: As the network's config has it: ``input_size``, width and height of what goes in; by ``type`` UDPHeatmap
            a crop spans its box from the middle of the first pixel to that of the last (w - 1 pixels), by any other
            from edge to edge (w pixels).
        skeleton: Of a pose model its name, and ``content``, that of its file.
        padding: Sides of the view of a box as multiples of the box's.
        calibrated: Whether confidences are probabilities of being right.
        calibration: Temperature and bias that are applied in the graph, and what they were fitted on.
        flip: Whether the graph averages with the mirrored crop.
        batch: Crops that go in together; 0 for any number.
        precision: ``float32`` or ``int8``.
        members: SHA-256 of the checkpoints that are averaged.
        animals: What the animals of the training data are called.
        trained_on: Marks of the pictures that it was trained on.
        settings: Digest of what outputs follow from beside the weights.
        equistera_version: Who wrote it.
    """

    kind: str
    codec: dict[str, Any]
    members: tuple[str, ...]
    equistera_version: str
    skeleton: dict[str, Any] | None = None
    padding: Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)] = 1.0
    calibrated: bool = False
    calibration: dict[str, Any] | None = None
    flip: bool = False
    batch: pydantic.NonNegativeInt = 1
    precision: str = "float32"
    animals: tuple[str, ...] = ()
    trained_on: tuple[str, ...] = ()
    settings: str = ""

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height of what goes in."""
        width, height = self.codec["input_size"]
        return int(width), int(height)

    @property
    def keypoints(self) -> Skeleton:
        """The skeleton."""
        return skeletons.parse(self.skeleton["content"], self.skeleton["name"])

    def as_text(self) -> dict[str, str]:
        """Each attribute as JSON, by its name."""
        return {name: json.dumps(value) for name, value in asdict(self).items()}

    @classmethod
    def of(cls, metadata: Mapping[str, str], path: str | Path, kind: str) -> Exported:
        """What a file says of itself.

        Args:
            metadata: As :meth:`as_text` made it; what else stands there is left alone.
            path: The file.
            kind: What it is to be used as.

        Raises:
            UserError: It was not exported here, is of another kind, or does not say what is needed.
        """
        hint = "python tools/export.py CONFIG CHECKPOINT --to onnx --out FILE writes one"
        if "equistera_version" not in metadata:
            raise UserError(f"{path} does not say that tools/export.py has written it", hint=hint)
        known = {name: metadata[name] for name in cls.__dataclass_fields__ if name in metadata}
        try:
            entries = ", ".join(f"{json.dumps(name)}: {text}" for name, text in known.items())
            found = pydantic.TypeAdapter(cls).validate_json(f"{{{entries}}}")
            _ = found.input_size, found.kind != "pose" or found.keypoints
        except pydantic.ValidationError as error:
            raise UserError(f"{path}: its metadata cannot be used:", shape_problems(error), hint) from error
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: its metadata has no skeleton or no input size", hint=hint) from error
        if found.kind != kind:
            what = "finds animals, it has no keypoints" if kind == "pose" else "finds keypoints, not animals"
            raise UserError(
                f"{path} is a {found.kind} model: it {what}",
                hint="Give a pose model; --det takes a detector's checkpoint" if kind == "pose" else "",
            )
        return found


def content_of(skeleton: Skeleton) -> dict[str, Any]:
    """What a skeleton's file holds: from it :func:`equistera.skeleton.parse` makes the same keypoints and links."""
    points = [{name: v for name, v in asdict(point).items() if v not in ("", ())} for point in skeleton.keypoints]
    content = {"description": skeleton.description, "keypoints": points, "links": skeleton.links}
    # lists for tuples, as in a file
    return json.loads(json.dumps(content))
