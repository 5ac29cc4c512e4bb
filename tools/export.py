"""Write a trained network for programs that do not know this project.

Examples:
  python tools/export.py configs/rtmpose_m_ap10k.py work_dirs/rtmpose_m/best.pth --to mmpose --out exports/rtmpose_m

--to mmpose writes one plain MMPose config and its checkpoint, NAME.py and NAME.pth, for MMPose's and mmdeploy's tools
in an environment without this project; a backbone that MMPose lacks goes along as a file beside them. Give the config
that the network was trained with; the run's own copy of it lies beside the checkpoint.
"""

from equistera import cli, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("config", type=inputs.config, help="config that the network was trained with")
    parser.add_argument("checkpoint", type=inputs.checkpoint, help="its weights, such as work_dirs/NAME/best.pth")
    parser.add_argument("--to", required=True, choices=["mmpose"], help="what is to read it")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the files")
    parser.add_argument("--overwrite", action="store_true", help="replace an export that exists")
    inputs.add_common(parser, "--skeleton")
    return vars(parser.parse_args(argv))


def main(argv):
    options = parse_args(argv)
    from equistera.mm.export import ExportOptions, export

    export(ExportOptions(**options))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
