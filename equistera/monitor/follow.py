"""Shows training runs as text (a column a run, findings below) and as a picture, once or while they go on."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from equistera.errors import UserError
from equistera.monitor.advice import Finding, advise
from equistera.monitor.log import NotStartedError, read_run
from equistera.monitor.plots import COMPARISON_NAME, CURVES_NAME, check_out, plot_runs
from equistera.monitor.summary import FINISHED, SILENT, Summary
from equistera.progress import duration
from equistera.words import aligned

_WEAKEST = 3
_WIDTH = 100
_UNKNOWN = "-"
_CLEAR_SCREEN = "\x1b[H\x1b[2J"

_Seen = Mapping[str, tuple[Summary, list[Finding]]]


def monitor(
    work_dirs: Sequence[str | Path],
    out: str | Path | None = None,
    watch: float | None = None,
    overwrite: bool = False,
    stream: TextIO | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Prints summaries and findings of one run, or of several to compare, and plots the curves.

    Args:
        work_dirs: Folders of the runs.
        out: PNG file; by default ``training_curves.png`` (of several: ``training_comparison.png``) in the first one.
        watch: Seconds between two looks at live runs, until all have finished or Ctrl-C; None for one look.
        overwrite: Replace a picture that this did not draw, or that was changed since.
        stream: Where to print; stdout by default.
        sleep: Waits between two looks.

    Raises:
        UserError: A folder without the log of a run, the same run twice, or an ``out`` that cannot be written to.
            With ``watch``, a run that has not logged its first step is waited for.
    """
    paths = [Path(work_dir) for work_dir in work_dirs]
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError(f"the same run is named twice: {', '.join(map(str, paths))}")
    stream = stream or sys.stdout
    by_label = dict(zip(labels(paths), paths, strict=True))
    out = Path(out) if out else paths[0] / (CURVES_NAME if len(paths) == 1 else COMPARISON_NAME)
    check_out(out, overwrite)
    if watch is not None:
        try:
            _follow(by_label, out, watch, stream, sleep)
        except KeyboardInterrupt:
            # the usual way to end a watch, not a failure
            print(file=stream)
        return
    seen, errors = {}, []
    for label, path in by_label.items():
        try:
            seen[label] = _look(path)
        except UserError as error:
            errors.append(error)
    if errors:
        if len(errors) == 1:
            raise errors[0]
        raise UserError("these folders cannot be compared:", map(str, errors))
    _plot(seen, out)  # before the text, so that "| head" does not cost the picture
    print(report(seen), f"\ncurves: {out}", sep="\n", file=stream)


def _look(work_dir: Path) -> tuple[Summary, list[Finding]]:
    summary = Summary(read_run(work_dir))
    return summary, advise(summary)


def _plot(seen: _Seen, out: Path) -> None:
    plot_runs({label: summary.run for label, (summary, _) in seen.items()}, out)


def _follow(
    by_label: Mapping[str, Path], out: Path, seconds: float, stream: TextIO, sleep: Callable[[float], None]
) -> None:
    """Looks again and again; the picture is drawn anew after every evaluation."""
    redraw = stream.isatty()
    printed: list[str] = []
    plotted = None
    while True:
        seen, waiting = {}, []
        for label, path in by_label.items():
            try:
                seen[label] = _look(path)
            except NotStartedError:
                waiting.append(f"{label}: waiting for the first step")
        finished = not waiting and all(summary.state == FINISHED for summary, _ in seen.values())
        evaluations = {label: len(summary.run.evaluations) for label, (summary, _) in seen.items()}
        if seen and evaluations != plotted:
            _plot(seen, out)
            plotted = evaluations
        full = [report(seen), f"\ncurves: {out}"] if seen else []
        if redraw:
            end = [] if finished else [f"\nnext look in {seconds:g} s, Ctrl-C ends"]
            print(_CLEAR_SCREEN + "\n".join([*full, *waiting, *end]), file=stream, flush=True)
        else:
            lines = [status_line(label, summary) for label, (summary, _) in seen.items()] + waiting
            new = [line for line in lines if line not in printed] + (["", *full] if finished else [])
            if new:
                print(*new, sep="\n", file=stream, flush=True)
            printed = lines
        if finished or getattr(stream, "reader_is_gone", False):
            return
        sleep(seconds)


