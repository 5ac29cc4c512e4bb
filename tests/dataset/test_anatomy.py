import numpy as np
import pytest

from equistera import skeleton
from equistera.dataset.anatomy import oddity_of, reference_for, uprightness

HORSE = skeleton.load("horse26")


@pytest.fixture(scope="module")
def horses():
    """float [40, 26, 2], NaN where not labelled."""
    found = reference_for(HORSE)[::10]
    return np.where(found[..., 2:] > 0, found[..., :2], np.nan)


def test_horses_stand_on_their_legs_whichever_way_they_look(horses):
    for seen in (horses, horses * [-1, 1], horses * 7 + 100):
        assert np.nanmean(uprightness(seen, HORSE)) > 0.9
    assert np.nanmean(uprightness(-horses, HORSE)) < -0.9
    assert abs(np.nanmean(uprightness(horses[..., ::-1], HORSE))) < 0.1


def test_too_few_points_and_other_skeletons_say_nothing(horses):
    few = horses.copy()
    few[:, 5:] = np.nan
    assert np.isnan(uprightness(few, HORSE)).all()
    assert oddity_of(few, HORSE) == ("", "")
    animal = skeleton.load("ap10k")
    assert np.isnan(uprightness(horses[:, : len(animal)], animal)).all()
    assert oddity_of(horses[:, : len(animal)], animal) == ("", "")


def test_right_horses_are_not_odd(horses):
    for count in (1, 5, 40):
        assert oddity_of(horses[:count], HORSE) == ("", "")
    half = horses.copy()
    half[:, ::2] = np.nan
    assert oddity_of(half, HORSE) == ("", "")


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (lambda p: p * [1, -1], "stand upside down: is y measured from the bottom"),
        (lambda p: p[..., ::-1], "lie on their side: are x and y exchanged"),
        (lambda p: p[..., ::-1] * [-1, 1], "lie on their side"),
    ],
)
def test_a_set_that_is_turned(horses, turn, words):
    code, text = oddity_of(turn(horses), HORSE)
    assert code == "set-turned"
    assert words in text
    # a rolling horse among others is none
    assert oddity_of(np.concatenate([turn(horses[:3]), horses]), HORSE) == ("", "")


@pytest.mark.parametrize("order", [np.argsort(HORSE.names), np.roll(np.arange(26), 1)], ids=["alphabetic", "shifted"])
def test_names_that_are_exchanged_throughout(horses, order):
    code, text = oddity_of(horses[:, order], HORSE)
    assert code == "names-exchanged"
    name, other = text.partition(": ")[2].split(", ")[0].split(" lies where ")
    moved = HORSE.names[order[HORSE.index[name]]]
    # left and right are not told apart
    assert other.removesuffix(" should be")[1:] == moved[1:]
    assert oddity_of(horses[:9, order], HORSE)[0] != "names-exchanged"
