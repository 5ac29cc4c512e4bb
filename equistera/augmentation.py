"""How strongly training pictures are varied: the presets, as data.

``aggressive`` holds the values of the training guide; ``balanced`` and ``light`` go down from there for the later
phases of a run. Configs name a preset; ``equistera.mm.data.transforms`` carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from equistera.errors import UserError
from equistera.words import did_you_mean


@dataclass(frozen=True)
class Augmentation:
    """Ranges and probabilities of every augmentation; the defaults change nothing.

    Attributes:
        flip: Probability of a horizontal flip (left and right keypoints change places).
        half_body: Probability of cropping to the upper or the lower half of the labelled keypoints.
        rotation: Rotation is drawn from -rotation to +rotation, degrees.
        scale: The box is scaled by a factor drawn from this range.
        shift: The box's centre moves by up to this share of the box's size, in x and in y.
        brightness: Added to every channel, drawn from -brightness to +brightness, of 255.
        contrast: Factor on the difference from the picture's mean grey.
        saturation: Factor on the difference from grey.
        hue: Turn of the hue, drawn from -hue to +hue, degrees of the colour circle (360 is a full turn).
        photometric: Probability of each of the four above.
        blur: Probability of a Gaussian blur.
        blur_sigma: Its standard deviation is drawn from this range, pixels of the crop.
        noise: Probability of Gaussian noise.
        noise_sigma: Its standard deviation is drawn from this range, of 255.
        dropout: Probability of coarse dropout (a few black holes).
        dropout_holes: Number of holes, drawn from this range.
        dropout_size: Height and width of a hole, drawn from this range, shares of the crop's.
        occlusion: Probability of something in front: a patch of noise, of flat colour or of another picture, a rail,
            or a person (``equistera.mm.data.occlusion``).
    """

    flip: float = 0.0
    half_body: float = 0.0
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    brightness: float = 0.0
    contrast: tuple[float, float] = (1.0, 1.0)
    saturation: tuple[float, float] = (1.0, 1.0)
    hue: float = 0.0
    photometric: float = 0.5
    blur: float = 0.0
    blur_sigma: tuple[float, float] = (0.5, 2.5)
    noise: float = 0.0
    noise_sigma: tuple[float, float] = (5.0, 25.0)
    dropout: float = 0.0
    dropout_holes: tuple[int, int] = (1, 4)
    dropout_size: tuple[float, float] = (0.08, 0.25)
    occlusion: float = 0.0


PRESETS = {
    "none": Augmentation(),
    "light": Augmentation(
        flip=0.5,
        rotation=15,
        scale=(0.85, 1.15),
        shift=0.08,
        brightness=16,
        contrast=(0.8, 1.2),
        saturation=(0.8, 1.2),
        hue=6,
        blur=0.05,
        noise=0.05,
    ),
    "balanced": Augmentation(
        flip=0.5,
        half_body=0.1,
        rotation=30,
        scale=(0.75, 1.25),
        shift=0.12,
        brightness=24,
        contrast=(0.65, 1.35),
        saturation=(0.65, 1.35),
        hue=12,
        blur=0.1,
        noise=0.1,
        dropout=0.05,
        occlusion=0.1,
    ),
    # the training guide's list; half-body is MMPose's default for top-down training
    "aggressive": Augmentation(
        flip=0.5,
        half_body=0.3,
        rotation=40,
        scale=(0.7, 1.3),
        shift=0.16,
        brightness=32,
        contrast=(0.5, 1.5),
        saturation=(0.5, 1.5),
        hue=18,
        blur=0.1,
        noise=0.1,
        dropout=0.1,
        occlusion=0.2,
    ),
}


def parts_of(written: str | Mapping) -> tuple[str, dict]:
    """Name and changed fields of a preset as configs write it: a name or ``dict(preset=name, field=value, ...)``."""
    if isinstance(written, str):
        return written, {}
    changes = dict(written)
    return changes.pop("preset"), changes


def augmentation(preset: str, **changes) -> Augmentation:
    """The preset of that name, with some values changed.

    Args:
        preset: A key of :data:`PRESETS`.
        changes: Fields of :class:`Augmentation` to set.

    Returns:
        The values to draw from.

    Raises:
        UserError: No such preset or field, or a value out of its range.
    """
    if preset not in PRESETS:
        raise UserError(
            f"no augmentation preset {preset!r}{did_you_mean(preset, PRESETS)}", hint=f"There are: {', '.join(PRESETS)}"
        )
    values: dict[str, Any] = {field.name: getattr(PRESETS[preset], field.name) for field in fields(Augmentation)}
    unknown = [f"unknown field {key!r}{did_you_mean(key, values)}" for key in changes if key not in values]
    if unknown:
        raise UserError(f"augmentation {preset!r} cannot be changed like that:", unknown)
    values.update(changes)
    problems = [problem for name, value in values.items() for problem in _problem_of(name, value)]
    if problems:
        raise UserError(f"augmentation {preset!r} has values out of range:", problems)
    made: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return Augmentation(**made)


#: Lowest and highest value of each field. A factor of 0 would leave no box and no contrast.
LIMITS = {
    **dict.fromkeys(("flip", "half_body", "photometric", "blur", "noise", "dropout", "occlusion"), (0, 1)),
    "rotation": (0, 180),
    "scale": (0.1, 10),
    "shift": (0, 1),
    "brightness": (0, 255),
    "contrast": (0, 10),
    "saturation": (0, 10),
    "hue": (0, 180),
    "blur_sigma": (0.1, 20),
    "noise_sigma": (0, 255),
    "dropout_holes": (1, 100),
    "dropout_size": (0, 1),
}


def _problem_of(name: str, value: Any) -> list[str]:
    low, high = LIMITS[name]
    integral = name == "dropout_holes"
    default = getattr(Augmentation, name)
    if isinstance(default, tuple):
        pair = isinstance(value, (tuple, list)) and len(value) == 2
        good = pair and all(_is_number(v, integral) for v in value) and low <= value[0] <= value[1] <= high
        what = f"({'whole numbers ' if integral else ''}low, high) with {low} <= low <= high <= {high}"
    else:
        good = _is_number(value, integral) and low <= value <= high
        what = f"a number from {low} to {high}"
    return [] if good else [f"{name}: expected {what}, found {value!r}"]


def _is_number(value: object, integral: bool) -> bool:
    # True would count as 1; a comparison with the limits turns NaN away
    return isinstance(value, int if integral else (int, float)) and not isinstance(value, bool)
