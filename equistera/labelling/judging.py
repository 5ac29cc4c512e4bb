"""What each picture is worth as the next one to label, and which others it is like: by its look, or by a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equistera.labelling.choice import joined
from equistera.labelling.doubt import UNCOMMON, Seen, doubts_of, pose_vectors, reasons_of
from equistera.labelling.looks import Look
from equistera.skeleton import Skeleton

#: Worth of a picture that the model is sure of, where 1 stands for doubt about everything: one that is unlike all
#: others is of use all the same.
LEAST_WORTH = 0.25
#: Doubt above which an animal is mostly cut off, hidden or none at all, and teaches little, and what it is worth then:
#: about a quarter of rendered pictures. Without this limit picked pictures taught less than random ones.
HOPELESS, HOPELESS_WORTH = 0.75, 0.1


@dataclass(frozen=True)
class Judgement:
    """What is known of N pictures to choose from and of M that are labelled.

    Attributes:
        vectors: float [N, D]: what is near is alike.
        labelled: float [M, D], likewise.
        worth: float [N] in (0, 1].
        reasons: Of each, in words; may be empty.
        animals: Of each the animal that speaks for it, None where nobody was looked for.
        uncommon: bool [N]: whether its pose is one of the rarest.
    """

    vectors: np.ndarray
    labelled: np.ndarray
    worth: np.ndarray
    reasons: list[list[str]]
    animals: list[Seen | None]
    uncommon: np.ndarray


def by_look(looks: Sequence[Look], labelled: Sequence[Look]) -> Judgement:
    """Judges pictures by colours and shapes: one is worth as much as another."""
    every = [*looks, *labelled]
    vectors = joined([np.array([look.colours for look in every]), np.array([look.shapes for look in every])])
    n = len(looks)
    return Judgement(vectors[:n], vectors[n:], np.ones(n), [[] for _ in looks], [None] * n, np.zeros(n, dtype=bool))


def by_model(
    pictures: Sequence[Sequence[Seen]], labelled: Sequence[Seen], skeleton: Skeleton, threshold: float
) -> Judgement:
    """Judges pictures by what a model sees in them.

    Worth rises with the doubt about an animal up to :data:`HOPELESS`, times the confidence that there is one: a model
    is unsure of a bush, too. Of several animals the most doubtful one speaks for its picture, by the same confidence.

    Args:
        pictures: The animals of each, at least one.
        labelled: The animals that are labelled already.
        skeleton: The keypoints.
        threshold: Confidence from which a point counts as found.
    """
    animals = [animal for picture in pictures for animal in picture]
    doubts = doubts_of(animals, skeleton)
    score = np.array([animal.score for animal in animals])
    doubtful = doubts.doubt * score
    worth = np.where(doubts.doubt <= HOPELESS, LEAST_WORTH + (1 - LEAST_WORTH) * doubts.doubt, HOPELESS_WORTH) * score
    ends = np.cumsum([len(picture) for picture in pictures])
    speaks = [
        int(end - len(picture) + doubtful[end - len(picture) : end].argmax())
        for picture, end in zip(pictures, ends.tolist(), strict=True)
    ]
    every = [*(animals[a] for a in speaks), *labelled]
    features = np.array([animal.features for animal in every], dtype=np.float64)
    spread = features.std(axis=0)
    features = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    vectors = joined([features, pose_vectors(np.array([animal.points for animal in every]))])
    n = len(pictures)
    return Judgement(
        vectors[:n],
        vectors[n:],
        worth[speaks],
        [reasons_of(a, doubts, skeleton, threshold) for a in speaks],
        [animals[a] for a in speaks],
        doubts.rarity[speaks] > 1 - UNCOMMON,
    )
