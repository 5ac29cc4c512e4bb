"""What a person at the terminal sees of a run: a bar with loss, LR and ETA, or plain lines where there is none."""

from __future__ import annotations

import sys
import time

import torch
from mmengine.dist import is_main_process

from equistera.evaluation.constant_guess import outcome
from equistera.evaluation.instances import PCK
from equistera.mm.evaluation.evaluated_weights import SUBSET
from equistera.mm.evaluation.keypoint_metric import GUESS, GUESSED, SCORES
from equistera.mm.evaluation.source_scores import SOURCE
from equistera.progress import PLAIN_INTERVAL, duration
from equistera.words import counted


class Console:
    """Progress on stdout; everything else goes to the log file."""

    def begin(self, runner) -> None:
        """Before the first step."""
        self._bar = None
        self._start, self._first_step, self._last_line = time.monotonic(), runner.iter, time.monotonic()
        if is_main_process() and sys.stdout.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=runner.max_iters,
                initial=runner.iter,
                file=sys.stdout,
                dynamic_ncols=True,
                unit=" steps",
                leave=False,
            )

    def step(self, runner, loss: torch.Tensor) -> None:
        """After a step, which ``runner.iter`` does not count yet."""
        if not is_main_process():
            return
        now = time.monotonic()
        due = now - self._last_line >= (0.5 if self._bar is not None else PLAIN_INTERVAL)
        if self._bar is not None:
            # a run that is kept to a time may change its length
            self._bar.total = runner.max_iters
            self._bar.update(1)
        if not due:
            return
        self._last_line = now
        loss, lr = float(loss), runner.schedule.lr("head", runner.iter)
        if self._bar is not None:
            self._bar.set_description(f"epoch {runner.epoch + 1}/{runner.max_epochs}", refresh=False)
            self._bar.set_postfix_str(f"loss {loss:.4f}, lr {lr:.1e}")
        else:
            done = runner.iter + 1
            left = (now - self._start) / (done - self._first_step) * (runner.max_iters - done)
            print(
                f"epoch {runner.epoch + 1}/{runner.max_epochs}  step {done}/{runner.max_iters}  loss {loss:.4f}  "
                f"lr {lr:.1e}  ETA {duration(left)}",
                flush=True,
            )

    def evaluated(self, runner, metrics: dict) -> None:
        """After an evaluation and the choice of the best."""
        if not is_main_process():
            return
        scores = "  ".join(
            f"{name} {metrics[f'val/{name}']:.3f}" for name in ("AP", "AP50", "PCK@0.1") if f"val/{name}" in metrics
        )
        subset = f"  on training pictures: AP {metrics[f'{SUBSET}/AP']:.3f}" if f"{SUBSET}/AP" in metrics else ""
        others = [name.split("/")[1] for name in metrics if name.startswith(f"{SOURCE}/") and name.endswith("/AP")]
        subset += "".join(f"  {name}: AP {metrics[f'{SOURCE}/{name}/AP']:.3f}" for name in others)
        line = f"epoch {runner.epoch}/{runner.max_epochs}  val: {scores}{subset}{_standing(runner, metrics)}"
        line += _warning(metrics)
        if self._bar is not None:
            self._bar.write(line)
        else:
            print(line, flush=True)

    def end(self) -> None:
        """When nothing follows."""
        if self._bar is not None:
            self._bar.close()

    def given_up(self, runner, did_nothing: bool) -> None:
        """After a run that no longer improved; ``did_nothing``: it was resumed and had given up before."""
        watched, patience = runner.cfg.default_hooks.checkpoint.best, runner.cfg.early_stopping.patience
        text = f"stopped after epoch {runner.epoch} of {runner.max_epochs}: {watched} has not improved for "
        text += f"{counted(patience, 'epochs')} or more (early_stopping.patience)"
        text += "; --resume goes on if that is larger, or None" if did_nothing else ""
        runner.logger.info(text)
        if is_main_process():
            print(text, flush=True)


def _standing(runner, metrics: dict) -> str:
    """Whether the evaluation is the best so far, and by what, if anything was learnt at all."""
    if not any(metrics.get(f"val/{name}") for name in SCORES):
        return "  (nothing learnt yet)"
    if runner.best_epoch != runner.epoch:
        return ""
    return "  (best so far)" if runner.best_score else f"  (best so far by {PCK})"


def _warning(metrics: dict) -> str:
    """A line for a model that knows no more than where the box is; the log file says more."""
    model, guess = ({name: metrics.get(f"val/{prefix}{name}") for name in GUESSED} for prefix in ("", GUESS))
    if guess[PCK] is None or outcome(model, guess) == "better":
        return ""
    return f"\n  not better than a constant guess, the mean pose in the box: {PCK} {guess[PCK]:.3f}"
