"""The measures of an animal as files: a page for people, JSON and a table of angles for programs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equistera import html
from equistera.files import atomic_write, write_json, write_text
from equistera.gait.body import LEGS
from equistera.gait.cycle import FINE
from equistera.gait.measures import Gait

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEANING = (
    "Values in brackets are 95 % intervals: the larger of what the strides and what the noise of the points make, and "
    "what the way of measuring adds. An error that a model makes in the same way in every stride is not in them. "
    "Lengths are in body lengths, from withers to tail base. A stance begins and ends where the hoof leaves the line "
    "that it draws while it stands; the duty factor is stance by stride time. Angles are those in front of a joint, "
    "seen from the side, 180 degrees where it is straight; they drift as the view turns. MinDiff: by how much a part "
    "sinks less while the right leg stands than while the left one does; MaxDiff: by how much it rises less after the "
    "right one; below 0 it is the left one (fore legs for head and withers, hind legs for the croup). Nothing here is "
    "a diagnosis."
)
_TIMES = {"stance": "stance, s", "swing": "swing, s", "duty": "duty factor"}
_WHOLE = {"stride": "time of a stride, s", "length": "length, body lengths", "speed": "speed, body lengths/s"}
#: Inches: as wide as the page.
_WIDE = 10


def files_of(out: Path, name: str) -> list[Path]:
    """What :func:`write` writes: the page, the measures, the angles."""
    return [out / f"{name}{ending}" for ending in (".gait.html", ".gait.json", ".angles.csv")]


def write(gaits: list[Gait], problems: list[str], out: Path, name: str) -> list[Path]:
    """Writes what was measured.

    Args:
        gaits: One for each animal that could be measured.
        problems: In words, why others could not.
        out: Folder; made if it is missing.
        name: Of the video.

    Raises:
        WriteError: A file cannot be written.
    """
    page, figures, angles = files_of(out, name)
    write_text(page, _page(gaits, problems, name))
    write_json(figures, {"animals": {gait.individual: as_json(gait) for gait in gaits}, "problems": problems}, indent=1)
    with atomic_write(angles) as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["time", "individual", "joint", "degrees", "spread"])
        for gait in gaits:
            for joint, values in gait.angles.items():
                for time, value, spread in zip(gait.body.times, values, gait.spreads[joint], strict=True):
                    known = [f"{value:.2f}", f"{spread:.2f}"] if np.isfinite(value) else ["", ""]
                    rows.writerow([f"{time:.6g}", gait.individual, joint, *known])
    return [page, figures, angles]


def as_json(gait: Gait) -> dict[str, Any]:
    """Measures, footfalls and verdicts of an animal, for programs."""
    return {
        "gait": gait.gait,
        "from": float(gait.body.times[0]),
        "to": float(gait.body.times[-1]),
        "strides": gait.strides,
        "measures": {
            name: {"value": m.value, "low": m.low, "high": m.high, "unit": m.unit, "exact": m.exact}
            for name, m in gait.measures.items()
        },
        "verdicts": gait.verdicts,
        "footfalls": {leg: each.stances for leg, each in gait.legs.items()},
        "notes": gait.notes,
    }


def _page(gaits: list[Gait], problems: list[str], name: str) -> str:
    animals = []
    for gait in gaits:
        said = {key: measure.text() for key, measure in gait.measures.items()}
        legs = [[label, *(said.get(f"{leg} {key}", "") for key in _TIMES)] for leg, label in LEGS.items()]
        animals.append(
            {
                "name": gait.individual,
                "gait": gait.gait,
                "notes": gait.notes,
                "strides": [[label, said.get(key, "not told")] for key, label in _WHOLE.items()],
                "legs": [*legs, ["mean", *(said.get(key, "") for key in _TIMES)]],
                "symmetry": [[key, said[key], verdict] for key, verdict in gait.verdicts.items()],
                "ranges": [
                    [key.removesuffix(" range"), said[key]] for key in said if key.endswith(" range")
                ],
                "footfalls": html.plot(_footfall_figure(gait)),
                "heights": html.plot(_height_figure(gait)) if gait.curves else "",
                "angles": html.plot(_angle_figure(gait)),
            }
        )  # fmt: skip
    return html.render(
        "gait.html",
        title=f"Gait in {name}",
        animals=animals,
        problems=problems,
        columns=["leg", *_TIMES.values()],
        meaning=MEANING,
    )


def _footfall_figure(gait: Gait) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDE, 1.8), layout="constrained")
    axes = figure.add_subplot()
    for row, leg in enumerate(reversed(LEGS)):
        axes.broken_barh([(down, off - down) for down, off in gait.legs[leg].stances], (row, 0.8))
    axes.set_yticks(np.arange(4) + 0.4, [LEGS[leg] for leg in reversed(LEGS)])
    axes.set_xlim(gait.body.times[0], gait.body.times[-1])
    axes.set_xlabel("seconds")
    return figure


def _height_figure(gait: Gait) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDE, 2.6), layout="constrained")
    axes = figure.add_subplot()
    for part, height in gait.curves.items():
        axes.plot(np.arange(FINE + 1) / FINE, np.append(height, height[0]) - height.mean(), label=part)
    axes.set_xticks([0, 0.5, 1], ["left fore and right hind stand", "right fore and left hind stand", "again"])
    axes.set_ylabel("body lengths")
    _legend(axes)
    return figure


def _angle_figure(gait: Gait) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDE, 5), layout="constrained")
    for row, side in enumerate(("left", "right")):
        axes = figure.add_subplot(2, 1, row + 1)
        for joint, values in gait.angles.items():
            if joint.startswith(side):
                axes.plot(gait.body.times, values, label=joint.removeprefix(f"{side} "))
        axes.set_ylabel(f"{side}, degrees")
        _legend(axes)
    axes.set_xlabel("seconds")
    return figure


def _legend(axes: Axes) -> None:
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
