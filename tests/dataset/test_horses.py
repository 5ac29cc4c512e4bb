from pathlib import Path

import pytest

from equistera import skeleton
from equistera.dataset.formats.records import Animal, Export, Picture
from equistera.dataset.matching import select
from equistera.errors import UserError

HORSE = skeleton.load("horse26")


def export(*categories, names=("nose",), file_name="a.jpg", declared=()):
    animals = tuple(Animal(dict.fromkeys(names, (1.0, 2.0, 2)), None, category) for category in categories)
    result = Export(Path("a.json"), "test", {category: list(names) for category in declared})
    result.add(Picture((file_name,), "", animals))
    return result


@pytest.mark.parametrize(
    ("categories", "chosen"),
    [
        (["horse"], {"horse"}),
        (["Horse ", "rider"], {"Horse "}),
        (["pferd"], {"pferd"}),
        ([""], {""}),
        (["", "horse", "rider"], {"", "horse"}),
        (["", "pony"], {"", "pony"}),
    ],
)
def test_which_categories_are_horses(categories, chosen):
    assert select(export(*categories), HORSE).categories == chosen


def test_several_categories_without_a_horse_are_listed():
    with pytest.raises(UserError, match="has no category 'horse'") as error:
        select(export("pony", "rider"), HORSE)
    assert error.value.problems == ["pony", "rider"]
    assert "--category" in error.value.hint
    assert select(export("pony", "rider"), HORSE, wanted=["Pony"]).categories == {"pony"}
    with pytest.raises(UserError, match="has no category 'donkey'"):
        select(export("pony"), HORSE, wanted=["donkey"])


def test_points_of_other_categories_need_no_match():
    both = export("horse")
    both.add(Picture(("b.jpg",), "", (Animal({"hat": (1.0, 2.0, 2)}, None, "rider"),)))
    assert select(both, HORSE).match.target == {"nose": "nose"}


def test_public_file_of_many_species_must_say_horse():
    names = skeleton.load("ap10k").names
    assert select(export("jaguar", names=names), HORSE).categories == frozenset()
    assert select(export("jaguar", "horse", names=names), HORSE).categories == {"horse"}
    assert select(export("jaguar", names=names), HORSE, wanted=["jaguar"]).categories == {"jaguar"}


def test_animalpose_says_it_by_the_file_name():
    names = skeleton.load("animalpose").names
    chosen = select(export("cat", names=names, file_name="ho105.jpeg"), HORSE)
    assert chosen.categories == {"horse"}
    assert chosen.match.public == "animalpose"
    assert [a.category for p in chosen.export.pictures for a in p.animals] == ["horse"]
    assert select(export("cat", names=names, file_name="2007_1.jpg"), HORSE).categories == frozenset()


def test_horse10_holds_nothing_but_horses():
    assert select(export("", names=skeleton.load("horse10").names), HORSE).categories == {""}


def test_problems_name_the_file():
    with pytest.raises(UserError, match=r"a\.json: the file's keypoints"):
        select(export("horse", names=["left_eye"]), HORSE)
