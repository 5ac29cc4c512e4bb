"""A model's weak spots in words: what a person would look for in the tables, found for them."""

from __future__ import annotations

import math

from equistera.evaluation.instances import PCK
from equistera.words import counted

#: Fewer points than this say nothing about a single keypoint.
FEWEST_POINTS = 10

#: Two channels count as swapped when each lies on the other one in this share of the animals; a model that merely
#: cannot tell left from right reaches about a half of the animals at most.
SWAPPED = 0.6
#: From this rate on left and right are said to be mixed up.
MIXED_UP = 0.1

#: A shift is named when taking it off lowers the median error to this share, and when it is this many of its own
#: standard errors long. In a simulation (20,000 joints, normal errors, no shift) 1 of 10,000 was named by mistake at
#: 20 points; at 4 standard errors and 12 points it was 46.
SHIFT_GAIN = 0.8
SHIFT_STANDARD_ERRORS = 5.0
SHIFT_FEWEST_POINTS = 20
#: And when with the shift taken off this share of the points would be right.
SHIFT_LANDS = 0.5
#: Standard error of a median, and median length of an offset, for normal errors of standard deviation 1 on each axis.
_MEDIAN_STANDARD_ERROR = math.sqrt(math.pi / 2)
_RAYLEIGH_MEDIAN = math.sqrt(2 * math.log(2))

#: A confidence whose 5th and 95th percentile are nearer than this does not vary; others vary if theirs are further.
FIXED_SPREAD, USUAL_SPREAD = 0.01, 0.05
#: Confidence above the share of right points by this much is overconfidence.
OVERCONFIDENT = 0.3
LARGE_ECE = 0.1

#: Hidden points being worse than visible ones by this much PCK@0.1 is worth a line.
HIDDEN_GAP = 0.2

WORST_SHOWN = 3
#: Keypoints above this PCK@0.1 are not called weak.
GOOD_PCK = 0.95


def weak_spots(metrics: dict) -> list[str]:
    """What is wrong with a model, gravest first.

    Args:
        metrics: What :func:`~.metrics.evaluate` returned.

    Returns:
        Sentences that name keypoints and figures: a constant guess not beaten, channels swapped, left and right mixed
        up, constant shifts (with the offset in pixels), confidences that do not vary or are too high, animals missed,
        hidden points, keypoints that were never labelled, and the worst ones. Empty when nothing was found.
    """
    table, guess = metrics["per_keypoint"], metrics.get("constant_guess")
    enough = {name: row for name, row in table.items() if row["points"] >= FEWEST_POINTS}
    swapped, about_swaps = _swapped_channels(enough)
    shifted, about_shifts = _constant_shifts({name: row for name, row in table.items() if name not in swapped})
    sentences = [guess["verdict"]] if guess and guess["outcome"] != "better" else []
    sentences += [
        *about_swaps,
        *_mixed_up_sides({name: row for name, row in enough.items() if name not in swapped}),
        *about_shifts,
        *_fixed_confidence(enough),
        *_overconfident_keypoints({name: row for name, row in enough.items() if name not in swapped | shifted}),
        *_overall_confidence(metrics["calibration"]),
    ]
    if metrics["missed_animals"]:
        sentences.append(f"{metrics['missed_animals']} of {counted(metrics['animals'], 'animals')} got no prediction.")
    if metrics["extra_predictions"]:
        sentences.append(f"{metrics['extra_predictions']} predictions belong to no annotated animal.")
    (seen, visible), (unseen, hidden) = (
        (metrics[part]["points"], metrics[part][PCK]) for part in ("visible", "hidden")
    )
    if min(seen, unseen) >= FEWEST_POINTS and None not in (visible, hidden) and visible - hidden >= HIDDEN_GAP:
        sentences.append(f"Hidden points are much worse than visible ones: {PCK} {hidden:.2f} against {visible:.2f}.")
    never = [name for name, row in table.items() if not row["points"]]
    sentences += _worst_keypoints({name: row for name, row in table.items() if row["points"]})
    return sentences + ([f"Never labelled in these pictures, so not scored: {', '.join(never)}."] if never else [])


def _swapped_channels(table: dict[str, dict]) -> tuple[set[str], list[str]]:
    """Names of keypoints that lie on another one, and the sentences about them."""
    mistaken = {name: row["mistaken_for"] for name, row in table.items() if row["mistaken_for"]}
    lies_on = {name: other for name, other in mistaken.items() if other["rate"] >= SWAPPED}
    sentences, said = [], set()
    for name, other in lies_on.items():
        back = lies_on.get(other["keypoint"])
        if back is None or back["keypoint"] != name:
            sentences.append(
                f"{name} is predicted where {other['keypoint']} is, in {other['rate']:.0%} of the animals: check the "
                "order of the keypoints in the training annotations."
            )
        elif other["keypoint"] not in said:
            said.add(name)
            sentences.append(
                f"{name} and {other['keypoint']} are probably swapped: each lies on the other one in "
                f"{other['rate']:.0%} and {back['rate']:.0%} of the animals. Check their names and order in the "
                "annotations, and the swap pairs of the skeleton."
            )
    return set(lies_on), sentences


