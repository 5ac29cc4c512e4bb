"""Kills training runs (kill -9) at random moments and within saves, resumes them, and compares the end to the bit.

A short run on synthetic horses is trained once without interruption. Then, again and again, the same run is started
in a process of its own, killed, and resumed until it is done. A third of the kills come at a moment drawn from the
whole length of the run, start and end included; a third wait for a checkpoint that is being written; a third follow a
SIGTERM within half a second, as those of Docker and Slurm do, when the run is about to save. Weights, optimiser, hooks'
state and best.pth must equal those of the run that was never killed.

With --kills every tool that writes is killed instead, beside files of the user's, every second time over its own
earlier output: a third of the kills come at a moment, a third while a file is being written, a third just after one has
got its name. Afterwards inputs and the user's files must be what they were, and every file that has its final name must
open. The same command must then work, or name the option with which it does. Long tools get a SIGTERM and a SIGHUP too.

Needs fork (Linux, macOS). About 10 s a run on one core; 20 minutes for 25 kills of all tools.

Examples:
  python benchmarks/kill_and_resume.py --runs 20 --folder work_dirs/kill_and_resume
  python benchmarks/kill_and_resume.py --kills 25 --folder work_dirs/kill_every_tool
  python benchmarks/kill_and_resume.py --kills 25 --folder work_dirs/kill_three_tools --only convert split pictures
"""

import hashlib
import importlib.util
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
import traceback
import xml.dom.minidom
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from equistera import cli
from equistera.errors import UserError
from equistera.synthetic.writer import write_dataset

PROJECT = Path(__file__).resolve().parents[1]
#: Seconds after which a tool hangs: many times the longest run.
PATIENCE = 300
#: A run that is killed this often and still not done is stuck.
ATTEMPTS = 10
#: A network and a schedule that train for real in seconds: 5 epochs of 4 steps, saved and evaluated after each.
SMALL = """
    codec.input_size=(64,64) model.backbone.widen_factor=0.125 model.head.in_channels=64
    model.head.gau_cfg.hidden_dims=32 model.head.gau_cfg.s=16 model.head.gau_cfg.dropout_rate=0.1
    train_dataloader.batch_size=4 train_dataloader.num_workers=0 val_dataloader.num_workers=0
    train_cfg.max_epochs=5 train_cfg.val_interval=1 default_hooks.checkpoint.interval=1
    default_hooks.checkpoint.best=val/PCK@0.1 training_subset.pictures=6 norm_statistics.pictures=6
"""
SETTINGS = f"CONFIG --data-root IN/data --cfg-options {SMALL}"
#: All AP is 0 in so short a run, hence ``checkpoint.best`` above.
TRAIN = f"{SETTINGS} --device cpu --work-dir"
SHORT = TRAIN.replace("max_epochs=5", "max_epochs=2")
LABELS, PICTURES = "IN/data/annotations/train.json", "IN/data/images/train"
#: Files of the user's in every output folder.
MINE = ("notes.txt", "images/train/mine.txt", ".mine.part", "annotations/mine.json")


@dataclass(frozen=True)
class Case:
    """A command that writes.

    Attributes:
        name: Of the case.
        tool: In ``tools/``.
        words: Its arguments; OUT stands for the folder that it writes to, IN for that of its inputs.
        long: Whether it is also ended by SIGTERM and SIGHUP.
        begin: Input folder that its output folder is a copy of before it starts, and what the user owns in it.
    """

    name: str
    tool: str
    words: str
    long: bool = False
    begin: tuple[str, ...] = ()

    def argv(self, out: Path, inputs: Path) -> list[str]:
        places = {"OUT": out, "IN": inputs, "CONFIG": PROJECT / "configs/demo_rtmpose_t.py"}
        words = [word.partition("/") for word in self.words.split()]
        return [str(places[first]) + slash + rest if first in places else first + slash + rest
                for first, slash, rest in words]  # fmt: skip

    @property
    def overwrites(self) -> bool:
        return '"--overwrite"' in (PROJECT / "tools" / f"{self.tool}.py").read_text(encoding="utf-8")


