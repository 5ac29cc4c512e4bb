"""A training run as data: what was logged when, and curves of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from equistera.monitor.plan import Plan

# what is best is decided where best.pth is written
from equistera.training.checkpoints import ranked

#: Metrics a run can be judged by, best first; higher is better in all of them.
MAIN_METRICS = ("AP", "PCK@0.1", "PCK@0.2", "PCK@0.05", "PCK", "AUC")

#: What the names of metrics begin with of which more is better.
_RISING = ("AP", "AR", "PCK", "AUC")


@dataclass(frozen=True)
class Point:
    """Values logged at one moment of the run.

    Attributes:
        position: Epochs since the start of training, with fraction: 1.5 is the middle of the second epoch.
        values: By name; may hold NaN and infinities.
    """

    position: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Start:
    """One launch of the training: the first one, or a resumption.

    Attributes:
        position: Epochs that were done when it began.
        began: Local time from the folder's name; None where the name holds no valid time.
    """

    position: float
    began: datetime | None


@dataclass(frozen=True)
class Run:
    """One training run, put together from all its starts.

    Attributes:
        work_dir: The folder it was read from.
        plan: What it is meant to do; ``steps_per_epoch`` is estimated from the log where nothing says.
        training: Points of the training, in order of position.
        evaluations: Points of the validation, one an epoch at most; names as in ``val/AP``, ``val/PCK@0.1/nose``,
            ``train_subset/AP``.
        starts: In order of time; those that crashed before they logged a step are left out.
        unreadable_lines: How many lines were no JSON objects, half-written last ones aside.
        last_write: Modification time of the newest log, seconds since the epoch.
        missing: What the folder speaks of and does not hold, in words.
    """

    work_dir: Path
    plan: Plan
    training: tuple[Point, ...]
    evaluations: tuple[Point, ...]
    starts: tuple[Start, ...]
    unreadable_lines: int
    last_write: float
    missing: tuple[str, ...] = ()

    @property
    def position(self) -> float:
        """Epochs done, with fraction."""
        return max(self.training[-1].position, self.evaluations[-1].position if self.evaluations else 0.0)

    def training_curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Positions and values of a training quantity, float64 [N] each."""
        return _curve(self.training, name)

    def evaluation_curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Positions (epochs) and finite values of an evaluation metric, float64 [N] each.

        COCO's -1, which stands for "nothing to evaluate", is left out, as is NaN.
        """
        positions, values = _curve(self.evaluations, name)
        valid = np.isfinite(values) & (values >= 0)
        return positions[valid], values[valid]

    def stages(self) -> list[str]:
        """Names of the stages whose learning rate is logged (``lr/<stage>``), in the order of the log."""
        logged = dict.fromkeys(name for point in self.training for name in point.values)
        return [name.removeprefix("lr/") for name in logged if name.startswith("lr/")]

    def keypoint_metric(self) -> tuple[str, list[str]]:
        """The PCK that is logged for single keypoints, PCK@0.1 if it can be, and their names in the order of the log.

        Such as ``("PCK@0.1", ["nose", "l_eye", ...])``; ``("", [])`` where there is none.
        """
        logged = dict.fromkeys(name for point in self.evaluations for name in point.values)
        found = [match.groups() for name in logged if (match := re.fullmatch(r"val/(PCK(?:@[\d.]+)?)/(.+)", name))]
        metrics = [metric for metric, _ in found]
        metric = "PCK@0.1" if "PCK@0.1" in metrics else next(iter(metrics), "")
        return metric, [keypoint for other, keypoint in found if other == metric]


def _curve(points: Iterable[Point], name: str) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(point.position, point.values[name]) for point in points if name in point.values]
    positions, values = np.array(pairs, dtype=float).reshape(-1, 2).T
    return positions, values


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
