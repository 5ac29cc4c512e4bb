import numpy as np
import pytest

from equistera.augmentation import PRESETS, augmentation
from equistera.augmentation_report import asked_of, format_rows, measure, rows_json

GUIDE = PRESETS["aggressive"]


def test_asked_is_what_the_guide_says():
    asked = asked_of(GUIDE)
    assert {name: a.probability for name, a in asked.items()} == {
        "flip": 0.5, "half_body": 0.3, "rotation": 1.0, "scale": 1.0, "shift": 1.0, "brightness": 0.5, "contrast": 0.5,
        "saturation": 0.5, "hue": 0.5, "blur": 0.1, "noise": 0.1, "dropout": 0.1, "occlusion": 0.2,
    }  # fmt: skip
    assert asked["rotation"].range == (-40, 40)
    assert asked["scale"].range == (0.7, 1.3)
    assert asked["shift"].range == (-0.16, 0.16)
    assert asked["brightness"].range == (-32, 32)
    assert asked["contrast"].range == asked["saturation"].range == (0.5, 1.5)
    assert asked["hue"].range == (-18, 18)


def test_nothing_asked_is_no_row():
    assert asked_of(PRESETS["none"]) == {}
    # what it records all the same changes nothing
    assert measure([{"rotation": 0.0, "scale": 1.0, "shift": np.zeros(2)}], PRESETS["none"]) == []


def test_shares_ranges_and_kinds_are_counted():
    drawn = [{"rotation": float(i - 50), "shift": np.array([0.1, -i / 1000])} for i in range(100)]
    for i in range(10):
        drawn[i]["occlusion"] = "rail" if i < 3 else "person"
        drawn[i]["dropout"] = 2
    rows = {row.name: row for row in measure(drawn, augmentation("none", rotation=50, shift=0.1, occlusion=0.1))}
    assert (rows["rotation"].share, rows["rotation"].low, rows["rotation"].high) == (1, -50, 49)
    assert (rows["shift"].low, rows["shift"].high) == (pytest.approx(-0.099), pytest.approx(0.1))
    assert (rows["occlusion"].share, rows["occlusion"].kinds) == (0.1, {"person": 7, "rail": 3})
    # nobody asked for holes
    assert (rows["dropout"].asked, rows["dropout"].share) == (None, 0.1)


@pytest.mark.parametrize(
    ("changes", "sample", "note"),
    [
        ({"flip": 0.5}, {"flip": True}, "not as often as asked"),
        ({"flip": 1.0}, {"flip": True}, ""),
        ({"rotation": 10}, {"rotation": 20.0}, "outside of the range"),
        ({"half_body": 0.5}, {}, "only where enough points are labelled"),
        ({"blur": 1.0}, {"blur": 2.52}, ""),
    ],
)
def test_what_is_odd_is_said(changes, sample, note):
    (row,) = measure([sample] * 100, augmentation("none", **changes))
    assert row.note == note


def test_the_table_and_the_numbers_say_the_same():
    rows = measure([{"flip": True, "Perspective": True}, {}], augmentation("none", flip=0.5))
    table = format_rows(rows).splitlines()
    assert table[0].split() == ["transform", "asked", "drawn", "asked", "range", "drawn", "range"]
    assert table[1].split() == ["flip", "50%", "50.0%"]
    assert table[2].split() == ["Perspective", "config", "50.0%"]
    assert rows_json(rows)["flip"] == {
        "asked": {"probability": 0.5, "range": None, "unit": ""}, "share": 0.5, "low": None, "high": None, "kinds": {},
        "note": "",
    }  # fmt: skip
