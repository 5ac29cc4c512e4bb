import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera.augmentation import LIMITS, PRESETS, Augmentation, augmentation
from equistera.errors import UserError


def test_aggressive_is_the_guides_list():
    guide = PRESETS["aggressive"]
    assert (guide.rotation, guide.scale, guide.shift, guide.flip) == (40, (0.7, 1.3), 0.16, 0.5)
    assert guide.photometric == 0.5
    assert (guide.brightness, guide.contrast, guide.saturation, guide.hue) == (32, (0.5, 1.5), (0.5, 1.5), 18)
    assert (guide.blur, guide.noise, guide.dropout, guide.occlusion) == (0.1, 0.1, 0.1, 0.2)


def test_presets_get_weaker():
    strong, middle, weak = (PRESETS[name] for name in ("aggressive", "balanced", "light"))
    for field in ("rotation", "shift", "brightness", "hue", "dropout", "occlusion", "half_body"):
        assert getattr(strong, field) > getattr(middle, field) > getattr(weak, field) or field in (
            "dropout", "occlusion", "half_body",
        )  # fmt: skip
        assert getattr(strong, field) >= getattr(middle, field) >= getattr(weak, field)


def test_a_preset_can_be_changed():
    assert augmentation("light", rotation=5, scale=[0.9, 1.1]).scale == (0.9, 1.1)


@pytest.mark.parametrize(
    ("preset", "changes", "finding"),
    [
        ("agressive", {}, "did you mean 'aggressive'"),
        ("light", {"rotate": 5}, "unknown field 'rotate', did you mean 'rotation'?"),
        ("light", {"flip": 1.5}, "flip: expected a number from 0 to 1, found 1.5"),
        ("light", {"scale": (1.2, 0.8)}, "scale: expected (low, high) with 0.1 <= low <= high <= 10, found (1.2, 0.8)"),
        ("light", {"rotation": "5"}, "rotation: expected a number"),
    ],
)
def test_what_does_not_exist_or_fit_is_refused(preset, changes, finding):
    with pytest.raises(UserError) as caught:
        augmentation(preset, **changes)
    assert finding in str(caught.value)


NAMES = [field.name for field in fields(Augmentation)]
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3),
    st.lists(st.one_of(st.booleans(), st.integers(-2, 300), st.floats()), max_size=3),
)  # fmt: skip


@given(st.sampled_from(NAMES), ANYTHING)
def test_whatever_is_given_is_in_the_limits_or_refused_by_name(name, value):
    low, high = LIMITS[name]
    finding = None
    try:
        taken = getattr(augmentation("light", **{name: value}), name)
    except UserError as error:
        finding = str(error)
    if finding is not None:
        assert f"{name}: expected" in finding
        return
    ends = taken if isinstance(taken, tuple) else (taken, taken)
    assert len(ends) == 2
    assert low <= ends[0] <= ends[1] <= high
    assert all(math.isfinite(end) and not isinstance(end, bool) for end in ends)


@given(st.sampled_from(NAMES), st.data())
def test_all_in_the_limits_is_taken(name, data):
    number = st.integers if name == "dropout_holes" else st.floats
    ends = sorted(data.draw(st.tuples(number(*LIMITS[name]), number(*LIMITS[name]))))
    value = tuple(ends) if isinstance(getattr(Augmentation, name), tuple) else ends[0]
    assert getattr(augmentation("aggressive", **{name: value}), name) == value
