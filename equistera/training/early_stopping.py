"""When to give a run up that no longer improves."""

from __future__ import annotations

from collections.abc import Iterable

from equistera.training.schedule import Schedule


def stale_epochs(scores: Iterable[tuple[int, float]], schedule: Schedule, min_delta: float = 0.0) -> int:
    """Epochs since the last improvement, or since the run last changed what it trains.

    A phase that begins or a stage that opens may lift a score that stood still, so patience counts anew from there.

    Args:
        scores: ``(epoch, score)`` of every evaluation so far; ``epoch`` counts complete epochs, higher is better. A
            score that is not a number is no improvement.
        schedule: The run's.
        min_delta: What a score must gain to count as an improvement.

    Returns:
        Epochs from the later of the two to the last evaluation; 0 if there was none.
    """
    best, improved, last = float("-inf"), 0, 0
    for epoch, score in scores:
        last = epoch
        # with NaN the comparison is false
        if score > best + min_delta:
            best, improved = score, epoch
    # the evaluation after epoch N (from 1) scores what epoch index N - 1 trained
    return last - max(improved, schedule.last_change(max(0, last - 1)))


def should_stop(
    scores: Iterable[tuple[int, float]], schedule: Schedule, patience: int | None, min_delta: float = 0.0
) -> bool:
    """Whether to stop after the last evaluation.

    Args:
        scores: As :func:`stale_epochs` takes them.
        schedule: The run's.
        patience: Epochs without an improvement after which to stop; None never stops.
        min_delta: What a score must gain to count as an improvement.
    """
    return patience is not None and stale_epochs(scores, schedule, min_delta) >= patience
