"""Labels of several people from files to results: the work behind ``tools/measure_sigmas.py``."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equistera import skeleton as skeletons
from equistera.files import atomic_write, read_json, write_json
from equistera.labelling import sigmas
from equistera.labelling.by_labeller import separate
from equistera.labelling.ceiling import CEILING, ceiling_line, measure_ceiling, read_ceiling, with_sigmas
from equistera.labelling.double_labels import read_double
from equistera.outputs import check_targets, record
from equistera.words import aligned, counted

TOOL = "measure_sigmas"
DISAGREEMENTS = "disagreements.csv"
#: Gross disagreements that are shown on the terminal; all are in the file.
_SHOWN = 5


def measure_and_write(
    files: Sequence[str | Path],
    skeleton_name: str,
    out: Path,
    *,
    overwrite: bool = False,
    img_dir: Path | None = None,
    categories: Sequence[str] = (),
) -> None:
    """Measures, prints and writes; see the tool's help. A file alone is taken apart by :func:`~.by_labeller.separate`.

    Raises:
        UserError: Files cannot be read or written, or too little was labelled twice.
    """
    skeleton = skeletons.load(skeleton_name)
    source = skeleton.file or skeletons.BUILTIN_DIR / f"{skeleton_name}.json"
    targets = skeleton_file, ceiling_file, gross_file = out / source.name, out / CEILING, out / DISAGREEMENTS
    check_targets("--out", targets, inputs=[*files, source], overwrite=overwrite, tool=TOOL)
    notes: list[str] = []
    if len(files) == 1:
        files, notes = separate(Path(files[0]), out, skeleton, img_dir, categories)
    labels = read_double(files, skeleton)
    found = sigmas.measure(labels)
    new = np.where(np.isfinite(found.sigma), np.round(found.sigma, 4), skeleton.sigmas)
    ceiling = measure_ceiling(labels, [skeleton.sigmas, new])
    pictures = len({*labels.pictures.tolist()})
    about = (
        f"Sigmas measured on {time.strftime('%Y-%m-%d')}: {counted(len(labels), 'animals')} in "
        f"{counted(pictures, 'pictures')}, labelled by {', '.join(labels.labellers)}."
    )
    write_json(skeleton_file, sigmas.skeleton_content(read_json(source), found, about), indent=1)
    write_json(ceiling_file, {**ceiling, "measured": sigmas.as_json(found)}, indent=1)
    with atomic_write(gross_file) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file_name", "x", "y", "width", "height", "keypoint", "apart"])
        writer.writerows(sigmas.gross_rows(found))
    for path in targets:
        record(TOOL, path)
    print(f"{counted(len(labels), 'animals')} in {counted(pictures, 'pictures')} labelled by several people")
    print(*(f"note: {note}" for note in [*notes, *labels.notes]), *aligned(sigmas.table(found), right=True), sep="\n")
    print(*_gross_lines(found), *sigmas.bias_lines(found), sep="\n")
    for name, values in ((skeleton.name, skeleton.sigmas), (str(skeleton_file), new)):
        line = ceiling_line(read_ceiling(out, with_sigmas(skeleton, values)) or ceiling)
        print(f"With the sigmas of {name}: {line}")
    print("written:", *targets, sep="\n  ")


def _gross_lines(found: sigmas.Sigmas) -> list[str]:
    rows, total = sigmas.gross_rows(found), int(np.isfinite(found.labels.points[..., 0]).any(axis=1).sum())
    if not rows:
        return ["no gross disagreement"]
    lines = [f"{counted(len(rows), 'points')} of {total} grossly apart: left out of the sigmas, counted in the ceiling"]
    lines += [
        f"  {row[0]}: {row[5]}, {100 * apart:.0f} % of sqrt(area)"
        for row, apart in zip(rows[:_SHOWN], found.apart, strict=False)
    ]
    return [*lines, *([f"  ... and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else [])]
