"""Curves derived from a run's log, which the summary, the advice and the plots share."""

from __future__ import annotations

import numpy as np

from equistera.monitor.run import Run

# what is best is decided where best.pth is written
from equistera.training.checkpoints import ranked

#: Metrics a run can be judged by, best first; higher is better in all of them.
MAIN_METRICS = ("AP", "PCK@0.1", "PCK@0.2", "PCK@0.05", "PCK", "AUC")

#: What the names of metrics begin with of which more is better.
_RISING = ("AP", "AR", "PCK", "AUC")


def main_metric(run: Run) -> str:
    """The metric that chooses ``best.pth``; else the first of ``MAIN_METRICS``.

    Only metrics count that were evaluated on the validation split, and that rise: ``""`` where there is none.
    """
    watched = (run.plan.watched or "").removeprefix("val/")
    names = (watched, *MAIN_METRICS) if watched.startswith(_RISING) else MAIN_METRICS
    return next((name for name in names if len(run.evaluation_curve(f"val/{name}")[0])), "")


def best_of(run: Run, metric: str) -> int | None:
    """Place, on the metric's curve of the validation split, of what ``best.pth`` holds; None where it is empty."""
    epochs, _ = run.evaluation_curve(f"val/{metric}")
    values = {point.position: point.values for point in run.evaluations}
    places = {place: ranked(values[epoch], f"val/{metric}") for place, epoch in enumerate(epochs)}
    # of equals the latest
    return max(places, key=lambda place: (places[place], place), default=None)


def gap_curve(run: Run, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Training subset minus validation, at the epochs that have both: positions and differences, float64 [N] each."""
    val = dict(zip(*run.evaluation_curve(f"val/{metric}"), strict=True))
    train = dict(zip(*run.evaluation_curve(f"train_subset/{metric}"), strict=True))
    epochs = [epoch for epoch in train if epoch in val]
    return np.array(epochs, dtype=float), np.array([train[epoch] - val[epoch] for epoch in epochs], dtype=float)


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Median of every value and the ``width - 1`` before it (fewer at the beginning), float64 [N].

    NaN and infinities are left out; a window of nothing else gives NaN.
    """
    windows = (values[max(0, i - width + 1) : i + 1] for i in range(len(values)))
    finite = (window[np.isfinite(window)] for window in windows)
    return np.array([np.median(window) if len(window) else np.nan for window in finite], dtype=float)
