import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera.errors import UserError
from equistera.mm.option_values import parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-0.5", -0.5),
        ("1e-3", 1e-3),
        ("1/3", 1 / 3),
        ("1/0", "1/0"),
        ("True", True),
        ("false", False),
        ("None", None),
        ("inf", math.inf),
        ("light", "light"),
        ("'light'", "light"),
        ("val/PCK@0.1", "val/PCK@0.1"),
        ("data/demo", "data/demo"),
        ("/home/me/my photos/set 1", "/home/me/my photos/set 1"),
        (r"C:\photos\new", r"C:\photos\new"),
        (r"'C:\new\train'", r"C:\new\train"),
        (r"'C:\Users\me'", r"C:\Users\me"),
        (r"[r'C:\a', 'D:\new']", [r"C:\a", r"D:\new"]),
        (r"'C:\\new'", r"C:\new"),
        (r"'a\tb'", "a\tb"),
        ("2026-01-08", "2026-01-08"),
        ("cuda:0", "cuda:0"),
        ("", ""),
        ("''", ""),
        ("1,2,3", [1, 2, 3]),
        ("[1, 2]", [1, 2]),
        ("[]", []),
        ("(256,256)", (256, 256)),
        ("(1,2),(3,4)", [(1, 2), (3, 4)]),
        ("[a, b/c.json, None]", ["a", "b/c.json", None]),
        ("[/a/b c.json,/d]", ["/a/b c.json", "/d"]),
        ("a/b.json,/c d.json", ["a/b.json", "/c d.json"]),
        ("dict(preset='light',flip=0.3)", {"preset": "light", "flip": 0.3}),
        ("dict(preset=light)", {"preset": "light"}),
        ("{'_delete_': True, 'head': 0}", {"_delete_": True, "head": 0}),
        (
            "[dict(name='a', start=0), dict(name='b', start=1/2)]",
            [{"name": "a", "start": 0}, {"name": "b", "start": 0.5}],
        ),
        ("__import__('os').system('true')", "__import__('os').system('true')"),
    ],
)
def test_values(text, value):
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["[1, 2", "dict(a=1", "(1,(2)", "'a", "[/a, [b/]", "[" * 5000])
def test_what_cannot_be_read(text):
    with pytest.raises(UserError, match="cannot read"):
        parse_value(text)


#: A backslash after a drive's colon is a folder, also where Python would write a newline so.
NO_DRIVES = st.text().filter(lambda text: ":" not in text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NO_DRIVES,
        lambda inner: st.lists(inner) | st.dictionaries(NO_DRIVES, inner) | st.tuples(inner, inner),
    )
)
def test_whatever_python_writes_is_read_as_it_was(value):
    assert parse_value(repr(value)) == value


@given(st.text())
def test_no_text_is_a_stack_trace(text):
    with contextlib.suppress(UserError):
        assert type(parse_value(text)) in (type(None), bool, int, float, str, list, tuple, dict)
