"""Reads the logs of a training run as one curve, however often the run was killed and resumed.

MMEngine writes ``<work_dir>/<timestamp>/vis_data/scalars.json``, one JSON object a line, and a new time-stamped
folder at every start: lines of training with ``epoch`` and ``iter`` (both from 1), lines of validation with ``step``
(epochs done). Both the names our runs log (``val/AP``) and MMPose's own (``coco/AP``, ``AP .5``, ``PCK``) are read.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from equistera.errors import UserError
from equistera.monitor.plan import RUN_FILE, Plan, read_plan
from equistera.monitor.run import Point, Run, Start
from equistera.training.checkpoints import BEST
from equistera.words import near

TIMESTAMP_FORMAT = "%Y%m%d_%H%M%S"
_TIMESTAMP = re.compile(r"20\d{6}_\d{6}")
_SCALARS = Path("vis_data", "scalars.json")
_CONFIG_DUMP = "config.py"

#: A log of 500 epochs with 5,000 pictures has about 10 MB; what is far beyond is no such log.
MAX_LOG_BYTES = 500_000_000

#: Names under which metrics are known here, by the name that MMPose's CocoMetric gives them.
_METRIC_ALIASES = {"AP .5": "AP50", "AP .75": "AP75"}
_METRICS = {"AP", "AP50", "AP75", "AR", "PCK", "AUC", "EPE", "NME", "median_px"}


class RunLogError(UserError):
    """A folder without a readable log of a training run."""


class NotStartedError(RunLogError):
    """A run that has not logged its first step yet."""


def read_run(work_dir: str | Path) -> Run:
    """Reads a run from its work folder (or from one of its time-stamped folders).

    Args:
        work_dir: What ``--work-dir`` of the training was.

    Returns:
        The run. Where a resumed start repeats epochs, its records replace those of the starts before it.

    Raises:
        NotStartedError: The run has been started but has not logged a step.
        RunLogError: Missing, empty, broken or foreign folder.
        UserError: ``run.json`` is broken.
    """
    work_dir = Path(work_dir)
    files = _scalar_files(work_dir)
    steps: dict[tuple[int, int], dict[str, float]] = {}
    evaluations: dict[int, dict[str, float]] = {}
    starts: list[Start] = []
    missing: list[str] = []
    lines = unreadable = 0
    for file in files:
        entries, broken, total = _read_entries(file)
        lines, unreadable = lines + total, unreadable + broken
        missing += _merge(file, entries, steps, evaluations, starts)
    if not steps:
        if not lines:
            raise NotStartedError(f"{work_dir}: the run has not logged a training step yet")
        raise RunLogError(
            f"{work_dir}: no training step among the {lines} lines of the log ({unreadable} are not JSON); "
            "expected lines with 'epoch', 'iter' and 'loss', as MMEngine's epoch-based training writes them",
        )
    plan = read_plan(work_dir, files[-1].parent / _CONFIG_DUMP)
    # the smallest count for which every iteration lies in its epoch: with n steps, epoch e ends at iteration e * n
    per_epoch = plan.steps_per_epoch or max(-(-iteration // epoch) for epoch, iteration in steps)
    return Run(
        work_dir=work_dir,
        plan=dataclasses.replace(
            plan, steps_per_epoch=per_epoch, watched=canonical_name(plan.watched) if plan.watched else None
        ),
        training=tuple(Point(_position(*step, per_epoch), values) for step, values in sorted(steps.items())),
        evaluations=tuple(Point(float(epoch), values) for epoch, values in sorted(evaluations.items())),
        starts=tuple(starts),
        unreadable_lines=unreadable,
        last_write=max(file.stat().st_mtime for file in files),
        missing=(*missing, *_not_there(work_dir, plan, evaluations)),
    )


def _not_there(work_dir: Path, plan: Plan, evaluations: Mapping) -> Iterator[str]:
    """What a run of ours must have left beside its ``run.json`` and has not."""
    if plan.started is None:
        return
    folder = re.sub(r"[-:]", "", plan.started).replace(" ", "_")
    if _TIMESTAMP.fullmatch(folder) and not (work_dir / folder).is_dir():
        yield f"{RUN_FILE} is of a start at {plan.started}, whose log {folder} is not here"
    if evaluations and not (work_dir / BEST).is_file():
        yield f"there is no {BEST}, though the run was evaluated"


def _scalar_files(work_dir: Path) -> list[Path]:
    """The log of every start, oldest first."""
    if not work_dir.exists():
        raise RunLogError(f"no such folder: {work_dir}{near(work_dir)}")
    if not work_dir.is_dir():
        raise RunLogError(f"{work_dir} is a file; expected the --work-dir of a training run")
    if (work_dir / _SCALARS).is_file():
        return [work_dir / _SCALARS]
    try:
        children = sorted(path for path in work_dir.iterdir() if path.is_dir())
        starts = [path for path in children if _TIMESTAMP.fullmatch(path.name)]
        files = [path / _SCALARS for path in starts if (path / _SCALARS).is_file()]
        if files:
            return files
        runs = [
            path.name
            for path in children
            if any(_TIMESTAMP.fullmatch(start.name) and (start / _SCALARS).is_file() for start in path.iterdir())
        ]
        empty = not any(work_dir.iterdir())
    except OSError as error:
        raise RunLogError(f"cannot read {work_dir}: {error.strerror}") from error
    if starts or (work_dir / RUN_FILE).is_file():
        raise NotStartedError(f"{work_dir}: the run has not logged a training step yet")
    if runs:
        raise RunLogError(f"{work_dir} holds several runs; name one of them: {', '.join(runs)}")
    raise RunLogError(
        f"{work_dir} is empty" if empty else f"no run log in {work_dir}",
        hint=f"Expected {work_dir}/<timestamp>/{_SCALARS.as_posix()}, which tools/train.py --work-dir writes.",
    )


def _read_entries(file: Path) -> tuple[list[dict[str, float]], int, int]:
    """Numbers of every line; the count of unreadable lines and of all lines that are not blank."""
    try:
        if file.stat().st_size > MAX_LOG_BYTES:
            raise RunLogError(f"{file} has {file.stat().st_size / 1e6:.0f} MB: too large for a training log")
        *complete, last = file.read_bytes().split(b"\n")
    except OSError as error:
        raise RunLogError(f"cannot read {file}: {error.strerror}") from error
    complete = [line for line in complete if line.strip()]
    parsed = [_parse(line) for line in complete]
    entries = [entry for entry in parsed if entry is not None]
    # the last line has no newline yet while it is being written, or for ever after a kill
    unfinished = _parse(last) if last.strip() else None
    return entries + ([unfinished] if unfinished else []), parsed.count(None), len(complete)


def _parse(line: bytes) -> dict[str, float] | None:
    try:
        content = json.loads(line.decode("utf-8", errors="replace").lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    # 1e308 bounds what float() takes from an int; larger ones are nothing that a training logs
    return {
        name: float(value)
        for name, value in content.items()
        if isinstance(value, float) or (type(value) is int and abs(value) < 1e308)
    }


def _merge(
    file: Path,
    entries: list[dict[str, float]],
    steps: dict[tuple[int, int], dict[str, float]],
    evaluations: dict[int, dict[str, float]],
    starts: list[Start],
) -> list[str]:
    """Adds one log to the others; returns a line for each stretch that no log holds, for every epoch logs a step.

    MMEngine resumes at the beginning of an epoch: once a start logs its first step of epoch e, all that earlier
    starts logged of e and later is void.
    """
    placed = [(_step_of(entry), entry) for entry in entries]
    if not any(step for step, _ in placed):
        return []  # a bare evaluation, or a start that crashed at once: says nothing about the training
    previous, missing = None, []
    for step, entry in placed:
        if step:
            epoch, iteration = step
            if previous is None or iteration < previous:
                last = max((key[0] for key in steps), default=0)
                if epoch - 1 > last:
                    span = f"epoch {epoch - 1} is" if epoch - 2 == last else f"epochs {last + 1} to {epoch - 1} are"
                    missing.append(f"{span} in no log here")
                for void in [key for key in steps if key[0] >= epoch]:
                    del steps[void]
                for late in [key for key in evaluations if key >= epoch]:
                    del evaluations[late]
                starts.append(Start(epoch - 1, _began(file)))
            previous = iteration
            steps.setdefault(step, {}).update((name.removeprefix("train/"), v) for name, v in entry.items())
        elif "step" in entry and _is_count(entry["step"], 0):
            metrics = evaluations.setdefault(int(entry["step"]), {})
            metrics.update((canonical_name(name), value) for name, value in entry.items() if name != "step")
    return missing


def _step_of(entry: Mapping[str, float]) -> tuple[int, int] | None:
    """Epoch and iteration of a line of training, both from 1."""
    if "loss" not in entry and "train/loss" not in entry:
        return None
    epoch, iteration = entry.get("epoch", 0.0), entry.get("iter", 0.0)
    return (int(epoch), int(iteration)) if _is_count(epoch, 1) and _is_count(iteration, 1) else None


def _is_count(value: float, least: int) -> bool:
    return value.is_integer() and least <= value < 1e9


def canonical_name(name: str) -> str:
    """The name this package uses for a logged metric.

    Example:
        >>> [canonical_name(name) for name in ("coco/AP .5", "PCK", "val/AP", "source/ap10k/AP")]
        ['val/AP50', 'val/PCK', 'val/AP', 'source/ap10k/AP']
    """
    if name.startswith(("train_subset/", "source/")):
        return name
    name = name.removeprefix("val/")
    metric = name.rsplit("/", 1)[-1]
    metric = _METRIC_ALIASES.get(metric, metric)
    known = metric in _METRICS or re.fullmatch(r"PCK@[\d.]+", metric)
    return f"val/{metric if known else name}"


def _began(file: Path) -> datetime | None:
    try:
        return datetime.strptime(file.parent.parent.name, TIMESTAMP_FORMAT)
    except ValueError:
        return None


def _position(epoch: int, iteration: int, steps_per_epoch: int) -> float:
    # clipped: after a resumption with another batch size the iterations no longer fit, the epoch still does
    inside = (iteration - (epoch - 1) * steps_per_epoch) / steps_per_epoch
    return epoch - 1 + min(max(inside, 0.0), 1.0)