CASES = (
    Case("convert", "convert_dataset",
         f"--input {LABELS} --img-dir {PICTURES} --out OUT/annotations --split 0.6 0.2 0.2"),
    Case("convert copies", "convert_dataset",
         f"--input {LABELS} --img-dir {PICTURES} --out OUT/annotations --images copy"),
    Case("convert inside", "convert_dataset", "--input OUT/labels --img-dir OUT --out OUT/annotations",
         begin=("inside", "photos", "labels")),
    Case("convert unsplit", "convert_dataset",
         f"--input {LABELS} --img-dir {PICTURES} --out OUT/annotations --split none"),
    Case("split", "split_dataset", f"--ann-file {LABELS} --img-dir {PICTURES} --out OUT/annotations"),
    Case("verify", "verify_dataset",
         f"--ann-file {LABELS} IN/data/annotations/val.json --report OUT/report.html --workers 1", long=True),
    Case("verify fix", "verify_dataset", f"--ann-file IN/broken.json --img-dir {PICTURES} --fix OUT/fixed.json "
         "--report OUT/report.html --workers 1"),
    Case("export labelstudio", "export_annotations", f"--ann-file {LABELS} --to labelstudio --out OUT/x.json"),
    Case("export cvat", "export_annotations", f"--ann-file {LABELS} --to cvat --out OUT/x.xml"),
    Case("export coco", "export_annotations", f"--ann-file {LABELS} --to coco --out OUT/x.json"),
    Case("export yolo", "export_annotations", f"--ann-file {LABELS} --to yolo --out OUT/x"),
    Case("labelling labelstudio", "labelling_config", "--to labelstudio --out OUT/x.xml"),
    Case("labelling picture", "labelling_config", "--to picture --out OUT/x.jpg"),
    Case("demo data", "make_demo_data",
         "--out OUT/demo --train 6 --val 2 --test 2 --size 160x120 --workers 1", long=True),
    Case("demo sheet", "make_demo_data", "--sheet OUT/sheet.jpg"),
    Case("download", "download_checkpoints", "OUT", long=True),
)  # fmt: skip
#: Those that need a network.
TRAINED = (
    Case("cache", "build_cache", f"{SETTINGS} --work-dir OUT/run", long=True),
    Case("augmentation", "augmentation", f"{SETTINGS} --draws 20 --samples 2 --out OUT/sheet"),
    Case("monitor", "monitor_training", "--work-dir IN/run --out OUT/curves.png"),
    Case("test", "test", "IN/run --device cpu --out OUT/scores --report", long=True),
    Case("test calibrated", "test", f"CONFIG OUT/best.pth --data-root IN/data --split val --device cpu "
         f"--cfg-options {SMALL}", begin=("weights", "best.pth")),
    Case("pictures", "visualize",
         f"IN/run --device cpu --img-dir {PICTURES} --out OUT/drawn --json OUT/x.json", long=True),
    Case("video", "visualize", "IN/run --device cpu --video IN/video.mp4 --out OUT/x.mp4", long=True),
    Case("train", "train", f"{SHORT} OUT/run", long=True),
    Case("train resumed", "train", "--resume --device cpu --work-dir OUT", long=True, begin=("stopped",)),
)  # fmt: skip


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--runs", type=cli.at_least(1), default=20, help="training runs to kill")
    parser.add_argument("--kills", type=cli.at_least(1), help="of each tool that writes, instead of training runs")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="with --kills: cases whose names begin so")
    parser.add_argument("--folder", required=True, type=Path, help="for inputs and outputs; must not exist yet")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    args = parse_args(argv)
    if args.folder.exists():
        raise UserError(f"{args.folder} exists already", hint="--folder names a new one")
    if args.only and not args.kills:
        raise UserError("--only means nothing without --kills")
    folder = args.folder.absolute()
    write_dataset(folder / "in/data", {"train": 12, "val": 4, "test": 4}, size=(320, 240), workers=1)
    return kill_tools(folder, args) if args.kills else kill_runs(folder, args)


