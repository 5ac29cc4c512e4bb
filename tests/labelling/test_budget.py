"""From hours to pictures."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera.errors import UserError
from equistera.labelling.budget import minutes_a_picture, pictures_in

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["annotations", "lead_time", "was_cancelled", "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


def test_the_time_is_the_median_of_what_was_worked_on(tmp_path):
    tasks = [
        {"annotations": [{"lead_time": 120.0}]},
        {"annotations": [{"lead_time": 240, "was_cancelled": False}, {"lead_time": 9.0, "was_cancelled": True}]},
        {"annotations": [{"lead_time": 90000.0}]},
        {"annotations": [{"lead_time": None}, {"lead_time": True}]},
        {"lead_time": 360.0, "box": []},
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    assert minutes_a_picture(path) == (4.0, 3)


@given(content=JSON)
def test_any_json_is_read_or_refused(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("times") / "export.json"
    path.write_text(json.dumps(content))
    with contextlib.suppress(UserError):
        minutes, count = minutes_a_picture(path)
        assert 0 < minutes <= 60
        assert count >= 1


def test_hours_become_pictures():
    assert pictures_in(8, 4) == 120
    assert pictures_in(1, 7) == 8
    for hours, minutes in ((0, 4), (1, 0), (float("nan"), 4), (1, float("inf")), (0.01, 4)):
        with pytest.raises(UserError):
            pictures_in(hours, minutes)
