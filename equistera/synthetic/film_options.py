"""What may be asked of a video of moving horses, known without what renders it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from equistera.errors import UserError

#: Names of the gaits, and of those in which an even horse sinks twice a stride, so that an asymmetry can be told.
GAITS, EVEN = ("walk", "trot", "canter"), ("trot",)
#: Parts of which an asymmetry can be set, and the greatest, body lengths: at 0.05 some legs no longer reach the ground.
PARTS, MOST = ("head", "withers", "croup"), 0.04
#: What the sign of an asymmetry means, as ``truth.json`` says it.
POSITIVE = "a part's lowest place is higher while the right hoof stands: fore for head and withers, hind for croup"
#: Least and greatest side of a video, pixels, seconds, and frames a second.
SIDES, SECONDS, RATES = (64, 3840), 3600.0, (1, 240)


def parse_asymmetry(text: str) -> dict[str, float]:
    """``head=0.03,croup=0.01``: MinDiff of each part in body lengths.

    Raises:
        UserError: It is something else. A number alone is, too: of what would be a guess.
    """
    result: dict[str, float] = {}
    for entry in text.split(","):
        part, _, value = entry.partition("=")
        part = part.strip()
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if part not in PARTS or part in result or not abs(number) <= MOST:
            raise UserError(
                f"asymmetry {text!r}: expected each of {', '.join(PARTS)} once at most, "
                f"with a MinDiff of -{MOST:g} to {MOST:g} body lengths, such as head=0.03,croup=0.01"
            )
        result[part] = number
    return result


def check_film(
    *,
    gait: str,
    animals: int = 1,
    seconds: float = 8.0,
    fps: int = 25,
    size: tuple[int, int] = (640, 480),
    asymmetry: Mapping[str, float] | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> None:
    """Refuses what cannot be filmed.

    Raises:
        UserError: With what was found and expected.
    """
    problems = []
    if gait not in (*GAITS, "mixed"):
        problems.append(f"gait {gait}, expected {', '.join(GAITS)} or mixed")
    if animals not in (1, 2):
        problems.append(f"{animals} animals, expected 1 or 2")
    if not RATES[0] <= fps <= RATES[1]:
        problems.append(f"{fps} frames a second, expected {RATES[0]} to {RATES[1]}")
    elif not 0 < seconds <= SECONDS:
        problems.append(f"{seconds:g} seconds, expected up to {SECONDS:g}")
    elif round(seconds * fps) < 1:
        problems.append(f"{seconds:g} seconds at {fps} frames a second have no frame, expected {1 / fps:g} s or more")
    if not all(SIDES[0] <= side <= SIDES[1] and side % 2 == 0 for side in size):
        problems.append(f"size {size[0]}x{size[1]}, expected even sides of {SIDES[0]} to {SIDES[1]} pixels")
    if seed < 0:
        problems.append(f"seed {seed}, expected 0 or more")
    if workers is not None and workers < 1:
        problems.append(f"{workers} workers, expected 1 or more")
    if asymmetry and gait not in EVEN:
        problems.append(f"an asymmetry at gait {gait}, expected {' or '.join(EVEN)}: only there MinDiff is defined")
    if problems:
        raise UserError("cannot make such a video: " + "; ".join(problems))
