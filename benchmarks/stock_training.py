"""Trains a config of ours as stock MMPose would: what the training strategy is measured against.

Examples:
  python benchmarks/stock_training.py CONFIG --init pretrained.pth --work-dir work_dirs/stock

Model, pictures, augmentation, batch and number of epochs are the config's. Stock are the optimiser (one learning rate
for everything, nothing frozen), the warm-up of 1000 steps, the cosine over the second half and the moving average of
the weights, as benchmarks/speed/stock.py has them from MMPose.
Nothing is evaluated on the way; WORK_DIR/final.pth holds the averaged weights, as MMEngine saves them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from equistera import cli, device


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("config", help="config file, of the RTMPose family")
    parser.add_argument("--init", metavar="CHECKPOINT", help="weights to start from (default: random ones)")
    parser.add_argument("--head-init", default="transfer", help="transfer or random")
    parser.add_argument("--work-dir", required=True, help="where final.pth and the log go")
    parser.add_argument("--data-root", help="folder with annotations/ and images/ (default: the config's)")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
    parser.add_argument("--seed", type=int, help="seed of everything random (default: the config's)")
    parser.add_argument("--lr", type=cli.positive, help="another learning rate than MMPose's")
    parser.add_argument("--threads", type=int, help="threads of torch on a CPU (default: torch's own choice)")
    parser.add_argument("--cfg-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    return parser.parse_args(argv)


def train(args) -> Path:
    """Trains, and saves the averaged weights; returns their path."""
    device.choose(args.device)
    import torch
    from mmengine.hooks import EMAHook, Hook
    from mmengine.registry import HOOKS
    from mmengine.runner import Runner
    from speed import stock

    from equistera.mm import config as configs
    from equistera.mm.devices import choose_device
    from equistera.mm.network import checkpoint
    from equistera.mm.network.transfer import initialise
    from equistera.mm.run import preflight

    @HOOKS.register_module(force=True)
    class TellEpoch(Hook):
        """Our data set draws its augmentation by epoch, which our own schedule would tell it."""

        def before_train_epoch(self, runner: Runner) -> None:
            runner.train_dataloader.dataset.set_epoch(runner.epoch)

    class StockRunner(Runner):
        def load_or_resume(self) -> None:
            if not self._has_loaded:
                self._has_loaded = True
                if args.init:
                    initialise(self.model, checkpoint.load(args.init), args.init, args.head_init)
                else:
                    self.model.init_weights()
                # the moving average starts from the same weights
                self.call_hook("after_load_checkpoint", checkpoint={"state_dict": self.model.state_dict()})

    choose_device(args.device)
    root = str(Path(args.data_root).resolve()) if args.data_root else None
    config = configs.load(args.config, args.cfg_options, data_root=root)
    preflight.check_data(config)
    preflight.finish(config, args.seed)
    if args.threads:
        torch.set_num_threads(args.threads)
    # merging would keep what the strategy says of the optimiser and the hooks beside what is stock
    for key, value in stock.schedule(config.train_cfg.max_epochs).items():
        config[key] = value
    if args.lr:
        config.optim_wrapper.optimizer.lr = args.lr
    config.custom_hooks.append({"type": "TellEpoch"})
    config.default_hooks = {"logger": {"type": "LoggerHook", "interval": 10}, "checkpoint": None}
    config.val_dataloader = config.val_cfg = config.val_evaluator = None
    config.work_dir = str(Path(args.work_dir).resolve())
    epochs = config.train_cfg.max_epochs
    config.train_cfg = {"by_epoch": True, "max_epochs": epochs, "val_interval": epochs}
    config.train_dataloader.sampler = {"type": "DefaultSampler", "shuffle": True}

    runner = StockRunner.from_cfg(config)
    model = runner.train()
    content = {"state_dict": model.state_dict()}
    (averaging,) = (hook for hook in runner.hooks if isinstance(hook, EMAHook))
    averaging.before_save_checkpoint(runner, content)
    final = Path(config.work_dir) / "final.pth"
    checkpoint.save(final, {"state_dict": content["state_dict"], "meta": {"epoch": runner.epoch}})
    return final


def main(argv: Sequence[str]) -> None:
    print(f"weights: {train(parse_args(argv))}")


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
