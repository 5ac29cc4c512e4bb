"""Which points a student is taught: each sign refuses, and what nobody could ask refuses nothing."""

import dataclasses

import numpy as np
import pytest
from seen_animals import K, animals

from equistera.labelling.sure import AGREED, CONFIDENT, LEAST_SHARE, WHY, is_taken, refusals

SIZE = (640, 480)


@pytest.fixture
def one():
    """An animal that is sure in all points, seen by several teachers in a film."""
    (seen,) = animals(1)
    inside = np.random.default_rng(1).uniform(0, 400, (K, 2))
    return dataclasses.replace(seen, agreed=inside, models=np.zeros(K), confidence=np.full(K, CONFIDENT))


def changed(one, name, point, value):
    values = getattr(one, name).copy()
    values[point] = value
    return dataclasses.replace(one, **{name: values})


def test_what_all_agree_on_is_sure(one):
    assert not refusals(one, SIZE).astype(bool).any()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("confidence", CONFIDENT - 0.01, "unsure"),
        ("confidence", np.nan, "unsure"),
        ("views", AGREED + 0.001, "views"),
        ("models", AGREED + 0.001, "models"),
        ("jump", AGREED + 0.001, "jump"),
        ("agreed", (641, 10), "outside"),
        ("agreed", (10, -2), "outside"),
    ],
)
def test_each_sign_refuses_its_point_alone(one, name, value, why):
    found = refusals(changed(one, name, 3, value), SIZE)
    assert found[3] == why
    assert why in WHY
    assert not np.delete(found, 3).astype(bool).any()


def test_what_nobody_could_ask_refuses_nothing(one):
    alone = dataclasses.replace(one, models=np.full(K, np.nan), jump=np.full(K, np.nan))
    assert not refusals(alone, SIZE).astype(bool).any()


def test_the_first_reason_counts_and_the_confidence_can_be_another(one):
    both = changed(changed(one, "confidence", 0, 0.4), "views", 0, 1.0)
    assert refusals(both, SIZE)[0] == "unsure"
    assert refusals(both, SIZE, confident=0.3)[0] == "views"


def test_an_animal_needs_its_share_of_sure_points():
    assert LEAST_SHARE == 0.25
    assert [is_taken(sure, 8) for sure in (0, 1, 2, 8)] == [False, False, True, True]
    assert not is_taken(0, 0)
