import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from equistera.dataset import images
from equistera.dataset.phash import (
    DISTANCE,
    duplicate_groups,
    hashes_of,
    near_duplicates,
    near_pairs,
    turned_hashes,
)
from equistera.errors import UserError


def scene(seed, size=(320, 240)):
    """A smooth random picture, as unlike that of another seed as two photos."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def perceptual_hash(path):
    return turned_hashes(path)[0]


def distance(a, b):
    return (a ^ b).bit_count()


def direct_hash(grey):
    """The definition, term by term: 32x32 pixels, DCT-II, 8x8 lowest frequencies against their median."""
    wave = [[np.cos(np.pi * u * (2 * x + 1) / 64) for x in range(32)] for u in range(8)]
    low = np.array([[np.sum(np.outer(wave[v], wave[u]) * grey) for u in range(8)] for v in range(8)])
    return int("".join("1" if value > np.median(low) else "0" for value in low.ravel()), 2)


def test_hash_is_the_published_one():
    grey = np.random.default_rng(1).integers(0, 256, (32, 32), dtype=np.uint8)
    assert hashes_of(grey)[0] == direct_hash(grey.astype(float))


@pytest.mark.parametrize("seed", range(8))
def test_same_scene_is_near_and_another_is_far(tmp_path, seed):
    scene(seed).save(tmp_path / "a.png")
    scene(seed).save(tmp_path / "poor.jpg", quality=20)
    scene(seed).resize((1600, 1200)).save(tmp_path / "large.jpg")
    scene(seed).point(lambda value: value * 0.9 + 8).save(tmp_path / "darker.jpg")
    scene(seed).crop((2, 2, 318, 238)).save(tmp_path / "trimmed.jpg")
    scene(seed + 100).save(tmp_path / "other.jpg")
    first = perceptual_hash(tmp_path / "a.png")
    for name in ("poor.jpg", "large.jpg", "darker.jpg", "trimmed.jpg"):
        assert distance(first, perceptual_hash(tmp_path / name)) <= DISTANCE, name
    assert distance(first, perceptual_hash(tmp_path / "other.jpg")) > 2 * DISTANCE


@pytest.mark.parametrize("way", list(Image.Transpose), ids=lambda way: way.name)
def test_mirrored_and_turned_copies_are_near(tmp_path, way):
    for seed in range(4):
        scene(seed).save(tmp_path / f"{seed}.png")
        scene(seed).transpose(way).save(tmp_path / f"{seed}_copy.jpg", quality=50)
    names = [f"{seed}{end}" for seed in range(4) for end in (".png", "_copy.jpg")]
    hashes = [turned_hashes(tmp_path / name) for name in names]
    assert near_duplicates(hashes) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert near_pairs(hashes[::2], hashes[1::2]) == [(i, i) for i in range(4)]


def test_hash_is_that_of_the_displayed_picture(tmp_path):
    orientation = Image.Exif()
    orientation[0x0112] = 6
    scene(3).save(tmp_path / "turned.jpg", exif=orientation)
    scene(3).transpose(Image.Transpose.ROTATE_270).save(tmp_path / "upright.jpg")
    scene(3).save(tmp_path / "flat.jpg")
    turned = perceptual_hash(tmp_path / "turned.jpg")
    assert distance(turned, perceptual_hash(tmp_path / "upright.jpg")) <= 2
    assert distance(turned, perceptual_hash(tmp_path / "flat.jpg")) > 10


def test_thumbnail_stands_for_the_picture(tmp_path, monkeypatch):
    scene(5).save(tmp_path / "a.jpg")
    monkeypatch.setattr(images, "read_thumbnail", lambda path: np.asarray(scene(6, (160, 120)).convert("L")))
    assert turned_hashes(tmp_path / "a.jpg", by_thumbnail=True)[0] == hashes_of(images.read_thumbnail("a.jpg"))[0]
    assert distance(perceptual_hash(tmp_path / "a.jpg"), turned_hashes(tmp_path / "a.jpg", by_thumbnail=True)[0]) > 10
    scene(6).save(tmp_path / "b.jpg")
    assert distance(perceptual_hash(tmp_path / "b.jpg"), turned_hashes(tmp_path / "b.jpg", by_thumbnail=True)[0]) <= 4


def test_blank_pictures_are_equal():
    assert hashes_of(np.full((40, 60), 200, np.uint8)) == hashes_of(np.full((10, 10), 30, np.uint8))


def test_duplicate_groups_by_id(tmp_path):
    for name, seed in (("a", 1), ("b", 2), ("c", 1)):
        scene(seed).save(tmp_path / f"{name}.jpg")
    assert duplicate_groups({n: tmp_path / f"{n}.jpg" for n in "abc"}, DISTANCE) == [["a", "c"]]
    assert duplicate_groups({}, DISTANCE) == []
    (tmp_path / "b.jpg").unlink()
    (tmp_path / "c.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="2 of 3 pictures cannot be compared") as caught:
        duplicate_groups({n: tmp_path / f"{n}.jpg" for n in "abc"}, DISTANCE)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("hashes", "bits", "groups"),
    [
        ([], 6, []),
        ([7], 6, []),
        ([5, 5, 5], 0, [[0, 1, 2]]),
        ([0, 2**64 - 1], 63, []),
        ([0, 2**64 - 1], 64, [[0, 1]]),
        ([0b1, 0b1111, 0b0], 1, [[0, 2]]),
        ([0b0, 0b11, 0b1111], 2, [[0, 1, 2]]),  # the ends differ by 4 bits, the middle one joins them
        ([8, 0, 2**63, 2**63 + 1, 8], 0, [[0, 4]]),
    ],
)
def test_near_duplicates(hashes, bits, groups):
    assert near_duplicates([(one,) for one in hashes], bits) == groups


def joined_one_by_one(hashes, bits):
    groups = [{i} for i in range(len(hashes))]
    for i in range(len(hashes)):
        for j in range(i):
            if distance(hashes[i], hashes[j]) <= bits:
                a, b = (next(g for g in groups if k in g) for k in (i, j))
                if a is not b:
                    groups.remove(b)
                    a |= b
    return sorted(sorted(group) for group in groups if len(group) > 1)


@given(
    st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 255).map(lambda n: n << 56), max_size=30), st.integers(0, 12)
)
def test_near_duplicates_are_the_connected_ones(hashes, bits):
    assert near_duplicates([(one,) for one in hashes], bits) == joined_one_by_one(hashes, bits)


def test_what_is_near_in_one_order_is_near_in_the_other():
    # the second, laid down otherwise, is the first; the first, laid down otherwise, just misses the second
    a, b = (0, 0xFFFF), (0xFFFF << 32, 0)
    assert near_duplicates([a, b], 2) == near_duplicates([b, a], 2) == [[0, 1]]
    assert near_pairs([a], [b], 2) == near_pairs([b], [a], 2) == [(0, 0)]


#: What mirroring and turning might do to the bits of a hash; done twice, it does nothing.
MASKS = [a ^ b ^ c for a in (0, 0xAA << 20) for b in (0, 0xF0F0F0F0) for c in (0, 0xFF << 50)]


@pytest.mark.parametrize("bits", [3, DISTANCE, 11, 20])
def test_near_duplicates_of_many_are_those_of_comparing_all_with_all(bits):
    rng = np.random.default_rng(bits)
    # chains, copies in other ways to lie, a video of equals, and what looks like nothing else
    seeds = [int(seed) for seed in rng.integers(0, 2**63, 150)]
    own = seeds + [
        seed ^ sum(1 << int(b) for b in rng.choice(64, rng.integers(0, 2 * bits + 4), replace=False)) ^ MASKS[i % 8]
        for i, seed in enumerate([*seeds, *seeds[:20] * 3])
    ]
    hashes = [tuple(one ^ mask for mask in MASKS) for one in own]
    table = np.array(hashes, dtype=np.uint64)
    near = np.bitwise_count(table[:, None] ^ table[None, :, :1]).min(axis=2) <= bits
    reach = near.copy()
    for _ in range(10):
        reach = reach @ reach
    groups = {tuple(np.flatnonzero(row).tolist()) for row in reach}
    assert near_duplicates(hashes, bits) == sorted(list(group) for group in groups if len(group) > 1)
    assert near_pairs(hashes[:99], hashes[99:], bits) == list(
        zip(*map(np.ndarray.tolist, np.nonzero(near[:99, 99:])), strict=True)
    )


@given(st.lists(st.integers(0, 63), max_size=12), st.lists(st.integers(0, 63), max_size=12), st.integers(0, 6))
def test_near_pairs(first, second, bits):
    expected = [(i, j) for i, a in enumerate(first) for j, b in enumerate(second) if distance(a, b) <= bits]
    assert near_pairs([(one,) for one in first], [(one,) for one in second], bits) == expected
