"""Metrics as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from equistera import words
from equistera.evaluation.comparison import in_words, number, side_by_side, with_interval
from equistera.evaluation.instances import PCK
from equistera.words import aligned

COLUMNS = (
    ("points", "points", "d"),
    ("PCK@.05", "PCK@0.05", ".3f"),
    ("PCK@.1", "PCK@0.1", ".3f"),
    ("PCK@.2", "PCK@0.2", ".3f"),
    ("median px", "median_px", ".1f"),
    ("90% px", "p90_px", ".1f"),
    ("error/size", "normalised_error", ".3f"),
    ("OKS", "OKS", ".3f"),
    ("swapped", "swap_rate", ".1%"),
)


#: What stands above the table, with intervals where they were made.
HEADLINE = ("AP", "AP50", "AP75", "AR", "PCK@0.1", "median_px")

#: What the paired tests are, above their results.
PAIRED = (
    "Paired tests (each pair on the same bootstrap draws; p is not corrected for the number of tests, so with many of "
    "them expect one of 20 below 0.05 by luck):"
)


def format_table(metrics: dict) -> str:
    """The table for the eye.

    Args:
        metrics: What :func:`~.metrics.evaluate` returned.

    Returns:
        AP and AR with their intervals, a row per keypoint, the figures over all of them, what was counted, and the
        weak spots.
    """
    lines = [f"{name:<10} {with_interval(metrics, name)}" for name in HEADLINE]
    rows = [[name, *keypoint_cells(row)] for name, row in metrics["per_keypoint"].items()]
    summary = [["all", *keypoint_cells(metrics)]]
    summary += [[part, *keypoint_cells(metrics[part])] for part in ("visible", "hidden")]
    lines += ["", *with_rules(["keypoint", *(title for title, _, _ in COLUMNS)], rows, summary), "", counted(metrics)]
    if "bootstrap" in metrics:
        lines.append(how_intervals_were_made(metrics["bootstrap"]))
    guess = metrics.get("constant_guess")
    if guess and guess["outcome"] == "better":
        lines.append(guess["verdict"])
    if metrics["weak_spots"]:
        lines += ["", "Weak spots:", *(f"  - {sentence}" for sentence in metrics["weak_spots"])]
    return "\n".join(lines)


def format_comparison(models: Mapping[str, dict], pairs: Sequence[dict] = ()) -> str:
    """Several models side by side with intervals, keypoint by keypoint, and the paired tests in words.

    Args:
        models: What :func:`~.metrics.evaluate` returned with draws, by name.
        pairs: The ``pairs`` of :func:`~.comparison.compare`.

    Returns:
        Text for a terminal.
    """
    first = next(iter(models.values()))
    rows = [
        [name, *(number(model["per_keypoint"][name][PCK], PCK, signed=False) for model in models.values())]
        for name in first["per_keypoint"]
    ]
    lines = [
        *with_rules(*side_by_side(models), []),
        "",
        *with_rules([PCK, *models], rows, []),
        "",
        counted_in(first),
        how_intervals_were_made(first["bootstrap"]),
    ]
    if pairs:
        lines += ["", PAIRED, *(f"  - {in_words(pair)}" for pair in pairs)]
    for name, model in models.items():
        if model["weak_spots"]:
            lines += ["", f"Weak spots of {name}:", *(f"  - {sentence}" for sentence in model["weak_spots"])]
    return "\n".join(lines)


def counted(metrics: dict) -> str:
    """One line on what one model's figures were computed from."""
    missed, extra = metrics["missed_animals"], metrics["extra_predictions"]
    return (
        f"{counted_in(metrics)}; {words.counted(missed, 'animals')} without a prediction, "
        f"{words.counted(extra, 'predictions')} without an animal"
    )


def counted_in(metrics: dict) -> str:
    """The part of :func:`counted` that is the same for every model."""
    animals, pictures = words.counted(metrics["animals"], "animals"), words.counted(metrics["pictures"], "pictures")
    return f"{animals} in {pictures}; PCK in shares of the animal's size: {metrics['size']}"


def how_intervals_were_made(bootstrap: dict) -> str:
    """One line on the intervals."""
    note = f"; {bootstrap['note']}" if "note" in bootstrap else ""
    return (
        f"{bootstrap['level']:.0%} intervals by {bootstrap['draws']} bootstrap draws of {bootstrap['count']} "
        f"{bootstrap['drawn']}{note}"
    )


def keypoint_cells(row: dict) -> list[str]:
    """The figures of :data:`COLUMNS` as text, ``-`` where there is none."""
    return ["-" if row.get(key) is None else format(row[key], form) for _, key, form in COLUMNS]


def with_rules(header: list[str], rows: list[list[str]], summary: list[list[str]]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right, the summary under a rule."""
    head, *lines = aligned([header, *rows, *summary], right=True)
    rule = "-" * len(head)
    return [head, rule, *lines[: len(rows)], *([rule, *lines[len(rows) :]] if summary else [])]
