"""From options to a run that can begin: everything is read, compared and refused here, and nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm.data.caching import cache_folder, cache_limit
from equistera.mm.network.model import SkeletonPoseEstimator
from equistera.mm.network.precision import mixed_precision
from equistera.mm.network.transfer import Report, initialise
from equistera.mm.run import resume
from equistera.mm.run.fingerprint import fingerprint
from equistera.mm.run.fit_to_time import earlier_fit, fit_entries
from equistera.mm.run.logs import check_services
from equistera.mm.run.network_check import build_checked, check_hooks
from equistera.mm.run.planning import plan_of, steps_of
from equistera.mm.run.preflight import (
    Weights,
    check_data,
    choose_weights,
    finish,
    length_entries,
)
from equistera.mm.run.resume import FoundCheckpoint
from equistera.outputs import check_folder
from equistera.processes import rank
from equistera.training.fit import parse_duration
from equistera.training.options import SAME, TrainOptions, is_given, make_record, read_record
from equistera.training.plan import Plan
from equistera.training.plan_check import check_plan
from equistera.training.plan_text import format_plan


@dataclass(frozen=True)
class FinishedRun:
    """A run that is to be resumed and has nothing left to do: of a spec what there is to say of it."""

    config: Config
    work_dir: Path
    found: FoundCheckpoint


@dataclass(frozen=True)
class RunSpec:
    """A run that nothing known beforehand keeps from beginning.

    Attributes:
        options: What was asked for.
        config: Complete but for the crop cache and the length that a time asks for.
        work_dir: Where it writes; need not exist.
        record: What ``run.json`` is to keep for ``--resume``.
        network: As the config describes it; it computes, and takes the weights. None once a measuring has trained it.
        plan: What the run is going to do.
        found: The checkpoint that it goes on from, or None.
        weights: What it starts from; None for random weights, or if it goes on.
        start: What the network took of them.
        missing: The error of weights that are still to be fetched: a plan can do without.
    """

    options: TrainOptions
    config: Config
    work_dir: Path
    record: Mapping
    network: SkeletonPoseEstimator | None
    plan: Plan
    found: FoundCheckpoint | None = None
    weights: Weights | None = None
    start: Report | None = None
    missing: UserError | None = None


def settle(options: TrainOptions, launcher: str = "none") -> RunSpec | FinishedRun:
    """Works out what a run is and refuses what cannot be; nothing is written.

    Args:
        options: What was asked for, the record of the run included, see
            :func:`equistera.training.options.with_record`.
        launcher: What started this process, as MMEngine knows it.

    Raises:
        UserError: Anything that the user can put right.
    """
    config, record = configured(options)
    configs.write(config, {"launcher": launcher, "work_dir": str(options.folder)})
    work_dir, data = options.folder, check_data(config)
    if options.amp:
        configs.write(config, mixed_precision())
    found = _found(options) if options.resume else None
    before = read_record(work_dir) if found else None
    if found is not None:
        configs.write(config, resume.kept_update(found, config, options, before))
    budget = parse_duration(options.max_time) if options.max_time else None
    fit = earlier_fit(found, budget) if found else None
    if budget:
        _refuse_beside("max_time", options, "train_cfg.max_epochs", "train_cfg.val_interval")
    chosen = None
    if found is None:
        scratch = options.init is None and (options.from_scratch or config.from_scratch or config.pretrained is None)
        configs.write(config, {"from_scratch": scratch, "resume": False})
        chosen = None if scratch else choose_weights(config, options.init)
    else:
        configs.write(config, {"from_scratch": found.meta["from_scratch"], "resume": True})
        steps = fit.steps_per_epoch if fit else steps_of(config, data)
        resume.refuse_changes(found, fingerprint(config, steps), options, before)
        if fit is not None:
            configs.write(config, fit_entries(config, fit))
        epochs = found.meta["lengths"][-1][1] if fit else config.train_cfg.max_epochs
        configs.write(config, length_entries(config, resume.new_lengths(found, epochs)))
        if resume.is_finished(found, epochs) and not options.plan:
            return FinishedRun(config, work_dir, found)
    weights, missing = (None, chosen) if isinstance(chosen, UserError) else (chosen, None)
    if missing is not None and not options.plan:
        raise missing
    network = build_checked(config)
    check_hooks(config)
    if options.compile:
        network.refuse_compiling()
    start = None
    if weights is not None:
        # weights of another network are refused before anything is written
        start = initialise(network, weights.content, weights.path, config.head_init)
    plan = plan_of(config, network, data, work_dir, fit)
    try:
        check_plan(plan)
    except UserError:
        if options.plan:
            print(format_plan(plan))
        raise
    return RunSpec(options, config, work_dir, record, network, plan, found, weights, start, missing)


def configured(options: TrainOptions) -> tuple[Config, Mapping]:
    """The resolved config of a run, and the record to be kept of what was asked for; no data is read.

    Raises:
        UserError: No config, one that no run can have, or a place where no run can write.
    """
    if options.config is None:
        record = read_record(options.folder)
        # a config with more than plain values is not written down, and none is run that nobody names
        config = configs.from_text(record["content"] or "", record["options"]["config"])
    else:
        config = configs.read(options.config)
    for name, key in SAME.items():
        _refuse_beside(name, options, key)
    record = make_record(options, config.filename, configs.as_text(config))
    configs.refuse_code(options.recorded or ())
    config = configs.resolve(
        config,
        options.cfg_options,
        data_root=str(Path(options.data_root).resolve()) if options.data_root else None,
        skeleton=configs.skeleton_argument(options.skeleton),
    )
    check_services(config)
    skeletons.load(config.skeleton)
    finish(config, options.seed)
    cache_limit(config)
    check_folder("--work-dir", options.folder)
    if cache_folder(config, options.folder, options.cache) == options.folder:
        raise UserError(
            f"the crop cache cannot lie in the work dir {options.folder} itself",
            hint="--cache names a folder of its own",
        )
    return config, record


def _refuse_beside(option: str, options: TrainOptions, *keys: str) -> None:
    """Refuses entries of ``--cfg-options`` that an option would overwrite, or the other way round."""
    both = [given for given in options.cfg_options if given.partition("=")[0] in keys]
    if both and is_given(getattr(options, option)):
        name = option.replace("_", "-")
        raise UserError(f"--{name} and --cfg-options {' '.join(both)} decide the same", hint="Leave one of them out")


def _found(options: TrainOptions) -> FoundCheckpoint | None:
    found = resume.find(options.folder)
    if rank() == 0:
        for name, problem in found.skipped if found else ():
            print(f"{name} is skipped: {problem}")
        if found is None and not options.plan:
            print(f"--resume: no run has saved anything in {options.folder} yet, so this one starts from the beginning")
    return found
