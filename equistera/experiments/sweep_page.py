"""The page of a sweep: the best settings, which knobs matter, the scores over each knob, and all trials."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from equistera import html
from equistera.drawing import PALETTE, plain
from equistera.experiments.space import shown
from equistera.experiments.study import GOES_ON, STATES, WHY, Sweep, best, importances
from equistera.words import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna.trial import FrozenTrial

_ACROSS = 3
#: Complete trials below which Optuna's importances are named a hint: of a tenth of them, which it takes for the best,
#: there are then two at most.
FEW = 20


def write_page(sweep: Sweep, about: Mapping[str, str]) -> tuple[list[str], str]:
    """What a sweep says in words, and the HTML of its page, which begins with what it is about."""
    shares, words = importances(sweep), words_of(sweep)
    if shares:
        ranked = ", ".join(f"{key} {share:.0%}" for key, share in sorted(shares.items(), key=lambda one: -one[1]))
        words = [*words, f"What makes a trial one of the best, by knob: {ranked}."]
    page = html.render(
        "sweep.html",
        title="Which settings?",
        about=about,
        words=words,
        notes=_notes(sweep, shares),
        over_time=html.plot(_over_time(sweep)) if _scored(sweep) else "",
        importance=html.plot(_bars(shares)) if shares else "",
        slices=html.plot(_slices(sweep)) if _scored(sweep) else "",
        columns=["trial", "", "val score", *(knob.key for knob in sweep.knobs), "minutes", ""],
        trials=[_row(sweep, trial, lost=trial.number in sweep.lost) for trial in _ranked(sweep)],
    )
    return words, page


def words_of(sweep: Sweep) -> list[str]:
    """The best trial, and how it stands to the first one."""
    found = best(sweep)
    if found is None:
        return ["No trial has come to its end."]
    settings = ", ".join(f"{key}={shown(value)}" for key, value in found.params.items())
    words = [
        f"Best of {counted(len(sweep.trials('COMPLETE')), 'complete trials')}: {found.value:.3f}, with {settings}."
    ]
    fixed = [trial for trial in sweep.trials("COMPLETE") if "fixed_params" in trial.system_attrs]
    own = next((trial for trial in fixed if _is_first(sweep, trial)), None)
    if own is not None:
        gain = found.value - own.value
        better = f"; the best is {gain:.3f} above it" if gain > 0 else ", which no other has surpassed"
        words.append(f"The config as it is scored {own.value:.3f}{better}.")
    scores = [trial.value for trial in sweep.trials("COMPLETE")]
    if len(scores) > 1 and min(scores) == max(scores):
        words.append(f"All {len(scores)} complete trials scored the same: nothing here says which settings are better.")
    return words


def _is_first(sweep: Sweep, trial: FrozenTrial) -> bool:
    """Whether a trial is the first one, or goes on with it."""
    while (number := trial.user_attrs.get(GOES_ON)) is not None:
        trial = sweep.trials()[number]
    return trial.number == 0


def _notes(sweep: Sweep, shares: Mapping[str, float]) -> list[str]:
    complete = len(sweep.trials("COMPLETE"))
    notes = [
        "The best of many scores on one validation set is partly luck. Train its settings again with other seeds and "
        "other pictures before you believe the difference: tools/cross_validate.py."
    ]
    if shares:
        hint = f", of which {counted(complete, 'trials')} give a hint and no more" if complete < FEW else ""
        notes.append(
            "Importance is Optuna's (PED-ANOVA): how unlike the rest of the space the values of the best tenth of the "
            f"complete trials are, knob by knob{hint}. It says nothing about values that were not tried."
        )
    if sweep.trials("PRUNED"):
        notes.append(
            "Pruned trials were below the median of the others at the same part of the run; their score is of then."
        )
    if lost := sorted(sweep.lost):
        notes.append(f"Lost with their workers, and gone on with by others: {', '.join(map(str, lost))}.")
    return notes


def _scored(sweep: Sweep) -> list[FrozenTrial]:
    return [trial for trial in sweep.trials("COMPLETE", "PRUNED") if trial.value is not None]


def _ranked(sweep: Sweep) -> list[FrozenTrial]:
    """All trials, those with a score first, the best one on top."""
    key = {"COMPLETE": 0, "PRUNED": 1}
    return sorted(sweep.trials(), key=lambda one: (key.get(one.state.name, 2), -(one.value or 0), one.number))


def _row(sweep: Sweep, trial: FrozenTrial, lost: bool) -> list:
    state = "lost" if lost else STATES[trial.state.name]
    kind = {"complete": "good", "pruned": "muted", "failed": "error", "lost": "warning"}.get(state, "info")
    took = f"{trial.duration.total_seconds() / 60:.1f}" if trial.duration else ""
    goes_on = f"goes on with {trial.user_attrs[GOES_ON]}" if GOES_ON in trial.user_attrs else ""
    score = "" if trial.value is None else f"{trial.value:.3f}"
    settings = [shown(trial.params.get(knob.key, "")) for knob in sweep.knobs]
    return [trial.number, html.badge(state, kind), score, *settings, took, trial.user_attrs.get(WHY, goes_on)]


def table(sweep: Sweep) -> str:
    """The trials as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", "score", *(knob.key for knob in sweep.knobs), "work_dir", "began", "seconds"])
    lost = sweep.lost
    for trial in sweep.trials():
        seconds = round(trial.duration.total_seconds()) if trial.duration else ""
        state = "lost" if trial.number in lost else STATES[trial.state.name]
        score = "" if trial.value is None else trial.value
        settings = [trial.params.get(knob.key, "") for knob in sweep.knobs]
        began = trial.datetime_start.astimezone().strftime("%Y-%m-%d %H:%M:%S") if trial.datetime_start else ""
        place = sweep.work_dir(trial).relative_to(sweep.folder).as_posix()
        writer.writerow([trial.number, state, score, *settings, place, began, seconds])
    return text.getvalue()


