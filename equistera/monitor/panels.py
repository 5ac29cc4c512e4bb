"""What to plot of training runs, as data: panels of lines. Drawing them is the job of ``plots``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from equistera.monitor.curves import best_of, gap_curve, main_metric, smooth
from equistera.monitor.run import Run

#: Metrics of the validation panel of one run, where they are logged.
_SHOWN_METRICS = ("AP", "AP50", "AP75", "PCK@0.1", "PCK", "AUC")

Runs = Mapping[str, Run]


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        label: Its entry in the legend; ``""`` for none.
        x, y: float64 [N]; NaN in ``y`` is a gap in the line.
        style: Which colour and dash pattern; the same number is the same run or quantity in all lines of a panel.
        faint: For raw values behind a smoothed line.
        best: Position to mark, if any.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    style: int
    faint: bool = False
    best: float | None = None


@dataclass(frozen=True)
class Panel:
    """One plot over the epochs of training.

    Attributes:
        title, y_label: Text.
        lines: At least one of them has a finite value.
        log_scale: Whether y is logarithmic, if its values span enough for it.
        coinciding: Whether lines are expected to lie on one another.
        marks: Text by position, for vertical lines.
    """

    title: str
    y_label: str
    lines: tuple[Line, ...]
    log_scale: bool = False
    coinciding: bool = False
    marks: Mapping[float, str] = field(default_factory=dict)


def panels(runs: Runs) -> list[Panel]:
    """The panels of one run in detail, or of several overlaid; those without a finite value are left out.

    Args:
        runs: By label; at least one.
    """
    if len(runs) == 1:
        (run,) = runs.values()
        candidates = [_loss(runs), _learning_rates(run), _metrics(run), _both_splits(run)]
    else:
        candidates = [_loss(runs), _overlaid_rates(runs), *_overlaid_metrics(runs), _gaps(runs)]
    marks = _phase_marks(runs)
    return [
        dataclasses.replace(panel, marks={**marks, **panel.marks})
        for panel in candidates
        if any(np.isfinite(line.y).any() for line in panel.lines)
    ]


def _loss(runs: Runs) -> Panel:
    lines: list[Line] = []
    marks: dict[float, str] = {}
    for style, (label, run) in enumerate(runs.items()):
        x, y = run.training_curve("loss")
        broken = ~np.isfinite(y)
        y = np.where(broken, np.nan, y)
        width = max(3, len(y) // 50)
        level = np.where(broken, np.nan, smooth(y, width))
        name = f"median of {width} logged values" if len(runs) == 1 else label
        lines += [Line("", x, y, style, faint=True), Line(name, x, level, style)]
        if broken.any():
            marks[float(x[broken][0])] = "loss not finite" if len(runs) == 1 else f"{label}: loss not finite"
    positive = all((line.y[np.isfinite(line.y)] > 0).all() for line in lines)
    return Panel("Training loss", "loss", tuple(lines), log_scale=positive, marks=marks)


def _learning_rates(run: Run) -> Panel:
    """One line for all stages whose rates are the same throughout."""
    names = {stage: f"lr/{stage}" for stage in run.stages()} or {"all parameters": "lr"}
    together: dict[bytes, list[str]] = {}
    for stage, name in names.items():
        together.setdefault(np.stack(run.training_curve(name)).tobytes(), []).append(stage)
    lines = []
    for style, stages in enumerate(together.values()):
        x, y = run.training_curve(names[stages[0]])
        trained = np.flatnonzero(y > 0)
        label = ", ".join(stages)
        if len(y) and not len(trained):
            label += " (frozen)"
        elif len(trained) and trained[0] > 0:
            label += f" (frozen until {x[trained[0]]:.0f})"
        lines.append(Line(label, x, np.where(y > 0, y, np.nan), style))
    title = "Learning rate by stage" if run.stages() else "Learning rate"
    return Panel(title, "learning rate", tuple(lines), log_scale=True, coinciding=True)


def _metrics(run: Run) -> Panel:
    main = main_metric(run)
    shown = dict.fromkeys((*_SHOWN_METRICS, main))
    lines = [_metric_line(run, metric, metric, style, metric == main) for style, metric in enumerate(shown)]
    return Panel("Validation", "score", _nonempty(lines))


def _metric_line(run: Run, metric: str, label: str, style: int, mark_best: bool) -> Line:
    x, y = run.evaluation_curve(f"val/{metric}")
    if not len(x) or not mark_best:
        return Line(label, x, y, style)
    best = best_of(run, metric)
    return Line(f"{label} (best {y[best]:.3f} at {x[best]:.0f})", x, y, style, best=float(x[best]))


def _both_splits(run: Run) -> Panel:
    metric = main_metric(run)
    gap = gap_curve(run, metric)
    lines = (
        Line("training subset", *run.evaluation_curve(f"train_subset/{metric}"), style=1),
        Line("validation", *run.evaluation_curve(f"val/{metric}"), style=0),
        Line("difference", *gap, style=2),
    )
    # without the training subset it would only repeat the panel of the metrics
    return Panel(f"Training subset and validation: {metric}", metric, lines if len(gap[0]) else ())


def _overlaid_rates(runs: Runs) -> Panel:
    lines = []
    for style, (label, run) in enumerate(runs.items()):
        x, y = run.training_curve("lr")
        lines.append(Line(label, x, np.where(y > 0, y, np.nan), style))
    title = "Learning rate (of the head, where stages differ)"
    return Panel(title, "learning rate", _nonempty(lines), log_scale=True, coinciding=True)


def _overlaid_metrics(runs: Runs) -> list[Panel]:
    return [
        Panel(
            f"Validation: {metric}",
            metric,
            _nonempty([_metric_line(run, metric, label, i, True) for i, (label, run) in enumerate(runs.items())]),
        )
        for metric in ("AP", "PCK@0.1", "PCK", "AUC")
    ]


def _gaps(runs: Runs) -> Panel:
    lines = [Line(label, *gap_curve(run, main_metric(run)), style) for style, (label, run) in enumerate(runs.items())]
    return Panel("Training subset minus validation", "difference", _nonempty(lines))


def _nonempty(lines: list[Line]) -> tuple[Line, ...]:
    return tuple(line for line in lines if len(line.x))


def _phase_marks(runs: Runs) -> dict[float, str]:
    """Beginnings of the phases, where all runs have the same ones."""
    phases, *others = {run.plan.phases for run in runs.values()}
    reached = max(run.position for run in runs.values())
    return {} if others else {phase.start: phase.name for phase in phases if 0 < phase.start <= reached}
