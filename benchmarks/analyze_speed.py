"""How fast tools/analyze.py is, beside MMPose's inferencer and beside the pose model alone; and its memory.

Examples:
  python benchmarks/analyze_speed.py work_dirs/demo films/walk_000.mp4 --det work_dirs/detector
  python benchmarks/analyze_speed.py work_dirs/demo films/walk_000.mp4 --animals 1 --minutes 20

The video is repeated to three times its length. Analysing is timed on both, so that what a call needs before its first
frame and after its last one cancels out. "model alone" is the network on a batch of crops that are ready. Rounds of
all follow each other. With --minutes one video of that length is analysed instead, and the memory is told on the way.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from equistera import PROJECT, cli, inputs

#: Crops that go through the model together: the default of tools/analyze.py.
BATCH = 16
TIMES = 3
#: Batches of the model alone in a round.
ALONE = 20


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("words", nargs="+", metavar="MODEL_OR_VIDEO", help="as for tools/analyze.py, with one video")
    parser.add_argument("--animals", type=int, help="as for tools/analyze.py")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, help="only analyse a video of this length, and tell the memory")
    inputs.add_common(parser, "--det", "--device")
    return parser.parse_args(argv)


def repeated(video: Path, out: Path, times: int) -> None:
    """Writes a video that shows another one several times, without encoding anew."""
    import av

    with av.open(str(video)) as source, av.open(str(out), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        length = stream.duration
        for turn in range(times):
            source.seek(0)
            for packet in source.demux(stream):
                if packet.dts is not None:
                    packet.pts, packet.dts = packet.pts + turn * length, packet.dts + turn * length
                    packet.stream = copy
                    target.mux(packet)


def command(args, video: Path, out: Path) -> list[str]:
    words = [sys.executable, str(PROJECT / "tools/analyze.py"), *args.words[:-1], str(video), "--out", str(out)]
    given = {"--det": args.det, "--device": args.device, "--animals": args.animals}
    return words + [str(word) for name, value in given.items() if value is not None for word in (name, value)]


def analysed(args, video: Path, folder: Path) -> float:
    """Seconds that the tool takes."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder) as out:
        subprocess.run(command(args, video, Path(out)), check=True, capture_output=True)
    return time.monotonic() - began


def tell_memory(args, video: Path, folder: Path) -> None:
    """Resident memory of the tool (MB) while it analyses, at each tenth of a minute that doubles."""
    out = folder / "out"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command(args, video, out), stdout=log, stderr=log)
        began, told = time.monotonic(), 15.0
        while process.poll() is None:
            time.sleep(1)
            status = Path(f"/proc/{process.pid}/status")
            with contextlib.suppress(OSError):
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
                if time.monotonic() - began >= told and "VmRSS" in lines:
                    print(f"{told:6.0f} s: {int(lines['VmRSS'].split()[0]) / 1024:.0f} MB", flush=True)
                    told *= 1.5
    print(f"ended with {process.returncode} after {time.monotonic() - began:.0f} s")
    print((folder / "log").read_text().splitlines()[-2])


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    from equistera.video import VideoFrames

    video = Path(args.words[-1])
    frames = list(itertools.islice(VideoFrames(video, None).frames(), BATCH))
    count = sum(1 for _ in VideoFrames(video, None).frames())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        longer = folder / f"long{video.suffix}"
        if args.minutes:
            seconds = count / 25
            repeated(video, longer, max(1, round(60 * args.minutes / seconds)))
            tell_memory(args, longer, folder)
            return
        repeated(video, longer, TIMES)
        compare(args, video, longer, count, [frame.image for frame in frames])


def compare(args, video: Path, longer: Path, count: int, images: Sequence) -> None:
    """Prints the rates of all rounds."""
    from mmengine.dataset import pseudo_collate

    from equistera.mm.prediction.predict import Predictor
    from equistera.named_models import members

    ((config, checkpoint),) = members(args.words[:-1])
    predictor = Predictor(config, checkpoint, device=args.device, amp=None)
    whole = (0.0, 0.0, images[0].shape[1], images[0].shape[0])
    batch = pseudo_collate([predictor.sample(image, whole) for image in images])
    # as an environment of ours has it
    from mmpose.apis import MMPoseInferencer

    with contextlib.redirect_stdout(io.StringIO()):
        inferencer = MMPoseInferencer(
            pose2d=str(config), pose2d_weights=str(checkpoint), device=args.device or "cpu", show_progress=False
        )
    rates: dict[str, list[float]] = {"analyze.py": [], "MMPoseInferencer": [], "model alone": []}
    for _ in range(args.rounds):
        seconds = analysed(args, longer, longer.parent) - analysed(args, video, longer.parent)
        rates["analyze.py"].append((TIMES - 1) * count / seconds)
        began = time.monotonic()
        done = sum(1 for _ in inferencer(str(video), batch_size=BATCH))
        rates["MMPoseInferencer"].append(done / (time.monotonic() - began))
        began = time.monotonic()
        for _ in range(ALONE):
            predictor.raw_outputs(batch)
        rates["model alone"].append(ALONE * len(images) / (time.monotonic() - began))
    for name, values in rates.items():
        each = ", ".join(f"{value:.1f}" for value in values)
        shares = [a / b for a, b in zip(values, rates["model alone"], strict=True)]
        print(f"{name:17} {each} frames/s; of the model alone {statistics.median(shares):.2f}")


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
