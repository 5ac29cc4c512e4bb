"""A training run from the options of ``tools/train.py`` to its last checkpoint."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import barrier

import equistera
from equistera import commands
from equistera.checkpoints import published_as
from equistera.errors import MachineFailure, Stopped, UserError
from equistera.files import remove_unfinished, write_json
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.data.caching import use_cache
from equistera.mm.devices import compute_on
from equistera.mm.network.transfer import format_transfer_table
from equistera.mm.run.fingerprint import fingerprint, picture_marks
from equistera.mm.run.fit_to_time import fit_entries, measure
from equistera.mm.run.logs import add_text
from equistera.mm.run.network_check import NOT_TOGETHER, as_config_says
from equistera.mm.run.planning import plan_of, steps_per_update
from equistera.mm.run.preflight import check_data, label_files
from equistera.mm.run.saving import write_run_file
from equistera.mm.run.settle import FinishedRun, RunSpec, configured, settle
from equistera.mm.run.trainer import Trainer, device_name, join_group
from equistera.monitor.log import RunLogError
from equistera.monitor.plots import CURVES_NAME, plot_run
from equistera.outputs import check_targets, record
from equistera.processes import join, rank
from equistera.progress import duration
from equistera.training import work_dir as work_dirs
from equistera.training.fit import fit_to_time, parse_duration, run_seconds
from equistera.training.options import TrainOptions, resume_command, with_record
from equistera.training.plan import Plan
from equistera.training.plan_check import check_plan
from equistera.training.plan_text import format_plan, plan_json
from equistera.words import counted

__all__ = ["TrainOptions", "build_cache", "train"]


def train(options: TrainOptions) -> Path:
    """Trains, or only says what a training would do; returns the work dir, with ``best.pth`` and ``latest.pth``.

    Raises:
        UserError: Anything the user can put right, found before the first step wherever possible.
    """
    options = with_record(options)
    launcher = join(options.launcher)
    compute_on(options.device)
    if not options.plan and rank() == 0:
        work_dirs.refuse_if_running(options.folder)
    if options.wanted is not None and rank() == 0:
        fresh = f"is for this run: {options.wanted} holds one already"
        print(options.folder, "is the newest of these runs" if options.resume else fresh, flush=True)
    spec = settle(options, launcher)
    if options.json:
        check_targets(
            "--json", [options.json], inputs=label_files(spec.config), overwrite=options.overwrite, tool="train"
        )
    if isinstance(spec, FinishedRun):
        if rank() == 0:
            _draw_lost_curves(spec.work_dir)
            print(_finished(spec))
    elif options.plan:
        _show_plan(spec)
    else:
        execute(spec)
    return spec.work_dir


def _show_plan(spec: RunSpec) -> None:
    """Prints a plan, with the time that it takes here; the crop cache is not made for it."""
    spec = _fitted(spec)
    plan, schedule = spec.plan, spec.plan.schedule
    if plan.fit is None:
        if rank() == 0:
            print("measuring a few steps ...", file=sys.stderr, flush=True)
        costs = measure(spec.config, spec.network, time.monotonic(), spec.work_dir)
        done = spec.found.meta["epoch"] if spec.found else 0
        lengths = schedule.max_epochs, schedule.steps_per_epoch, plan.val_interval
        plan = dataclasses.replace(plan, seconds=run_seconds(costs, *lengths, done, elapsed=0.0))
    _write_plan(spec.options, plan)
    print(format_plan(plan))
    if spec.start is not None:
        lines = [*spec.start.changes, *format_transfer_table(spec.start).splitlines()]
        print(f"\n  {spec.start.counts}", *(f"    {line}" for line in lines), sep="\n")
    if spec.missing is not None:
        print(f"\n  note: {spec.missing}")


def _write_plan(options: TrainOptions, plan: Plan) -> None:
    if options.json:
        write_json(options.json, plan_json(plan), indent=1)
        record("train", options.json)


def _fitted(spec: RunSpec) -> RunSpec:
    """A run whose length fits ``--max-time``, by its measured steps; as it is where that is not asked for."""
    options, config = spec.options, spec.config
    if spec.plan.fit is not None or not options.max_time:
        return spec
    budget, schedule = parse_duration(options.max_time), spec.plan.schedule
    if rank() == 0:
        print(f"measuring the first steps, to fit the run's epochs to {duration(budget)} ...", flush=True)
    costs = measure(config, spec.network, options.started, spec.work_dir)
    fit = fit_to_time(budget, costs, schedule.steps_per_epoch, schedule.least_epochs)
    configs.write(config, fit_entries(config, fit))
    plan = plan_of(config, spec.network, spec.plan.data, spec.work_dir, fit)
    check_plan(plan)
    # the measuring has trained it
    return dataclasses.replace(spec, plan=plan, network=None)


def execute(spec: RunSpec) -> None:
    """Makes the run what it was settled to be; first the parts, then the place for it."""
    config, work_dir = spec.config, spec.work_dir
    configs.write(config, use_cache(config, work_dir, spec.options.cache))
    spec = _fitted(spec)
    _write_plan(spec.options, spec.plan)
    work_dir.mkdir(parents=True, exist_ok=True)
    if config.launcher != "none":
        # all have read what is there before one writes
        join_group(config.launcher, config.env_cfg)
        barrier()
    # of several processes one keeps other runs out
    with work_dirs.held(work_dir) if rank() == 0 else contextlib.nullcontext():
        with _leaving_nothing(work_dir), as_config_says(NOT_TOGETHER):
            trainer = Trainer.of(config, spec.network)
            trainer.weights, trainer.resume_point = spec.weights, spec.found
            trainer.record, trainer.started = spec.record, spec.options.started
            trainer.started_with = fingerprint(config, spec.plan.schedule.steps_per_epoch)
            trainer.prepare()
            trainer.trained_on, trainer.animals = _learned_from(trainer, spec)
            trainer.starts = _began_with(spec)
        if spec.options.compile:
            trainer.network.compile_backbone(cuda_graphs=steps_per_update(config) == 1)
        if trainer.rank == 0:
            remove_unfinished(work_dir)
            print(banner(trainer, spec), format_plan(spec.plan), sep="\n", flush=True)
            trainer.write_config()
            write_run_file(trainer)
            add_text(trainer.visualizer, config, "plan", format_plan(spec.plan))
        _run(trainer, spec)


@contextlib.contextmanager
def _leaving_nothing(work_dir: Path) -> Iterator[None]:
    """Nothing is left in the work dir of what the block made there, if it refuses the run."""
    there = {*work_dir.iterdir()}
    try:
        yield
    except UserError:
        if rank() == 0:
            made = {*work_dir.iterdir()} - there
            # with nothing else in it the folder is of this start too
            for path in made if there - {work_dir / work_dirs.LOCK_FILE} else [work_dir]:
                shutil.rmtree(path, ignore_errors=True)
        raise


def _learned_from(trainer: Trainer, run: RunSpec) -> tuple[list[str], list[str]]:
    """Marks of all pictures that the weights will have seen, and what the animals in them are called.

    Those of before a resume with other data are included.
    """
    datasets = [trainer.train_dataloader.dataset, *trainer.train_dataloader.dataset.sources]
    pictures = {Path(dataset.get_data_info(i)["img_path"]) for dataset in datasets for i in range(dataset.animals)}
    names = {name for dataset in datasets for name in dataset.ground_truth["animals"]}
    found = {"trained_on": picture_marks(pictures), "animals": names}
    before = run.found.meta if run.found else {}
    marks, animals = (sorted({*before.get(key, []), *own}) for key, own in found.items())
    return marks, animals


def _began_with(run: RunSpec) -> list[str]:
    """What the weights began with, and those began with: names of published checkpoints, else of files."""
    meta = run.found.meta if run.found else run.weights.content.get("meta") if run.weights else None
    told = meta.get("starts") if isinstance(meta, dict) else None
    before = [str(name) for name in told] if isinstance(told, list) else []
    if run.found or run.weights is None:
        return before
    known = published_as(run.weights.path)
    return [*before, known.name if known else run.weights.path.name]


def _run(trainer: Trainer, run: RunSpec) -> None:
    """Trains, and says how it ended."""
    start = time.monotonic()
    try:
        with trainer.interruption:
            trainer.train()
    except MachineFailure as failure:
        failure.hint += f"; go on with:\n  {resume_command(run.options)}"
        raise
    except Stopped as stop:
        # every process stops, one says so
        message = f"{stop}; go on with:\n  {resume_command(run.options)}" if trainer.rank == 0 else ""
        raise Stopped(message, stop.number) from None
    if trainer.rank == 0:
        curves = plot_run(run.work_dir, run.work_dir / CURVES_NAME)
        best = _score(trainer.cfg, trainer.best_score, trainer.best_epoch)
        print(f"trained in {duration(time.monotonic() - start)}; best {best}")
        print(_where_all_lies(run, curves, learnt=bool(trainer.best_score)))
    if torch.distributed.is_initialized():
        # whose process ends while others still talk to it aborts, and a launcher then ends all of them
        barrier()
        torch.distributed.destroy_process_group()


def build_cache(options: TrainOptions) -> None:
    """Makes the crop cache that a training with these options reads, and says where it is."""
    config, _ = configured(options)
    check_data(config)
    use_cache(config, options.folder, options.cache, required=True)


def _where_all_lies(run: RunSpec, curves: Path, learnt: bool) -> str:
    """What a run leaves and which commands come next."""
    work_dir, root = run.work_dir, Path(run.config.data_root)
    test = root / "images" / "test"
    pictures = test if test.is_dir() else root / run.config.val_dataloader.dataset.data_prefix.img
    # the detector's place beside a pose model's
    model = ("POSE_WORK_DIR", "--det", work_dir) if run.config.model.type == "AnimalDetector" else (work_dir,)
    rows = [
        ("weights", work_dir / "best.pth"),
        ("curves", curves),
        *([("pictures", work_dir / "pictures")] if (work_dir / "pictures").is_dir() else []),
        ("logs", commands.line("tensorboard", "--logdir", work_dir)),
        ("test", commands.tool("test", *model)),
        ("draw", commands.tool("visualize", *model, "--img-dir", pictures, "--out", work_dir / "drawn")),
    ]
    if not learnt:
        rows.append(
            ("but", "hardly anything was learnt; why: " + commands.tool("monitor_training", "--work-dir", work_dir))
        )
    return "\n".join(f"  {name:<9}{what}" for name, what in rows)


def _draw_lost_curves(work_dir: Path) -> None:
    """Draws the curves of a finished run that was killed when all but these was done."""
    curves = work_dir / CURVES_NAME
    if not curves.exists():
        try:
            print(f"the curves are drawn again: {plot_run(work_dir, curves)}")
        except RunLogError as error:
            print(f"no curves: {error}")


def _finished(run: FinishedRun) -> str:
    meta = run.found.meta
    longer = commands.line("--cfg-options", f"train_cfg.max_epochs={2 * meta['epoch']}")
    return (
        f"finished: the run in {run.work_dir} is complete ({counted(meta['epoch'], 'epochs')}), best "
        f"{_score(run.config, meta['best_score'], meta['best_epoch'])}; a longer one: {longer}"
    )


def _score(config: Config, score: float | None, epoch: int | None) -> str:
    if score is None:
        return "unknown: nothing was evaluated"
    return f"{config.default_hooks.checkpoint.best.replace('/', ' ')} {score:.3f} after epoch {epoch}"


def banner(trainer: Trainer, run: RunSpec) -> str:
    """The few lines that a person reads before the first step."""
    network, config, data = trainer.network, run.config, run.plan.data
    parameters = sum(p.numel() for p in network.parameters()) / 1e6
    width, height = network.input_size
    batch = config.train_dataloader.batch_size
    total = f"{batch} x {trainer.world_size} processes" if trainer.world_size > 1 else str(batch)
    precision = config.model.get("precision") or "float32"
    rows = {
        "config": f"{Path(config.filename).stem}: {type(network.backbone).__name__} + {type(network.head).__name__}, "
        f"{parameters:.1f} M parameters, input {width}x{height}",
        "data": f"{config.data_root}: {counted(data.train_animals, 'animals')} on "
        f"{counted(data.train_pictures, 'pictures')} to train, "
        f"{data.val_animals} on {data.val_pictures} to validate",
        "skeleton": f"{network.skeleton.name}, {len(network.skeleton)} keypoints",
        "weights": str(run.weights.path) if run.weights else "random (from scratch: nothing is frozen)",
        "device": f"{device_name()}, {precision}",
        "run": f"{counted(config.train_cfg.max_epochs, 'epochs')}, batch {total}",
        "output": str(trainer.work_dir),
    }
    if run.found is not None:
        rows["weights"], epochs, went = _of_run(run)
        rows["run"] = f"{epochs}, batch {total}, {went}"
    return "\n".join([f"Equistera Trainer {equistera.__version__}", *(f"  {k:<9}{v}" for k, v in rows.items())])


def _of_run(run: RunSpec) -> tuple[str, str, str]:
    """The weights of a run that goes on, its length, and how far it was, for the banner."""
    meta, before = run.found.meta, run.record["options"]
    begun = "random ones, from scratch" if meta["from_scratch"] else before["init"] or run.config.pretrained
    done = f"epoch {meta['epoch']}"
    lengths = [epochs for _, epochs in meta["lengths"]]
    now = run.config.train_cfg.max_epochs
    before_now = f" instead of {lengths[-1]} (rates go on from where they are)" if now != lengths[-1] else ""
    best = f", best {_score(run.config, meta['best_score'], meta['best_epoch'])}" if meta["best_score"] else ""
    weights = f"{run.found.path.name} of this run, which began with {begun}"
    return weights, f"{counted(now, 'epochs')}{before_now}", f"resumed after {done}{best}"
