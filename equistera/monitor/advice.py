"""What is wrong with a run, in words, and what the training guide advises.

The thresholds are ours: they are wide enough for the scatter of a validation split of about 80 pictures, whose AP
moves by a few hundredths from one evaluation to the next without any reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# a run is judged by what its weights are judged by
from equistera.evaluation import constant_guess
from equistera.evaluation.instances import PCK
from equistera.monitor.run import Run, gap_curve, smooth
from equistera.monitor.summary import FINISHED, RUNNING, SILENT, Summary
from equistera.progress import duration

#: Evaluations that are averaged before two moments of a run are compared.
SMOOTHED = 3
#: A change of AP or PCK that counts.
CHANGE = 0.02
#: Training subset minus validation that counts as overfitting when validation no longer improves.
WIDE_GAP = 0.10
#: Part of the run without improvement that counts as a plateau, and the fewest evaluations in it.
PLATEAU_PART, PLATEAU_EVALUATIONS = 0.2, 5
#: Final learning rate, as a part of the highest one, below which a plateau is what the schedule wants.
ANNEALED = 0.1
#: A loss of this many times its lowest level has left the path; levels are medians over so many logged steps or more.
DIVERGED, DIVERGENCE_STEPS = 2.0, 10
#: AP or PCK below which nothing has been learned, once this part of the run is over.
NOTHING_LEARNED, LEARNING_PART = 0.05, 0.1
#: Part of each step that may go into waiting for pictures.
DATA_PART = 0.4

#: Of what the folder of a run lacks.
_GONE = "What is shown is of the rest. Copy it back if it is elsewhere; --resume goes on and writes its best.pth again"


@dataclass(frozen=True)
class Finding:
    """Something to know about a run.

    Attributes:
        kind: ``missing``, ``diverged``, ``overfitting``, ``plateau``, ``constant guess``, ``not learning``,
            ``nothing evaluated``, ``weak keypoints``, ``slow data``, ``still improving`` or ``stopped``.
        message: What was seen.
        advice: What to do about it.
    """

    kind: str
    message: str
    advice: str


def advise(summary: Summary) -> list[Finding]:
    """Judges a run.

    Returns:
        Findings, the gravest first; none when all is well. After a divergence no other finding is worth reading.
    """
    missing = [Finding("missing", what, _GONE) for what in summary.run.missing]
    if diverged := _divergence(summary):
        return [*missing, diverged]
    found = (
        _stopped(summary),
        _nothing_evaluated(summary),
        _not_better_than_a_guess(summary) or _not_learning(summary),
        _overfitting(summary) or _plateau(summary),
        _still_improving(summary),
        _weak_keypoints(summary),
        _slow_data(summary),
    )
    return [*missing, *filter(None, found)]


def _calmer(summary: Summary) -> str:
    base_lr = summary.run.plan.base_lr
    value = f"{base_lr / 10:g}" if base_lr else "..."
    return (
        f"a tenth of the learning rate (--cfg-options optim_wrapper.optimizer.lr={value}); "
        "weaker augmentation and a longer warm-up help too. Check the labels: tools/verify_dataset.py"
    )


def _divergence(summary: Summary) -> Finding | None:
    positions, losses = summary.run.training_curve("loss")
    stop = "Stop it and start again" if summary.state == RUNNING else "Start again"
    advice = f"{stop} with {_calmer(summary)}"
    finite = np.isfinite(losses)
    if not finite[-1]:
        since = positions[np.flatnonzero(finite)[-1] + 1] if finite.any() else positions[0]
        message = f"the loss is {losses[-1]} since epoch {since:.1f}"
        return Finding("diverged", message, f"{advice}. If it runs with --amp, try without")
    level = smooth(losses, max(DIVERGENCE_STEPS, len(losses) // 50))[DIVERGENCE_STEPS:]
    if not len(level):
        return None
    lowest = int(np.nanargmin(level))
    if not 0 < DIVERGED * level[lowest] < level[-1]:
        return None
    epoch = positions[DIVERGENCE_STEPS + lowest]
    message = f"the loss rose from {level[lowest]:.4g} at epoch {epoch:.1f} to {level[-1]:.4g}"
    return Finding("diverged", message, advice)


def _stopped(summary: Summary) -> Finding | None:
    if summary.state != SILENT:
        return None
    return Finding(
        "stopped",
        f"nothing was logged for {duration(summary.silent_seconds)}, at epoch {summary.position:.1f}"
        + (f" of {summary.max_epochs}" if summary.max_epochs else ""),
        "If it was killed, go on from the last checkpoint: the same command with --resume",
    )


def _nothing_evaluated(summary: Summary) -> Finding | None:
    # not evaluation_curve(), which leaves -1 out: COCO's "no object to evaluate", which is never right
    values = [value for point in summary.run.evaluations if np.isfinite(value := point.values.get("val/AP", np.nan))]
    if not values or max(values) >= 0:
        return None
    return Finding(
        "nothing evaluated",
        f"AP is {values[-1]:g} in every one of {len(values)} evaluations",
        "That is what mistakes in the annotations give (area 0, mixed-up ids, keypoints in another order): "
        "tools/verify_dataset.py",
    )


def _is_early(summary: Summary) -> bool:
    return not summary.max_epochs or summary.position < LEARNING_PART * summary.max_epochs


def _not_better_than_a_guess(summary: Summary) -> Finding | None:
    """What ``tools/test.py`` would say of ``best.pth``."""
    point = next((point for point in summary.run.evaluations if point.position == summary.best_epoch), None)
    if point is None or _is_early(summary):
        return None
    names = ("AP", PCK, "median_px")
    model = {name: point.values.get(f"val/{name}") for name in names}
    guess = {name: point.values.get(f"val/constant_guess_{name}") for name in names}
    if None in guess.values() or constant_guess.outcome(model, guess) != "not better":
        return None
    return Finding(
        "constant guess",
        f"the best weights, of epoch {summary.best_epoch:.0f}, are not better than {constant_guess.GUESS}: "
        f"{constant_guess.figures(model, guess)}",
        f"{constant_guess.ADVICE}: {_calmer(summary)}",
    )


def _not_learning(summary: Summary) -> Finding | None:
    if summary.best is None or summary.best >= NOTHING_LEARNED:
        return None
    count, early = len(summary.curve()[0]), _is_early(summary)
    if summary.best == 0 and count >= SMOOTHED:
        message = f"{summary.metric} is 0 in all of {count} evaluations: nothing has been learnt yet"
    elif early:
        return None
    else:
        done = f"after {summary.position:.0f} of {summary.max_epochs} epochs"
        message = f"{done} the best {summary.metric} is {summary.best:.3f}"
    when = "Usual at the beginning of a run. If it stays so" if early else "Not converging"
    return Finding("not learning", message, f"{when}: {_calmer(summary)}")


def _overfitting(summary: Summary) -> Finding | None:
    """Validation falls while the training subset (or, where that is not logged, the loss) goes on improving."""
    metric, (epochs, values) = summary.metric, summary.curve()
    if len(values) < 2 * SMOOTHED:
        return None
    # the best of many evaluations is partly luck: the more there are, the longer the stretches that are compared
    width = max(SMOOTHED, len(values) // 10)
    level = smooth(values, width)
    # smooth() looks back: its first values are of few evaluations
    best = width - 1 + int(np.argmax(level[width - 1 :]))
    fallen = level[best] - level[-1]
    advice = "Stronger augmentation, dropout, more weight decay or more data; keep the checkpoint of the best epoch"
    gap_epochs, gaps = gap_curve(summary.run, metric)
    if len(gaps) < SMOOTHED:
        # the training subset is not evaluated: only the loss tells that the training goes on
        since = f"since epoch {epochs[best]:.0f}"
        message = f"validation {metric} fell by {fallen:.3f} {since} while the loss went on falling"
        told = fallen > CHANGE and _loss_fell_since(summary.run, epochs[best])
        return Finding("overfitting", message, advice) if told else None
    gap_level = smooth(gaps, width)
    gap, gap_then = gap_level[-1], gap_level[gap_epochs <= epochs[best]][-1:]
    stalled = epochs[-1] - epochs[best] >= PLATEAU_PART * epochs[-1]
    if gap <= WIDE_GAP or not len(gap_then) or gap - gap_then[0] <= CHANGE or not (stalled or fallen > CHANGE):
        return None
    no_better = f"fell by {fallen:.3f}" if fallen > CHANGE else "has not improved"
    message = (
        f"{metric} on the training subset is {gap:.3f} above validation, {gap - gap_then[0]:.3f} more than at "
        f"epoch {epochs[best]:.0f}; validation {no_better} since"
    )
    return Finding("overfitting", message, advice)


def _loss_fell_since(run: Run, epoch: float) -> bool:
    positions, losses = run.training_curve("loss")
    finite = np.isfinite(losses)
    before, after = losses[finite & (positions <= epoch)], losses[finite & (positions > epoch)]
    if not len(before) or not len(after):
        return False
    # medians over equal stretches, long enough for the scatter of single batches
    stretch = max(SMOOTHED, len(losses) // 20)
    return bool(np.median(after[-stretch:]) < np.median(before[-stretch:]))


def _plateau(summary: Summary) -> Finding | None:
    epochs, values = summary.curve()
    if not len(epochs) or not summary.max_epochs or summary.state == FINISHED or _is_annealed(summary.run):
        return None
    recent = epochs > epochs[-1] - PLATEAU_PART * summary.max_epochs
    if recent.sum() < PLATEAU_EVALUATIONS or recent.all() or values.max() < NOTHING_LEARNED:
        return None
    level = smooth(values, SMOOTHED)
    if level[recent].max() - level[~recent].max() > CHANGE / 4:
        return None
    upcoming = next((phase for phase in summary.run.plan.phases if phase.start > summary.position), None)
    wait = f". Phase {upcoming.name!r} begins at epoch {upcoming.start:g} and may change that" if upcoming else ""
    return Finding(
        "plateau",
        f"validation {summary.metric} has not improved since epoch {epochs[~recent][-1]:.0f} (best {values.max():.3f})",
        f"A lower learning rate or more data; training longer alone will not help{wait}",
    )


def _is_annealed(run: Run) -> bool:
    rates = run.training_curve("lr")[1]
    return bool(len(rates) and rates[-1] < ANNEALED * rates.max())


def _still_improving(summary: Summary) -> Finding | None:
    epochs, values = summary.curve()
    if summary.state != FINISHED or len(values) < 2 * PLATEAU_EVALUATIONS:
        return None
    level = smooth(values, SMOOTHED)
    earlier = level[epochs <= epochs[-1] * (1 - PLATEAU_PART)]
    if not len(earlier) or level[-1] - earlier.max() < CHANGE:
        return None
    return Finding(
        "still improving",
        f"validation {summary.metric} rose by {level[-1] - earlier.max():.3f} in the last fifth of the run",
        "Train longer: --cfg-options train_cfg.max_epochs=...",
    )


def _weak_keypoints(summary: Summary) -> Finding | None:
    if summary.best is None or summary.best < NOTHING_LEARNED or len(summary.keypoints) < 2 * SMOOTHED:
        return None
    middle = float(np.median(list(summary.keypoints.values())))
    weak = sorted((value, name) for name, value in summary.keypoints.items() if value < 0.6 * middle)
    if not weak:
        return None
    listed = ", ".join(f"{name} {value:.2f}" for value, name in weak[:6])
    more = f" and {len(weak) - 6} more" if len(weak) > 6 else ""
    return Finding(
        "weak keypoints",
        f"{summary.keypoint_metric} far below the middle keypoint's {middle:.2f}: {listed}{more}",
        "Look at their labels and at what the model draws there: tools/test.py ... --report",
    )


def _slow_data(summary: Summary) -> Finding | None:
    steps, waits = (summary.run.training_curve(name)[1] for name in ("time", "data_time"))
    if summary.state != RUNNING or not len(steps) or not len(waits):
        return None
    step, waiting = float(np.median(steps[-20:])), float(np.median(waits[-20:]))
    if not step > 0 or waiting <= DATA_PART * step:
        return None
    return Finding(
        "slow data",
        f"{waiting / step:.0%} of each step is spent waiting for pictures",
        "More workers (--cfg-options train_dataloader.num_workers=...), or smaller picture files",
    )
