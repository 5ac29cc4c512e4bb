"""Damaged and hostile skeletons, keypoint maps, splits, crop caches, pictures and videos: an answer or a UserError."""

import json
import shutil
import struct
import zlib

import av
import cv2
import mutants
import numpy as np
import pytest
from PIL import Image
from test_video import write as write_video

from equistera import skeleton as skeletons
from equistera.augmentation import augmentation
from equistera.crops.build import ensure
from equistera.crops.decoding import decode
from equistera.crops.request import Animal, Request
from equistera.dataset import images, phash
from equistera.dataset.coco import load_annotations
from equistera.dataset.export import write_labelling_config
from equistera.dataset.matching import match_names, read_keypoint_map
from equistera.dataset.split import SplitSpec
from equistera.dataset.split_dataset import recorded_rule, split_dataset
from equistera.dataset.verify.command import verify_dataset
from equistera.errors import UserError
from equistera.synthetic.chart import encode_chart
from equistera.video import VideoFrames

HORSE = skeletons.load("horse26")
DEEP = b"[" * 100_000


def as_json(path, content, rng):
    """Writes a mutant of JSON content: of its values, of its numbers or of its bytes."""
    kind, text = rng.random(), json.dumps(content).encode()
    if kind < 0.7:
        path.write_bytes(json.dumps(mutants.mutate_tree(content, rng)).encode())
    elif kind < 0.8:
        path.write_bytes(mutants.mutate_numbers(text, rng))
    elif kind < 0.99:
        path.write_bytes(mutants.mutate_bytes(text, rng))
    else:
        path.write_bytes(rng.choice([DEEP, text.replace(b":", b":" + DEEP, 1), b'{"a":' * 100_000, b"1" * 10_000]))


def skeleton_kind(folder):
    content = json.loads((skeletons.BUILTIN_DIR / "horse26.json").read_text(encoding="utf-8"))

    def attempt(rng):
        as_json(folder / "own.json", content, rng)
        own = skeletons.load(folder / "own.json")
        assert np.isfinite(own.sigmas).all()
        assert len(own.colors) == len(own.flip_indices) == len(own.weights)
        assert len(own.link_colors) == len(own.link_indices)
        for name in skeletons.builtin_names():
            other = skeletons.load(name)
            own.correspondence_from(other), other.correspondence_from(own)
        for to, suffix in (("labelstudio", ".xml"), ("cvat", ".json")):
            write_labelling_config(own, to, folder / f"labels{suffix}", ["horse"], overwrite=True)
        if rng.random() < 0.1:
            encode_chart(own)

    return attempt


def map_kind(folder):
    names = ["Auge links", "Poll", "nose", "wither", "l knee"]
    content = {"Auge links": "l_eye", "Poll": None, "wither": "withers"}

    def attempt(rng):
        as_json(folder / "map.json", content, rng)
        match_names(names, HORSE, read_keypoint_map(folder / "map.json", HORSE))

    return attempt


def split_kind(horses):
    def kind(folder):
        ann_file = folder / "all.json"
        shutil.copyfile(horses / "annotations/train.json", ann_file)
        shutil.copytree(horses / "images/train", folder / "pictures")
        out, spec = folder / "set/annotations", SplitSpec((0.5, 0.25, 0.25), 0, "none", 2)
        split_dataset(ann_file, folder / "pictures", out, spec)
        content = json.loads((out / "split.json").read_text())

        def attempt(rng):
            as_json(out / "split.json", content, rng)
            recorded_rule(out)
            if rng.random() < 0.3:
                verify_dataset([out / "train.json"])
            pictures = folder / "pictures" if rng.random() < 0.5 else None
            split_dataset(ann_file, pictures, out, spec, overwrite=True)
            for name in ("train", "val", "test"):
                load_annotations(out / f"{name}.json", HORSE)

        return attempt

    return kind


def crops_kind(folder):
    animals = []
    for i in range(3):
        path = folder / f"photo{i}.jpg"
        cv2.imwrite(str(path), np.random.default_rng(i).integers(0, 255, (300, 400, 3), np.uint8))
        points = np.random.default_rng(i).uniform(60, 200, (26, 2))
        animals.append(Animal(str(path), (50, 40, 260 + i, 220), points, np.ones(26)))
    presets = [augmentation("aggressive")]
    request = Request("test", animals, [range(13), range(13, 26)], presets, (64, 64))
    cache = folder / "cache"
    with_pixels = [ensure(cache, request, 10**9)[i][0].copy() for i in range(3)]
    originals = {path: path.read_bytes() for path in cache.glob("*.crops/*")}

    def attempt(rng):
        for path, content in originals.items():
            path.write_bytes(content)
        path = rng.choice(sorted(originals))
        if path.suffix == ".json":
            as_json(path, json.loads(originals[path]), rng)
        else:
            path.write_bytes(mutants.mutate_bytes(originals[path], rng))
        store = ensure(cache, request, 10**9)
        found = [store[i] for i in range(len(store))]
        assert len(found) == 3
        assert all(np.array_equal(crop, right) for (crop, _), right in zip(found, with_pixels, strict=True))

    return attempt


def whole_png(data):
    """Puts the sums of a PNG's chunks right, so that damage gets past them."""
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        length = struct.unpack_from(">I", data, at)[0]
        if at + 12 + length > len(data):
            break
        body = data[at + 4 : at + 8 + length]
        out += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(out) + data[at:]


