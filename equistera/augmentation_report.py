"""What an augmentation did, counted: how often each transform was drawn and from which range, beside what was asked.

Works on what samples record in ``drawn`` (see ``equistera.mm.data.transforms`` and ``equistera.mm.data.photometric``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from equistera.augmentation import Augmentation
from equistera.words import aligned

#: A share that is off by more standard deviations of its coin than this is pointed out.
_TOO_FAR = 4


@dataclass(frozen=True)
class Asked:
    """What a preset asks of one transform: how likely it is on a sample, and from which range in which unit.

    Of what has no number to draw the range is None.
    """

    probability: float
    range: tuple[float, float] | None
    unit: str = ""


@dataclass(frozen=True)
class Row:
    """One transform, asked for and measured over samples."""

    name: str
    #: None for a transform that is not the preset's (one of albumentations in the config).
    asked: Asked | None
    share: float
    #: Lowest and highest value drawn, or None.
    low: float | None
    high: float | None
    #: How often each kind was drawn, for transforms that have kinds.
    kinds: dict[str, int]
    #: What is odd about it, or "".
    note: str = ""


def asked_of(values: Augmentation) -> dict[str, Asked]:
    """What is asked for, by the name under which samples record it; transforms that change nothing are left out."""
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
    """Counts what samples recorded in ``drawn``: by name a number, numbers, the name of a kind, or True.

    A row for everything that was asked for by ``values`` or drawn: the preset's first, then others by the alphabet.
    """
    asked = asked_of(values)
    # ranges of no width are recorded too, although they change nothing
    idle = {"rotation", "scale", "shift", "brightness", "contrast", "saturation", "hue"} - set(asked)
    others = sorted({name for sample in drawn for name in sample} - set(asked) - idle)
    return [_row(name, asked.get(name), drawn) for name in (*asked, *others)]


def _row(name: str, asked: Asked | None, drawn: Sequence[Mapping[str, object]]) -> Row:
    found = [sample[name] for sample in drawn if name in sample]
    numbers = np.array(
        [n for value in found if not isinstance(value, (bool, str)) for n in np.ravel(value)], dtype=float
    )
    low, high = (float(numbers.min()), float(numbers.max())) if len(numbers) else (None, None)
    kinds = Counter(value for value in found if isinstance(value, str))
    row = Row(name, asked, len(found) / max(1, len(drawn)), low, high, dict(sorted(kinds.items())))
    return replace(row, note=_note(row, len(drawn))) if asked and drawn else row


def _note(row: Row, count: int) -> str:
    asked = row.asked
    # a blur's sigma is measured on its kernel, which is cut off, and whole levels round
    if asked.range is not None and row.low is not None:
        slack = 0.05 * (asked.range[1] - asked.range[0]) + 1e-6
        if row.low < asked.range[0] - slack or row.high > asked.range[1] + slack:
            return "outside of the range"
    spread = math.sqrt(asked.probability * (1 - asked.probability) / count)
    if abs(row.share - asked.probability) <= _TOO_FAR * spread + 1e-9:
        return ""
    few = row.name == "half_body" and row.share < asked.probability
    return "only where enough points are labelled" if few else "not as often as asked"


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