# Training runs, to the bit


def kill_runs(folder: Path, args) -> int:
    """Kills and resumes training runs, and prints a table; returns the exit code."""
    import_once()
    case, straight, began = Case("run", "train", f"{TRAIN} OUT"), folder / "straight", time.monotonic()
    finish(start(tool("train"), case.argv(straight, folder / "in"), folder / "straight.log"), 0)
    length = time.monotonic() - began
    rng = np.random.default_rng(args.seed)
    print(f"a run takes {length:.1f} s\n\n  run  aimed at  killed after  found afterwards                    the end")
    same = torn = 0
    for number in range(args.runs):
        aim, out = ("moment", "save", "stop")[number % 3], folder / f"run{number + 1}"
        log, began = out.with_suffix(".log"), time.monotonic()
        process = start(tool("train"), case.argv(out, folder / "in"), log)
        # five checkpoints
        code = end_at(process, out, aim, rng, length, 5)
        after, left = time.monotonic() - began, "it was done already" if code == 0 else found_in(out)
        for _ in range(ATTEMPTS):
            if (out / "epoch_5.pth").exists() and (out / "training_curves.png").exists():
                break
            finish(start(tool("train"), [*case.argv(out, folder / "in"), "--resume"], log), 0)
        differs = differences(straight, out)
        verdict = f"DIFFERS: {', '.join(differs)}" if differs else "identical"
        print(f"  {number + 1:3}  {aim:8}  {after:10.2f} s  {left:34}  {verdict}", flush=True)
        same, torn = same + (not differs), torn + ("half" in left)
    print(
        f"\n{same} of {args.runs} killed and resumed runs end with weights, optimiser, hooks and best.pth identical to "
        f"the run that was never killed; {torn} kills left a checkpoint half written"
    )
    return 0 if same == args.runs else 1


def found_in(work_dir: Path) -> str:
    """What a kill left of a run."""
    paths = [*work_dir.glob("epoch_*.pth"), *work_dir.glob("latest.pth")]
    newest = max(paths, key=lambda path: path.stat().st_mtime).stem if paths else "no checkpoint"
    return newest + (", one half written" if any(work_dir.glob(".*.part")) else "")


def differences(straight: Path, resumed: Path) -> list[str]:
    """Parts of the last and the best checkpoint that are not equal to the bit."""
    from equistera.mm.network import checkpoint

    parts = []
    for name in ("epoch_5.pth", "best.pth"):
        one, other = (checkpoint.load(folder / name) for folder in (straight, resumed))
        parts += [
            f"{name} {part}"
            for part in ("state_dict", "optimizer", "loop", "hooks")
            if not checkpoint.equal(one.get(part), other.get(part))
        ]
        if any(one["meta"][key] != other["meta"][key] for key in ("epoch", "iter", "best_score", "best_epoch")):
            parts.append(f"{name} meta")
    return parts


# Every tool that writes


def kill_tools(folder: Path, args) -> int:
    """Kills tools, and prints a table and the faults; returns the exit code."""
    cases, trained = ([c for c in some if not args.only or c.name.startswith(tuple(args.only))]
                      for some in (CASES, TRAINED))  # fmt: skip
    inputs, faults = folder / "in", []
    make_inputs(inputs)
    print("tool                   kills  done before  half written  next run                       faults", flush=True)
    for case in cases:
        faults += kill_often(case, folder, args.kills, args.seed)
    if trained:
        make_trained_inputs(inputs)
    for case in trained:
        faults += kill_often(case, folder, args.kills, args.seed)
    for fault in faults:
        print(fault)
    return bool(faults)


def make_inputs(inputs: Path) -> None:
    """What cases without a network read, beside the data."""
    train = inputs / "data/annotations/train.json"
    shutil.copytree(inputs / "data/images/train", inputs / "inside/photos")
    (inputs / "inside/labels").mkdir()
    shutil.copy(train, inputs / "inside/labels")
    broken = json.loads(train.read_text())
    broken["annotations"][0]["num_keypoints"] = 3
    (inputs / "broken.json").write_text(json.dumps(broken))


