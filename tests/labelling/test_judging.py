"""Who speaks for a picture, and what it is worth."""

import numpy as np
import pytest
from seen_animals import HORSE, K, animals, changed

from equistera.labelling.judging import HOPELESS_WORTH, LEAST_WORTH, by_look, by_model
from equistera.labelling.looks import look_at


def test_the_most_doubtful_animal_speaks_unless_it_may_be_none():
    sure = animals(20)
    doubtful = changed(sure[0], confidence=np.full(K, 0.1))
    bush = changed(sure[1], confidence=np.zeros(K), views=np.full(K, 0.5), score=0.3)
    judged = by_model([[a] for a in sure] + [[sure[2], doubtful, bush]], [], HORSE, 0.5)
    assert judged.animals[-1] is doubtful
    assert "nearly all points unsure" in judged.reasons[-1]
    assert judged.worth[-1] > 2 * by_model([[a] for a in sure] + [[bush]], [], HORSE, 0.5).worth[-1]


def test_worth_rises_with_doubt_as_long_as_there_is_hope():
    seen = [changed(a, views=np.full(K, 0.001 * n), jump=np.full(K, 0.001 * n)) for n, a in enumerate(animals(40))]
    seen = [changed(a, confidence=np.full(K, 1 - 0.02 * n)) for n, a in enumerate(seen)]
    worth = by_model([[a] for a in seen], [], HORSE, 0.5).worth
    hopeless = worth == HOPELESS_WORTH
    assert 0 < hopeless.sum() <= 10
    assert hopeless[-1]
    assert np.corrcoef(np.flatnonzero(~hopeless), worth[~hopeless])[0, 1] > 0.9
    assert ((worth[~hopeless] >= LEAST_WORTH) & (worth[~hopeless] <= 1)).all()


def test_labelled_animals_lie_where_the_same_ones_would():
    seen = animals(12)
    judged = by_model([[a] for a in seen], [seen[3], seen[5]], HORSE, 0.5)
    np.testing.assert_allclose(judged.labelled, judged.vectors[[3, 5]])
    looks = [look_at(np.random.default_rng(n).integers(0, 255, (60, 80, 3)).astype(np.uint8)) for n in range(5)]
    judged = by_look(looks, looks[:2])
    np.testing.assert_allclose(judged.labelled, judged.vectors[:2])
    assert judged.worth.tolist() == [1] * 5


@pytest.mark.parametrize("count", [1, 2])
def test_a_handful_of_pictures_is_judged_as_well(count):
    judged = by_model([[a] for a in animals(count)], [], HORSE, 0.5)
    assert np.isfinite(judged.vectors).all()
    assert np.isfinite(judged.worth).all()
