"""The trainings of a learning curve: what they are, and their commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equistera.experiments.runs import ScoredRun, tool_command
from equistera.words import counted

#: Entries of the config that the sizes of a curve decide, beside options of their own.
DECIDED = (
    "train_cfg.max_epochs",
    "train_cfg.val_interval",
    "default_hooks.checkpoint.interval",
    "train_dataloader.dataset.ann_file",
)


@dataclass(frozen=True)
class Run(ScoredRun):
    """One training of a curve.

    Attributes:
        size: Pictures that were asked for.
        seed: Of the pictures that were drawn and of the training.
        pictures, groups, animals: What it trains on.
        steps_per_epoch: Optimiser steps that these give an epoch.
        epochs: Its length, and ``val_interval`` the epochs between two evaluations; None where a time decides.
        folder: Its work dir.
        ann_file: Its training set.
        names: File names of its pictures.
    """

    size: int
    seed: int
    pictures: int
    groups: int
    animals: int
    steps_per_epoch: int
    epochs: int | None
    val_interval: int | None
    folder: Path
    ann_file: Path
    names: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"{counted(self.pictures, 'pictures')}, seed {self.seed}"

    def train_command(self, config: str, options: Sequence[str], overrides: Sequence[str]) -> list[str]:
        """``tools/train.py`` that begins, goes on with or finds finished this training.

        Args:
            config: The config.
            options: Options of all trainings, and ``overrides`` their entries of ``--cfg-options``.
        """
        own = [f"train_dataloader.dataset.ann_file={str(self.ann_file)!r}"]
        if self.epochs is not None:
            own += [
                f"train_cfg.max_epochs={self.epochs}",
                f"train_cfg.val_interval={self.val_interval}",
                f"default_hooks.checkpoint.interval={self.val_interval}",
            ]
        kept = [given for given in overrides if given.partition("=")[0] not in DECIDED]
        words = ["--work-dir", str(self.folder), "--resume", "--seed", str(self.seed), *options]
        return tool_command("train", config, *words, "--cfg-options", *kept, *own)
