"""Where a run stands: best epoch, gap to the training subset, phase and learning rate, time left."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from equistera.monitor.run import Run, best_of, gap_curve, main_metric

#: Metrics shown beside the one that a run is judged by, as they were at the best epoch.
OTHER_METRICS = ("AP50", "AP75", "AR", "PCK@0.1", "PCK@0.2", "PCK", "median_px", "EPE", "NME")

#: Without a new line for this long, or for three epochs if they take longer, a run counts as stopped.
SILENT_SECONDS = 600
_RECENT_STEPS = 20

RUNNING, SILENT, FINISHED = "running", "silent", "finished"


@dataclass(frozen=True)
class Summary:
    """The state of a run; None or empty where the log does not say.

    Attributes:
        position: Epochs done, with fraction.
        max_epochs: Length of the run in epochs.
        state: ``running``, ``silent`` (not finished, but nothing was logged for a while) or ``finished``.
        silent_seconds: Since the last line of the log.
        phase: Name of the phase at ``position``.
        lr: Learning rate by stage at the last step; the key ``""`` stands for the one of the whole optimiser.
        loss: Median of the last logged steps; NaN or infinite when one of them is.
        metric: The metric the run is judged by, see ``run.main_metric``; ``""`` before the first evaluation.
        best, best_epoch: Its highest value and where (of equals as in ``best.pth``).
        last, last_epoch: Its latest value.
        gap: Training subset minus validation at the latest epoch that has both.
        at_best: ``OTHER_METRICS`` at the best epoch.
        keypoint_metric, keypoints: Which PCK, and its value by keypoint at the best epoch.
        seconds_per_epoch: Validation included where ``whole_epochs``, otherwise the training steps alone.
        resumed_at: Epochs done at every start but the first.
    """

    position: float
    max_epochs: int | None
    state: str
    silent_seconds: float
    phase: str | None
    lr: Mapping[str, float]
    loss: float
    metric: str
    best: float | None
    best_epoch: float | None
    last: float | None
    last_epoch: float | None
    gap: float | None
    at_best: Mapping[str, float]
    keypoint_metric: str
    keypoints: Mapping[str, float]
    seconds_per_epoch: float | None
    whole_epochs: bool
    resumed_at: tuple[float, ...]

    @property
    def seconds_left(self) -> float | None:
        """Estimate until the last epoch is done; None when unknown, or when the run does not go on."""
        if self.state != RUNNING or self.max_epochs is None or self.seconds_per_epoch is None:
            return None
        return max(0.0, self.max_epochs - self.position) * self.seconds_per_epoch


def summarize(run: Run, now: float | None = None) -> Summary:
    """Sums a run up.

    Args:
        run: The run.
        now: Seconds since the epoch; the present by default.
    """
    silent_seconds = max(0.0, (time.time() if now is None else now) - run.last_write)
    seconds_per_epoch, whole_epochs = _pace(run)
    metric = main_metric(run)
    epochs, values = run.evaluation_curve(f"val/{metric}")
    best = best_of(run, metric)
    best_epoch = None if best is None else float(epochs[best])
    phase = run.plan.phase_at(run.position)
    gaps = gap_curve(run, metric)[1]
    keypoint_metric, names = run.keypoint_metric()
    return Summary(
        position=run.position,
        max_epochs=run.plan.max_epochs,
        state=_state(run, silent_seconds, seconds_per_epoch),
        silent_seconds=silent_seconds,
        phase=phase.name if phase else None,
        lr=learning_rates(run),
        loss=recent_loss(run),
        metric=metric,
        best=None if best is None else float(values[best]),
        best_epoch=best_epoch,
        last=float(values[-1]) if len(values) else None,
        last_epoch=float(epochs[-1]) if len(values) else None,
        gap=float(gaps[-1]) if len(gaps) else None,
        at_best=_values_at(run, {name: f"val/{name}" for name in OTHER_METRICS if name != metric}, best_epoch),
        keypoint_metric=keypoint_metric,
        keypoints=_values_at(run, {name: f"val/{keypoint_metric}/{name}" for name in names}, best_epoch),
        seconds_per_epoch=seconds_per_epoch,
        whole_epochs=whole_epochs,
        resumed_at=tuple(start.position for start in run.starts[1:]),
    )


def learning_rates(run: Run) -> dict[str, float]:
    """Learning rate by stage at the last step; ``{"": lr}`` where only the optimiser's is logged."""
    values = run.training[-1].values
    by_stage = {stage: values[f"lr/{stage}"] for stage in run.stages() if f"lr/{stage}" in values}
    return by_stage or ({"": values["lr"]} if "lr" in values else {})


def recent_loss(run: Run) -> float:
    """Median loss of the last logged steps; NaN or infinite when one of them is."""
    recent = run.training_curve("loss")[1][-_RECENT_STEPS:]
    broken = recent[~np.isfinite(recent)]
    return float(broken[-1]) if len(broken) else float(np.median(recent))


def is_finished(run: Run) -> bool:
    """Whether the last epoch is done, its evaluation included where the run evaluates at all."""
    if run.plan.max_epochs is None:
        return False
    if run.evaluations:
        return run.evaluations[-1].position >= run.plan.max_epochs
    # MMEngine does not log the steps of an epoch beyond the last multiple of its interval: compare with the others
    inside = [point.position % 1 or 1.0 for point in run.training]
    return run.position >= run.plan.max_epochs - 1 + max(inside)


def _state(run: Run, silent_seconds: float, seconds_per_epoch: float | None) -> str:
    if is_finished(run):
        return FINISHED
    return SILENT if silent_seconds > max(SILENT_SECONDS, 3 * (seconds_per_epoch or 0)) else RUNNING


def _pace(run: Run) -> tuple[float | None, bool]:
    """Seconds an epoch takes, and whether that includes validation and saving.

    The log holds no times of day. Where the name of the last start's folder and the modification time of its log
    agree with the logged seconds per step (they do not after a copy), they tell what whole epochs take.
    """
    recent = run.training_curve("time")[1][-_RECENT_STEPS:]
    recent = recent[np.isfinite(recent) & (recent > 0)]
    if not len(recent):
        return None, False
    stepping = float(np.median(recent)) * run.plan.steps_per_epoch
    start = run.starts[-1]
    epochs = run.position - start.position
    if start.began is None or epochs < 1:
        return stepping, False
    whole = (run.last_write - start.began.timestamp()) / epochs
    return (whole, True) if stepping <= whole <= 4 * stepping else (stepping, False)


def _values_at(run: Run, logged_names: Mapping[str, str], epoch: float | None) -> dict[str, float]:
    found = {}
    for name, logged in logged_names.items():
        epochs, values = run.evaluation_curve(logged)
        at = np.flatnonzero(epochs == epoch)
        if len(at):
            found[name] = float(values[at[0]])
    return found
