"""Metrics as text for a terminal."""

from __future__ import annotations

COLUMNS = (
    ("points", "points", "d"),
    ("PCK@.05", "PCK@0.05", ".3f"),
    ("PCK@.1", "PCK@0.1", ".3f"),
    ("PCK@.2", "PCK@0.2", ".3f"),
    ("median px", "median_px", ".1f"),
    ("90 % px", "p90_px", ".1f"),
    ("error/size", "normalised_error", ".3f"),
    ("OKS", "OKS", ".3f"),
    ("swapped", "swap_rate", ".1%"),
)


def format_table(metrics: dict) -> str:
    """The table for the eye.

    Args:
        metrics: What :func:`~.metrics.evaluate` returned.

    Returns:
        AP and AR, a row per keypoint, the figures over all of them, and what was counted.
    """
    rows = [(name, row) for name, row in metrics["per_keypoint"].items()]
    summary = [("all", metrics), ("visible", metrics["visible"]), ("hidden", metrics["hidden"])]
    header = ["keypoint", *(title for title, _, _ in COLUMNS)]
    cells = [[name, *(show(row.get(key), form) for _, key, form in COLUMNS)] for name, row in rows + summary]
    widths = [max(len(line[i]) for line in [header, *cells]) for i in range(len(header))]

    def line(values: list[str]) -> str:
        return "  ".join(
            v.ljust(w) if i == 0 else v.rjust(w) for i, (v, w) in enumerate(zip(values, widths, strict=True))
        )

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    names = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR")
    lines = ["   ".join(f"{name} {show(metrics[name], '.3f')}" for name in names), ""]
    lines += [line(header), rule, *map(line, cells[: len(rows)]), rule, *map(line, cells[len(rows) :]), ""]
    lines.append(
        f"{metrics['animals']} animals in {metrics['pictures']} pictures; {metrics['missed_animals']} without a "
        f"prediction, {metrics['extra_predictions']} predictions without an animal; size: {metrics['size']}"
    )
    if "constant_guess" in metrics:
        lines.append(metrics["constant_guess"]["verdict"])
    return "\n".join(lines)


def show(value: float | None, form: str) -> str:
    """A figure as text, ``-`` where there is none."""
    return "-" if value is None else format(value, form)