def png_chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def bombs():
    """Small pictures that claim, or unpack to, a great deal."""
    zeros = zlib.compress(bytes(200_000_000), 9)
    head = b"\x89PNG\r\n\x1a\n"
    end = png_chunk(b"IEND", b"")
    for side, depth in ((14_000, 8), (14_142, 16), (100_000, 8), (2**31 - 1, 8)):
        body = struct.pack(">IIBBBBB", side, side, depth, 2, 0, 0, 0)
        yield ".png", head + png_chunk(b"IHDR", body) + png_chunk(b"IDAT", zeros) + end
    small = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    for name, start in ((b"zTXt", b"a\0\0"), (b"iCCP", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")):
        pixels = png_chunk(b"IDAT", zlib.compress(bytes(8 * 25)))
        yield ".png", head + small + png_chunk(name, start + zeros) + pixels + end
    header = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 100, 0, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0)
    yield ".bmp", header + bytes(100)
    yield ".bmp", header.replace(struct.pack("<i", 30_000), struct.pack("<i", -(2**31))) + bytes(100)
    # entries of a TIFF: width, height, bits, compression, photometric, strip offset, samples, rows, strip bytes
    tags = [(256, 65_000), (257, 65_000), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 65_000), (279, 10)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    yield ".tif", struct.pack("<2sHI", b"II", 42, 8) + directory + struct.pack("<I", 8)


def pictures_kind(folder):
    colours = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2024:01:01 00:00:00"
    seeds = []
    for name, picture, options in (
        ("a.jpg", colours, {"exif": exif}), ("b.jpg", colours, {"progressive": True, "icc_profile": bytes(200)}),
        ("c.jpg", colours.convert("CMYK"), {}), ("d.png", colours, {"exif": exif}), ("e.png", colours.quantize(), {}),
        ("f.png", colours.convert("RGBA"), {}), ("g.png", Image.new("I;16", (20, 30), 9000), {}),
        ("h.webp", colours, {"exif": exif}), ("i.webp", colours, {"lossless": True}), ("j.bmp", colours, {}),
        ("k.tif", colours, {"compression": "tiff_lzw"}), ("l.tif", colours, {}),
        ("n.tif", colours, {"compression": "tiff_deflate"}),
        ("m.tif", colours, {"compression": "jpeg"}),
    ):  # fmt: skip
        picture.save(folder / name, **options)
        seeds.append((folder / name, (folder / name).read_bytes()))
    traps = list(bombs())

    def attempt(rng):
        if rng.random() < 0.05:
            suffix, content = rng.choice(traps)
            path = folder / f"trap{suffix}"
        else:
            path, content = rng.choice(seeds)
            content = mutants.mutate_bytes(content, rng)
            content = whole_png(content) if path.suffix == ".png" and rng.random() < 0.8 else content
        path.write_bytes(content)
        problems = 0
        for use in (
            images.read_header, images.read_rgb, lambda path: images.read_reduced(path, 32), images.read_thumbnail,
            lambda path: images.check_whole(path, images.read_header(path)), phash.turned_hashes,
            lambda path: decode(path.read_bytes(), path, images.read_header(path)),
        ):  # fmt: skip
            try:
                use(path)
            except UserError:
                problems += 1
        if problems:
            raise UserError("one of the ways to read it refuses it")
        assert images.read_rgb(path).shape[1::-1] == images.read_header(path).size

    return attempt


def videos_kind(folder):
    seeds = []
    for name, codec, settings in (
        ("a.mp4", "libx264", {"sound": "aac"}), ("b.mp4", "mpeg4", {"times": [0, 40, 90, 91, 300, 2000]}),
        ("c.avi", "mjpeg", {}),
        ("d.mkv", "libx264", {"sound": "aac"}), ("e.webm", "libvpx-vp9", {}), ("f.ts", "libx264", {"sound": "aac"}),
        ("g.mov", "mjpeg", {}), ("h.flv", "flv", {}), ("i.gif", "gif", {}), ("j.h264", "libx264", {}),
    ):  # fmt: skip
        if codec in av.codecs_available:
            write_video(folder / name, codec, frames=6, size=(64, 48), **settings)
            seeds.append((name, (folder / name).read_bytes()))
    lists = [b"ffconcat version 1.0\nfile '../outside/secret.mp4'\n", b"#EXTM3U\n#EXTINF:1,\nhttp://localhost:9/a.ts\n"]

    def attempt(rng):
        if rng.random() < 0.02:
            name, content = rng.choice(["x.mp4", "x.txt", "x.m3u8"]), rng.choice(lists)
        else:
            name, content = rng.choice(seeds)
            content = mutants.mutate_bytes(content, rng)
        (folder / name).write_bytes(content)
        out = folder / f"out{rng.choice(['.mp4', '.avi', '.mov'])}"
        source = VideoFrames(folder / name, out, overwrite=True)
        try:
            for frame in source.frames():
                source.write(frame, frame.image)
        except BaseException:
            source.abandon()
            raise
        source.close()
        again = VideoFrames(out, None)
        assert sum(1 for _ in again.frames()) > 0

    return attempt


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["skeletons", "keypoint maps", "split.json", "crop caches", "pictures", "videos"])
def test_mutants(kind, tmp_path, horses):
    kinds = {
        "skeletons": skeleton_kind, "keypoint maps": map_kind, "split.json": split_kind(horses),
        "crop caches": crops_kind, "pictures": pictures_kind, "videos": videos_kind,
    }  # fmt: skip
    folder = mutants.folder_with_traps(tmp_path)
    counted = mutants.survive(kinds[kind](folder), folder, kind, 500)
    assert counted["accepted"] > 0
