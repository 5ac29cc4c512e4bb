"""Kills training runs (kill -9) at random moments and within saves, resumes them, and compares the end to the bit.

A short run on synthetic horses is trained once without interruption. Then, again and again, the same run is started
in a process of its own, killed, and resumed until it is done. A third of the kills come at a moment drawn from the
whole length of the run, start and end included; a third wait for a checkpoint that is being written; a third follow a
SIGTERM within half a second, as those of Docker and Slurm do, when the run is about to save the step it is in. Weights,
optimiser, hooks' state and best.pth must equal those of the run that was never killed.

Needs fork (Linux, macOS). About 10 s a run on one core.

Examples:
  python benchmarks/kill_and_resume.py --runs 20 --folder work_dirs/kill_and_resume
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from equistera import cli
from equistera.errors import UserError
from equistera.mm.network import checkpoint
from equistera.mm.run.train import TrainOptions, train
from equistera.synthetic.writer import write_dataset

#: A network and a schedule that train for real in seconds: 5 epochs of 4 steps, saved and evaluated after each.
SMALL = [
    "codec.input_size=(64,64)",
    "model.backbone.widen_factor=0.125",
    "model.head.in_channels=64",
    "model.head.gau_cfg.hidden_dims=32",
    "model.head.gau_cfg.s=16",
    "model.head.gau_cfg.dropout_rate=0.1",
    "train_dataloader.batch_size=4",
    "train_dataloader.num_workers=0",
    "val_dataloader.num_workers=0",
    "train_cfg.max_epochs=5",
    "train_cfg.val_interval=1",
    "default_hooks.checkpoint.interval=1",
    # all AP is 0 in so short a run
    "default_hooks.checkpoint.best=val/PCK@0.1",
    "training_subset.pictures=6",
    "norm_statistics.pictures=6",
]

AIMS = ("moment", "save", "stop")

#: A run that is killed this often and still not done is stuck.
ATTEMPTS = 10


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        aim: One of :data:`AIMS`.
        after: Seconds from the start to the kill.
        left: What the kill left: the newest checkpoint, and whether a file was half written.
        differs: Parts that differ from the run that was never killed.
    """

    aim: str
    after: float
    left: str
    differs: tuple[str, ...]


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs to kill")
    parser.add_argument("--folder", required=True, type=Path, help="for data and runs; must not exist yet")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    args = parse_args(argv)
    if args.folder.exists():
        raise UserError(f"{args.folder} exists already", hint="--folder names a new one")
    # pools of threads do not survive the fork, and OpenCV then waits for its own for ever
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    data = write_dataset(args.folder / "data", {"train": 12, "val": 4}, size=(320, 240), workers=1)
    straight, length = args.folder / "straight", time.monotonic()
    finish(start(straight, data, resume=False))
    length = time.monotonic() - length
    rng = np.random.default_rng(args.seed)
    outcomes = []
    print(f"a run takes {length:.1f} s\n\n  run  aimed at  killed after  found afterwards                    the end")
    for number in range(args.runs):
        work_dir = args.folder / f"run{number + 1}"
        outcome = kill_and_resume(work_dir, data, straight, rng, length, AIMS[number % 3])
        outcomes.append(outcome)
        verdict = f"DIFFERS: {', '.join(outcome.differs)}" if outcome.differs else "identical"
        print(f"  {number + 1:3}  {outcome.aim:8}  {outcome.after:10.2f} s  {outcome.left:34}  {verdict}", flush=True)
    same, torn = sum(not o.differs for o in outcomes), sum("half" in o.left for o in outcomes)
    print(
        f"\n{same} of {args.runs} killed and resumed runs end with weights, optimiser, hooks and best.pth identical to "
        f"the run that was never killed; {torn} kills left a checkpoint half written"
    )
    return 0 if same == args.runs else 1


