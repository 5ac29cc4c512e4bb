"""A learning curve from options to page: the work behind ``tools/learning_curve.py``.

Each size gets the same number of optimiser steps, the config's epochs at the largest size. With the same epochs
instead, a hundred pictures get a quarter of the steps of four hundred, and the curve would call a want of training a
want of pictures. What it says of 1,600 pictures therefore holds for as many steps; a longer training may give more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.experiments.runs import Start, chosen, one_done, run_all
from equistera.files import write_json, write_text
from equistera.labelling.curve_page import page
from equistera.labelling.curve_results import (
    as_json,
    check_lines,
    points_csv,
    results_of,
    targets_of,
    words_of,
)
from equistera.labelling.curve_runs import Run
from equistera.labelling.subsets import part_of
from equistera.mm.devices import visible_gpus
from equistera.mm.labelling.curve_plan import plan_lines
from equistera.mm.labelling.curve_setting import (
    RECORD,
    CurveOptions,
    Setting,
    budget,
    refuse_impossible,
    runs_of,
    setting_of,
)
from equistera.outputs import check_targets, record
from equistera.words import counted

TOOL = "learning_curve"


def learning_curve(options: CurveOptions, start: Start | None = None) -> Path | None:
    """Trains what is missing, lays the curve and writes it; or says what that would be.

    Args:
        options: What was asked for.
        start: What runs the commands; processes by default.

    Returns:
        The page; None where it only planned, or ran one training of several.

    Raises:
        UserError: Data, options or an earlier curve in the work dir do not allow it, or trainings failed.
    """
    refuse_impossible(options)
    setting = setting_of(options)
    if len(fitted := [n for n in setting.sizes if n <= (options.fit_up_to or n)]) < 2:
        raise UserError(
            f"a learning curve needs two sizes at least, found {' '.join(map(str, fitted)) or 'none'}"
            + (f" up to --fit-up-to {options.fit_up_to}" if options.fit_up_to else ""),
            hint="--sizes 100 200 400",
        )
    runs = runs_of(options.runs, setting)
    asked = chosen(runs, options.only)
    if options.plan:
        print("\n".join(plan_lines(options, setting, runs)))
        return None
    if options.only is None:
        check_targets("--work-dir", targets_of(options.folder), overwrite=options.overwrite, tool=TOOL)
    _write(options.folder, setting, runs)
    run_all(
        asked,
        # the device is the environment's by now
        lambda run: (
            run.train_command(setting.config.filename, options.words(), options.cfg_options),
            run.test_command(setting.split),
        ),
        setting.split,
        jobs=options.jobs,
        gpus=visible_gpus() if options.jobs > 1 else (),
        start=start,
    )
    if options.only is not None:
        print(f"{one_done(runs, options.only, setting.split)}; without --only the curve is drawn")
        return None
    return _report(options, setting, runs)


def _write(folder: Path, setting: Setting, runs: Sequence[Run]) -> None:
    """Writes the record and the training sets; each job of an array writes the same."""
    write_json(
        folder / RECORD,
        {**setting.known, "sizes": setting.sizes, "seeds": setting.seeds, "steps": setting.steps},
        indent=1,
    )
    for run in runs:
        if not run.ann_file.is_file():
            write_json(run.ann_file, part_of(setting.content, run.names))


def _report(options: CurveOptions, setting: Setting, runs: Sequence[Run]) -> Path:
    skeleton, labelled = skeletons.load(setting.config.skeleton), len(setting.groups)
    results = results_of(runs, setting.split, skeleton, options.fit_up_to)
    asked = [*options.predict], labelled, options.minutes_per_picture, options.flat_gain
    words = words_of(results, *asked)
    about = {
        "config": str(setting.config.filename),
        "data": f"{setting.config.data_root} ({counted(labelled, 'labelled pictures')} to train on)",
        "trainings": f"{counted(setting.seeds, 'seeds')} of {', '.join(map(str, setting.sizes))} pictures; "
        + budget(options, setting),
        "drawn": time.strftime("%Y-%m-%d %H:%M"),
    }
    checks = check_lines(results.checks)
    print("\n".join([*words, *(["", *checks] if checks else []), "", *(f"note: {note}" for note in results.notes)]))
    json_file, csv_file, html_file = targets_of(options.folder)
    write_json(json_file, {"about": about, **as_json(results, *asked)}, indent=1)
    for path, text in ((csv_file, points_csv(results)), (html_file, page(results, options.predict, words, about))):
        write_text(path, text)
    for path in (json_file, csv_file, html_file):
        record(TOOL, path)
    print(f"written: {json_file}, {csv_file}, {html_file}")
    return html_file
