"""Animals as a sure model sees them."""

import numpy as np

from equistera import skeleton
from equistera.labelling.doubt import Seen

HORSE = skeleton.load("horse26")
K = len(HORSE)


def animals(count=30, seed=0):
    """Animals of one shape, as a sure model sees them."""
    rng = np.random.default_rng(seed)
    shape = np.random.default_rng(9).uniform(0, 100, (K, 2))
    return [
        Seen(
            box=np.array([0.0, 0, 100, 100]),
            agreed=np.zeros((K, 2)),
            points=rng.uniform(0.5, 3) * (shape + rng.normal(0, 1, (K, 2))) + rng.uniform(0, 500, 2),
            confidence=rng.uniform(0.8, 1, K),
            views=rng.uniform(0, 0.01, K),
            models=np.full(K, np.nan),
            jump=rng.uniform(0, 0.01, K),
            features=rng.normal(size=8).astype(np.float32),
        )
        for _ in range(count)
    ]


def changed(one, **changes):
    return Seen(**{**vars(one), **changes})
