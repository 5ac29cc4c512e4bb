"""A sweep from options to page: the work behind ``tools/sweep.py``. Each call of it is a worker of the same study."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.config import Config

from equistera import PROJECT, commands
from equistera.errors import UserError
from equistera.experiments import study
from equistera.experiments.options import ExperimentOptions
from equistera.experiments.runs import Processes, Start, last_words, tool_command
from equistera.experiments.space import Knob, override, read_space, shown
from equistera.experiments.study import Sweep
from equistera.experiments.sweep_page import table, write_page
from equistera.files import write_text
from equistera.mm import config as configs
from equistera.mm.run.cost import cost_of
from equistera.mm.run.settle import configured, settle
from equistera.monitor.log import RunLogError, read_run
from equistera.outputs import check_targets, record
from equistera.progress import duration
from equistera.training.plan_text import gigabytes
from equistera.words import aligned, counted

if TYPE_CHECKING:
    from optuna import Trial

TOOL = "sweep"
#: What the page and the table of trials are called.
PAGE, TABLE = "sweep.html", "trials.csv"
#: Entries of a config that have an option of their own, or make no better model.
_DECIDED = {"data_root": "--data-root", "skeleton": "--skeleton", "from_scratch": "--from-scratch"}
_DECIDED |= {"pretrained": "--init", "randomness.seed": "another seed makes no better settings: nothing"}
#: Entries that ``--max-time`` decides, and those that change what a trial costs.
_LENGTH = ("train_cfg.max_epochs", "train_cfg.val_interval")
_COSTLY = (*_LENGTH, "train_dataloader.batch_size", "codec", "model", "strategy", "optim_wrapper.accumulative_counts")
#: Failures after which a worker stops where nothing has succeeded yet.
HOPELESS = 3


@dataclass(frozen=True)
class SweepOptions(ExperimentOptions):
    """What the user asked for; see ``tools/sweep.py --help``."""

    space: str
    trials: int
    out: str
    prune: bool = True

    @property
    def folder(self) -> Path:
        return Path(self.out).resolve()

    @property
    def targets(self) -> list[Path]:
        return [self.folder / PAGE, self.folder / TABLE]


def sweep(options: SweepOptions, start: Start | None = None) -> Path | None:
    """Runs trials until there are as many as asked for, and draws what came of them; or says what that would be.

    Args:
        options: What was asked for.
        start: What runs a training; a process by default.

    Returns:
        The page; None where it only planned.

    Raises:
        UserError: Space, config, data or an earlier study do not allow it, or every training fails.
    """
    knobs = read_space(Path(options.space))
    config, known = _checked(options, knobs)
    first = {knob.key: knob.place(configs.entry_at(config, knob.key)) for knob in knobs}
    outside = [key for key, value in first.items() if value is None]
    if options.plan:
        print("\n".join(_plan(options, knobs, config, outside)))
        return None
    check_targets("--out", options.targets, overwrite=options.overwrite, tool=TOOL)
    found = Sweep.open(options.folder, knobs, known, {} if outside else first, options.prune)
    _work(options, found, config.default_hooks.checkpoint.best, start or Processes())
    page = _report(options, found)
    if not found.trials("COMPLETE", "PRUNED") and (failed := found.trials("FAIL")):
        raise _all_failed("every trial failed:", failed)
    return page


def _checked(options: SweepOptions, knobs: Sequence[Knob]) -> tuple[Config, dict]:
    """The config without the knobs, and what the study is of; each end of each knob has been tried on the config."""
    decided = {**_DECIDED, **{knob.key: f"--space {options.space}" for knob in knobs}}
    options.refuse_decided(decided, length=_LENGTH)
    problems = [
        f"{knob.key}: {_DECIDED.get(knob.key) or '--max-time'} decides that"
        for knob in knobs
        if knob.key in _DECIDED or (options.max_time and knob.key in _LENGTH)
    ]
    _, told = configured(options.training(options.folder / study.TRIALS))
    config = configs.load(options.config, options.cfg_options)
    watched = config.default_hooks.checkpoint.best
    if not watched.startswith("val/"):
        raise UserError(f"default_hooks.checkpoint.best is {watched!r}: a sweep goes by a score on the validation set")
    problems += [
        f"{knob.key} is a section of the config: a knob is one entry in it"
        for knob in knobs
        if isinstance(configs.entry_at(config, knob.key), Mapping)
    ]
    if not problems:
        for knob in knobs:
            for value in knob.ends:
                problems += _refusals(options, {**{k.key: k.ends[0] for k in knobs}, knob.key: value}, knob)
    if problems:
        raise UserError(f"--space {options.space} does not fit {options.config}:", list(dict.fromkeys(problems)))
    # what no trial can do without: data, weights, a plan that can work
    settle(options.training(options.folder / study.TRIALS, plan=True))
    space = {knob.key: f"{knob}" for knob in knobs}
    return config, {**options.known(config.filename, told["content"]), "space": space, "prune": options.prune}


def _refusals(options: SweepOptions, values: dict[str, Any], knob: Knob) -> list[str]:
    overrides = [*options.cfg_options, *(override(key, value) for key, value in values.items())]
    trial = options.training(options.folder / study.TRIALS)
    try:
        configured(dataclasses.replace(trial, cfg_options=overrides))
    except UserError as error:
        return [line for line in error.problems if line.startswith(knob.key)] or error.problems or [error.summary]
    return []


def _work(options: SweepOptions, found: Sweep, watched: str, start: Start) -> None:
    """Takes one trial after the other, as long as there are some to take."""
    began, done, failed = time.monotonic(), 0, 0
    while True:
        with found.taken(options.trials) as trial:
            if trial is None:
                return
            settings = ", ".join(f"{key} {shown(value)}" for key, value in trial.params.items())
            print(f"trial {trial.number}: {settings} ({_log(found, trial)})", file=sys.stderr, flush=True)
            came = _run(options, found, trial, watched, start)
        done, failed = done + 1, failed + (found.study.trials[trial.number].state.name == "FAIL")
        elapsed, left = time.monotonic() - began, options.trials - len(found.finished)
        more = f"; {left} left, here about {duration(elapsed / done)} each" if left > 0 else ""
        print(f"trial {trial.number}: {came} after {duration(elapsed)}{_best_so_far(found)}{more}", file=sys.stderr)
        if failed >= HOPELESS and not found.trials("COMPLETE", "PRUNED"):
            text = f"the first {failed} trials of this worker failed, and no other has come to an end:"
            raise _all_failed(text, found.finished)


def _all_failed(text: str, trials: Sequence) -> UserError:
    reasons = [f"trial {one.number}: {one.user_attrs.get(study.WHY)}" for one in trials]
    return UserError(text, reasons, "Put that right and choose another --out")


def _run(options: SweepOptions, found: Sweep, trial: Trial, watched: str, start: Start) -> str:
    """Trains a trial and tells the study how that ended; in words as well."""
    states, folder, log = study.optuna().trial.TrialState, found.work_dir(trial), _log(found, trial)
    pruned = False

    def enough() -> bool:
        nonlocal pruned
        if curve := _curve(folder, watched):
            pruned = study.report(trial, *curve)
        return pruned

    words = ["--work-dir", str(folder), "--resume", *options.words()]
    knobs = [override(key, value) for key, value in trial.params.items()]
    command = tool_command("train", str(options.config), *words, "--cfg-options", *options.cfg_options, *knobs)
    code = start(command, {}, log, enough)
    curve = _curve(folder, watched)
    if pruned and curve and code:
        found.study.tell(trial, state=states.PRUNED)
        return f"pruned at {watched.removeprefix('val/')} {max(curve[1]):.3f}"
    if code or not curve:
        why = f"tools/train.py ended with {code}: {last_words(log)}" if code else f"no {watched} in its log"
        trial.set_user_attr(study.WHY, why)
        found.study.tell(trial, state=states.FAIL)
        return f"failed, {why} ({log})"
    study.report(trial, *curve)
    found.study.tell(trial, max(curve[1]))
    return f"{watched.removeprefix('val/')} {max(curve[1]):.3f}"


def _curve(folder: Path, watched: str) -> tuple[list[float], list[float], int] | None:
    """Epochs and values of the evaluations of a run, and its length; None before the first one."""
    try:
        run = read_run(folder)
    except RunLogError:
        # it has not come to its first step, or never will
        return None
    epochs, values = run.evaluation_curve(watched)
    length = run.plan.max_epochs
    return (epochs.tolist(), values.tolist(), length) if len(values) and length else None


def _log(found: Sweep, trial: Trial) -> Path:
    return found.work_dir(trial).with_suffix(".log")


def _best_so_far(found: Sweep) -> str:
    best = study.best(found)
    return f"; best {best.value:.3f} (trial {best.number})" if best else ""


def _plan(options: SweepOptions, knobs: Sequence[Knob], config: Config, outside: Sequence[str]) -> list[str]:
    """What a call would do, with the time that it takes here."""
    rows = [["knob", "tried", "the config's own"]]
    rows += [[knob.key, str(knob), str(configs.entry_at(config, knob.key))] for knob in knobs]
    cost = cost_of(options.training(options.folder / study.TRIALS, plan=True))
    lines = ["Space", *(f"  {line}" for line in aligned(rows)), ""]
    first = (
        f"chosen as the others: {', '.join(outside)} of the config lies outside of the space"
        if outside
        else "the config as it is, to compare with"
    )
    lines += [f"  first   {first}", f"  trials  {options.trials}, one after the other in each process that this starts"]
    how = "as the time given" if options.max_time else "by a few measured steps of the config as it is"
    lines.append(
        f"  time    about {duration(cost.seconds)} each, {duration(options.trials * cost.seconds)} in all, on this "
        f"machine, {how}; trials that are pruned take less"
    )
    moved = [knob.key for knob in knobs if any(f"{knob.key}.".startswith(f"{key}.") for key in _COSTLY)]
    if moved and not options.max_time:
        lines.append(f"          more or less by {', '.join(moved)}, which change what a trial costs")
    lines.append(f"  disk    up to {gigabytes(options.trials * cost.disk)} of checkpoints")
    words = [word for word in options.argv if not word.startswith("--pl")]
    command = commands.tool("sweep", *words)
    array, tools = ["sbatch", "--array=1-4"], PROJECT / "tools"
    lines += ["", "The same command in as many processes as there is room for; on a cluster:"]
    lines.append(f"  {commands.line(*array, tools / 'slurm' / 'array.sh', tools / 'sweep.py', *words)}")
    return [*lines, "and once more at the end, which draws the page:", f"  {command}"]


def _report(options: SweepOptions, found: Sweep) -> Path:
    """Writes page and table of what there is; says how far that is."""
    running = len(found.trials("RUNNING"))
    states = Counter(study.STATES[trial.state.name] for trial in found.finished)
    said = ", ".join(f"{count} {state}" for state, count in states.items())
    line = f"{counted(len(found.finished), 'trials')} of {options.trials}: {said or 'none yet'}"
    line += f"; lost with their workers: {len(found.lost)}" if found.lost else ""
    line += f"; {running} with other workers; the same command draws the page anew" if running else ""
    about = {
        "config": str(options.config),
        "space": str(options.space),
        "trials": line,
        "drawn": time.strftime("%Y-%m-%d %H:%M"),
    }
    page, csv = options.targets
    words, text = write_page(found, about)
    for path, content in ((page, text), (csv, table(found))):
        write_text(path, content)
        record(TOOL, path)
    print("\n".join([line, *words]))
    if (best := study.best(found)) and math.isfinite(best.value):
        knobs = [override(key, value) for key, value in best.params.items()]
        again = ["--out", found.folder / "again", *options.words()]
        print("its settings, over folds and seeds that had no part in the choice:")
        told = commands.tool("cross_validate", options.config, *again, "--cfg-options", *options.cfg_options, *knobs)
        print(f"  {told}")
    print(f"written: {page}, {csv}")
    return page
