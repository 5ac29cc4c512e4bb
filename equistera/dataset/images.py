"""Pictures as untrusted input: sizes from headers, checks before decoding, decoding as a viewer shows them.

A phone stores a portrait as a landscape plus an EXIF orientation. Browsers, labelling tools and OpenCV turn it before
anybody sees it, so **width and height are those of the turned picture everywhere in the project**, and so are keypoint
coordinates. A picture with transparency is shown over white, as labelling tools show it; 16-bit pictures keep their
high byte, and are refused where that leaves them black. HEIC, as iPhones save it, turns its picture by a field of its
own, and EXIF only repeats that.

Where a picture ends in its file, which a broken copy or download lacks, is told by its structure: nearly every file
ends with its picture, and then a few bytes tell.
"""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image

from equistera.errors import UserError

try:
    import pillow_heif
except ImportError:
    # an environment that is older than its use, which reads all else
    pillow_heif = None

#: Larger pictures are refused before a pixel is decoded: today's largest phone photos have 200 million pixels.
MAX_PIXELS = 200_000_000

#: What Pillow may open; others run an interpreter (EPS), move (GIF) or are no photos.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", *(("HEIF",) if pillow_heif else ()))

#: File name endings of those formats, lower case; cameras and browsers have several for a JPEG.
JPEGS = (".jpg", ".jpeg", ".jfif", ".jpe", ".mpo")
#: Those that drawings can be written with.
WRITTEN = (*JPEGS, ".png", ".webp", ".bmp", ".tif", ".tiff")
#: Those in which phones save a photo instead of as a JPEG.
_HEIFS = (".heic", ".heif", ".hif", ".avif")
SUFFIXES = (*WRITTEN, *_HEIFS)
#: Those between which a photo changes when it is uploaded, sent or converted.
PHOTOS = (*JPEGS, *_HEIFS)
#: What counts as a picture where a folder is listed: what people take for a photo is named, not passed over in silence.
LISTED = (*SUFFIXES, ".gif", ".jp2", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2")

#: Brands of the container that HEIC and AVIF share (ISO 14496-12 "ftyp"; ISO 23008-12, annex B).
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")

_THUMBNAIL_START, _THUMBNAIL_LENGTH = 0x0201, 0x0202  # EXIF tags of the second directory (EXIF 2.3, 4.6.3)
#: How to turn the stored picture upright, by EXIF orientation (EXIF 2.3, 4.6.4 A).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow refuses what is twice this size and warns below; with the refusal where we want it, the warning says nothing.
# Nor does that about EXIF data which cannot be read: every phone's maker writes some.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", message="Corrupt EXIF data", category=UserWarning)

# one thread each, for pictures are read in threads; the picture itself, not a small one inside, is what is looked at
if pillow_heif:
    pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)


#: Modes of which programs make different pictures, and those that Pillow takes for them.
_UNCLEAR = {
    "F": "floating-point pixels",
    "I": "pixels of 32 bits",
    "LAB": "Lab colours, which are stored in several ways",
}
#: A sixteenth of white, by whether pixels still have 16 bits.
_DARK = (16, 4096)


class ImageError(UserError):
    """A picture that cannot be used, or (:mod:`equistera.dataset.paths`) a picture name that must not be followed."""


class CutShortError(ImageError):
    """A picture of which the end is missing."""


class UnclearPixelsError(ImageError):
    """A whole picture of which nobody can say how bright its pixels are."""


@dataclass(frozen=True)
class ImageHeader:
    """What a picture's header says.

    Attributes:
        width: Pixels, as displayed (after the EXIF orientation).
        height: Pixels, as displayed.
        orientation: EXIF orientation, 1 to 8; 1 is upright and also stands for a missing or meaningless value.
        format: One of :data:`FORMATS`.
        deep: 16 bits a channel.
    """

    width: int
    height: int
    orientation: int
    format: str
    deep: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as displayed."""
        return self.width, self.height

    @property
    def stored_size(self) -> tuple[int, int]:
        """(width, height) of the pixels in the file, before the EXIF orientation is applied."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_header(path: str | Path) -> ImageHeader:
    """Reads size, orientation and format without decoding pixels.

    Raises:
        ImageError: Missing, unreadable, not one of :data:`FORMATS`, or larger than :data:`MAX_PIXELS`.
    """
    with _open(path) as image:
        orientation = _orientation(image)
        width, height = image.size[::-1] if orientation >= 5 else image.size
        # photos with a second, smaller picture inside open as MPO; the first one is a JPEG like any other
        kind = "JPEG" if image.format == "MPO" else image.format
        return ImageHeader(width, height, orientation, kind, _is_deep(image))