def labels(work_dirs: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell the runs apart, such as ``rtmpose_m`` or ``a/rtmpose_m``."""
    parts = [path.resolve().parts for path in work_dirs]
    for length in range(1, max(map(len, parts)) + 1):
        tails = [Path(*part[-length:]).as_posix() for part in parts]
        if len(set(tails)) == len(tails):
            break
    return tails


def report(runs: Mapping[str, tuple[Summary, Sequence[Finding]]]) -> str:
    """The whole text for one or several runs: by label, the summary and the findings about it."""
    columns = [_groups(summary) for summary, _ in runs.values()]
    rows = [["run", *runs]]
    for groups in zip(*columns, strict=True):
        # runs may lack rows that others have; merged group by group the order holds
        names = dict.fromkeys(name for group in groups for name, cell in group.items() if cell)
        rows += [[name, *(group.get(name) or _UNKNOWN for group in groups)] for name in names]
    lines = aligned(rows)
    lines += _other_validation_sets({label: summary.run.plan.validation for label, (summary, _) in runs.items()})
    for label, (_, findings) in runs.items():
        for finding in findings:
            about = f"{finding.kind} ({label})" if len(runs) > 1 else finding.kind
            lines += ["", *_wrap(f"! {about}: {finding.message}."), *_wrap(f"  {finding.advice}.")]
    return "\n".join(lines)


def _other_validation_sets(sets: Mapping[str, str | None]) -> list[str]:
    """A line where runs were not evaluated on the same animals; runs whose set is not known are left out."""
    known = {label: found for label, found in sets.items() if found}
    if len(set(known.values())) < 2:
        return []
    each = "; ".join(f"{label} on {found}" for label, found in known.items())
    return ["", *_wrap(f"! other validation sets: scores side by side say nothing about which run is better ({each}).")]


def status_line(label: str, summary: Summary) -> str:
    """The state of a run in one line."""
    parts = [f"{label}: epoch {_epochs(summary)}", f"loss {summary.loss:.4g}"]
    parts += [f"lr {rate:.1e}" for stage, rate in summary.lr.items() if stage in ("", "head")]
    if summary.best is not None:
        parts.append(f"{summary.metric} {summary.last:.3f} (best {summary.best:.3f} at {summary.best_epoch:.0f})")
    left = summary.seconds_left
    return ", ".join([*parts, summary.state if left is None else f"{duration(left)} left"])


def _groups(summary: Summary) -> list[dict[str, str]]:
    """Cells of one run by the name of their row, in groups; a cell is empty where the log does not say."""
    left, pace = summary.seconds_left, summary.seconds_per_epoch
    included = "" if summary.whole_epochs else ", without validation"
    silence = f" for {duration(summary.silent_seconds)}" if summary.state == SILENT else ""
    progress = {
        "config": summary.run.plan.config or "",
        "state": summary.state + silence,
        "epoch": _epochs(summary),
        "resumed after epoch": ", ".join(f"{position:.0f}" for position in summary.resumed_at),
        "time left": "" if left is None else duration(left),
        "an epoch takes": _pace(pace) + included if pace else "",
        "unreadable lines in the log": str(summary.run.unreadable_lines or ""),
        "phase": summary.phase or "",
    }
    at_zero = "0 (frozen)" if any(summary.lr.values()) else "0"
    rates = {
        f"learning rate {stage}".rstrip(): f"{rate:.2e}" if rate else at_zero for stage, rate in summary.lr.items()
    }
    scores = {"loss": f"{summary.loss:.4g}", "best": "not evaluated yet"}
    if summary.best is not None:
        scores["best"] = f"{summary.metric} {summary.best:.3f} at epoch {summary.best_epoch:.0f}"
        scores["latest"] = f"{summary.metric} {summary.last:.3f} at epoch {summary.last_epoch:.0f}"
    if summary.gap is not None:
        scores["training subset - validation"] = f"{summary.metric} {summary.gap:+.3f}"
    at_best = {f"{name} at best": f"{value:.3f}" for name, value in summary.at_best.items()}
    imperfect = [(name, value) for name, value in summary.keypoints.items() if value < 1]
    weakest = sorted(imperfect, key=lambda item: item[1])[:_WEAKEST]
    keypoints = {
        f"weakest keypoint {i}": f"{name} ({summary.keypoint_metric} {value:.2f})"
        for i, (name, value) in enumerate(weakest, 1)
    }
    return [progress, rates, scores, at_best, keypoints]


def _pace(seconds: float) -> str:
    whole = duration(seconds) if seconds >= 10 else f"{seconds:.2g} s"
    return f"{whole} ({1 / seconds:.2g} epochs/s)"


def _epochs(summary: Summary) -> str:
    position = f"{np.floor(summary.position * 10) / 10:g}"  # 299.97 is not 300 yet
    return f"{position} of {summary.max_epochs}" if summary.max_epochs else position


def _wrap(text: str) -> list[str]:
    # long words are commands: cut, they could not be copied
    return textwrap.wrap(text, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
