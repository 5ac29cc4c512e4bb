"""Pictures of training runs as PNG files: curves over the epochs, accuracy by keypoint below them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equistera.drawing import PALETTE, plain
from equistera.errors import UserError
from equistera.files import atomic_write
from equistera.monitor.log import RunLogError, read_run
from equistera.monitor.run import Run, best_of, gap_curve, main_metric, smooth
from equistera.outputs import check_targets, record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES_NAME = "training_curves.png"
COMPARISON_NAME = "training_comparison.png"

#: Who writes, for the records of folders.
_TOOL = "monitor_training"

_DASHES = ("-", "--", "-.", ":")
_MARKERS = "osD^vPX*"

_PANEL_SIZE = (6.5, 3.6)  # inches
_KEYPOINT_ROW = 0.21  # inches
_NAMED_RUNS = 4
_DPI = 110
_LOG_RANGE = 1e-4
#: Fewer points than this are marked: a line of one or two would hardly be seen.
_MARKED_POINTS = 30
#: Metrics of the validation panel of one run, where they are logged.
_SHOWN_METRICS = ("AP", "AP50", "AP75", "PCK@0.1", "PCK", "AUC")

Runs = Mapping[str, Run]


@dataclass(frozen=True)
class Line:
    """A curve: float64 [N] each; NaN in ``y`` is a gap. The same ``style`` is the same run or quantity in a panel."""

    label: str
    x: np.ndarray
    y: np.ndarray
    style: int
    #: For raw values behind a smoothed line.
    faint: bool = False
    #: Position to mark, if any.
    best: float | None = None


@dataclass(frozen=True)
class Panel:
    """One plot over the epochs of training."""

    title: str
    y_label: str
    lines: list[Line]
    #: Whether y is logarithmic, if its values span enough for it.
    log_scale: bool = False
    #: Whether lines are expected to lie on one another.
    coinciding: bool = False
    #: Text by position, for vertical lines.
    marks: Mapping[float, str] = field(default_factory=dict)


def plot_run(work_dir: str | Path, out: str | Path | None = None) -> Path:
    """Plots the training in a work folder into a PNG file, ``<work_dir>/training_curves.png`` by default.

    Raises:
        RunLogError: No log of a run that has taken a step, or nothing in it to plot.
        WriteError: ``out`` cannot be written.
    """
    work_dir = Path(work_dir)
    return plot_runs({work_dir.resolve().name: read_run(work_dir)}, out or work_dir / CURVES_NAME)


def plot_runs(runs: Runs, out: str | Path) -> Path:
    """Plots one run in detail, or several overlaid, by label; a file that is there is replaced, see :func:`check_out`.

    Raises:
        RunLogError: There is nothing to plot in the logs.
        WriteError: ``out`` cannot be written.
    """
    out = Path(out)
    figure = _draw(runs)
    with atomic_write(out, "wb") as file:
        figure.savefig(file, format="png", dpi=_DPI)
    record(_TOOL, out)
    return out


def check_out(out: Path, overwrite: bool = False) -> None:
    """Refuses a place for a picture early, before there is work to lose.

    Raises:
        UserError: Not named ``.png``, or a file that :func:`plot_runs` did not write or somebody has changed.
    """
    if out.suffix.lower() != ".png":
        raise UserError(f"the picture must be named *.png, found {out.name!r}")
    check_targets("--out", [out], overwrite=overwrite, tool=_TOOL)


def _draw(runs: Runs) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = panels(runs)
    if not shown:
        raise RunLogError(
            f"nothing to plot of {', '.join(runs)}: no finite loss and no learning rate or metric in the log"
        )
    metric, keypoints = _keypoints_of(runs)
    heights = [_PANEL_SIZE[1]] * -(-len(shown) // 2) + ([1.2 + _KEYPOINT_ROW * len(keypoints)] if keypoints else [])
    figure = Figure(figsize=(2 * _PANEL_SIZE[0], sum(heights) + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    names = ", ".join(map(plain, runs)) if len(runs) <= _NAMED_RUNS else f"{len(runs)} runs"
    figure.suptitle(f"Training of {names}")
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    for i, panel in enumerate(shown):
        alone = i % 2 == 0 and i == len(shown) - 1
        axes = figure.add_subplot(grid[i // 2, :] if alone else grid[i // 2, i % 2])
        _draw_panel(axes, panel)
        axes.set_xlim(0, max(run.position for run in runs.values()))
    if keypoints:
        axes = figure.add_subplot(grid[-1, :])
        if len(runs) == 1:
            (run,) = runs.values()
            _draw_keypoint_map(axes, run, metric, keypoints)
        else:
            _draw_keypoint_dots(axes, runs, metric, keypoints)
        axes.invert_yaxis()
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    for position, line in enumerate(panel.lines):
        color, dash = PALETTE[line.style % len(PALETTE)], _DASHES[line.style // len(PALETTE) % len(_DASHES)]
        # of lines that coincide the later ones are thinner, so that all can be seen
        width = 1.5 + (len(panel.lines) - 1 - position if panel.coinciding else 0)
        marker = "o" if len(line.x) < _MARKED_POINTS and not line.faint else ""
        appearance: dict[str, Any] = {"alpha": 0.3, "linewidth": 0.8} if line.faint else {"linewidth": width}
        # elsewhere the first line, the one that matters most, is on top
        appearance |= {"zorder": 2 + (position if panel.coinciding else -position) / 100}
        label = plain(line.label) or None
        axes.plot(line.x, line.y, dash, color=color, marker=marker, markersize=3, label=label, **appearance)
        if line.best is not None:
            at = line.x == line.best
            axes.plot(line.x[at], line.y[at], "*", color=color, markersize=12, markeredgecolor="white")
    if panel.log_scale:
        _scale_log(axes)
    axes.set(title=panel.title, xlabel="epoch", ylabel=panel.y_label)
    axes.grid(alpha=0.3)
    for place, text in panel.marks.items():
        axes.axvline(place, color="0.4", linewidth=0.8, linestyle=":")
        axes.annotate(
            plain(text), (place, 1), xycoords=("data", "axes fraction"), xytext=(3, -3), textcoords="offset points",
            rotation=90, va="top", fontsize="x-small", color="0.3",
        )  # fmt: skip
    axes.legend(fontsize="small", framealpha=0.8)


def _scale_log(axes: Axes) -> None:
    """Logarithmic y with plain numbers; linear where the values span too little for that."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    low, high = axes.dataLim.intervaly
    # a learning rate that is annealed to nothing must not squeeze the rest
    low = max(low, high * _LOG_RANGE)
    if high < 3 * low:
        return
    axes.set_ylim(low / 1.2, high * 1.2)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _keypoints_of(runs: Runs) -> tuple[str, list[str]]:
    """The PCK by keypoint that the first run that has one logs, and the keypoints of all runs that log it too."""
    logged = [run.keypoint_metric() for run in runs.values()]
    metric = next((metric for metric, _ in logged if metric), "")
    keypoints = list(dict.fromkeys(name for other, names in logged if other == metric for name in names))
    # NaN everywhere, where the validation split has no labels at all, is nothing to draw
    drawable = any(len(run.evaluation_curve(f"val/{metric}/{name}")[0]) for run in runs.values() for name in keypoints)
    return (metric, keypoints) if drawable else ("", [])


