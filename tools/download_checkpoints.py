"""Downloads the pretrained weights that training starts from.

    python tools/download_checkpoints.py                        what the three standard configs need
    python tools/download_checkpoints.py --list                 all there are, and which are here
    python tools/download_checkpoints.py hrnet_w48_ap10k        one by name
    python tools/download_checkpoints.py --mirror https://files.example.org/openmmlab

An interrupted download goes on where it stopped; of several addresses of a file the next is asked where one fails.
Every file is checked against its SHA-256. Proxies are taken from HTTPS_PROXY. Without a network, put the files where
the error message says and run the command again to check them.

Weights under terms of their own are fetched when you have said that you agree to them:

    python tools/download_checkpoints.py superanimal_quadruped_mmpose                   shows the terms
    python tools/download_checkpoints.py superanimal_quadruped_mmpose --accept-licence superanimal
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from equistera import checkpoints, cli
from equistera.checkpoints.download import download, listing


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="checkpoints to get (see --list)")
    parser.add_argument("--all", action="store_true", help="get all of them")
    parser.add_argument("--list", action="store_true", help="show all of them and download nothing")
    parser.add_argument(
        "--out", "--dir", dest="dir", help="folder to put them in (default: checkpoints/ of the project)"
    )
    parser.add_argument("--mirror", metavar="URL", help="ask this server instead of the public ones")
    parser.add_argument(
        "--accept-licence", action="append", default=[], metavar="NAME", help="agree to these terms (repeatable)"
    )
    parser.add_argument(
        "--sha256", metavar="HEX", help="what the one file named must have, where its publisher has replaced it"
    )
    # options may stand between names
    args = parser.parse_intermixed_args(argv)
    if args.all and args.names:
        parser.error("give names or --all, not both")
    if args.sha256 and (len(args.names) != 1 or not re.fullmatch("[0-9a-fA-F]{64}", args.sha256)):
        parser.error("--sha256 takes the 64 hexadecimal digits of one file, and its name stands beside it")
    return args


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    folder = args.dir or checkpoints.default_dir()
    names = checkpoints.manifest() if args.all or (args.list and not args.names) else args.names
    chosen = checkpoints.find(names or checkpoints.DEFAULT_NAMES)
    if args.sha256:
        chosen = [dataclasses.replace(one, sha256=args.sha256.lower()) for one in chosen]
    if args.list:
        print(listing(chosen, folder))
    else:
        download(chosen, folder, mirror=args.mirror, accepted=args.accept_licence)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
