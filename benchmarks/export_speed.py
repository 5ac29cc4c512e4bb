"""How fast exported networks are, from photo files to poses, beside PyTorch here and beside MMPose's inferencer.

Examples:
  python benchmarks/export_speed.py
  python benchmarks/export_speed.py configs/hrnet_w32_ap10k.py --rounds 7 --json export_speed.json

Each config's network, with random weights, is written as ONNX, as ONNX in int8 and, where it is installed, for
OpenVINO; all predict the same photos in turn, beside the checkpoint as tools/visualize.py runs it by default and
beside MMPoseInferencer. Ratios are taken within a round.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from equistera import cli, inputs

CONFIGS = ["configs/rtmpose_m_ap10k.py", "configs/hrnet_w32_ap10k.py", "configs/lite0_imagenet.py"]


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("config", nargs="*", type=inputs.config, default=CONFIGS, help="networks to measure")
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
        for case in measured(path, options, args.batches):
            print(case.text(), flush=True)
            cases.append(case.as_json())
    if args.json:
        write_json(args.json, {"machine": machine(), "cases": cases}, indent=1)
    else:
        print(json.dumps(machine()))


def measured(path: str, options, batches: Sequence[int]) -> Iterator:
    """A case for each size of batch."""
    from mmpose.registry import MODELS
    from speed import infer
    from speed.options import load
    from speed.rounds import Case, in_turn, rate

    from equistera.mm.network import checkpoint
    from equistera.mm.prediction.predict import Predictor

    config = load(options, path, options.sizes[0])
    pictures = sorted((Path(config.data_root) / "images" / "train").iterdir())[: options.pictures]
    network = MODELS.build(config.model)
    network.init_weights()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = folder / "weights.pth"
        checkpoint.save(weights, {"state_dict": network.state_dict(), "meta": {}})
        torch_one = Predictor(path, weights, "cpu", cfg_options=options.cfg_options, amp=None)
        for batch in batches:
            works = {"PyTorch": infer.ours(torch_one, pictures, batch)}
            works |= exported(path, weights, folder / str(batch), pictures, batch, options)
            works["MMPoseInferencer"] = infer.stocks(config, weights, folder, pictures, batch)
            for work in works.values():
                work()
            name = f"{Path(path).stem}, {options.threads} threads, batch {batch}"
            case = Case(name, "pictures", aims=dict.fromkeys(_ratios(works)))
            timed = {who: lambda work=work: rate(work, options.seconds) for who, work in works.items()}
            yield in_turn(case, timed, options.rounds)


def _ratios(works: Iterable[str]) -> Iterator[str]:
    for who in works:
        if who not in ("PyTorch", "MMPoseInferencer"):
            yield from (f"{who}/PyTorch", f"{who}/MMPoseInferencer")


def exported(path: str, weights: Path, folder: Path, pictures: list[Path], batch: int, options) -> dict[str, Callable]:
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
    plain = Predictor(path, weights, "cpu", cfg_options=options.cfg_options)
    codec = plain.config.codec.to_dict()
    skeleton = {"name": plain.skeleton.name, "content": content_of(plain.skeleton)}
    about = Exported("pose", codec, (), equistera.__version__, skeleton, BOX_PADDING, batch=batch)
    images = [read_rgb(picture) for picture in pictures]
    samples = [plain.sample(image, (0, 0, image.shape[1], image.shape[0])) for image in images]
    crops = as_arrays([samples[i % len(samples)] for i in range(max(batch, len(samples)))])
    ports = formats.Ports(CROPS, (POINTS, CONFIDENCE), torch.from_numpy(crops[:batch]), any_batch=False)
    graph = PoseGraph([plain.model], None).eval()
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
