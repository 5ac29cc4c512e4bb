"""How fast exported networks are, from photo files to poses, beside PyTorch here and beside MMPose's inferencer.

Examples:
  python benchmarks/export_speed.py
  python benchmarks/export_speed.py configs/hrnet_w32_ap10k.py --rounds 7 --json export_speed.json
  python benchmarks/export_speed.py configs/rtmpose_m_ap10k.py --members 3
  python benchmarks/export_speed.py configs/rtmdet_tiny_animal.py

Each config's network, with random weights, is written as ONNX, as ONNX in int8 and, where it is installed, for
OpenVINO; all predict the same photos in turn, beside the checkpoint as tools/visualize.py runs it by default and
beside MMPoseInferencer. Ratios are taken within a round. Of several --members the file has their mean; PyTorch averages
them as tools/test.py does, and MMPose, which has no ensembles, runs one after the other. A detector's file takes one
picture at a time; MMPose's is MMDetection's RTMDet-tiny at the same input, which its inferencer asks so too.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from equistera import cli, inputs

CONFIGS = ["configs/rtmpose_m_ap10k.py", "configs/hrnet_w32_ap10k.py", "configs/lite0_imagenet.py"]


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("config", nargs="*", type=inputs.config, default=CONFIGS, help="networks to measure")
    parser.add_argument("--members", type=cli.at_least(1), default=1, help="networks whose mean the file has")
    parser.add_argument("--batches", type=cli.at_least(1), nargs="+", default=[1, 16], help="crops that go in together")
    parser.add_argument("--threads", type=cli.at_least(1), default=2)
    parser.add_argument("--rounds", type=cli.at_least(1), default=5)
    parser.add_argument("--seconds", type=cli.positive, default=3.0, help="least time of a measurement")
    parser.add_argument("--pictures", type=cli.at_least(1), default=16, help="photos of 1280x960")
    parser.add_argument("--json", metavar="FILE", help="write the figures too")
    inputs.add_common(parser, "--cfg-options")
    args = parser.parse_args(argv)
    if odd := [batch for batch in args.batches if args.pictures % batch]:
        # a file takes whole batches: what is filled up would count as slow
        parser.error(f"--pictures {args.pictures} are no whole batches of {odd[0]}")
    return args


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    from speed.options import Options, start
    from speed.rounds import machine

    from equistera.files import write_json

    given = {name: getattr(args, name) for name in ("threads", "rounds", "seconds", "pictures", "cfg_options")}
    options = Options(device="cpu", **given)
    start(options)
    cases = []
    for path in args.config:
        for batch in args.batches:
            case = measured(path, options, batch, args.members)
            print(case.text(), flush=True)
            cases.append(case.as_json())
    if args.json:
        write_json(args.json, {"machine": machine(), "cases": cases}, indent=1)
    else:
        print(json.dumps(machine()))


def measured(path: str, options, batch: int, members: int):
    """What each way does in turn, ``batch`` pictures or crops at a time."""
    from speed import detect
    from speed.options import SMALL
    from speed.photos import make_photos
    from speed.rounds import Case, in_turn, rate

    from equistera import skeleton as skeletons
    from equistera.errors import UserError
    from equistera.mm import config as configs

    config = configs.load(path, options.cfg_options)
    skeleton = skeletons.load(config.skeleton)
    root = make_photos(options.photos, options.pictures, SMALL, skeleton, options.pictures)
    pictures = sorted((root / "images" / "train").iterdir())[: options.pictures]
    with tempfile.TemporaryDirectory() as name:
        if config.model.type == "AnimalDetector":
            if members > 1:
                raise UserError(f"--members {members}: {path} is of a detector, which is exported by itself")
            works = detect.works(path, options.cfg_options, pictures, batch, Path(name))
        else:
            works = pose_works(path, options, pictures, batch, members, Path(name))
        for work in works.values():
            work()
        said = f"{Path(path).stem}{f', {members} members' * (members > 1)}, {options.threads} threads, batch {batch}"
        *exports, stock = [who for who in works if who != "PyTorch"]
        ratios = [f"{who}/{other}" for who in exports for other in ("PyTorch", stock)]
        timed = {who: lambda work=work: rate(work, options.seconds) for who, work in works.items()}
        return in_turn(Case(said, "pictures", aims=dict.fromkeys(ratios)), timed, options.rounds)


def pose_works(path: str, options, pictures: list[Path], batch: int, members: int, folder: Path) -> dict[str, Callable]:
    """The work of each way to predict poses, by name."""
    from speed import infer
    from speed.networks import save_untrained

    from equistera.mm import config as configs
    from equistera.mm.prediction.predict import Predictor

    config = configs.load(path, options.cfg_options)
    weights = [save_untrained(config, folder / f"weights{n}.pth") for n in range(members)]
    own = [Predictor(path, file, "cpu", cfg_options=options.cfg_options, amp=None) for file in weights]
    works = {"PyTorch": infer.ours(own[0], pictures, batch) if members == 1 else infer.averaged(own, pictures, batch)}
    works |= exported(path, weights, folder / "exported", pictures, batch, options)
    stock = [infer.stocks(config, file, folder, pictures, batch) for file in weights]
    works["MMPoseInferencer"] = lambda: sum(work() for work in stock) // members
    return works


def exported(path: str, weights: Sequence[Path], folder: Path, pictures: list[Path], batch: int, options):
    """The exported files' work, by name; each takes ``batch`` crops at once."""
    import numpy as np
    import torch
    from speed import infer

    import equistera
    from equistera.crops.geometry import BOX_PADDING
    from equistera.dataset.images import read_rgb
    from equistera.exported import CONFIDENCE, CROPS, POINTS, Exported, content_of
    from equistera.mm.export import formats
    from equistera.mm.export.crops import as_arrays
    from equistera.mm.export.graph import PoseGraph
    from equistera.mm.export.quantize import quantize
    from equistera.mm.prediction.predict import Predictor

    folder.mkdir()
    networks = [Predictor(path, file, "cpu", cfg_options=options.cfg_options) for file in weights]
    plain = networks[0]
    codec = plain.config.codec.to_dict()
    skeleton = {"name": plain.skeleton.name, "content": content_of(plain.skeleton)}
    about = Exported("pose", codec, (), equistera.__version__, skeleton, BOX_PADDING, batch=batch)
    images = [read_rgb(picture) for picture in pictures]
    samples = [plain.sample(image, (0, 0, image.shape[1], image.shape[0])) for image in images]
    crops = as_arrays([samples[i % len(samples)] for i in range(max(batch, len(samples)))])
    ports = formats.Ports(CROPS, (POINTS, CONFIDENCE), torch.from_numpy(crops[:batch]), any_batch=False)
    graph = PoseGraph([network.model for network in networks], None).eval()
    onnx, int8 = folder / "full.onnx", folder / "int8.onnx"
    formats.to_onnx(graph, ports, about.as_text(), onnx)
    quantize(onnx, int8, crops, CROPS, batch)
    works = {name: infer.ours(Predictor("", file), pictures, batch) for name, file in (("ONNX", onnx), ("int8", int8))}
    if importlib.util.find_spec("openvino"):
        formats.to_openvino(onnx, about.as_text(), folder / "full.xml")
        network = Predictor("", onnx)
        run = formats.run_openvino(folder / "full.xml")
        network.model.raw_outputs = lambda inputs: tuple(
            torch.from_numpy(array)[: len(inputs)]
            for array in run(
                np.concatenate([inputs.numpy(), np.zeros((batch - len(inputs), *inputs.shape[1:]), np.uint8)])
            )
        )
        works["OpenVINO"] = infer.ours(network, pictures, batch)
    return works


if __name__ == "__main__":
    raise SystemExit(cli.run(main, sys.argv[1:]))
