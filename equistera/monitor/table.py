"""Summaries as text: one column a run, findings below."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from equistera.monitor.advice import Finding
from equistera.monitor.summary import SILENT, Summary
from equistera.progress import duration
from equistera.words import aligned

_WEAKEST = 3
_WIDTH = 100
_UNKNOWN = "-"


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