def _draw_keypoint_map(axes: Axes, run: Run, metric: str, keypoints: list[str]) -> None:
    """PCK by keypoint and epoch; the latest value stands beside the keypoint's name."""
    curves = [dict(zip(*run.evaluation_curve(f"val/{metric}/{name}"), strict=True)) for name in keypoints]
    epochs = sorted({epoch for curve in curves for epoch in curve})
    values = np.array([[curve.get(epoch, np.nan) for epoch in epochs] for curve in curves])
    middles = (np.array(epochs[1:]) + epochs[:-1]) / 2
    edges = np.array([epochs[0] - 0.5, *middles, epochs[-1] + 0.5])
    mesh = axes.pcolormesh(edges, np.arange(len(keypoints) + 1), values, vmin=0, vmax=1, cmap="cividis")
    latest = [f"  {curve[max(curve)]:.2f}" if curve else "  -" for curve in curves]
    names = [plain(name) + value for name, value in zip(keypoints, latest, strict=True)]
    axes.set_yticks(np.arange(len(keypoints)) + 0.5, names, fontsize="small")
    axes.set(title=f"Validation {metric} by keypoint (number: the latest value)", xlabel="epoch")
    axes.figure.colorbar(mesh, ax=axes, label=metric, pad=0.01)


def _draw_keypoint_dots(axes: Axes, runs: Runs, metric: str, keypoints: list[str]) -> None:
    """Latest PCK by keypoint, one marker a run."""
    for style, (label, run) in enumerate(runs.items()):
        curves = [run.evaluation_curve(f"val/{metric}/{name}")[1] for name in keypoints]
        latest = [values[-1] if len(values) else np.nan for values in curves]
        if np.isnan(latest).all():
            continue
        axes.plot(
            latest, np.arange(len(keypoints)), _MARKERS[style % len(_MARKERS)], color=PALETTE[style % len(PALETTE)],
            alpha=0.8, label=plain(label),
        )  # fmt: skip
    axes.set_yticks(np.arange(len(keypoints)), [plain(name) for name in keypoints], fontsize="small")
    axes.set(title=f"Latest validation {metric} by keypoint", xlabel=metric)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", framealpha=0.8)


