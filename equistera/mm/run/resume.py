"""Going on with a run: finding the checkpoint and putting everything back to where it was."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.config import Config

from equistera.errors import UserError
from equistera.mm.network import checkpoint
from equistera.mm.run.fingerprint import EPOCH, STEP, VALIDATION, differences, update_of
from equistera.mm.run.intact import REMEMBERED, loop_problems, mismatches, optimizer_problems
from equistera.processes import rank, world_size
from equistera.training.checkpoints import BEST, LATEST, newest_first
from equistera.training.options import TrainOptions
from equistera.training.scaling import share_update
from equistera.words import counted

if TYPE_CHECKING:
    from equistera.mm.run.trainer import Trainer

#: Parts that a checkpoint to go on from has and ``best.pth`` or a foreign one has not.
PARTS = ("state_dict", "optimizer", "loop", "hooks", "meta")

#: What such a checkpoint says of itself, and of which kinds it is.
SAYS: dict[str, Any] = {"epoch": int, "iter": int, "evaluation_pending": bool, "fingerprint": dict, "lengths": list}
SAYS |= {"from_scratch": bool, "skeleton": dict, "best_score": float | int | None, "best_epoch": int | None}
SAYS |= {"best_rank": list, "config": str}

#: No run has so many steps.
_MOST = 10**12

#: How hooks fail where what is to be put back is of another program.
_FAILURES = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError, OverflowError)

#: Entries that do not fit, and are named.
_SHOWN = 5


@dataclass(frozen=True)
class FoundCheckpoint:
    """A checkpoint that a run goes on from.

    Attributes:
        path: The file.
        content: What is in it; nothing once the run goes on.
        meta: Its part ``meta``, which stays.
        skipped: ``(name, what is wrong with it)`` of the newer ones that are broken.
        best: What ``best.pth`` says of itself; None where it is not there or not of this run.
        best_problem: Why it is None.
    """

    path: Path
    content: dict
    meta: dict
    skipped: tuple[tuple[str, str], ...] = ()
    best: Mapping | None = None
    best_problem: str = ""

    @property
    def lost_best(self) -> bool:
        """Whether the run remembers a best score whose weights are gone."""
        return self.best is None and self.meta["best_score"] is not None


def find(work_dir: Path) -> FoundCheckpoint | None:
    """The newest checkpoint of a work dir that is whole; None if no run has saved anything there.

    Raises:
        UserError: There are only others, or none that loads.
    """
    loaded: dict[str, dict] = {}
    skipped: list[tuple[str, str]] = []

    def loads(name: str) -> bool:
        try:
            loaded[name] = load_whole(work_dir / name)
        except UserError as error:
            # the summary alone, without the path, which the reader knows
            skipped.append((name, error.summary.replace(f"{work_dir}{os.sep}", "")))
        return name in loaded

    names = {entry.name for entry in work_dir.iterdir()} if work_dir.is_dir() else set()
    newest = next(filter(loads, newest_first(names)), None)
    # a second name of the newest, where that is gone; or a file of its own between two that are kept
    if LATEST in names and not (newest and (work_dir / newest).samefile(work_dir / LATEST)):
        loads(LATEST)
    if loaded:
        name = max(loaded, key=lambda name: loaded[name]["meta"]["iter"])
        content = loaded[name]
        best = _read_best(work_dir / BEST, content)
        return FoundCheckpoint(work_dir / name, content, content["meta"], tuple(skipped), *best)
    if skipped:
        raise UserError(
            f"nothing to resume: no checkpoint in {work_dir} loads:",
            [f"{name}: {problem}" for name, problem in skipped],
            "A run starts anew without --resume. Checkpoints of another program, and best.pth, can be given to --init",
        )
    if BEST in names:
        raise UserError(
            f"nothing to resume: {work_dir} holds {BEST}, but no epoch_N.pth to go on from",
            hint=f"Without --resume a new run starts; --init {work_dir / BEST} makes it start from these weights",
        )
    return None


def _read_best(path: Path, content: Mapping) -> tuple[Mapping | None, str]:
    """What ``best.pth`` says of itself, or why it cannot be the best of the run with this checkpoint."""
    try:
        best = checkpoint.load(path)
    except UserError as error:
        return None, error.summary
    meta = best["meta"]
    ours = {name: value.shape for name, value in content["state_dict"].items()}
    if ours != {name: value.shape for name, value in best["state_dict"].items()}:
        return None, f"{path} is of another network"
    rank = meta.get("best_rank")
    scores = [meta.get("best_score"), meta.get("best_epoch"), *(rank if isinstance(rank, list) and rank else [None])]
    if not all(isinstance(score, (int, float)) for score in scores) or not isinstance(meta.get("fingerprint"), dict):
        return None, f"{path} does not say what it scored"
    return meta, ""


def load_whole(path: Path) -> dict:
    """Reads a checkpoint that has everything to go on from, every number of it finite.

    Raises:
        UserError: It is broken, or not one of these.
    """
    content = checkpoint.load(path)
    if "log" in content and "loop" not in content:
        raise UserError(f"{path} was written by an earlier version of this program, whose runs cannot be gone on with")
    missing = [part for part in PARTS if not isinstance(content.get(part), dict)]
    meta = content["meta"]
    missing = missing or [f"meta.{name}" for name in SAYS if name not in meta]
    if missing:
        raise UserError(f"{path} cannot be gone on from: it has no {', '.join(missing)}")
    changed = [name for name, kind in SAYS.items() if not isinstance(meta[name], kind)]
    changed += [name for name in ("epoch", "iter") if name not in changed and not 0 <= meta[name] < _MOST]
    changed += [] if isinstance(_keypoints(meta), list) else ["skeleton.keypoints"]
    lengths = meta["lengths"]
    changed += [] if isinstance(lengths, list) and lengths and all(map(_is_length, lengths)) else ["lengths"]
    if changed:
        names = ", ".join(f"meta.{name}" for name in dict.fromkeys(changed))
        raise UserError(f"{path} cannot be gone on from: {names} cannot be meant so")
    checkpoint.refuse_nonfinite(content, path)
    return content


def _keypoints(meta: Mapping) -> Any:
    return meta["skeleton"].get("keypoints") if isinstance(meta["skeleton"], dict) else None


def _is_length(entry: object) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and all(type(n) is int and 0 <= n < _MOST for n in entry)


def kept_update(found: FoundCheckpoint, config: Config, options: TrainOptions, record: dict | None) -> dict[str, int]:
    """Entries of a config by which the processes that there are now make updates of as many samples as before.

    Nothing where they do so already, or what decides it is given with another value than in the run's ``record``: a job
    that is queued again repeats its command. What cannot be kept is followed and said, as any other change is.
    """
    batch, steps = "train_dataloader.batch_size", "optim_wrapper.accumulative_counts"
    before = {*record["options"]["cfg_options"]} if record else set()
    if any(given.partition("=")[0] in (batch, steps) for given in options.cfg_options if given not in before):
        return {}
    samples, own = update_of(found.meta["fingerprint"]), config.train_dataloader.batch_size
    if samples in (0, own * world_size() * config.optim_wrapper.get("accumulative_counts", 1)):
        return {}
    shared = share_update(samples, own, world_size())
    if shared is None:
        return {}
    if rank() == 0:
        parts = {"processes": world_size(), "steps": shared[1]}
        made = "".join(f" x {counted(count, name)}" for name, count in parts.items() if count > 1)
        print(
            f"an update keeps its {samples} samples: batch {shared[0]}{made}; rates and the order of the samples stay"
        )
    return dict(zip((batch, steps), shared, strict=True))


def refuse_changes(
    found: FoundCheckpoint, now: Mapping[str, str], options: TrainOptions, record: Mapping | None
) -> None:
    """Stops a resume that would train something else than was begun.

    The size of an update may change; so may the precision, where it is the machine's for the same ``--amp``.

    Args:
        found: The checkpoint, which says what the run was started with.
        now: The present fingerprint, see :mod:`equistera.mm.run.fingerprint`.
        options: What is asked for, ``allow_changed_data`` among it: go on all the same.
        record: What was asked for when the run began, see :mod:`equistera.training.options`; None if unknown.

    Raises:
        UserError: Data or settings have changed; each change is named.
    """
    differing = differences(found.meta["fingerprint"], now, options.cfg_options)
    before = record["options"] if record else {}
    followed = {STEP, EPOCH} | ({"model.precision", "optim_wrapper.type"} if before.get("amp") else set())
    changes = [line for key, line in differing.items() if key not in followed]
    changes += _other_start(found, options, before)
    if changes and not options.allow_changed_data:
        raise UserError(
            f"the run in {found.path.parent} was started with other data or settings:",
            changes,
            "Give it what it had, choose another --work-dir, or go on all the same: --allow-changed-data",
        )


def _other_start(found: FoundCheckpoint, options: TrainOptions, before: Mapping) -> list[str]:
    """A finding if a run that goes on is given other weights to start from than it had."""
    if options.init and (not before.get("init") or Path(options.init).resolve() != Path(before["init"])):
        return [f"--init: {before.get('init') or 'not given'} then, {options.init} now"]
    if options.from_scratch and not found.meta["from_scratch"]:
        return ["--from-scratch: not given then, given now"]
    return []


def new_lengths(found: FoundCheckpoint, epochs: int) -> list[list[int]]:
    """How long a run that goes on was and is to be, see :func:`equistera.mm.run.preflight.lengths_of`.

    Raises:
        UserError: As many are done already.
    """
    lengths, done = found.meta["lengths"], found.meta["epoch"]
    if epochs == lengths[-1][1]:
        return lengths
    if epochs <= done:
        raise UserError(
            f"train_cfg.max_epochs={epochs}: the run in {found.path.parent} has {done} complete epochs already",
            hint="Leave it out, or give it more",
        )
    return [*lengths, [done, epochs]]


def is_finished(found: FoundCheckpoint, epochs: int) -> bool:
    """Whether a run of so many epochs has nothing left to do."""
    meta = found.meta
    complete = meta["epoch"] >= epochs == meta["lengths"][-1][1] and not meta["evaluation_pending"]
    return complete and not found.lost_best


def resume(trainer: Trainer, found: FoundCheckpoint) -> None:
    """Puts weights, optimiser, hooks and scores back to where they were, before the first step.

    Raises:
        UserError: The checkpoint is of another skeleton or network.
    """
    content, meta = found.content, found.meta
    names = list(trainer.network.skeleton.names)
    theirs = _keypoints(meta)
    if theirs != names:
        raise UserError(
            f"cannot resume {found.path}: it was trained for skeleton {meta['skeleton'].get('name')!r} "
            f"({len(theirs)} keypoints), this run is for {trainer.network.skeleton.name!r} ({len(names)})",
            hint="Choose another --work-dir, or start from its weights with --init",
        )
    damage = mismatches("state_dict", content["state_dict"], trainer.network.state_dict())
    damage += optimizer_problems(content["optimizer"], trainer.optim_wrapper)
    damage += loop_problems(content["loop"], trainer.network)
    if not damage:
        try:
            _put_back(trainer, content)
        except _FAILURES as error:
            damage = [f"{type(error).__name__}: {error}"]
    if damage:
        raise UserError(
            f"cannot resume {found.path}: it is of another network, or was damaged or changed by hand "
            f"({counted(len(damage), 'entries')})",
            damage[:_SHOWN],
            f"Remove it, and --resume goes on from the one before; or start anew from its weights: --init {found.path}",
        )
    for change in differences(meta["fingerprint"], trainer.started_with).values():
        trainer.warn(f"changed since the run began: {change}")
    _adopt_best(trainer, found)
    loop = trainer.train_loop
    # learning rates follow from the step, which by another number of steps in an epoch is another one
    loop.epoch, loop.iter = meta["epoch"], meta["epoch"] * len(trainer.train_dataloader)
    # if the best are lost, the weights at hand are the best that are left
    loop.evaluation_pending = meta["evaluation_pending"] or (found.lost_best and loop.epoch > 0)
    trainer.logger.info(f"resumed {found.path} after step {meta['iter']} ({meta['epoch']} complete epochs)")
    for name, problem in found.skipped:
        trainer.logger.warning(f"skipped {name}: {problem}")


def _put_back(trainer: Trainer, content: Mapping) -> None:
    trainer.network.load_state_dict(content["state_dict"])
    own, theirs = trainer.optim_wrapper.state_dict(), content["optimizer"]
    # its settings are those of this run's config, what it has come to is the checkpoint's
    pairs = zip(own["param_groups"], theirs["param_groups"], strict=True)
    groups = [{**group, "lr": before["lr"]} for group, before in pairs]
    kept = {name: theirs[name] for name in REMEMBERED & {*own}}
    trainer.optim_wrapper.load_state_dict({**own, **kept, "param_groups": groups})
    trainer.train_loop.load_state_dict(content["loop"])
    for name, hook in trainer.stateful_hooks().items():
        # a hook that the run did not have before starts afresh
        if name in content["hooks"]:
            hook.load_state_dict(content["hooks"][name])


def _adopt_best(trainer: Trainer, found: FoundCheckpoint) -> None:
    """Takes over the best score so far, if there are weights with it: what ``best.pth`` says of itself counts."""
    score, epoch = found.meta["best_score"], found.meta["best_epoch"]
    if found.lost_best:
        trainer.warn(
            f"the best score so far, {score:.3f} after epoch {epoch}, is of weights that are gone "
            f"({found.best_problem}): the best ones are chosen anew"
        )
    if found.best is None:
        return
    own_score, own_epoch = found.best["best_score"], found.best["best_epoch"]
    if found.best["fingerprint"].get(VALIDATION) != trainer.started_with[VALIDATION]:
        trainer.warn(f"the best score so far, {own_score:.3f}, was on other pictures and counts no more")
        return
    if (own_score, own_epoch) != (score, epoch):
        said = "none yet" if score is None else f"{score:.3f} after epoch {epoch}"
        trainer.warn(
            f"{BEST} has scored {own_score:.3f} after epoch {own_epoch}, the best of {found.path.name} is {said}: "
            f"{BEST} counts"
        )
    trainer.best_score, trainer.best_epoch, trainer.best_rank = own_score, own_epoch, found.best["best_rank"]
