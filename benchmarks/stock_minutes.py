"""Trains the network of a config of ours from scratch as MMPose's AP-10K configs would, and stops after some minutes.

Examples:
  python benchmarks/stock_minutes.py CONFIG --minutes 10 --work-dir work_dirs/stock

Everything is MMPose's: loop, model class, data set, transforms, batch 64, 210 epochs, warm-up of 500 or 1000 steps,
learning rate, moving average; from the two configs that benchmarks/speed/stock.py names. Only the pretrained
backbone is left out, and the pictures and keypoints are ours. Nothing is evaluated on the way; WORK_DIR/final.pth holds
the weights that MMEngine would save.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from equistera import cli, device

STARTED = time.monotonic()

EPOCHS, BATCH = 210, 64

#: Seconds for what comes after the last step: writing the weights.
RESERVE = 2.0


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("config", help="config file, of the RTMPose or HRNet family")
    parser.add_argument("--minutes", type=float, required=True, help="from the program's start to its end")
    parser.add_argument("--work-dir", required=True, help="where final.pth and the log go")
    parser.add_argument("--data-root", help="folder with annotations/ and images/ (default: the config's)")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
    parser.add_argument("--seed", type=int, help="seed of everything random (default: the config's)")
    parser.add_argument("--threads", type=int, help="threads of torch on a CPU (default: torch's own choice)")
    return parser.parse_args(argv)


def training_pipeline(codec: dict) -> list[dict]:
    """The training transforms of the AP-10K config of the codec's family.

    RTMPose's switches to milder ones for its last 30 epochs, which no run of minutes reaches.
    """
    simcc = codec["type"] == "SimCCLabel"
    box = {"scale_factor": [0.6, 1.4], "rotate_factor": 80} if simcc else {}
    # as the config means it, in the words of albumentations 2
    hole = {"num_holes_range": (1, 1), "hole_height_range": (0.2, 0.4), "hole_width_range": (0.2, 0.4), "p": 1.0}
    blurs = [{"type": "Blur", "p": 0.1}, {"type": "MedianBlur", "p": 0.1}]
    changes = [
        {"type": "mmdet.YOLOXHSVRandomAug"},
        {"type": "Albumentation", "transforms": [*blurs, {"type": "CoarseDropout", **hole}]},
    ]
    return [
        {"type": "LoadImage"},
        {"type": "GetBBoxCenterScale"},
        {"type": "RandomFlip", "direction": "horizontal"},
        {"type": "RandomHalfBody"},
        {"type": "RandomBBoxTransform", **box},
        {"type": "TopdownAffine", "input_size": tuple(codec["input_size"])},
        *(changes if simcc else []),
        {"type": "GenerateTarget", "encoder": dict(codec)},
        {"type": "PackPoseInputs"},
    ]


def train(args) -> Path:
    """Trains, and saves the weights that MMEngine would save; returns their path."""
    device.choose(args.device)
    import torch
    from mmengine.hooks import EMAHook, Hook
    from mmengine.registry import HOOKS
    from mmengine.runner import Runner
    from speed import stock

    from equistera.mm import config as configs
    from equistera.mm.devices import choose_device
    from equistera.mm.network import checkpoint
    from equistera.mm.run import preflight

    @HOOKS.register_module(force=True)
    class StopInTime(Hook):
        """Ends the run where another epoch like the longest would not fit; epochs here have a step or two."""

        def before_train(self, runner: Runner) -> None:
            self._deadline = STARTED + 60 * args.minutes - RESERVE
            self._last, self._longest = time.monotonic(), 0.0

        def after_train_epoch(self, runner: Runner) -> None:
            now = time.monotonic()
            self._longest, self._last = max(self._longest, now - self._last), now
            runner.train_loop.stop_training = now + self._longest > self._deadline

    choose_device(args.device)
    root = str(Path(args.data_root).resolve()) if args.data_root else None
    config = configs.load(args.config, data_root=root)
    preflight.check_data(config)
    preflight.finish(config, args.seed)
    if args.threads:
        torch.set_num_threads(args.threads)
    config.train_cfg.max_epochs, config.train_dataloader.batch_size = EPOCHS, BATCH
    settings = stock.runner(config, str(Path(args.work_dir).resolve()))
    settings.train_dataloader.drop_last = False
    settings.train_dataloader.dataset.pipeline = training_pipeline(config.codec)
    settings.default_hooks.checkpoint = None
    settings.custom_hooks.append({"type": "StopInTime"})
    settings.randomness = {"seed": config.randomness.seed}

    runner = Runner.from_cfg(settings)
    model = runner.train()
    content = {"state_dict": model.state_dict()}
    for averaging in (hook for hook in runner.hooks if isinstance(hook, EMAHook)):
        averaging.before_save_checkpoint(runner, content)
    final = Path(settings.work_dir) / "final.pth"
    steps = runner.train_loop.iter
    checkpoint.save(final, {"state_dict": content["state_dict"], "meta": {"epoch": runner.epoch, "iter": steps}})
    print(f"{steps} steps in {time.monotonic() - STARTED:.0f} s")
    return final


def main(argv: Sequence[str]) -> None:
    print(f"weights: {train(parse_args(argv))}")


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
