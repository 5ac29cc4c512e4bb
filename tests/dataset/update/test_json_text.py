import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera.dataset.update.json_text import JsonText

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4), lambda v: st.lists(v, max_size=3)
)


def test_only_what_is_exchanged_changes():
    text = '{"a" : [1.50,\n\t2e2 , {"b":"\\u00e9"}],  "c": null}\n'
    edited = JsonText(text)
    edited.replace(["a", 1], 7)
    edited.replace(["a", 2, "b"], "x")
    assert str(edited) == '{"a" : [1.50,\n\t7 , {"b":"x"}],  "c": null}\n'


def test_of_a_key_that_stands_twice_the_last_counts_as_in_python():
    edited = JsonText('{"a": 1, "a": 2}')
    edited.replace(["a"], 3)
    assert json.loads(str(edited)) == {"a": 3}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", "[7, 8]"),
        ("[\n]", "[\n7, 8]"),
        ("[1]", "[1, 7, 8]"),
        ("[\n  1\n]", "[\n  1,\n  7,\n  8\n]"),
        ("[1,2]", "[1,2,7,8]"),
    ],
)
def test_new_entries_are_spaced_as_those_that_are_there(text, expected):
    edited = JsonText(text)
    edited.change_list([], new=[7, 8])
    assert str(edited) == expected


@given(
    st.lists(VALUES, max_size=5), st.sets(st.integers(0, 4)), st.lists(VALUES, max_size=2), st.sampled_from([None, 2])
)
def test_lists_become_what_python_makes_of_them(values, gone, new, indent):
    edited = JsonText(json.dumps({"list": values, "end": 0}, indent=indent))
    gone = {i for i in gone if i < len(values)}
    edited.change_list(["list"], gone, new)
    kept = [value for i, value in enumerate(values) if i not in gone]
    assert json.loads(str(edited)) == {"list": [*kept, *new], "end": 0}


def test_entries_that_stay_can_be_changed_beside_others_that_go():
    edited = JsonText("[[1, 2], [3], [4, 5], [6]]")
    edited.replace([2, 1], 9)
    edited.change_list([], {1, 3}, [[7]])
    assert json.loads(str(edited)) == [[1, 2], [4, 9], [7]]
