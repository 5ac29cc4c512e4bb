"""Each entry of a config that is out of range is named by its full key; all at once."""

import pytest
from training_cases import strategy

from equistera.training.config_shape import RunConfig
from equistera.training.values import problems_of


def config() -> dict:
    loader = {"batch_size": 16, "sampler": {"type": "Any"}}
    return {
        "train_cfg": {"max_epochs": 300, "val_interval": 5, "type": "TrainLoop"},
        "train_dataloader": {**loader},
        "val_dataloader": {**loader},
        "optim_wrapper": {"optimizer": {"type": "AdamW", "lr": 0.004}, "accumulative_counts": 1},
        "default_hooks": {"checkpoint": {"interval": 5, "keep": 2, "best": "val/AP"}},
        "randomness": {"seed": 0, "deterministic": False},
        "model": {"backbone": {}},
        "strategy": strategy(),
        "training_subset": {"pictures": 48},
        "norm_statistics": {"pictures": 0},
        "ema": {"share": 0.02},
        "early_stopping": {"patience": None},
        "anything": "else",
    }


def test_a_whole_config_is_in_order():
    assert problems_of(RunConfig, config()) == []
    assert problems_of(RunConfig, {**config(), "ema": None, "norm_statistics": None}) == []


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("train_cfg.max_epochs", 0, "train_cfg.max_epochs: expected a whole number of at least 1, found 0"),
        ("train_cfg.val_interval", True, "train_cfg.val_interval: expected a whole number of at least 1, found True"),
        ("train_dataloader.batch_size", 1.5, "train_dataloader.batch_size: expected a whole number of at least 1, fo"),
        ("val_dataloader.num_workers", -1, "val_dataloader.num_workers: expected a whole number of at least 0, found"),
        ("val_dataloader.persistent_workers", 1, "val_dataloader.persistent_workers: expected True or False, found 1"),
        ("optim_wrapper.optimizer.lr", "fast", "optim_wrapper.optimizer.lr: expected a number above 0, found 'fast'"),
        ("optim_wrapper.accumulative_counts", 0, "optim_wrapper.accumulative_counts: expected a whole number of at le"),
        ("default_hooks.checkpoint.interval", "often", "default_hooks.checkpoint.interval: expected a whole number of"),
        ("default_hooks.checkpoint.keep", -1, "default_hooks.checkpoint.keep: expected a whole number of at least 0,"),
        ("randomness.seed", 2**32, "randomness.seed: expected a whole number from 0 to 4294967295, found 4294967296"),
        ("model.dropout", 1, "model.dropout: expected a number at least 0 and below 1, found 1"),
        ("early_stopping.patience", 0, "early_stopping.patience: expected a whole number of at least 1, found 0"),
        ("early_stopping.min_delta", -1, "early_stopping.min_delta: expected a number at least 0, found -1"),
        ("early_stopping.patince", 3, "early_stopping: unknown field 'patince', did you mean 'patience'?"),
        ("ema", 0.0002, "ema: expected None or dict(share=, at_most=), found 0.0002"),
        ("ema.shar", 0.02, "ema: unknown field 'shar', did you mean 'share'?"),
        ("ema.share", 0, "ema.share: expected a number above 0 and at most 1, found 0"),
        ("ema.at_most", "long", "ema.at_most: expected a number at least 1, found 'long'"),
        ("strategy.phases.0.lr_factor", 0, "strategy.phases.0.lr_factor: expected a number above 0, found 0"),
    ],
)
def test_each_mistake_is_named_by_its_key(key, value, problem):
    broken = config()
    *parents, name = key.split(".")
    here = broken
    for part in parents:
        here = here[int(part)] if part.isdigit() else here[part]
    here[name] = value
    assert [found[: len(problem)] for found in problems_of(RunConfig, broken)] == [problem]


def test_mistakes_come_at_once():
    broken = {**config(), "training_subset": None, "early_stopping": None, "norm_statistics": 64}
    assert problems_of(RunConfig, broken) == [
        "training_subset: expected dict(pictures=N), for the choice of weights needs it, found None",
        "norm_statistics: expected None or dict(pictures=N), found 64",
        "early_stopping: expected dict(patience=None) for never, or epochs, found None",
    ]
