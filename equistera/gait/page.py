"""The measures of an animal as files: a page for people, JSON and a table of angles for programs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equistera import html
from equistera.files import atomic_write, write_json
from equistera.gait.body import LEGS
from equistera.gait.measures import Gait, Measure, verdict
from equistera.gait.symmetry import heights_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEANING = (
    "Every value is the mean over the strides, with a 95 % interval that holds the spread of the strides and the noise "
    "of the points. Lengths are in body lengths, from withers to tail base. Angles are those on the picture: true only "
    "for a horse seen from its side. MinDiff and MaxDiff: by how much a part sinks and rises differently on the two "
    "sides of a stride. On rendered trots at 25 frames a second stances were told up to a fifth too long: compare them "
    "with each other, not with those of other ways to measure. Nothing here is a diagnosis."
)
_LEG_NAMES = {"lf": "left fore", "rf": "right fore", "lh": "left hind", "rh": "right hind"}
_COLUMNS = ("stride", "stance", "swing", "duty", "speed", "length")


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
    with atomic_write(page) as file:
        file.write(_page(gaits, problems, name))
    write_json(figures, {"animals": {gait.individual: as_json(gait) for gait in gaits}, "problems": problems}, indent=1)
    with atomic_write(angles) as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["time", "individual", "joint", "degrees"])
        for gait in gaits:
            for joint, values in gait.angles.items():
                for time, value in zip(gait.body.times, values, strict=True):
                    rows.writerow([f"{time:.6g}", gait.individual, joint, f"{value:.2f}"])
    return [page, figures, angles]


def as_json(gait: Gait) -> dict[str, Any]:
    """Measures, strides and verdicts of an animal, for programs."""
    return {
        "measures": {
            name: {
                "value": m.value,
                "low": m.low,
                "high": m.high,
                "strides": m.strides,
                "unit": m.unit,
                "exact": m.exact,
            }
            for name, m in gait.measures.items()
        },
        "verdicts": {m.name: verdict(m) for m in _differences(gait)},
        "footfalls": {
            leg: [[float(down), float(off)] for down, off in zip(each.down, each.off, strict=True)]
            for leg, each in gait.strides.items()
        },
        "notes": gait.notes,
    }


def _differences(gait: Gait) -> list[Measure]:
    return [measure for name, measure in gait.measures.items() if name.endswith("Diff")]


def _page(gaits: list[Gait], problems: list[str], name: str) -> str:
    animals = []
    for gait in gaits:
        legs = [
            [_LEG_NAMES[leg], *(_text(gait.measures.get(f"{leg} {column}")) for column in _COLUMNS)] for leg in LEGS
        ]
        legs.append(["all", *(_text(gait.measures.get(column)) for column in _COLUMNS)])
        symmetry = [[measure.name, measure.text(), measure.strides, verdict(measure)] for measure in _differences(gait)]
        ranges = [[n.removesuffix(" range"), m.text()] for n, m in gait.measures.items() if n.endswith(" range")]
        figures = [
            (html.plot(_footfall_figure(gait)), "when each hoof stands"),
            (html.plot(_height_figure(gait)), "heights of head, withers and croup, their slow movement taken out"),
            (html.plot(_angle_figure(gait)), "angles of the left side's joints"),
        ]
        animals.append((gait.individual, gait.notes, legs, symmetry, ranges, figures))
    return html.render(
        "gait.html",
        title=f"Gait in {name}",
        animals=animals,
        problems=problems,
        columns=["leg", "stride, s", "stance, s", "swing, s", "duty factor", "speed, 1/s", "stride length"],
        meaning=MEANING,
    )


def _text(measure: Measure | None) -> str:
    return "" if measure is None else measure.text().removesuffix(f" {measure.unit}" if measure.unit else "")


def _footfall_figure(gait: Gait) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.6))
    axes = figure.add_subplot()
    for row, leg in enumerate(reversed(LEGS)):
        strides = gait.strides[leg]
        axes.broken_barh([(down, off - down) for down, off in zip(strides.down, strides.off, strict=True)], (row, 0.8))
    axes.set_yticks(np.arange(4) + 0.4, [_LEG_NAMES[leg] for leg in reversed(LEGS)])
    axes.set_xlim(gait.body.times[0], gait.body.times[-1])
    axes.set_xlabel("seconds")
    return figure


def _height_figure(gait: Gait) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.4))
    axes = figure.add_subplot()
    times = gait.body.times
    for part, height in heights_of(gait.body).items():
        axes.plot(times, height - np.polyval(np.polyfit(times, height, 3), times), label=part)
    axes.set_xlabel("seconds")
    axes.set_ylabel("body lengths")
    axes.legend(loc="upper right", ncols=3)
    return figure


def _angle_figure(gait: Gait) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3))
    axes = figure.add_subplot()
    for joint, values in gait.angles.items():
        if joint.startswith("left "):
            axes.plot(gait.body.times, values, label=joint.removeprefix("left "))
    axes.set_xlabel("seconds")
    axes.set_ylabel("degrees")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