def _over_time(sweep: Sweep) -> Figure:
    """Score of each trial in the order in which they began, and the best so far."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.8 * _ACROSS, 3.0), layout="constrained")
    axes = figure.add_subplot()
    _dots(axes, [trial.number for trial in _scored(sweep)], sweep)
    complete = sweep.trials("COMPLETE")
    if complete:
        steps = np.maximum.accumulate([trial.value for trial in complete])
        axes.step([trial.number for trial in complete], steps, where="post", color=PALETTE[0], label="best so far")
    axes.set_xlabel("trial", fontsize=8)
    axes.set_ylabel("val score", fontsize=8)
    axes.legend(fontsize=8, loc="lower right")
    return figure


def _dots(axes: Axes, places: Sequence, sweep: Sweep) -> None:
    """A dot a scored trial; those that were pruned are hollow."""
    found = _scored(sweep)
    for name, face in (("COMPLETE", PALETTE[1]), ("PRUNED", "white")):
        own = [(place, trial.value) for place, trial in zip(places, found, strict=True) if trial.state.name == name]
        if own:
            axes.plot(*zip(*own, strict=True), "o", color=PALETTE[1], markerfacecolor=face, markersize=5,
                      label=STATES[name])  # fmt: skip
    axes.grid(color="#dddddd", linewidth=0.6)


def _bars(shares: Mapping[str, float]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.8 * _ACROSS, 0.6 + 0.34 * len(shares)), layout="constrained")
    axes = figure.add_subplot()
    ordered = sorted(shares.items(), key=lambda one: one[1])
    axes.barh([plain(key) for key, _ in ordered], [share for _, share in ordered], color=PALETTE[0])
    for i, (_, share) in enumerate(ordered):
        axes.text(share + 0.01, i, f"{share:.0%}", va="center", fontsize=8)
    axes.set_xlim(0, 1.08)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    return figure


def _slices(sweep: Sweep) -> Figure:
    """Scores over each knob."""
    from matplotlib.figure import Figure

    down = -(-len(sweep.knobs) // _ACROSS)
    figure = Figure(figsize=(3.8 * _ACROSS, 3.0 * down), layout="constrained")
    for i, knob in enumerate(sweep.knobs):
        axes = figure.add_subplot(down, _ACROSS, i + 1)
        values = [trial.params[knob.key] for trial in _scored(sweep)]
        if knob.choices:
            axes.set_xticks(range(len(knob.choices)), [plain(str(choice)) for choice in knob.choices], fontsize=8)
            axes.set_xlim(-0.5, len(knob.choices) - 0.5)
            values = [knob.choices.index(value) for value in values]
        elif knob.log:
            axes.set_xscale("log")
            ticks = np.geomspace(knob.low, knob.high, 4)
            axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks], fontsize=8)
            axes.minorticks_off()
        _dots(axes, values, sweep)
        axes.set_title(plain(knob.key), fontsize=9)
    return figure