def _mixed_up_sides(table: dict[str, dict]) -> list[str]:
    rates = {name: row["swap_rate"] for name, row in table.items() if (row["swap_rate"] or 0) >= MIXED_UP}
    if not rates:
        return []
    worst = sorted(rates, key=rates.get, reverse=True)
    named = ", ".join(f"{name} ({rates[name]:.0%})" for name in worst[: 2 * WORST_SHOWN])
    rest = f" and {len(worst) - 2 * WORST_SHOWN} more" if len(worst) > 2 * WORST_SHOWN else ""
    return [f"Left and right are mixed up: {named}{rest} lie on their mirror image."]


def _constant_shifts(table: dict[str, dict]) -> tuple[set[str], list[str]]:
    """Names of shifted keypoints, and the sentences about them."""
    shifts = {name: row["shift_px"] for name, row in table.items() if _is_shifted(row)}
    if not shifts:
        return set(), []
    common = [sorted(shift[axis] for shift in shifts.values())[len(shifts) // 2] for axis in (0, 1)]
    agreeing = [name for name, shift in shifts.items() if math.dist(shift, common) < 0.5 * math.hypot(*common)]
    measurable = [row for row in table.values() if row["points"] >= SHIFT_FEWEST_POINTS]
    if len(agreeing) >= 3 and len(agreeing) > 0.7 * len(measurable):
        everywhere = (
            f"All keypoints are shifted by about {_vector(common)}: check the scale and the origin of the coordinates "
            "(picture resized, rotated by EXIF, box and picture mixed up)."
        )
        return set(shifts), [everywhere]
    return set(shifts), [
        f"{name} is shifted by about {_vector(shift)} everywhere: without that its median error would be "
        f"{table[name]['median_px_unshifted']:.1f} px instead of {table[name]['median_px']:.1f} px. Was it labelled "
        "at another place in the training pictures?"
        for name, shift in shifts.items()
    ]


def _is_shifted(row: dict) -> bool:
    if row["points"] < SHIFT_FEWEST_POINTS or row["shift_px"] is None:
        return False
    length = math.hypot(*row["shift_px"])
    standard_error = _MEDIAN_STANDARD_ERROR * row["median_px_unshifted"] / _RAYLEIGH_MEDIAN / math.sqrt(row["points"])
    is_certain = length > SHIFT_STANDARD_ERRORS * standard_error
    # points scattered all over the animal have a median too, but no place that they are shifted to
    is_one_place = (row[f"{PCK}_unshifted"] or 0.0) >= SHIFT_LANDS
    return is_certain and is_one_place and row["median_px_unshifted"] <= SHIFT_GAIN * row["median_px"]


def _vector(shift: list[float]) -> str:
    """``12.4 px (10.0 right, 7.3 down)``."""
    x, y = shift
    sideways = f"{abs(x):.1f} {'right' if x > 0 else 'left'}"
    return f"{math.hypot(x, y):.1f} px ({sideways}, {abs(y):.1f} {'down' if y > 0 else 'up'})"


def _fixed_confidence(table: dict[str, dict]) -> list[str]:
    scored = {name: row["score"] for name, row in table.items() if row["score"]}
    spreads = {name: score["p95"] - score["p05"] for name, score in scored.items()}
    fixed = [name for name, spread in spreads.items() if spread < FIXED_SPREAD]
    if not fixed:
        return []
    if len(fixed) == len(scored):
        return ["The confidence is the same everywhere: it cannot tell good points from bad ones."]
    if sorted(spreads.values())[len(spreads) // 2] < USUAL_SPREAD:
        return []
    return [
        f"{name} always has confidence {scored[name]['p05']:.2f}, whatever the picture, while that of other "
        f"keypoints varies: its confidence says nothing (the point is right in {table[name][PCK]:.0%})."
        for name in fixed
        if table[name][PCK] is not None
    ]


def _overconfident_keypoints(table: dict[str, dict]) -> list[str]:
    return [
        f"{name} is surer than it is right: mean confidence {row['score']['probability']:.2f}, right in {row[PCK]:.0%}."
        for name, row in table.items()
        if row["score"] and row[PCK] is not None and row["score"]["probability"] - row[PCK] >= OVERCONFIDENT
    ]


def _overall_confidence(calibration: dict) -> list[str]:
    fitted = "ECE_calibrated" in calibration
    error = calibration["ECE_calibrated" if fitted else "ECE"]
    if error is None or error < LARGE_ECE:
        return []
    curve = [e for e in calibration["reliability_calibrated" if fitted else "reliability"] if e["points"]]
    surplus = sum(e["points"] * (e["confidence"] - e["correct"]) for e in curve)
    direction = "too high" if surplus > 0 else "too low"
    advice = "the calibration does not fit these pictures." if fitted else "fit a calibration on the validation set."
    return [f"Confidences are off by {error:.2f} on average, mostly {direction}: {advice}"]


def _worst_keypoints(table: dict[str, dict]) -> list[str]:
    weak = {name: row[PCK] for name, row in table.items() if row[PCK] is not None and row[PCK] < GOOD_PCK}
    medians = {name: row["median_px"] for name, row in table.items()}
    named = [
        f"{name} ({PCK} {weak[name]:.2f}" + ("" if medians[name] is None else f", median {medians[name]:.1f} px") + ")"
        for name in sorted(weak, key=weak.get)[:WORST_SHOWN]
    ]
    return [f"Worst keypoints: {', '.join(named)}."] if named else []