def make_trained_inputs(inputs: Path) -> None:
    """A finished run, one that was stopped after its first epoch, its weights alone, and a video."""
    import av

    import_once()
    run, stopped = inputs / "run", inputs / "stopped"
    argv = Case("run", "train", f"{SHORT} OUT").argv(run, inputs)
    finish(start(tool("train"), argv, inputs / "run.log"), 0)
    shutil.copytree(run, stopped)
    for name in ("epoch_2.pth", "training_curves.png", "latest.pth"):
        (stopped / name).unlink(missing_ok=True)
    (inputs / "weights").mkdir()
    shutil.copy(run / "best.pth", inputs / "weights")
    with av.open(str(inputs / "video.mp4"), "w") as video:
        stream = video.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 320, 240
        for path in sorted((inputs / "data/images/train").iterdir()):
            video.mux(stream.encode(av.VideoFrame.from_image(Image.open(path))))
        video.mux(stream.encode(None))


def kill_often(case: Case, folder: Path, kills: int, seed: int) -> list[str]:
    """Kills a case again and again, prints its row of the table, and returns its faults."""
    rng = np.random.default_rng([seed, *case.name.encode()])
    place, inputs, main = folder / case.name.replace(" ", "_"), folder / "in", tool(case.tool)
    whole = place / "whole"
    prepare(whole, case, inputs)
    began = time.monotonic()
    process = start(main, case.argv(whole, inputs), place / "whole.log")
    parts, named = watch(process, whole)
    expected = finish(process)
    length = time.monotonic() - began
    if expected not in (0, 1):
        raise UserError(f"{case.name} fails without a kill: see {place / 'whole.log'}")
    before = hashes(inputs)
    faults, left, done, following = [], 0, 0, Counter()
    aims = [("moment", "writing", "named")[n % 3] for n in range(kills)] + ["SIGTERM", "SIGHUP"] * case.long
    for number, aim in enumerate(aims, start=1):
        out, log = place / f"{number}", place / f"{number}.log"
        earlier = number % 2 == 0 and not case.begin
        prepare(out, case, inputs, whole if earlier else None)
        owned = hashes(out)
        argv = [*case.argv(out, inputs), *(["--overwrite"] if earlier and case.overwrites else [])]
        process = start(main, argv, log)
        ended = end_at(process, out, aim, rng, length, max(1, named if aim == "named" else parts))
        done += ended is not None and not aim.startswith("SIG")
        found = examine(out, owned, whole, case)
        found += ["INPUTS CHANGED"] * (hashes(inputs) != before)
        rest = unfinished(out)
        left += bool(rest)
        # a download goes on from what it has
        if aim.startswith("SIG") and rest and case.name != "download":
            found.append(f"{aim} leaves {rest[0].name}")
        how, problem = next_run(main, argv, log, expected)
        following[how] += 1
        found += [*problem, *(f"then: {fault}" for fault in examine(out, owned, whole, case))]
        found += [f"stays for ever: {path.relative_to(out)}" for path in unfinished(out)[:1]]
        found += [f"missing at the end: {name}" for name in sorted(names_of(whole) - names_of(out))[:1]]
        faults += [f"{case.name} {number} ({aim}): {fault}" for fault in found]
        if not found:
            shutil.rmtree(out)
    ways = ", ".join(f"{how} {count}" for how, count in following.items())
    print(f"{case.name:22} {len(aims):5}  {done:11}  {left:12}  {ways:29}  {len(faults)}", flush=True)
    return faults


def prepare(out: Path, case: Case, inputs: Path, earlier: Path | None = None) -> None:
    """Makes an output folder in which the user has something."""
    if begin := earlier or (inputs / case.begin[0] if case.begin else None):
        shutil.copytree(begin, out)
    for path in (out / name for name in MINE):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