def panels(runs: Runs) -> list[Panel]:
    """The panels of one run in detail, or of several overlaid; lines and panels without a finite value are left out."""
    if len(runs) == 1:
        (run,) = runs.values()
        main = main_metric(run)
        shown = dict.fromkeys((*_SHOWN_METRICS, main))
        both = [("training subset", "train_subset", 1), ("validation", "val", 0)]
        splits = [Line(label, *run.evaluation_curve(f"{split}/{main}"), style) for label, split, style in both]
        gap = Line("difference", *gap_curve(run, main), style=2)
        candidates = [
            _loss(runs),
            _learning_rates(run),
            Panel("Validation", "score", [_metric_line(run, m, m, i, m == main) for i, m in enumerate(shown)]),
            # without the training subset it would only repeat the panel of the metrics
            Panel(f"Training subset and validation: {main}", main, [*splits, gap] if len(gap.x) else []),
        ]
    else:
        numbered = [(style, label, run) for style, (label, run) in enumerate(runs.items())]
        rates = [_rate_line(label, *run.training_curve("lr"), i) for i, label, run in numbered]
        gaps = [Line(label, *gap_curve(run, main_metric(run)), i) for i, label, run in numbered]
        title = "Learning rate (of the head, where stages differ)"
        candidates = [
            _loss(runs),
            Panel(title, "learning rate", rates, log_scale=True, coinciding=True),
            *(
                Panel(f"Validation: {name}", name, [_metric_line(run, name, label, i) for i, label, run in numbered])
                for name in ("AP", "PCK@0.1", "PCK", "AUC")
            ),
            Panel("Training subset minus validation", "difference", gaps),
        ]
    marks = _phase_marks(runs)
    return [
        dataclasses.replace(panel, lines=[line for line in panel.lines if len(line.x)], marks={**marks, **panel.marks})
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
    return Panel("Training loss", "loss", lines, log_scale=positive, marks=marks)


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
        lines.append(_rate_line(label, x, y, style))
    title = "Learning rate by stage" if run.stages() else "Learning rate"
    return Panel(title, "learning rate", lines, log_scale=True, coinciding=True)


def _rate_line(label: str, x: np.ndarray, y: np.ndarray, style: int) -> Line:
    return Line(label, x, np.where(y > 0, y, np.nan), style)


def _metric_line(run: Run, metric: str, label: str, style: int, mark_best: bool = True) -> Line:
    x, y = run.evaluation_curve(f"val/{metric}")
    if not len(x) or not mark_best:
        return Line(label, x, y, style)
    best = best_of(run, metric)
    return Line(f"{label} (best {y[best]:.3f} at {x[best]:.0f})", x, y, style, best=float(x[best]))


def _phase_marks(runs: Runs) -> dict[float, str]:
    """Beginnings of the phases, where all runs have the same ones."""
    phases, *others = {run.plan.phases for run in runs.values()}
    reached = max(run.position for run in runs.values())
    return {} if others else {phase.start: phase.name for phase in phases if 0 < phase.start <= reached}
