import numpy as np
import pytest
from crop_cases import animal

from equistera.augmentation import PRESETS, augmentation
from equistera.crops.geometry import need_of, shrinking, view_to_input, with_aspect_ratio
from equistera.skeleton import load

HORSE = load("horse26")
UPPER = [i for i, k in enumerate(HORSE.keypoints) if k.half == "upper"]
LOWER = [i for i, k in enumerate(HORSE.keypoints) if k.half == "lower"]


def drawn_views(preset, seeds, made, input_size):
    """Centre, scale and rotation of what the pipeline draws."""
    from equistera.mm.data.transforms import DrawGeometry

    for seed in seeds:
        results = {
            "bbox": made.box[None],
            "keypoints": made.points[None],
            "keypoints_visible": made.visible[None],
            "upper_body_ids": UPPER,
            "lower_body_ids": LOWER,
            "augmentation": augmentation(preset),
            "rng": np.random.default_rng(seed),
        }
        results = DrawGeometry().transform(results)
        scale = with_aspect_ratio(results["bbox_scale"][0], input_size[0] / input_size[1])
        yield results["bbox_center"][0], scale, float(results["bbox_rotation"][0])


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("input_size", "udp"), [((64, 64), False), ((64, 96), False), ((64, 96), True)])
def test_every_view_that_is_drawn_lies_in_the_region_and_is_no_finer(preset, input_size, udp):
    made = animal("x.jpg", (300, 200, 900, 560))
    need = need_of(made.box, made.points, made.visible, (UPPER, LOWER), [augmentation(preset)], input_size)
    corners, finest = [], 0
    for center, scale, rotation in drawn_views(preset, range(300), made, input_size):
        inverse = np.linalg.inv(np.vstack([view_to_input(center, scale, rotation, input_size, udp), (0, 0, 1)]))
        width, height = (side - udp for side in input_size)
        corners.append(np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ inverse.T[:, :2])
        finest = max(finest, 1 / shrinking(scale, input_size))
    corners = np.concatenate(corners)
    low, high = np.array(need.region[:2]), np.array(need.region[2:])
    assert (corners.min(axis=0) >= low).all()
    assert (corners.max(axis=0) <= high).all()
    assert finest <= need.density * (1 + 1e-6)
    # and the region is not much larger than what 300 draws reach
    assert (corners.max(axis=0) - corners.min(axis=0) >= 0.7 * (high - low)).all()
    assert finest >= 0.8 * need.density


@pytest.mark.parametrize("udp", [False, True])
def test_the_map_is_mmposes(udp):
    from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

    rng = np.random.default_rng(0)
    for _ in range(50):
        center, width = rng.uniform(0, 4000, 2), rng.uniform(20, 4000)
        scale, rotation = np.array([width, width * 1.5], np.float32), rng.uniform(-180, 180)
        ours = view_to_input(center, scale, rotation, (64, 96), udp)
        # MMPose's two turn to different sides
        if udp:
            theirs = get_udp_warp_matrix(center, scale, -rotation, (64, 96))
        else:
            theirs = get_warp_matrix(center, scale, rotation, (64, 96))
        at = rng.uniform(0, 4000, 2)
        assert ours[:, :2] @ at + ours[:, 2] == pytest.approx(theirs[:, :2] @ at + theirs[:, 2], abs=0.02)


def test_several_presets_need_what_the_widest_needs():
    def need(*presets):
        made = animal("x.jpg", (300, 200, 900, 560))
        presets = [augmentation(preset) for preset in presets]
        return need_of(made.box, made.points, made.visible, (UPPER, LOWER), presets, (64, 64))

    assert need("light", "aggressive") == need("aggressive")
    assert need() == need("none") != need("light")