def next_run(main: Callable, argv: Sequence[str], log: Path, expected: int) -> tuple[str, list[str]]:
    """Runs the command again, with what it asks for; returns how it went and what was wrong."""
    said = ""
    for how, more in (("works", []), ("asks --overwrite", ["--overwrite"])):
        if more and ("--overwrite" not in said or "--overwrite" in argv or "Traceback" in said):
            break
        size = log.stat().st_size if log.exists() else 0
        code = finish(start(main, [*argv, *more], log))
        said = log.read_bytes()[size:].decode(errors="replace")
        if code == expected and "Traceback" not in said:
            return how, []
        # the command itself stands in the log
        said = said.partition("\n")[2]
    return "fails", [f"next run ends with {code}: {said.strip().splitlines()[-1] if said.strip() else ''}"]


def examine(out: Path, owned: dict[str, str], whole: Path, case: Case) -> list[str]:
    """What is wrong in an output folder: files that were there and are gone or that do not open."""
    users = [*MINE, *(name for name in owned if name.startswith(case.begin[1:]))]
    found = [f"USER'S {n} LOST" for n in users if not (out / n).exists() or digest(out / n) != owned[n]]
    for path in files_of(out):
        if path.name.startswith(".") or is_part(path.relative_to(out)):
            continue
        try:
            check_whole(path, whole / path.relative_to(out))
        except Exception as error:
            found.append(f"{path.relative_to(out)} is not whole: {type(error).__name__} {error}")
    return found


def check_whole(path: Path, whole: Path) -> None:
    """Reads a file to its end; raises whatever the reader does, ValueError where it is shorter than ``whole``."""
    ending = path.suffix
    if ending == ".json" and path.parent.name != "vis_data":
        json.loads(path.read_text())
    elif ending in (".jpg", ".png"):
        with Image.open(path) as picture:
            picture.load()
    elif ending == ".mp4":
        import av

        with av.open(str(path)) as video, av.open(str(whole)) as other:
            if len([*video.decode(video=0)]) != len([*other.decode(video=0)]):
                raise ValueError("frames are missing")
    elif ending == ".pth" and "tiny-" not in path.name:
        from equistera.mm.network import checkpoint

        checkpoint.load(path)
    elif ending == ".xml":
        xml.dom.minidom.parse(str(path))
    elif ending == ".html":
        path.read_text().rindex("</html>")
    elif ending in (".txt", ".pth") and whole.exists() and path.stat().st_size != whole.stat().st_size:
        raise ValueError("its end is missing")


# The harness


