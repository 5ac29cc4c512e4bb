"""A training run as data: what was logged when, and curves of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from equistera.monitor.plan import Plan


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
        """The PCK that is logged for single keypoints, and their names in the order of the log.

        Returns:
            Such as ``("PCK@0.1", ["nose", "l_eye", ...])``; ``("", [])`` where there is none. PCK@0.1 goes first.
        """
        by_metric: dict[str, dict[str, None]] = {}
        for point in self.evaluations:
            for name in point.values:
                match = re.fullmatch(r"val/(PCK(?:@[\d.]+)?)/(.+)", name)
                if match:
                    by_metric.setdefault(match[1], {})[match[2]] = None
        if not by_metric:
            return "", []
        metric = "PCK@0.1" if "PCK@0.1" in by_metric else next(iter(by_metric))
        return metric, list(by_metric[metric])


def _curve(points: Iterable[Point], name: str) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(point.position, point.values[name]) for point in points if name in point.values]
    positions, values = np.array(pairs, dtype=float).reshape(-1, 2).T
    return positions, values
