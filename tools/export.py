"""Write trained networks for programs that do not know this project.

Examples:
  python tools/export.py work_dirs/rtmpose_m --to onnx --out exports/horse.onnx
  python tools/export.py work_dirs/rtmpose_m --to onnx --out exports/horse.onnx --flip --dynamic-batch --check photos
  python tools/export.py work_dirs/seed0 work_dirs/seed1 work_dirs/seed2 --to openvino --out exports/three.xml
  python tools/export.py work_dirs/rtmpose_m --to onnx --int8 --out exports/horse_int8.onnx
  python tools/export.py configs/rtmpose_m_ap10k.py work_dirs/rtmpose_m/best.pth --to mmpose --out exports/rtmpose_m

--to onnx, openvino and torchscript write one graph: crops (uint8 RGB [N, height, width, 3]) go in, points in pixels of
the crop and confidences come out, calibrated where a calibration is stored or val can give one. Several models become
one graph of their average. The file is compared with this project's own predictions on your pictures, and not written
where it differs; a model card lies beside it. tools/test.py, visualize.py and analyze.py take an .onnx file like a
checkpoint, examples/predict_onnx.py needs nothing but it. More: docs/export.md.

--to mmpose writes one plain MMPose config and its checkpoint, NAME.py and NAME.pth, for MMPose's and mmdeploy's tools
in an environment without this project; a backbone that MMPose lacks goes along as a file beside them. Give the config
that the network was trained with; the run's own copy of it lies beside the checkpoint.
"""

from equistera import cli, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument(
        "models",
        nargs="+",
        metavar="[CONFIG] WORK_DIR|CHECKPOINT",
        help="work dirs, or a config file and the weights that were trained with it; several are averaged",
    )
    parser.add_argument(
        "--to", required=True, choices=["onnx", "openvino", "torchscript", "mmpose"], help="what is to read it"
    )
    parser.add_argument(
        "--out", required=True, metavar="PATH", help="file to write (.onnx, .xml, .pt); for mmpose a folder"
    )
    parser.add_argument("--int8", action="store_true", help="whole numbers, fitted on your pictures: smaller, faster")
    parser.add_argument("--dynamic-batch", action="store_true", help="take any number of crops at once, not one")
    parser.add_argument("--flip", action="store_true", help="average with the mirrored crop: slower, better")
    parser.add_argument(
        "--check", metavar="DIR", help="pictures to compare on, each as a whole (default: the animals of val)"
    )
    parser.add_argument(
        "--tolerance", type=cli.positive, metavar="PIXELS", help="largest difference that is allowed (default: 0.5)"
    )
    inputs.add_common(parser, "--data-root", "--skeleton", "--overwrite")
    # options may stand between a config and its checkpoint
    return vars(parser.parse_intermixed_args(argv))


def main(argv):
    options = parse_args(argv)
    # after the arguments: --help need not wait for NumPy
    from equistera.exporting import ExportOptions, settled

    job = settled(ExportOptions(**options))
    from equistera.mm.export.export import export

    export(job)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
