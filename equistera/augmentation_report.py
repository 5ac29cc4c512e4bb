"""What an augmentation did, counted: how often each transform was drawn and from which range, beside what was asked.

Works on what samples record in ``drawn`` (see ``equistera.mm.data.transforms`` and ``equistera.mm.data.photometric``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from equistera.augmentation import Augmentation
from equistera.words import aligned

#: A share that is off by more standard deviations of its coin than this is pointed out.
_TOO_FAR = 4


@dataclass(frozen=True)
class Asked:
    """What a preset asks of one transform.

    Attributes:
        probability: How likely it is on a sample.
        range: Lowest and highest value, or None where there is no number to draw.
        unit: What the value is.
    """

    probability: float
    range: tuple[float, float] | None
    unit: str = ""


@dataclass(frozen=True)
class Row:
    """One transform, asked for and measured.

    Attributes:
        name: As samples record it.
        asked: None for a transform that is not the preset's (one of albumentations in the config).
        share: Share of the samples that had it.
        low: Lowest value drawn, or None.
        high: Highest value drawn, or None.
        kinds: How often each kind was drawn, for transforms that have kinds.
        note: What is odd about it, or "".
    """

    name: str
    asked: Asked | None
    share: float
    low: float | None
    high: float | None
    kinds: dict[str, int]
    note: str


def asked_of(values: Augmentation) -> dict[str, Asked]:
    """What ``values`` ask for, by the name under which samples record it; transforms that change nothing are left out.

    Args:
        values: Ranges and probabilities.

    Returns:
        By name of the transform.
    """
    often = values.photometric
    everything = {
        "flip": Asked(values.flip, None),
        "half_body": Asked(values.half_body, None),
        "rotation": Asked(1.0, (-values.rotation, values.rotation), "degrees"),
        "scale": Asked(1.0, values.scale, "times the box"),
        "shift": Asked(1.0, (-values.shift, values.shift), "of the box"),
        "brightness": Asked(often, (-values.brightness, values.brightness), "of 255"),
        "contrast": Asked(often, values.contrast, "times"),
        "saturation": Asked(often, values.saturation, "times"),
        "hue": Asked(often, (-values.hue, values.hue), "degrees"),
        "blur": Asked(values.blur, values.blur_sigma, "sigma, px"),
        "noise": Asked(values.noise, values.noise_sigma, "sigma, of 255"),
        "dropout": Asked(values.dropout, (float(values.dropout_holes[0]), float(values.dropout_holes[1])), "holes"),
        "occlusion": Asked(values.occlusion, None),
    }
    nothing = {(0.0, 0.0), (1.0, 1.0)}
    return {
        name: asked
        for name, asked in everything.items()
        if asked.probability > 0 and not (asked.range in nothing and name != "dropout")
    }


def measure(drawn: Sequence[Mapping[str, object]], values: Augmentation) -> list[Row]:
    """Counts what samples recorded.

    Args:
        drawn: ``drawn`` of each sample: by name, the value drawn (a number, numbers, the name of a kind, or True).
        values: What they were drawn from.

    Returns:
        A row for everything that was asked for or drawn: the preset's first, then others in the order of the alphabet.
    """
    asked = asked_of(values)
    # ranges of no width are recorded too, although they change nothing
    idle = {"rotation", "scale", "shift", "brightness", "contrast", "saturation", "hue"} - set(asked)
    others = sorted({name for sample in drawn for name in sample} - set(asked) - idle)
    return [_row(name, asked.get(name), drawn) for name in (*asked, *others)]


def _row(name: str, asked: Asked | None, drawn: Sequence[Mapping[str, object]]) -> Row:
    found = [sample[name] for sample in drawn if name in sample]
    numbers = np.array(
        [number for value in found if not isinstance(value, (bool, str)) for number in np.ravel(value)], dtype=float
    )
    share = len(found) / max(1, len(drawn))
    low, high = (float(numbers.min()), float(numbers.max())) if len(numbers) else (None, None)
    kinds = Counter(value for value in found if isinstance(value, str))
    return Row(name, asked, share, low, high, dict(sorted(kinds.items())), _note(name, asked, share, low, high, drawn))


def _note(
    name: str, asked: Asked | None, share: float, low: float | None, high: float | None, drawn: Sequence[Mapping]
) -> str:
    if asked is None or not drawn:
        return ""
    # a blur's sigma is measured on its kernel, which is cut off, and whole levels round
    if asked.range is not None and low is not None:
        slack = 0.05 * (asked.range[1] - asked.range[0]) + 1e-6
        if low < asked.range[0] - slack or high > asked.range[1] + slack:
            return "outside of the range"
    spread = math.sqrt(asked.probability * (1 - asked.probability) / len(drawn))
    if abs(share - asked.probability) <= _TOO_FAR * spread + 1e-9:
        return ""
    if name == "half_body" and share < asked.probability:
        return "only where enough points are labelled"
    return "not as often as asked"


def format_rows(rows: Sequence[Row]) -> str:
    """A table for the terminal."""
    header = ("transform", "asked", "drawn", "asked range", "drawn range", "")
    body = []
    for row in rows:
        kinds = ", ".join(f"{kind} {count}" for kind, count in row.kinds.items())
        asked = f"{row.asked.probability:.0%}" if row.asked else "config"
        asked_range = f"{_range(*row.asked.range)} {row.asked.unit}" if row.asked and row.asked.range else ""
        drawn_range = _range(row.low, row.high) if row.low is not None else kinds
        body.append((row.name, asked, f"{row.share:.1%}", asked_range, drawn_range, row.note))
    return "\n".join(aligned([header, *body]))


def _range(low: float, high: float) -> str:
    return f"{low:.3g} to {high:.3g}"


def rows_json(rows: Sequence[Row]) -> dict[str, dict]:
    """The rows for machines, by name of the transform."""
    return {row.name: {key: value for key, value in asdict(row).items() if key != "name"} for row in rows}