def read_rgb(path: str | Path, content: bytes | None = None) -> np.ndarray:
    """Decodes a whole picture as it is displayed.

    Args:
        path: Any of :data:`FORMATS`; grey, palette, CMYK, alpha (shown over white) and 16 bits (high byte) included.
        content: The file's, where it has been read already.

    Returns:
        uint8 [height, width, 3], RGB, turned by its EXIF orientation.

    Raises:
        ImageError: As :func:`read_header`; or the pixels are truncated or damaged.
        UnclearPixelsError: Pixels of 32 bits or in Lab colours, or of 16 bits that are (nearly) black all over.
    """
    return _decode(path, max_side=None, mode="RGB", content=content)


def read_reduced(path: str | Path, max_side: int, *, grey: bool = False) -> np.ndarray:
    """Decodes a small version; a JPEG is decoded at an eighth of its size where that suffices.

    Args:
        max_side: Longest side of the result, pixels; a smaller picture is not enlarged.
        grey: Return luma only.

    Returns:
        uint8 [height, width, 3] RGB or, with ``grey``, uint8 [height, width]; as displayed.

    Raises:
        ImageError: As :func:`read_rgb`.
    """
    return _decode(path, max_side=max_side, mode="L" if grey else "RGB")


def read_thumbnail(path: str | Path) -> np.ndarray | None:
    """The small version that cameras put into the EXIF data of a JPEG; the picture itself is not decoded.

    An editor may have left an old one behind, so it is good for a comparison, not as a stand-in for the picture.

    Returns:
        uint8 [height, width], luma, as displayed; None where there is none of the picture's own shape (some cameras
        put black bars around it).

    Raises:
        ImageError: As :func:`read_header`.
    """
    with _open(path) as image:
        exif = image.info.get("exif", b"")
        if image.format not in ("JPEG", "MPO") or not exif.startswith(b"Exif\0\0"):
            return None
        try:
            directory = image.getexif().get_ifd(ExifTags.IFD.IFD1)
            start, length = (directory[tag] for tag in (_THUMBNAIL_START, _THUMBNAIL_LENGTH))
            # offsets count from behind the six bytes "Exif\0\0"
            with Image.open(io.BytesIO(exif[6 + start : 6 + start + length]), formats=("JPEG",)) as small:
                same_shape = abs(small.width * image.height / (small.height * image.width) - 1) < 0.02
                if not same_shape or not 64 <= max(small.size) <= 1024:
                    return None
                grey = small.convert("L")
        except Exception:  # as in _open; it only means that there is no thumbnail of use
            return None
        orientation = _orientation(image)
        return np.array(grey.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else grey)


def check_whole(path: str | Path, header: ImageHeader) -> None:
    """Makes sure that a file is all there, by its structure without decoding pixels (TIFF and 16 bits are).

    Finds a file cut short by a broken copy or download. Damage inside the pixel data only shows in :func:`read_rgb`.

    Args:
        header: From :func:`read_header`, which finds what is missing of a WebP.

    Raises:
        CutShortError: The file ends before its picture.
        ImageError: It cannot be read, or pixels that are decoded are damaged.
        UnclearPixelsError: As :func:`read_rgb`.
    """
    try:
        with Path(path).open("rb") as file:
            whole = _ENDS.get(header.format, lambda file: True)(file)
    except OSError as error:
        raise ImageError(f"cannot read picture {path}: {error.strerror}") from error
    if not whole:
        raise CutShortError(f"picture {path} is cut short: the file ends before its picture")
    if header.format == "TIFF" or header.deep:
        read_reduced(path, 64)


def _open(path: str | Path, content: bytes | None = None) -> Image.Image:
    path = Path(path)
    try:
        return Image.open(path if content is None else io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"picture {path} claims more than {MAX_PIXELS // 10**6} million pixels; it is not opened",
            hint="Scale it down, or remove it if it should not be that large.",
        ) from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{path} is not a picture that can be read: {_what_it_is(path)}") from error
    except FileNotFoundError as error:
        raise ImageError(f"no such picture: {path}") from error
    except OSError as error:
        if error.errno is None:  # Pillow's own, not the system's
            raise ImageError(f"picture {path} is damaged or truncated: {error}") from error
        raise ImageError(f"cannot read picture {path}: {error.strerror}") from error
    # Pillow's parsers raise nearly every built-in exception on damaged headers; all of them mean the same to the user
    except Exception as error:
        raise ImageError(f"picture {path} has a damaged header: {error}") from error


