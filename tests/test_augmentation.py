import pytest

from equistera.augmentation import PRESETS, augmentation
from equistera.errors import UserError


def test_aggressive_is_the_guides_list():
    guide = PRESETS["aggressive"]
    assert (guide.rotation, guide.scale, guide.shift, guide.flip) == (40, (0.7, 1.3), 0.16, 0.5)
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
        ("light", {"scale": (1.2, 0.8)}, "scale: expected (low, high)"),
        ("light", {"rotation": "5"}, "rotation: expected a number"),
    ],
)
def test_what_does_not_exist_or_fit_is_refused(preset, changes, finding):
    with pytest.raises(UserError) as caught:
        augmentation(preset, **changes)
    assert finding in str(caught.value)
