"""Where a run stands: best epoch, gap to the training subset, phase and learning rate, time left."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import numpy as np

from equistera.monitor.run import Run, best_of, gap_curve, main_metric

#: Metrics shown beside the one that a run is judged by, as they were at the best epoch.
OTHER_METRICS = ("AP50", "AP75", "AR", "PCK@0.1", "PCK@0.2", "PCK", "median_px", "EPE", "NME")

#: Without a new line for this long, or for three epochs if they take longer, a run counts as stopped.
SILENT_SECONDS = 600
_RECENT_STEPS = 20

RUNNING, SILENT, FINISHED = "running", "silent", "finished"


class Summary:
    """The state of a run; None or empty where the log does not say.

    Args:
        run: The run.
        now: Seconds since the epoch; the present by default.
    """

    def __init__(self, run: Run, now: float | None = None):
        self.run, self.position, self.max_epochs = run, run.position, run.plan.max_epochs
        #: Since the last line of the log.
        self.silent_seconds = max(0.0, (time.time() if now is None else now) - run.last_write)
        #: Validation included where ``whole_epochs``, otherwise the training steps alone.
        self.seconds_per_epoch, self.whole_epochs = _pace(run)
        silence = max(SILENT_SECONDS, 3 * (self.seconds_per_epoch or 0))
        self.state = FINISHED if is_finished(run) else SILENT if self.silent_seconds > silence else RUNNING
        phase = run.plan.phase_at(run.position)
        self.phase = phase.name if phase else None
        #: Learning rate by stage at the last step; the key ``""`` stands for the one of the whole optimiser.
        at_last = run.training[-1].values
        self.lr = {stage: at_last[f"lr/{stage}"] for stage in run.stages() if f"lr/{stage}" in at_last}
        if not self.lr and "lr" in at_last:
            self.lr = {"": at_last["lr"]}
        recent = run.training_curve("loss")[1][-_RECENT_STEPS:]
        broken = recent[~np.isfinite(recent)]
        #: Median of the last logged steps; NaN or infinite when one of them is.
        self.loss = float(broken[-1]) if len(broken) else float(np.median(recent))
        #: The metric the run is judged by, see ``run.main_metric``; ``""`` before the first evaluation.
        self.metric = main_metric(run)
        points = [(float(value), float(epoch)) for epoch, value in zip(*self.curve(), strict=True)]
        best = best_of(run, self.metric)
        #: Its highest value and where (of equals as in ``best.pth``), and its latest one.
        self.best, self.best_epoch = (None, None) if best is None else points[best]
        self.last, self.last_epoch = points[-1] if points else (None, None)
        gaps = gap_curve(run, self.metric)[1]
        #: Training subset minus validation at the latest epoch that has both.
        self.gap = float(gaps[-1]) if len(gaps) else None
        others = {name: f"val/{name}" for name in OTHER_METRICS if name != self.metric}
        logged = dict.fromkeys(name for point in run.evaluations for name in point.values)
        others |= {f"AP of {found[1]}": name for name in logged if (found := re.fullmatch("source/(.+)/AP", name))}
        #: :data:`OTHER_METRICS` and the AP of the data sets beside the run's own at the best epoch.
        self.at_best = _values_at(run, others, self.best_epoch)
        #: Which PCK is logged by keypoint, and its values there.
        self.keypoint_metric, names = run.keypoint_metric()
        by_keypoint = {name: f"val/{self.keypoint_metric}/{name}" for name in names}
        self.keypoints = _values_at(run, by_keypoint, self.best_epoch)
        #: Epochs done at every start but the first.
        self.resumed_at = tuple(start.position for start in run.starts[1:])

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Epochs and values of ``metric`` on the validation split."""
        return self.run.evaluation_curve(f"val/{self.metric}")

    @property
    def seconds_left(self) -> float | None:
        """Estimate until the last epoch is done; None when unknown, or when the run does not go on."""
        if self.state != RUNNING or self.max_epochs is None or self.seconds_per_epoch is None:
            return None
        return max(0.0, self.max_epochs - self.position) * self.seconds_per_epoch


def is_finished(run: Run) -> bool:
    """Whether the last epoch is done, its evaluation included where the run evaluates at all."""
    if run.plan.max_epochs is None:
        return False
    if run.evaluations:
        return run.evaluations[-1].position >= run.plan.max_epochs
    # MMEngine does not log the steps of an epoch beyond the last multiple of its interval: compare with the others
    inside = [point.position % 1 or 1.0 for point in run.training]
    return run.position >= run.plan.max_epochs - 1 + max(inside)


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
