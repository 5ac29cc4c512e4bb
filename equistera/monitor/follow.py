"""Shows training runs on the terminal and as a picture, once or for as long as they go on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from equistera.errors import UserError
from equistera.monitor.advice import Finding, advise
from equistera.monitor.log import NotStartedError, read_run
from equistera.monitor.plots import COMPARISON_NAME, CURVES_NAME, check_out, plot_runs
from equistera.monitor.summary import FINISHED, Summary
from equistera.monitor.table import labels, report, status_line

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