def _what_it_is(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(16)
    if not start:
        return "the file is empty"
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS:
        if pillow_heif is None:
            return "HEIC needs the package pillow-heif: ./setup.sh (or pip install -r requirements.txt) brings it"
        return "a damaged or unknown kind of HEIC or AVIF"
    return f"expected {', '.join(FORMATS)}, found bytes {start[:8]!r}"


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":
        return 1  # Pillow turns TIFF by itself, and its size is that of the turned picture
    if image.format == "HEIF":
        return 1  # so does libheif, by the field that counts (ISO 23008-12, 6.5.10), whatever EXIF says
    try:
        # PngImageFile.getexif would decode the whole picture to look for EXIF behind the pixels
        value = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:  # as in _open; viewers show a picture with damaged EXIF data as it is stored
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _is_deep(image: Image.Image) -> bool:
    """Whether a picture that is not decoded yet has 16 bits a channel."""
    return any(";16" in str(tile[3]) for tile in image.tile)


def _decode(path: str | Path, max_side: int | None, mode: str, content: bytes | None = None) -> np.ndarray:
    with _open(path, content) as image:
        orientation = _orientation(image)
        try:
            if max_side is not None:
                image.draft(mode, (max_side, max_side))
            flat = _flatten(image, mode, path)
            if max_side is not None:
                flat.thumbnail((max_side, max_side), Image.Resampling.BILINEAR, reducing_gap=2.0)
            if orientation in _UPRIGHT:
                flat = flat.transpose(_UPRIGHT[orientation])
            return np.array(flat)
        except ImageError:
            raise
        # as in _open: damaged pixel data makes the decoders raise nearly anything
        except Exception as error:
            raise ImageError(f"picture {path} is damaged or truncated: {error}") from error


def _flatten(image: Image.Image, mode: str, path: str | Path) -> Image.Image:
    """Any mode to 8-bit ``mode`` without alpha."""
    problem, deep = _UNCLEAR.get(image.mode, ""), _is_deep(image)
    # one with fewer bits, such as a camera's 12, has its values at the lower end
    if deep and not problem and max(np.ravel(image.getextrema())[: 2 * len(mode)]) < _DARK[image.mode.startswith("I")]:
        problem = "16 bits a channel and is (nearly) black all over: has it fewer, such as 12?"
    if problem:
        hint = "Save it as programs show it, with 8 bits a channel, as PNG or JPEG."
        raise UnclearPixelsError(f"picture {path} has {problem}", hint=hint)
    if image.mode.startswith("I"):
        high_byte = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
        return Image.fromarray(high_byte).convert(mode)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        picture = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert(mode)
    return image.convert(mode)


_JPEG_END = b"\xff\xd9"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
#: In JPEG pixel data 0xFF is followed by 0 (a literal 0xFF), a restart marker or padding; else a marker begins
#: (ITU-T T.81, B.1.1.2).
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def _jpeg_ends(file: BinaryIO) -> bool:
    """Walks the segments, whose payload may hold a whole thumbnail, to the picture's own end marker."""
    if _last(file, 2) == _JPEG_END:
        return True
    # something may stand behind the end of the picture, as phones and editors leave it
    file.seek(0)
    data, position = file.read(), 2
    while marker := _JPEG_MARKER.search(data, position):
        if marker[0] == _JPEG_END:
            return True
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return False


def _png_ends(file: BinaryIO) -> bool:
    """Walks the chunks (PNG specification, 5.3) to IEND."""
    if _last(file, len(_PNG_END)) == _PNG_END:
        return True
    length, position = file.seek(0, os.SEEK_END), 8
    while position + 12 <= length:
        file.seek(position)
        size, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"IEND":
            return True
        position += 12 + size
    return False


def _boxes_end(file: BinaryIO) -> bool:
    """Whether all of the boxes are there that a HEIC or AVIF file is made of (ISO 14496-12, 4.2)."""
    length, position = file.seek(0, os.SEEK_END), 0
    while position < length:
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            return False
        size = int.from_bytes(header[:4], "big")
        if size == 1:
            size = int.from_bytes(header[8:], "big")
        if size < 8:
            return True  # 0 goes on to the end of the file, wherever that is; else something stands behind the picture
        position += size
    return position == length


def _bmp_ends(file: BinaryIO) -> bool:
    """The header has the file's length (BITMAPFILEHEADER.bfSize)."""
    file.seek(2)
    return int.from_bytes(file.read(4), "little") <= file.seek(0, os.SEEK_END)


def _last(file: BinaryIO, count: int) -> bytes:
    file.seek(-min(file.seek(0, os.SEEK_END), count), os.SEEK_END)
    return file.read()


#: Whether a file goes on to the end of its picture, by format; Pillow itself tells of a WebP.
_ENDS = {"JPEG": _jpeg_ends, "PNG": _png_ends, "BMP": _bmp_ends, "HEIF": _boxes_end, "AVIF": _boxes_end}
