"""Which plans cannot work, and why; found before a run costs anybody hours."""

from __future__ import annotations

from collections.abc import Sequence

from equistera.augmentation import parts_of
from equistera.errors import UserError
from equistera.training.ema import SHARE as EMA_SHARE
from equistera.training.plan import Plan
from equistera.training.scaling import REFERENCE_BATCH
from equistera.training.schedule import HANDFUL, MOST_WARMUP, length_problems
from equistera.words import counted, did_you_mean

#: Presets that hide, turn and recolour so much that random weights need many steps to learn anything, and how many.
#: On 58 pictures HRNet-W32 and RTMPose-s leave the mean pose behind within 200 and 300 steps under ``light``
#: (docs/benchmarks.md, "Ten minutes from scratch").
STRONG, STEPS_FOR_STRONG = ("aggressive", "balanced"), 1000


def check_plan(plan: Plan) -> None:
    """Refuses a plan that cannot work.

    Raises:
        UserError: With every reason and its fix.
    """
    problems = [
        *_batch_problems(plan),
        *_warmup_problems(plan),
        *_ema_problems(plan),
        *_evaluation_problems(plan),
        *_disk_problems(plan),
    ]
    if problems:
        raise UserError(
            "this run cannot work as planned:", problems, "Each line ends with its fix; --plan shows the plan"
        )


def plan_warnings(plan: Plan) -> list[str]:
    """What is worth knowing about a plan that can work."""
    schedule, warnings = plan.schedule, []
    if 0 < schedule.steps_per_epoch < HANDFUL and not _few_steps_problem(plan):
        # smaller batches would make more steps of few animals, but too noisy statistics in the normalisation layers
        cause = "the time allows no more" if _is_cut(plan) else f"{plan.data.train_animals} animals are few"
        warnings.append(
            f"only {counted(schedule.steps_per_epoch, 'steps')} in an epoch: {cause}, so judge the run by its "
            f"{counted(schedule.total_steps, 'steps')}, not by its epochs"
        )
    warnings += [*_left_out(plan), *plan.data.notes]
    if plan.val_interval > schedule.max_epochs:
        warnings.append("val_interval is longer than the run: it is evaluated only once, at the end")
    if plan.norm_eval:
        warnings.append(
            "model.backbone.norm_eval: the backbone trains with the normalisation statistics that it starts with"
            + (", which nothing has measured" if schedule.from_scratch else "")
        )
    if schedule.from_scratch:
        warnings.append("from scratch: nothing is frozen, every stage trains at the head's learning rate")
        names = (parts_of(phase.phase.augmentation)[0] for phase in plan.phases)
        strong = [name for name in names if name in STRONG]
        if strong and schedule.total_steps < STEPS_FOR_STRONG:
            warnings.append(
                f"from scratch in {counted(schedule.total_steps, 'steps')}: random weights learn next to nothing under "
                f"{strong[0]} augmentation in fewer than about a thousand: "
                "--cfg-options train_dataloader.dataset.augmentation=light"
            )
    return warnings


def _batch_problems(plan: Plan) -> list[str]:
    animals = plan.data.train_animals
    if animals < 1:
        return ["the training set is empty: it needs labelled animals (tools/verify_dataset.py --ann-file FILE)"]
    if plan.schedule.steps_per_epoch == 0:
        return [
            f"{counted(animals, 'labelled animals')} do not fill one batch of {plan.batch}, and drop_last "
            f"leaves incomplete ones out: {_batch_fix(animals // plan.processes)}"
        ]
    return _few_steps_problem(plan)


def _few_steps_problem(plan: Plan) -> list[str]:
    """Few steps are refused where the batch is at fault, and only warned of where the data set is.

    Whoever has enough pictures for a handful of batches of the usual size takes too large a batch. Whoever tries the
    toolkit on three pictures, or has 58, has no better choice.
    """
    animals, steps = plan.data.samples, plan.schedule.steps_per_epoch
    at_usual = animals // min(plan.batch_size * plan.processes, REFERENCE_BATCH)
    if steps >= HANDFUL or at_usual < HANDFUL or _is_cut(plan):
        return []
    return [
        f"an epoch has only {counted(steps, 'steps')}, at least {HANDFUL} are needed: a batch of {plan.batch} is too "
        f"large for {animals} labelled animals: {_batch_fix(animals // (plan.processes * HANDFUL))}"
    ]


def _is_cut(plan: Plan) -> bool:
    """Whether ``--max-time`` made the epochs shorter than the pictures would give."""
    return plan.fit is not None and plan.schedule.steps_per_epoch < plan.whole_epoch


def _left_out(plan: Plan) -> list[str]:
    """What a short run leaves out: enough to see that everything works, not to judge the strategy by."""
    left_out = length_problems(plan.schedule)
    if not left_out or plan.schedule.knots:
        return []
    return [
        f"{'; '.join(left_out)}: the whole strategy needs train_cfg.max_epochs={plan.schedule.least_epochs} or more"
    ]


def _warmup_problems(plan: Plan) -> list[str]:
    warmup, total = plan.schedule.warmup_steps, plan.schedule.total_steps
    # what was planned for another length is over, or nearly so
    if warmup <= MOST_WARMUP * total or not total or plan.schedule.knots:
        return []
    return [
        f"warm-up takes {warmup} of {total} steps ({warmup / total:.0%}, at most {MOST_WARMUP:.0%}): "
        "--cfg-options strategy.warmup.share=0.03 strategy.warmup.at_least=10 strategy.warmup.epochs=None, or more "
        "epochs for as long a warm-up"
    ]


def _ema_problems(plan: Plan) -> list[str]:
    ema, total = plan.ema, plan.schedule.total_steps
    if ema is None or not total or ema.start_steps < total:
        return []
    return [
        f"the averaged weights never leave their start: a half-life of {ema.half_life:.3g} steps is reached after "
        f"{ema.start_steps} steps, the run has {total}: --cfg-options ema.share={EMA_SHARE}, or ema=None for no average"
    ]


def _evaluation_problems(plan: Plan) -> list[str]:
    problems = []
    if plan.data.val_animals < 1:
        problems.append(
            "the validation set is empty, so there is nothing to choose the best weights by: "
            "python tools/split_dataset.py makes one from the training pictures"
        )
    if plan.watched not in plan.produced:
        guess = did_you_mean(plan.watched, plan.produced) or "."
        problems.append(
            f"the metric to watch, {plan.watched!r}, is not among those that rise as a model gets better{guess} "
            f"default_hooks.checkpoint.best takes one of {', '.join(_main(plan.produced))}"
        )
    if plan.patience is not None and plan.patience < plan.val_interval:
        problems.append(
            f"early stopping after {counted(plan.patience, 'epochs')} without an improvement, but evaluations are "
            f"{plan.val_interval} epochs apart: early_stopping.patience={3 * plan.val_interval}"
        )
    return problems


def _main(metrics: Sequence[str]) -> list[str]:
    """Metrics of whole poses; there may be one for every keypoint besides, such as ``val/PCK@0.1/nose``."""
    return [metric for metric in metrics if metric.count("/") < 2]


def _disk_problems(plan: Plan) -> list[str]:
    free = plan.disk_free
    if free is None or plan.disk_bytes <= free:
        return []
    return [
        f"the checkpoints need {plan.disk_bytes / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free: make room, name another "
        "--work-dir, or --cfg-options default_hooks.checkpoint.keep=1"
    ]


def _batch_fix(batch: int) -> str:
    if batch < 1:
        return "label more animals, or start fewer processes"
    return f"--cfg-options train_dataloader.batch_size={batch}, or less"
