"""Pictures of training runs as PNG files: curves over the epochs, accuracy by keypoint below them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equistera.errors import UserError

# the project's one atomic writer lives with the COCO files
from equistera.files import atomic_write
from equistera.monitor.log import RunLogError, read_run
from equistera.monitor.panels import Panel, Runs, panels
from equistera.monitor.run import Run
from equistera.plot_text import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES_NAME = "training_curves.png"
COMPARISON_NAME = "training_comparison.png"

#: Written into every picture, so that a new one replaces only an old one of ours.
_PICTURE_TITLE = "Equistera Trainer: training curves"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: Colour-blind-safe palette of Okabe and Ito (2008), without its yellow, which is faint on white.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("-", "--", "-.", ":")
_MARKERS = "osD^vPX*"

_PANEL_SIZE = (6.5, 3.6)  # inches
_KEYPOINT_ROW = 0.21  # inches
_NAMED_RUNS = 4
_DPI = 110
_LOG_RANGE = 1e-4
#: Fewer points than this are marked: a line of one or two would hardly be seen.
_MARKED_POINTS = 30


def plot_run(work_dir: str | Path, out: str | Path | None = None) -> Path:
    """Plots the training in a work folder.

    Args:
        work_dir: The run's ``--work-dir``.
        out: PNG file; ``<work_dir>/training_curves.png`` by default.

    Returns:
        The file.

    Raises:
        RunLogError: No log of a run that has taken a step, or nothing in it to plot.
        UserError: ``out`` is not a place to write to.
    """
    work_dir = Path(work_dir)
    return plot_runs({work_dir.resolve().name: read_run(work_dir)}, out or work_dir / CURVES_NAME)


def plot_runs(runs: Runs, out: str | Path) -> Path:
    """Plots one run in detail, or several overlaid.

    Args:
        runs: By label.
        out: PNG file.

    Returns:
        The file.

    Raises:
        RunLogError: There is nothing to plot in the logs.
        UserError: ``out`` cannot be written, is not named ``.png``, or is a file that was not made by this function.
    """
    out = Path(out)
    check_out(out)
    figure = _draw(runs)
    with atomic_write(out, "wb") as file:
        figure.savefig(file, format="png", dpi=_DPI, metadata={"Title": _PICTURE_TITLE})
    return out


def check_out(out: Path) -> None:
    """Refuses a place for a picture early, before there is work to lose.

    Raises:
        UserError: Not named ``.png``, a folder, or a file that is not a picture of ours.
    """
    if out.suffix.lower() != ".png":
        raise UserError(f"the picture must be named *.png, found {out.name!r}")
    if out.is_dir():
        raise UserError(f"{out} is a folder; expected the name of a picture")
    if not out.exists():
        return
    try:
        with out.open("rb") as file:
            start = file.read(1024)
    except OSError as error:
        raise UserError(f"cannot read {out}, which is to be replaced: {error.strerror}") from error
    if not start.startswith(_PNG_SIGNATURE) or _PICTURE_TITLE.encode() not in start:
        raise UserError(
            f"{out} exists and is not a picture of training curves; it is kept", hint="Choose another name with --out."
        )


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
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    for position, line in enumerate(panel.lines):
        color, dash = _COLORS[line.style % len(_COLORS)], _DASHES[line.style // len(_COLORS) % len(_DASHES)]
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
            plain(text), (position, 1), xycoords=("data", "axes fraction"), xytext=(3, -3), textcoords="offset points",
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
    axes.invert_yaxis()
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
            latest, np.arange(len(keypoints)), _MARKERS[style % len(_MARKERS)], color=_COLORS[style % len(_COLORS)],
            alpha=0.8, label=plain(label),
        )  # fmt: skip
    axes.set_yticks(np.arange(len(keypoints)), [plain(name) for name in keypoints], fontsize="small")
    axes.invert_yaxis()
    axes.set(title=f"Latest validation {metric} by keypoint", xlabel=metric)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", framealpha=0.8)
