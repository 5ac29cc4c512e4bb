"""A training run from the options of ``tools/train.py`` to its last checkpoint."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import barrier

import equistera
from equistera import commands
from equistera import skeleton as skeletons
from equistera.dataset.coco import write_json
from equistera.errors import Stopped, UserError
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.data.caching import cache_folder, use_cache
from equistera.mm.data.loading import cores_per_process
from equistera.mm.devices import choose_device
from equistera.mm.network.precision import use_mixed_precision
from equistera.mm.run import resume
from equistera.mm.run.fingerprint import fingerprint
from equistera.mm.run.fit_to_time import apply_fit, earlier_fit, fit
from equistera.mm.run.network_check import build_checked
from equistera.mm.run.planning import plan_of, steps_per_update
from equistera.mm.run.preflight import DataSummary, check_data, choose_weights, finish, missing_weights
from equistera.mm.run.resume import FoundCheckpoint
from equistera.mm.run.run_file import write_run_file
from equistera.mm.run.tracking import add_text, check_services
from equistera.mm.run.trainer import Trainer, device_name, join_group
from equistera.monitor.plots import plot_run
from equistera.outputs import check_json
from equistera.processes import join, rank, start_command, world_size
from equistera.progress import duration
from equistera.training import work_dir as work_dirs
from equistera.training.fit import Fit, parse_duration
from equistera.training.plan import steps_in_epoch
from equistera.training.plan_check import check_plan
from equistera.training.plan_text import format_plan, is_plan, plan_json


@dataclass(frozen=True)
class TrainOptions:
    """What the user asked for; see ``tools/train.py --help``."""

    config: str
    work_dir: str | None = None
    data_root: str | None = None
    skeleton: str | None = None
    amp: bool = False
    compile: bool = False
    resume: bool = False
    allow_changed_data: bool = False
    from_scratch: bool = False
    init: str | None = None
    max_time: str | None = None
    plan: bool = False
    json: str | None = None
    device: str | None = None
    seed: int | None = None
    cfg_options: list[str] = field(default_factory=list)
    launcher: str = "none"
    cache: str | None = None
    started: float = field(default_factory=time.monotonic)


def train(options: TrainOptions) -> Path:
    """Trains, or only says what a training would do.

    Args:
        options: What the user asked for.

    Returns:
        The work dir, which holds ``best.pth`` and ``latest.pth``.

    Raises:
        UserError: Anything the user can put right, found before the first step wherever possible.
    """
    if options.json:
        check_json("--json", options.json, "a plan", is_plan)
    launcher = join(options.launcher)
    choose_device(options.device)
    config, work_dir, data = _start(options)
    if not options.plan and rank() == 0:
        work_dirs.refuse_if_running(work_dir)
    found = _resume_point(config, work_dir, data) if options.resume else None
    if found is not None:
        config.from_scratch, weights = found.content["meta"]["from_scratch"], None
    else:
        weights = choose_weights(config, options.init, options.from_scratch)
    missing = missing_weights(config, weights, options.init)
    if missing is not None and not options.plan:
        raise missing
    config.launcher = launcher
    if options.amp:
        use_mixed_precision(config)
    if not torch.cuda.is_available():
        torch.set_num_threads(cores_per_process())
    if not options.plan:
        use_cache(config, work_dir, options.cache)
    fitted = _fit_to_time(config, options, data, work_dir)
    plan = plan_of(config, build_checked(config), data, work_dir, fitted)
    if options.json:
        write_json(options.json, plan_json(plan), indent=1)
    if options.plan:
        print(format_plan(plan))
        if missing is not None:
            print(f"\n  note: {missing}")
    check_plan(plan)
    if options.plan:
        return work_dir
    started_with = fingerprint(config, plan.schedule.steps_per_epoch)
    if found is not None:
        resume.refuse_changes(found, started_with, options.allow_changed_data)
    work_dirs.make(work_dir)
    if config.launcher != "none":
        # all have read what is there before one moves it
        join_group(config.launcher, config.env_cfg)
        barrier()
    # of several processes one keeps other runs out
    with work_dirs.held(work_dir) if rank() == 0 else contextlib.nullcontext():
        weights = weights.resolve() if weights else None
        if rank() == 0:
            aside = _prepare(work_dir, config, options)
            weights = work_dirs.followed(weights, work_dir, aside) if weights else None
        config.work_dir, config.resume = str(work_dir), options.resume
        config.load_from = str(weights) if weights else None
        trainer = Trainer.from_cfg(config)
        trainer.load_from(trainer.from_rank_0(config.load_from))
        if options.compile:
            trainer.network.compile_backbone(cuda_graphs=steps_per_update(config) == 1)
        trainer.resume_point, trainer.started_with = found, started_with
        # the trainer lets go of it once it has gone on from there
        del found
        if trainer.rank == 0:
            print(banner(trainer, config, data, weights), format_plan(plan), sep="\n", flush=True)
            write_run_file(trainer)
            add_text(trainer.visualizer, "plan", format_plan(plan))
        _run(trainer, options, work_dir)
    return work_dir


def _run(trainer: Trainer, options: TrainOptions, work_dir: Path) -> None:
    """Trains, and says how it ended."""
    start = time.monotonic()
    try:
        with trainer.interruption:
            trainer.train()
    except Stopped as stop:
        # every process stops, one says so
        message = f"{stop}; go on with:\n  {resume_command(options, work_dir)}" if trainer.rank == 0 else ""
        raise Stopped(message, stop.number) from None
    if trainer.rank == 0:
        curves = plot_run(work_dir, work_dir / "training_curves.png")
        print(f"trained in {duration(time.monotonic() - start)}; best {_best(trainer)}")
        logs = commands.line("tensorboard", "--logdir", work_dir)
        print(f"  weights  {work_dir / 'best.pth'}\n  curves   {curves}\n  logs     {logs}")


def build_cache(options: TrainOptions) -> None:
    """Makes the crop cache that a training with these options reads, and says where it is."""
    config, work_dir, _ = _start(options)
    use_cache(config, work_dir, options.cache, required=True)


def _start(options: TrainOptions) -> tuple[Config, Path, DataSummary]:
    config = configs.load(
        options.config,
        options.cfg_options,
        data_root=str(Path(options.data_root).resolve()) if options.data_root else None,
        skeleton=configs.skeleton_argument(options.skeleton),
    )
    check_services(config)
    work_dir = Path(options.work_dir or configs.PROJECT / "work_dirs" / Path(options.config).stem).resolve()
    skeletons.load(config.skeleton)
    if cache_folder(config, work_dir, options.cache) == work_dir:
        raise UserError(
            f"the crop cache cannot lie in the work dir {work_dir} itself", hint="--cache names a folder of its own"
        )
    data = check_data(config)
    finish(config, options.seed)
    return config, work_dir, data


def _resume_point(config: Config, work_dir: Path, data: DataSummary) -> FoundCheckpoint:
    loader = config.train_dataloader
    steps = steps_in_epoch(data.train_animals, loader.batch_size, world_size(), bool(loader.get("drop_last", False)))
    found = resume.find(work_dir, steps)
    if rank() == 0:
        for name, problem in found.skipped:
            print(f"{name} is skipped: {problem}")
    return found


def resume_command(options: TrainOptions, work_dir: Path) -> str:
    """The command that goes on with a run."""
    start = start_command(options.launcher, Path(sys.executable).name)
    words = [*start, "tools/train.py", options.config, "--work-dir", str(work_dir)]
    for name in ("data_root", "skeleton", "cache", "device", "seed"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    words += ["--amp"] if options.amp else []
    words += ["--compile"] if options.compile else []
    words += ["--launcher", options.launcher] if options.launcher != "none" else []
    words += ["--cfg-options", *options.cfg_options] if options.cfg_options else []
    return commands.line(*words, "--resume")


def _fit_to_time(config: Config, options: TrainOptions, data: DataSummary, work_dir: Path) -> Fit | None:
    """Gives the config the length that ``--max-time`` asks for, or that the resumed run was fitted to."""
    budget = parse_duration(options.max_time) if options.max_time else None
    if options.resume:
        fitted = earlier_fit(work_dir, budget)
    elif budget is None:
        fitted = None
    else:
        plan = plan_of(config, build_checked(config), data, work_dir)
        check_plan(plan)
        if rank() == 0:
            print(f"measuring the first steps, to fit the run to {duration(budget)} ...", flush=True)
        schedule = plan.schedule
        fitted = fit(config, budget, schedule.steps_per_epoch, schedule.least_epochs, options.started, work_dir)
    if fitted is None:
        return None
    apply_fit(config, fitted, time.monotonic() - options.started)
    return fitted.fit


def _best(trainer: Trainer) -> str:
    if trainer.best_score is None:
        return "unknown: nothing was evaluated"
    watched = trainer.cfg.default_hooks.checkpoint.best.replace("/", " ")
    return f"{watched} {trainer.best_score:.3f} after epoch {trainer.best_epoch}"


def _prepare(work_dir: Path, config: Config, options: TrainOptions) -> Path | None:
    """Leaves the work dir as a run may begin in it; returns where it moved an earlier run, if there was one."""
    if options.resume:
        work_dirs.remove_unfinished(work_dir)
        return None
    aside = work_dirs.set_aside(work_dir, _read_by(config, work_dir, options.cache), configs.PROJECT)
    if aside is not None:
        print(f"{work_dir} held a run already; it was moved to {aside} (--resume would have continued it)")
    return aside


def _read_by(config: Config, work_dir: Path, cache: str | None) -> list[Path]:
    """What a run goes on reading, and must stay where it is; the weights to start from are read once."""
    paths = [cache_folder(config, work_dir, cache), Path(config.skeleton)]
    for loader in (config.train_dataloader, config.val_dataloader):
        root = Path(config.data_root)
        paths += [root / loader.dataset.ann_file, root / loader.dataset.data_prefix.img]
    return [path for path in paths if path is not None and path.exists()]


def banner(trainer: Trainer, config: Config, data: DataSummary, weights: Path | None) -> str:
    """The few lines that a person reads before the first step."""
    network = trainer.network
    parameters = sum(p.numel() for p in network.parameters()) / 1e6
    width, height = network.input_size
    batch = config.train_dataloader.batch_size
    total = f"{batch} x {trainer.world_size} processes" if trainer.world_size > 1 else str(batch)
    precision = config.model.get("precision") or "float32"
    rows = {
        "config": f"{Path(config.filename).stem}: {type(network.backbone).__name__} + {type(network.head).__name__}, "
        f"{parameters:.1f} M parameters, input {width}x{height}",
        "data": f"{config.data_root}: {data.train_animals} animals on {data.train_pictures} pictures to train, "
        f"{data.val_animals} on {data.val_pictures} to validate",
        "skeleton": f"{network.skeleton.name}, {len(network.skeleton)} keypoints",
        "weights": str(weights) if weights else "random (from scratch: nothing is frozen)",
        "device": f"{device_name()}, {precision}",
        "run": f"{config.train_cfg.max_epochs} epochs, batch {total}" + (", resumed" if config.resume else ""),
        "output": str(trainer.work_dir),
    }
    return "\n".join([f"Equistera Trainer {equistera.__version__}", *(f"  {k:<9}{v}" for k, v in rows.items())])
