"""See what the model sees: originals beside augmented versions with their keypoints, and what was drawn how often.

Examples:
  python tools/augmentation.py configs/rtmpose_m_ap10k.py --out augmentation
  python tools/augmentation.py configs/rtmpose_m_ap10k.py --out augmentation --phase 3 --samples 10
  python tools/augmentation.py configs/rtmpose_m_ap10k.py --out sheet --seed 1 --samples 3

Writes augmentation.jpg and augmentation.json. The crops come from the config's own training pipeline, before the
colours are normalised.
"""

from equistera import cli, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    inputs.add_common(parser, "config", "--data-root", "--skeleton", "--cfg-options", "--overwrite")
    parser.add_argument(
        "--out", "--out-dir", dest="out_dir", required=True, help="folder for augmentation.jpg and augmentation.json"
    )
    parser.add_argument("--phase", type=int, default=1, help="phase of the training strategy, counted from 1")
    parser.add_argument("--samples", type=int, default=6, help="animals on the sheet")
    parser.add_argument("--draws", type=int, default=500, help="samples that frequencies and ranges are measured on")
    parser.add_argument("--seed", type=int, help="seed of the augmentation (default: the config's)")
    return vars(parser.parse_args(argv))


def main(argv):
    options = parse_args(argv)
    from equistera.mm.augmentation_sheet import SheetOptions, augmentation_sheet

    augmentation_sheet(SheetOptions(**options))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
