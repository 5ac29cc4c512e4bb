"""By how much points are off that only the codec is to blame for: encoded as a target, decoded again.

Examples:
  python benchmarks/decoding.py

Random points of an input of 256x256 pixels, anywhere and at least 24 pixels from its edges, a Gaussian for each: what a
network that has learned its targets perfectly would still be wrong by. Seconds; prints a table for docs/decoding.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from mmpose.registry import KEYPOINT_CODECS

from equistera import cli
from equistera.mm import register  # noqa: F401
from equistera.mm.data.codecs import pixels_across
from equistera.mm.data.targets import EncodeTargets

SIDE, POINTS, INSIDE = 256, 400, 24
HEATMAP = {"input_size": (SIDE, SIDE), "heatmap_size": (SIDE // 4, SIDE // 4)}
KINDS: dict[str, dict] = {
    "plain heatmap": {"type": "MSRAHeatmap"},
    "DARK": {"type": "MSRAHeatmap", "unbiased": True},
    "UDP": {"type": "UDPHeatmap"},
}
SIMCC = {"type": "SimCCLabel", "input_size": (SIDE, SIDE), "simcc_split_ratio": 2.0, "normalize": False}
CASES = [(name, {**HEATMAP, **kind, "sigma": sigma}) for sigma in (1, 1.5, 2, 3) for name, kind in KINDS.items()]
CASES += [("SimCC", {**SIMCC, "sigma": (sigma, sigma)}) for sigma in (5.66, 8)]


def errors(settings: Mapping, points: np.ndarray) -> np.ndarray:
    """Pixels of the input between ``points`` [N, 2] and what is decoded of their targets."""
    codec, visible = KEYPOINT_CODECS.build(dict(settings)), np.ones((1, len(points)), np.float32)
    sample = {"transformed_keypoints": points[None], "keypoints_visible": visible, "codec": codec}
    made = EncodeTargets().transform({**sample, "dataset_keypoint_weights": visible[0]})
    names = ("heatmaps",) if "heatmaps" in made else ("keypoint_x_labels", "keypoint_y_labels")
    found, _ = codec.decode(*(made[name] for name in names))
    # MMPose decodes to shares of the box, times the input's size
    return np.linalg.norm(found[0] / settings["input_size"] * pixels_across(settings) - points, axis=1)


def main(argv):
    cli.parser(__doc__).parse_args(argv)
    rng = np.random.default_rng(0)
    print("| codec | sigma | median | 95 % below | anywhere: median | 95 % below |\n|---|---|---|---|---|---|")
    for name, settings in CASES:
        cells = []
        for margin in (INSIDE, 0):
            off = errors(settings, rng.uniform(margin, SIDE - 1 - margin, (POINTS, 2)).astype(np.float32))
            cells += [f"{np.median(off):.3f}", f"{np.quantile(off, 0.95):.3f}"]
        sigma = settings["sigma"]
        print(f"| {name} | {sigma[0] if isinstance(sigma, tuple) else sigma} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
