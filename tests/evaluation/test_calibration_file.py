"""A calibration is found again for its own weights, and only for those."""

import json

import pytest

from equistera.errors import UserError
from equistera.evaluation.calibration import (
    Calibration,
    calibration_path,
    missing_because,
    store_calibration,
    stored_background,
    stored_calibration,
)

FITTED = Calibration(1.7, -0.3)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "best.pth"
    path.write_bytes(b"weights")
    return path


def test_it_lies_beside_the_checkpoint(weights):
    written = store_calibration(weights, FITTED, False, points=312)
    assert written == calibration_path(weights) == weights.parent / "best.calibration.json"
    assert stored_calibration(weights) == FITTED
    assert json.loads(written.read_text())["fits"]["plain"]["points"] == 312


def test_the_mirrored_picture_has_its_own(weights):
    store_calibration(weights, FITTED, False)
    assert stored_calibration(weights, flip_test=True) is None
    store_calibration(weights, Calibration(0.9), True)
    assert stored_calibration(weights, flip_test=True) == Calibration(0.9)
    assert stored_calibration(weights) == FITTED


def test_several_scales_have_their_own(weights):
    store_calibration(weights, FITTED, False)
    assert stored_calibration(weights, scales=(0.9, 1.0)) is None
    store_calibration(weights, Calibration(0.9), False, scales=(0.9, 1.0))
    store_calibration(weights, Calibration(0.8), True, scales=(0.9, 1.0))
    found = [stored_calibration(weights, flip, scales=s) for s in ((1.0,), (0.9, 1.0)) for flip in (False, True)]
    assert found == [FITTED, None, Calibration(0.9), Calibration(0.8)]
    assert stored_calibration(weights, scales=(0.9, 1.0, 1.1)) is None
    said = missing_because(weights, True, scales=(0.9, 1.0, 1.1))
    assert "and none for those with --flip-test --scales 0.9 1 1.1; fit it: " in said
    assert said.endswith("--split val --flip-test --scales 0.9 1 1.1")


def test_other_weights_of_the_same_name_have_none(weights):
    store_calibration(weights, FITTED, False)
    weights.write_bytes(b"trained again")
    assert stored_calibration(weights) is None
    store_calibration(weights, Calibration(2.0), True)
    assert stored_calibration(weights) is None, "the earlier weights' fit must not come back"


def test_other_settings_of_the_network_have_none(weights):
    store_calibration(weights, FITTED, False, settings="128x128")
    assert stored_calibration(weights, settings="128x128") == FITTED
    assert stored_calibration(weights, settings="256x256") is None
    assert "was fitted with other settings of the network; fit it: " in missing_because(weights, False, "256x256")


def test_no_file_no_calibration(weights):
    assert stored_calibration(weights) is None


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e999", "NaN"])
def test_numbers_that_are_none_are_refused_and_not_written_again(weights, number):
    path = store_calibration(weights, FITTED, False)
    path.write_text(path.read_text().replace("1.7", number))
    with pytest.raises(UserError, match=r"best\.calibration\.json"):
        stored_calibration(weights)
    if "0000" not in number:
        with pytest.raises(UserError, match="holds numbers that are not finite"):
            store_calibration(weights, FITTED, True)


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        ("{", "is not JSON"),
        ("[]", "is no calibration of a checkpoint"),
        ('{"sha256": "x"}', "is no calibration of a checkpoint"),
    ],
)
def test_something_else_in_its_place(weights, content, finding):
    calibration_path(weights).write_text(content)
    with pytest.raises(UserError, match=finding):
        stored_calibration(weights)
    with pytest.raises(UserError, match=finding):
        store_calibration(weights, FITTED, False)


def test_a_broken_entry_is_named_with_its_file(weights):
    path = store_calibration(weights, FITTED, False)
    content = json.loads(path.read_text())
    content["fits"]["plain"]["temperature"] = -1
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"best\.calibration\.json: a calibration must be"):
        stored_calibration(weights)


def test_what_passes_for_background_is_found_again(weights):
    assert stored_background(weights) == 0
    path = store_calibration(weights, FITTED, False, background={"threshold": 0.76, "AUC": 0.99})
    assert stored_background(weights) == 0.76
    assert stored_background(weights, flip_test=True) == 0
    for broken in ('"x"', "1.5", "true"):
        store_calibration(weights, FITTED, False, background={"threshold": 0.76})
        path.write_text(path.read_text().replace("0.76", broken))
        with pytest.raises(UserError, match=r"best\.calibration\.json: background\.threshold must be from 0 to 1"):
            stored_background(weights)


def test_a_missing_one_is_explained(weights):
    assert "there is no" in missing_because(weights, False)
    store_calibration(weights, FITTED, False)
    said = missing_because(weights, True)
    assert "has one for predictions without options, and none for those with --flip-test" in said
    assert said.endswith(f"tools/test.py CONFIG {weights} --split val --flip-test")
    weights.write_bytes(b"trained again")
    assert "is of other weights" in missing_because(weights, False)
