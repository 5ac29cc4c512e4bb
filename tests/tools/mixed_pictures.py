"""A folder of pictures as people have them, and a video, made from a few clean pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

#: What ``write_mixed`` makes broken files of, by name.
BROKEN = ("cut.jpg", "empty.png", "text.jpg", "cut.png", "header.webp")


def write_mixed(clean: list[Path], folder: Path, count: int, large: int) -> dict[str, tuple[int, int]]:
    """Fills a folder with pictures of all kinds, five of them broken.

    Args:
        clean: JPEG pictures of one size.
        folder: To be filled; one kind goes into a folder below it.
        count: Pictures in all.
        large: How many of them have 12 megapixels.

    Returns:
        By name of every good picture, its width and height as displayed.
    """
    kinds = (_jpeg, _alpha, _grey, _deep, _turned, _palette, _below)
    sizes = {}
    for i in range(count - len(BROKEN) - large):
        picture = Image.open(clean[i % len(clean)])
        sizes.update(kinds[i % len(kinds)](picture, folder, i))
    for i in range(large):
        picture = Image.open(clean[i % len(clean)]).resize((4032, 3024), Image.Resampling.BILINEAR)
        exif = Image.Exif()
        exif[0x0112] = 6 if i % 2 else 1
        picture.save(folder / f"large_{i}.jpg", quality=85, exif=exif)
        sizes[f"large_{i}.jpg"] = (3024, 4032) if i % 2 else (4032, 3024)
    _write_broken(clean[0], folder)
    return sizes


def write_video(clean: list[Path], path: Path, frames: int) -> None:
    """A video of 25 frames a second that moves over the clean pictures."""
    height, width = cv2.imread(str(clean[0])).shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, (width, height))
    for i in range(frames):
        picture = cv2.imread(str(clean[i // 25 % len(clean)]))
        writer.write(np.roll(picture, 2 * (i % 25), axis=1))
    writer.release()


def _jpeg(picture: Image.Image, folder: Path, i: int) -> dict:
    picture.save(folder / f"{i}.jpg")
    return {f"{i}.jpg": picture.size}


def _alpha(picture: Image.Image, folder: Path, i: int) -> dict:
    picture.putalpha(Image.new("L", picture.size, 200))
    picture.save(folder / f"{i}_alpha.png")
    return {f"{i}_alpha.png": picture.size}


def _grey(picture: Image.Image, folder: Path, i: int) -> dict:
    picture.convert("L").save(folder / f"{i}_grey.jpg")
    return {f"{i}_grey.jpg": picture.size}


def _deep(picture: Image.Image, folder: Path, i: int) -> dict:
    cv2.imwrite(str(folder / f"{i}_deep.png"), np.asarray(picture)[..., ::-1].astype(np.uint16) * 257)
    return {f"{i}_deep.png": picture.size}


def _turned(picture: Image.Image, folder: Path, i: int) -> dict:
    exif = Image.Exif()
    exif[0x0112] = 8
    picture.save(folder / f"{i}_turned.jpg", exif=exif)
    return {f"{i}_turned.jpg": picture.size[::-1]}


def _palette(picture: Image.Image, folder: Path, i: int) -> dict:
    picture.convert("P").save(folder / f"{i}_palette.png")
    return {f"{i}_palette.png": picture.size}


def _below(picture: Image.Image, folder: Path, i: int) -> dict:
    (folder / "below").mkdir(exist_ok=True)
    picture.save(folder / "below" / f"{i}.webp")
    return {f"below/{i}.webp": picture.size}


def _write_broken(clean: Path, folder: Path) -> None:
    whole = clean.read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture")
    Image.open(clean).save(folder / "cut.png")
    png = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(png[: len(png) // 2])
    (folder / "header.webp").write_bytes(b"RIFF\x10\x00\x00\x00WEBPVP8 garbage")