def kill_and_resume(
    work_dir: Path, data: Path, straight: Path, rng: np.random.Generator, length: float, aim: str
) -> Outcome:
    """Starts a run, kills it, and resumes it to its end."""
    begin = time.monotonic()
    moment, save = begin + rng.uniform(0, length), int(rng.integers(1, 6))
    # a save takes some milliseconds
    delay = rng.uniform(0, 0.01)
    notice = rng.uniform(0, 0.5)
    due = in_save(work_dir, save, delay) if aim == "save" else lambda: time.monotonic() >= moment
    process = start(work_dir, data, resume=False)
    ended = kill_when(process, due, notice if aim == "stop" else None)
    after = time.monotonic() - begin
    left = "it was done already" if ended else found(work_dir)
    for _ in range(ATTEMPTS):
        if (work_dir / "epoch_5.pth").exists() and (work_dir / "training_curves.png").exists():
            break
        # without a checkpoint there is nothing to resume, and a user starts again
        finish(start(work_dir, data, resume=bool(resumable(work_dir))))
    return Outcome(aim, after, left, differences(straight, work_dir))


def start(work_dir: Path, data: Path, resume: bool) -> int:
    """Starts ``tools/train.py`` in a process of its own, without its minutes of imports; returns its id."""
    options = TrainOptions(
        "configs/demo_rtmpose_t.py",
        work_dir=str(work_dir),
        data_root=str(data),
        device="cpu",
        cfg_options=SMALL,
        resume=resume,
    )
    work_dir.parent.mkdir(parents=True, exist_ok=True)
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        log = os.open(work_dir.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = cli.run(lambda argv: train(options) and 0, [])
    finally:
        sys.stdout.flush()
        os._exit(code)


def finish(process: int) -> None:
    """Waits for a run that nobody kills."""
    _, status = os.waitpid(process, 0)
    if status:
        raise UserError(f"a run failed with status {status}", hint="Its .log file beside its folder says why")


def kill_when(process: int, due: Callable[[], bool], notice: float | None) -> bool:
    """Kills a process when ``due()`` holds; returns whether it had ended before.

    Args:
        process: Its id.
        due: Asked until it holds.
        notice: Seconds from a SIGTERM to the kill; None kills without notice.
    """
    while not due():
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            if status:
                raise UserError(f"a run failed with status {status} before it was killed")
            return True
        time.sleep(0.0002)
    if notice is not None:
        os.kill(process, signal.SIGTERM)
        time.sleep(notice)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return status == 0


def in_save(work_dir: Path, which: int, delay: float) -> Callable[[], bool]:
    """Whether the checkpoint of epoch ``which`` is being written, and has been for ``delay`` seconds."""
    seen: list[float] = []

    def due() -> bool:
        if not seen and any(work_dir.glob(f".epoch_{which}.pth.*.part")):
            seen.append(time.monotonic())
        return bool(seen) and time.monotonic() >= seen[0] + delay

    return due


def resumable(work_dir: Path) -> list[str]:
    """Names of the checkpoints that a run goes on from, the newest last."""
    paths = [*work_dir.glob("epoch_*.pth"), *work_dir.glob("step_*.pth")]
    return [path.stem for path in sorted(paths, key=lambda path: path.stat().st_mtime)]


def found(work_dir: Path) -> str:
    """What a kill left."""
    names = resumable(work_dir)
    half = ", one half written" if any(work_dir.glob(".*.part")) else ""
    return (names[-1] if names else "no checkpoint") + half


def differences(straight: Path, resumed: Path) -> tuple[str, ...]:
    """Parts of the last and the best checkpoint that are not equal to the bit."""
    parts = []
    for name in ("epoch_5.pth", "best.pth"):
        one, other = (checkpoint.load(folder / name) for folder in (straight, resumed))
        parts += [
            f"{name} {part}"
            for part in ("state_dict", "optimizer", "hooks")
            if not checkpoint.equal(one.get(part), other.get(part))
        ]
        if any(one["meta"][key] != other["meta"][key] for key in ("epoch", "iter", "best_score", "best_epoch")):
            parts.append(f"{name} meta")
    return tuple(parts)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
