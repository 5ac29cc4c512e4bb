"""Kills every tool that writes (kill -9) at random moments and within its writing, and looks at what is left.

Each tool runs once to its end, which gives the length of a run and what it makes. Then it is started again and again,
each time beside files of the user's, every second time over its own earlier output, and killed: a third of the kills
come at a moment drawn from the whole length, a third while a file is being written, a third just after one has got its
name. Afterwards inputs and the user's files must be what they were, and every file that has its final name must open.
The same command must then work, or name the option with which it does. Long tools get a SIGTERM and a SIGHUP as well.

Needs fork (Linux, macOS). About 20 minutes for all tools on one quiet core.

Examples:
  python benchmarks/kill_anywhere.py --kills 25 --folder work_dirs/kill_anywhere
  python benchmarks/kill_anywhere.py --kills 25 --folder work_dirs/kill_anywhere --only convert split visualize
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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from equistera import cli
from equistera.errors import UserError

PROJECT = Path(__file__).resolve().parents[1]
AIMS = ("moment", "writing", "named")
#: Seconds after which a tool hangs: many times the longest run.
PATIENCE = 300
CONFIG = str(PROJECT / "configs" / "demo_rtmpose_t.py")


@dataclass(frozen=True)
class Case:
    """A command that writes.

    Attributes:
        name: Of the case.
        main: Takes the arguments.
        argv: ``OUT`` stands for the folder that it writes to.
        long: Whether it is also ended by SIGTERM and SIGHUP.
        begin: A folder that its output folder is a copy of, before it starts.
    """

    name: str
    main: Callable[[Sequence[str]], int | None]
    argv: tuple[str, ...]
    long: bool = False
    begin: Path | None = None


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--kills", type=cli.at_least(1), default=25, help="of each tool")
    parser.add_argument("--folder", required=True, type=Path, help="for inputs and outputs; must not exist yet")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cases whose names begin so")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    args = parse_args(argv)
    if args.folder.exists():
        raise UserError(f"{args.folder} exists already", hint="--folder names a new one")
    folder = args.folder.absolute()
    faults = []
    print("tool              kills  done before  files half written  next run                       faults", flush=True)
    for case in cases(folder / "in", args.only):
        row = kill_often(case, folder, args.kills, args.seed)
        faults += row.pop("faults")
        print("{name:17} {kills:5}  {done:11}  {parts:18}  {next:29}  {count}".format(**row), flush=True)
    print(*faults, sep="\n")
    return bool(faults)


def cases(folder: Path, only: Sequence[str] | None) -> Iterator[Case]:
    """The cases, with what they read, which is made in ``folder`` as it is needed."""

    def wanted(*names: str) -> bool:
        return not only or any(name.startswith(tuple(only)) for name in names)

    from equistera.synthetic.writer import write_dataset

    data = write_dataset(folder / "data", {"train": 12, "val": 4, "test": 4}, size=(320, 240), workers=1)
    train, val = data / "annotations/train.json", data / "annotations/val.json"
    pictures = str(data / "images/train")
    plain = [
        Case(
            "convert",
            tool("convert_dataset"),
            ("--input", str(train), "--img-dir", pictures, "--out", "OUT/annotations", "--split", "0.6", "0.2", "0.2"),
        ),
        Case(
            "convert copies",
            tool("convert_dataset"),
            ("--input", str(train), "--img-dir", pictures, "--out", "OUT/annotations", "--images", "copy"),
        ),
        Case(
            "convert inside",
            tool("convert_dataset"),
            ("--input", "OUT/labels", "--img-dir", "OUT", "--out", "OUT/annotations"),
            begin=folder / "inside",
        ),
        Case(
            "convert unsplit",
            tool("convert_dataset"),
            ("--input", str(train), "--img-dir", pictures, "--out", "OUT/annotations", "--split", "none"),
        ),
        Case(
            "split",
            tool("split_dataset"),
            ("--ann-file", str(train), "--img-dir", pictures, "--out", "OUT/annotations"),
        ),
        Case(
            "verify",
            tool("verify_dataset"),
            ("--ann-file", str(train), str(val), "--report", "OUT/report.html", "--workers", "1"),
            long=True,
        ),
        Case(
            "verify fix",
            tool("verify_dataset"),
            (
                "--ann-file",
                str(folder / "broken.json"),
                "--img-dir",
                pictures,
                "--fix",
                "OUT/fixed.json",
                "--report",
                "OUT/report.html",
                "--workers",
                "1",
            ),
        ),
        *(
            Case(
                f"export {to}",
                tool("export_annotations"),
                ("--ann-file", str(train), "--to", to, "--out", f"OUT/{name}"),
            )
            for to, name in (("labelstudio", "x.json"), ("cvat", "x.xml"), ("coco", "x.json"), ("yolo", "x"))
        ),
        *(
            Case(f"labelling {to}", tool("labelling_config"), ("--to", to, "--out", f"OUT/{name}"))
            for to, name in (("labelstudio", "x.xml"), ("picture", "x.jpg"))
        ),
        Case(
            "demo data",
            tool("make_demo_data"),
            ("--out", "OUT/demo", "--train", "6", "--val", "2", "--test", "2", "--size", "160x120", "--workers", "1"),
            long=True,
        ),
        Case("demo sheet", tool("make_demo_data"), ("--sheet", "OUT/sheet.jpg")),
    ]
    shutil.copytree(data / "images/train", folder / "inside/photos")
    shutil.copytree(
        train.parent, folder / "inside/labels", ignore=lambda _, names: [n for n in names if n != train.name]
    )
    broken = json.loads(train.read_text())
    broken["annotations"][0]["num_keypoints"] = 3
    (folder / "broken.json").write_text(json.dumps(broken))
    yield from (case for case in plain if wanted(case.name))
    if wanted("download"):
        yield Case("download", downloader(folder), ("OUT",), long=True)
    names = (
        "cache",
        "augmentation",
        "train",
        "train resumed",
        "monitor",
        "test",
        "test calibrated",
        "pictures",
        "video",
    )
    if wanted(*names):
        yield from (case for case in trained(folder, data) if wanted(case.name))


def trained(folder: Path, data: Path) -> Iterator[Case]:
    """The cases that need a network."""
    import av
    import cv2
    import torch
    from kill_and_resume import SMALL

    # imported here once, for all that are started
    from equistera.mm.augmentation_sheet import augmentation_sheet  # noqa: F401
    from equistera.mm.prediction.test import test  # noqa: F401
    from equistera.mm.prediction.visualize import visualize  # noqa: F401
    from equistera.mm.run.train import train  # noqa: F401

    # pools of threads do not survive the fork
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    run = folder / "run"
    settings = (CONFIG, "--data-root", str(data), "--cfg-options", *SMALL, "train_cfg.max_epochs=2")
    command = (*settings, "--device", "cpu", "--work-dir")
    finish(start(tool("train"), (*command, str(run)), folder / "run.log"), 0)
    stopped = folder / "stopped"
    shutil.copytree(run, stopped)
    for gone in (*stopped.glob("epoch_2.pth"), *stopped.glob("training_curves.png"), *stopped.glob("latest.pth")):
        gone.unlink()
    with av.open(str(folder / "video.mp4"), "w") as video:
        stream = video.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 320, 240
        for path in sorted((data / "images/train").iterdir()):
            video.mux(stream.encode(av.VideoFrame.from_image(Image.open(path))))
        video.mux(stream.encode(None))
    model = (str(run), "--device", "cpu")
    yield Case("cache", tool("build_cache"), (*settings, "--work-dir", "OUT/run"), long=True)
    yield Case(
        "augmentation", tool("augmentation"), (*settings, "--draws", "20", "--samples", "2", "--out", "OUT/sheet")
    )
    yield Case("monitor", tool("monitor_training"), ("--work-dir", str(run), "--out", "OUT/curves.png"))
    yield Case("test", tool("test"), (*model, "--out", "OUT/scores", "--report"), long=True)
    weights = folder / "weights"
    weights.mkdir()
    shutil.copy(run / "best.pth", weights)
    yield Case(
        "test calibrated",
        tool("test"),
        (
            CONFIG,
            "OUT/best.pth",
            "--data-root",
            str(data),
            "--split",
            "val",
            "--device",
            "cpu",
            "--cfg-options",
            *SMALL,
        ),
        begin=weights,
    )
    yield Case(
        "pictures",
        tool("visualize"),
        (*model, "--img-dir", str(data / "images/train"), "--out", "OUT/drawn", "--json", "OUT/x.json"),
        long=True,
    )
    yield Case(
        "video", tool("visualize"), (*model, "--video", str(folder / "video.mp4"), "--out", "OUT/x.mp4"), long=True
    )
    yield Case("train", tool("train"), (*command, "OUT/run"), long=True)
    yield Case(
        "train resumed", tool("train"), ("--resume", "--device", "cpu", "--work-dir", "OUT"), long=True, begin=stopped
    )


def tool(name: str) -> Callable[[Sequence[str]], int | None]:
    """``main`` of ``tools/NAME.py``."""
    spec = importlib.util.spec_from_file_location(f"tool_{name}", PROJECT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def downloader(folder: Path) -> Callable[[Sequence[str]], None]:
    """``tools/download_checkpoints.py`` with a server on this machine, which ends with this process."""
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


def kill_often(case: Case, folder: Path, kills: int, seed: int) -> dict:
    """Kills a case again and again; returns its row of the table."""
    rng = np.random.default_rng([seed, *case.name.encode()])
    place, inputs = folder / case.name.replace(" ", "_"), folder / "in"
    whole = place / "whole"
    prepare(whole, case.begin)
    began = time.monotonic()
    process = start(case.main, arguments(case, whole), place / "whole.log")
    parts, named = watch(process, whole)
    expected = finish(process, None)
    length = time.monotonic() - began
    if expected not in (0, 1):
        raise UserError(f"{case.name} fails without a kill: see {place / 'whole.log'}")
    before = hashes(inputs)
    faults, left, following, done = [], 0, Counter(), 0
    aims = [AIMS[number % 3] for number in range(kills)] + (["SIGTERM", "SIGHUP"] if case.long else [])
    for number, aim in enumerate(aims):
        out, log = place / f"{number + 1}", place / f"{number + 1}.log"
        earlier = number % 2 == 1 and case.begin is None
        prepare(out, whole if earlier else case.begin)
        owned = hashes(out)
        options = ("--overwrite",) if earlier and overwrites(case) else ()
        process = start(case.main, arguments(case, out) + options, log)
        ended = end_at(process, out, aim, rng, length, max(parts, 1), max(named, 1))
        if ended is not None and aim in ("moment", "writing", "named"):
            done += 1
        found = examine(out, owned, whole, case)
        if hashes(inputs) != before:
            found.append("INPUTS CHANGED")
        rest = [path for path in files_of(out) if path.name.endswith(".part")]
        left += bool(rest)
        if aim.startswith("SIG") and rest and case.name != "download":
            found.append(f"{aim} leaves {rest[0].name}")
        how, problem = next_run(case, out, log, options, expected)
        following[how] += 1
        found += problem
        found += [f"then: {f}" for f in examine(out, owned, whole, case)]
        if stay := [path for path in files_of(out) if path.name.endswith(".part")]:
            found.append(f"stays for ever: {stay[0].relative_to(out)}")
        missing = {str(p.relative_to(whole)) for p in files_of(whole)} - {
            str(p.relative_to(out)) for p in files_of(out)
        }
        # logs are named by the time
        missing = sorted(
            n for n in missing if not any(word in n for word in (f"/{time.localtime().tm_year}", "vis_data"))
        )
        if missing:
            found.append(f"missing at the end: {missing[0]}")
        faults += [f"{case.name} {number + 1} ({aim}): {fault}" for fault in found]
        if not found:
            shutil.rmtree(out)
    ways = ", ".join(f"{how} {count}" for how, count in following.items())
    return {
        "name": case.name,
        "kills": len(aims),
        "done": done,
        "parts": left,
        "next": ways,
        "count": len(faults),
        "faults": faults,
    }


def prepare(out: Path, begin: Path | None) -> None:
    """Makes an output folder in which the user has something."""
    if begin:
        shutil.copytree(begin, out)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("notes.txt", "images/train/mine.txt", ".mine.part", "annotations/mine.json"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("{}")


def arguments(case: Case, out: Path) -> tuple[str, ...]:
    return tuple(str(out) + word[3:] if word.startswith("OUT") else word for word in case.argv)


def overwrites(case: Case) -> bool:
    return case.name.split()[0] in ("convert", "split", "verify", "export", "labelling", "demo")


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


def finish(process: int, expected: int | None) -> int:
    """Waits for a tool that nobody kills; returns its exit code, 124 where it hangs."""
    end = time.monotonic() + PATIENCE
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            if expected not in (None, code):
                raise UserError(f"a tool ended with {code}, expected {expected}")
            return code
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return 124
        time.sleep(0.01)


def running(process: int) -> bool:
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def watch(process: int, out: Path) -> tuple[int, int]:
    """How many files a run writes, and how many names appear, as far as they are seen."""
    parts, names, began = set(), set(), {*files_of(out)}
    while running(process):
        for path in files_of(out):
            if path not in began:
                (parts if path.name.endswith(".part") else names).add(path)
        time.sleep(0.001)
    return len(parts), len(names)


def end_at(process: int, out: Path, aim: str, rng, length: float, parts: int, named: int) -> int | None:
    """Ends a process; returns its exit code if it had ended before, or by itself after a signal."""
    moment = time.monotonic() + rng.uniform(0, length)
    which = int(rng.integers(1, (parts if aim == "writing" else named) + 1))
    delay = rng.uniform(0, 0.003)
    began, seen = {(p, p.stat().st_ino) for p in files_of(out)}, set()
    while running(process):
        if aim in ("writing", "named"):
            for path in files_of(out):
                if path.name.endswith(".part") == (aim == "writing"):
                    try:
                        seen.add((path, path.stat().st_ino))
                    except OSError:
                        continue  # it has got its name
            if len(seen - began) >= which:
                time.sleep(delay)
                break
        elif time.monotonic() >= moment:
            break
        time.sleep(0.0002)
    if not running(process):
        return finish(process, None)
    if aim.startswith("SIG"):
        os.kill(process, getattr(signal, aim))
        return finish(process, None)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


def next_run(case: Case, out: Path, log: Path, options: tuple[str, ...], expected: int) -> tuple[str, list[str]]:
    """Runs the command again, with what it asks for; returns how it went and what was wrong."""
    code, said = once_more(case, out, log, options)
    if code == expected and "Traceback" not in said:
        return "works", []
    if "--overwrite" in said and "--overwrite" not in options and "Traceback" not in said:
        code, said = once_more(case, out, log, ("--overwrite",))
        if code == expected:
            return "asks --overwrite", []
    return "fails", [f"next run ends with {code}: {said.strip().splitlines()[-1] if said.strip() else ''}"]


def once_more(case: Case, out: Path, log: Path, options: tuple[str, ...]) -> tuple[int, str]:
    size = log.stat().st_size if log.exists() else 0
    code = finish(start(case.main, arguments(case, out) + options, log), None)
    return code, log.read_bytes()[size:].decode(errors="replace")


def examine(out: Path, owned: dict[str, str], whole: Path, case: Case) -> list[str]:
    """What is wrong in an output folder: files that were there and are gone or that do not open."""
    found = []
    for name in ("notes.txt", "images/train/mine.txt", ".mine.part", "annotations/mine.json"):
        if not (out / name).exists() or digest(out / name) != owned[name]:
            found.append(f"USER'S {name} LOST")
    if case.begin:
        read = [name for name in owned if name.startswith(("photos", "labels")) or name == "best.pth"]
        found += [
            f"USER'S {name} LOST"
            for name in read
            if case.name != "train resumed" and (not (out / name).exists() or digest(out / name) != owned[name])
        ]
    for path in files_of(out):
        if path.name.endswith(".part") or path.name.startswith("."):
            continue
        try:
            opens(path, whole / path.relative_to(out))
        except Exception as error:
            found.append(f"{path.relative_to(out)} is not whole: {type(error).__name__} {error}")
    return found


def opens(path: Path, whole: Path) -> None:
    """Reads a file to its end; raises whatever the reader does."""
    ending = path.suffix
    if ending == ".json":
        if path.parent.name != "vis_data" and not path.name.endswith(".log.json"):
            json.loads(path.read_text())
    elif ending in (".jpg", ".png"):
        with Image.open(path) as picture:
            picture.load()
    elif ending == ".mp4":
        import av

        with av.open(str(path)) as video, av.open(str(whole)) as other:
            if len([*video.decode(video=0)]) != len([*other.decode(video=0)]):
                raise ValueError("frames are missing")
    elif ending == ".pth":
        if path.stat().st_size != whole.stat().st_size if "tiny-" in path.name else False:
            raise ValueError("bytes are missing")
        if "tiny-" not in path.name:
            from equistera.mm.network import checkpoint

            checkpoint.load(path)
    elif ending == ".xml":
        xml.dom.minidom.parse(str(path))
    elif ending == ".html":
        if "</html>" not in path.read_text():
            raise ValueError("its end is missing")
    elif ending == ".txt" and whole.exists() and path.stat().st_size != whole.stat().st_size:
        raise ValueError("its end is missing")


def files_of(folder: Path) -> list[Path]:
    """All files, hidden ones and links included; what goes away meanwhile is left out."""
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


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hashes(folder: Path) -> dict[str, str]:
    paths = [*files_of(folder), *folder.rglob(".mine*")]
    return {str(path.relative_to(folder)): digest(path) for path in paths if path.is_file()}


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
