"""Which checkpoints a run writes, keeps and resumes from.

Names say how far a run was: ``epoch_12.pth`` after 12 complete epochs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

# the name of a metric, which only its home knows how to write
from equistera.evaluation.instances import CORRECT, pck_name

BEST, LATEST = "best.pth", "latest.pth"
#: Error of the points by which weights of equal scores are told apart; lower is better.
ERROR = "normalised_error"
_NAME = re.compile(r"epoch_(\d{1,9})\.pth")
#: Earlier versions wrote others within an epoch.
_EARLIER = re.compile(r"step_\d{1,9}\.pth")


def written_by_runs(name: str) -> bool:
    """Whether a run writes, or has written, checkpoints of this name."""
    return name in (BEST, LATEST) or bool(_NAME.fullmatch(name) or _EARLIER.fullmatch(name))


def ranked(metrics: Mapping[str, float], watched: str) -> tuple[float, ...]:
    """What evaluations are compared by: the metric that is watched, and finer ones where it is equal.

    AP counts whole animals in ten steps: a model that has learnt little has 0.000 for long while its points improve.
    """
    prefix = watched.split("/")[0]
    finer = metrics.get(f"{prefix}/{pck_name(CORRECT)}", -math.inf), -metrics.get(f"{prefix}/{ERROR}", math.inf)
    return (metrics[watched], *(value if math.isfinite(value) else -math.inf for value in finer))


def due_after(epoch: int, interval: int, max_epochs: int) -> bool:
    """Whether an evaluation, or a checkpoint, follows ``epoch`` complete epochs; after the last there always is one."""
    return epoch % interval == 0 or epoch == max_epochs


def times_in_run(interval: int, max_epochs: int) -> int:
    """How many evaluations, or checkpoints, a run has."""
    return -(-max_epochs // interval)


def epochs_done(name: str) -> int | None:
    """Complete epochs behind a checkpoint, by its name; None for any other name, such as ``best.pth``."""
    match = _NAME.fullmatch(name)
    return None if match is None else int(match[1])


def newest_first(names: Iterable[str]) -> list[str]:
    """The checkpoints of complete epochs, in the order in which to try to go on from them."""
    return sorted((name for name in names if epochs_done(name) is not None), key=epochs_done, reverse=True)


def outdated(names: Iterable[str], keep: int) -> list[str]:
    """The checkpoints to delete once the newest is safely written, oldest last, if so many are kept; 0 keeps all.

    Of the names in the work dir those of other kinds are never deleted.
    """
    return newest_first(names)[keep:] if keep > 0 else []


def checkpoint_bytes(elements: int, trained: int, averaged: bool = False) -> int:
    """About the size of a checkpoint that a run can be resumed from.

    Args:
        elements: Numbers in the network's state, parameters and buffers, at 4 bytes each.
        trained: Parameters that are ever open; the optimiser keeps 2 numbers for each (Adam and its kin).
        averaged: Whether averaged weights are kept beside the weights.

    Returns:
        Bytes.
    """
    return 4 * (elements * (2 if averaged else 1) + 2 * trained)


def disk_use(full: int, best: int, keep: int, saves: int) -> int:
    """The most that the checkpoints of a run take on disk.

    Args:
        full: Bytes of a checkpoint with the optimiser.
        best: Bytes of ``best.pth``.
        keep: How many full ones are kept; 0 keeps all.
        saves: How many the run writes.

    Returns:
        Bytes, counting the new file that is whole before the old one goes, and ``latest.pth``, which may be one of
        its own between two of those.
    """
    kept = min(keep, saves) if keep > 0 else saves
    return (kept + 2) * full + max(best, 2 * best - full)