def tool(name: str) -> Callable[[Sequence[str]], int | None]:
    """``main`` of ``tools/NAME.py``; the download's with a server of this process, whose file it fetches."""
    if name == "download_checkpoints":
        return downloader()
    spec = importlib.util.spec_from_file_location(f"tool_{name}", PROJECT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def downloader() -> Callable[[Sequence[str]], None]:
    sys.path.append(str(PROJECT / "tests/checkpoints"))
    from misbehaving_server import Server

    from equistera.checkpoints import Checkpoint
    from equistera.checkpoints.download import download

    content = random.Random(0).randbytes(32_000_000)
    server = Server()
    name = f"/tiny-{hashlib.sha256(content).hexdigest()[:8]}_20240131.pth"
    server.files[name] = content
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["no_proxy"] = "127.0.0.1"
    return lambda argv: download([Checkpoint("tiny", server.url + name, "a test file")], argv[0])


def import_once() -> None:
    """Imports what takes seconds, for all tools that are started."""
    import cv2
    import torch

    from equistera.mm.augmentation_sheet import augmentation_sheet  # noqa: F401
    from equistera.mm.prediction.test import test  # noqa: F401
    from equistera.mm.prediction.visualize import visualize  # noqa: F401
    from equistera.mm.run.train import train  # noqa: F401

    # pools of threads do not survive the fork, and OpenCV then waits for its own for ever
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def start(main: Callable, argv: Sequence[str], log: Path) -> int:
    """Starts a tool in a process of its own, without its seconds of imports; returns its id."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        os.setpgid(0, 0)
        # this script's own handlers end what is forked; a tool that a shell starts has the system's
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        log.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        print("$", *argv, flush=True)
        code = cli.run(main, argv)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def running(process: int) -> bool:
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def finish(process: int, expected: int | None = None) -> int:
    """Waits for a tool that nobody kills; returns its exit code, 124 where it hangs.

    Raises:
        UserError: It is not ``expected``.
    """
    end = time.monotonic() + PATIENCE
    while running(process) and time.monotonic() < end:
        time.sleep(0.01)
    hangs = running(process)
    if hangs:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    code = 124 if hangs else os.waitstatus_to_exitcode(status)
    if expected not in (None, code):
        raise UserError(f"a tool ended with {code}, expected {expected}", hint="The .log beside its folder says why")
    return code


def end_at(process: int, out: Path, aim: str, rng: np.random.Generator, length: float, files: int) -> int | None:
    """Ends a process.

    Args:
        process: Its id.
        out: Where it writes.
        aim: ``moment``; ``writing``, ``save`` (a file, a checkpoint has begun); ``named`` (a file has got its name);
            ``stop``: a SIGTERM at a moment and the kill within half a second; ``SIGTERM``, ``SIGHUP``: no kill.
        rng: Draws which moment or file.
        length: Seconds of a whole run.
        files: How many files can be aimed at.

    Returns:
        Its exit code if it ended by itself, before or after a signal; None if it was killed.
    """
    moment, which = time.monotonic() + rng.uniform(0, length), int(rng.integers(1, files + 1))
    # to write a file takes some milliseconds
    delay, notice = rng.uniform(0, 0.01 if aim == "save" else 0.003), rng.uniform(0, 0.5)
    wanted = {
        "writing": is_part,
        "save": lambda path: path.name.startswith(".epoch_") and is_part(path),
        "named": lambda path: not is_part(path),
    }.get(aim)
    began, seen = {(path, inode(path)) for path in files_of(out)}, set()
    while running(process):
        if wanted:
            seen.update((path, inode(path)) for path in files_of(out) if wanted(path.relative_to(out)))
            if len({(path, number) for path, number in seen - began if number}) >= which:
                time.sleep(delay)
                break
        elif time.monotonic() >= moment:
            break
        time.sleep(0.0002)
    if not running(process):
        return finish(process)
    if aim.startswith("SIG"):
        os.kill(process, getattr(signal, aim))
        return finish(process)
    if aim == "stop":
        os.kill(process, signal.SIGTERM)
        time.sleep(notice)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return None if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)


def watch(process: int, out: Path) -> tuple[int, int]:
    """How many files a run writes, and how many names appear, as far as they are seen."""
    parts, names, began = set(), set(), {*files_of(out)}
    while running(process):
        for path in files_of(out):
            if path not in began:
                (parts if is_part(path.relative_to(out)) else names).add(path)
        time.sleep(0.001)
    return len(parts), len(names)


def files_of(folder: Path) -> list[Path]:
    """All files but the user's, hidden ones and links included; what goes away meanwhile is left out."""
    found, folders = [], [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif not entry.name.startswith(".mine"):
                        found.append(Path(entry.path))
        except FileNotFoundError:
            continue
    return found


def names_of(folder: Path) -> set[str]:
    """Names of its files but those of logs, which are named by the time."""
    names = {str(path.relative_to(folder)) for path in files_of(folder)}
    return {name for name in names if f"/{time.localtime().tm_year}" not in f"/{name}" and "vis_data" not in name}


def unfinished(folder: Path) -> list[Path]:
    return [path for path in files_of(folder) if is_part(path.relative_to(folder))]


def is_part(path: Path) -> bool:
    """Whether a file, or a folder that it lies in, has not got its name yet."""
    return any(part.endswith(".part") for part in path.parts)


def inode(path: Path) -> int | None:
    """None where it has got another name meanwhile."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hashes(folder: Path) -> dict[str, str]:
    paths = [*files_of(folder), *folder.rglob(".mine*")]
    return {str(path.relative_to(folder)): digest(path) for path in paths if path.is_file()}


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
