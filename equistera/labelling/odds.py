"""From how odd something is to how probably it is wrong: all kinds of mistakes on one scale, the log odds."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

#: Degrees of freedom of distances over their usual ones. On 400 rendered pictures, asked of a model of other rendered
#: pictures, the right labels' 85th, 95th, 99th and 99.9th percentiles were 1.3, 1.85, 2.7 and 5; these give 1.3, 1.8,
#: 2.8 and 4.8.
_DISTANCE_DEGREES = 5.0
#: Those of wrong labels' distances, which are anything, and of evidence for exchanges.
_WRONG_DEGREES, _EVIDENCE_DEGREES = 3.0, 4.0
#: Wrong labels are at least so many times as far off as right ones usually are.
_WRONG_BEYOND = 3.0
#: Share of wrong labels that is believed before and at most, and at least.
_FIRST_SHARE, _LEAST_SHARE, _MOST_SHARE = 0.03, 0.002, 0.3
_ROUNDS = 50


def odds_of_distances(ratio: np.ndarray) -> np.ndarray:
    """Log odds that labels are wrong, any shape, from their distances over the usual ones; NaN stays NaN.

    Right and wrong labels have distances of two scales; share and scale of the wrong ones are estimated from all.
    """
    return odds_of_distances_beside(ratio, ratio)


def odds_of_distances_beside(known: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """The same for distances over the usual ones, any shape, of other things than the labels that teach it."""
    known = known[np.isfinite(known)]
    if not known.size:
        return np.full(ratio.shape, np.nan)
    # half of all lie below the median, whatever few of them are wrong
    right = float(np.median(known)) / np.sqrt(_DISTANCE_DEGREES * (2 ** (2 / _DISTANCE_DEGREES) - 1))
    wrong, part = 5.0 * right, _FIRST_SHARE
    for _ in range(_ROUNDS):
        is_wrong = expit(_distance_odds(known, right, wrong, part))
        part = float(np.clip(is_wrong.mean(), _LEAST_SHARE, _MOST_SHARE))
        # scale of a bivariate t by its own weights (Lange, Little and Taylor 1989)
        weight = is_wrong * (_WRONG_DEGREES + 2) / (_WRONG_DEGREES + np.square(known / wrong))
        wrong = max(float(np.sqrt((weight * np.square(known)).sum() / (2 * is_wrong.sum()))), _WRONG_BEYOND * right)
    return _distance_odds(ratio, right, wrong, part)


def _distance_odds(ratio: np.ndarray, right: float, wrong: float, part: float) -> np.ndarray:
    density = [
        -2 * np.log(scale) - (degrees + 2) / 2 * np.log1p(np.square(ratio / scale) / degrees)
        for scale, degrees in ((wrong, _WRONG_DEGREES), (right, _DISTANCE_DEGREES))
    ]
    return density[0] - density[1] + logit(part)


def odds_of_evidence(evidence: np.ndarray) -> np.ndarray:
    """Log odds that labels are exchanged, float64 [N], from the evidence for it in N animals.

    An exchange turns the evidence round: that of exchanged labels lies as far above 0 as that of right ones below.
    """
    middle = min(float(np.median(evidence)), -1e-3)
    # the median distance from it is 0.741 scales
    scale = max(float(np.median(np.abs(evidence - middle))) / 0.741, 1e-3)

    def density(values: np.ndarray) -> np.ndarray:
        return -(_EVIDENCE_DEGREES + 1) / 2 * np.log1p(np.square(values / scale) / _EVIDENCE_DEGREES)

    # beyond where exchanged labels mostly are, more evidence is no less
    ratio = density(np.minimum(evidence + middle, 0)) - density(np.maximum(evidence - middle, 0))
    part = _FIRST_SHARE
    for _ in range(_ROUNDS):
        part = float(np.clip(expit(ratio + logit(part)).mean(), _LEAST_SHARE, _MOST_SHARE))
    return ratio + logit(part)
