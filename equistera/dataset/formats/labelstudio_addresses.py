"""Which pictures a Label Studio task is about, and under which names their files may lie on disk."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit

from equistera.dataset.formats.values import Unusable, shown, text
from equistera.dataset.images import LISTED

#: Addresses whose names are taken as they stand: ``%20`` is no space there.
BUCKETS = ("s3://", "gs://", "azure-blob://")

#: What Label Studio puts before the name of an uploaded file since 1.0, and of a picture that it exports; no two share
#: it.
UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}(-|__)(?=.)")


def pictures_of(data: Mapping[str, object], file_upload: object = None) -> dict[str, str | list[str]]:
    """Addresses of a task's pictures by the key of its data; a list where the task shows several one by one.

    Args:
        data: The task's data.
        file_upload: Name of the file that was uploaded to make the task, where the export gives it.

    Raises:
        Unusable: There are none.
    """
    texts = {key: value for key, value in data.items() if isinstance(value, str) and value.strip()}
    found: dict[str, str | list[str]] = {
        key: value for key, value in texts.items() if key == "image" or _is_picture(value)
    }
    for key, value in data.items():
        if isinstance(value, list) and value and all(isinstance(v, str) and _is_picture(v) for v in value):
            found[key] = list(value)
    if found:
        return found
    if isinstance(file_upload, str) and file_upload.lower().endswith(LISTED):
        return {"image": file_upload}
    # an address need not end like a picture
    addresses = {key: value for key, value in texts.items() if "/" in value}
    return {**addresses} if len(addresses) == 1 else {"image": text(None, "the task's picture")}


def address_of(pictures: Mapping[str, str | list[str]], tag: str | None, item: object, only_tag: bool) -> str:
    """The address of the picture that a region was drawn on.

    Args:
        pictures: From :func:`pictures_of`.
        tag: The region's ``to_name``, the name of a tag of the labelling interface; None where the export lacks it.
        item: The region's ``item_index``: the place in a list of pictures, or None.
        only_tag: Whether all regions of the export are on this tag.

    Raises:
        Unusable: The export does not say which picture it is.
    """
    if item is not None:
        lists = {key: value for key, value in pictures.items() if isinstance(value, list)}
        chosen = lists.get(tag) or (next(iter(lists.values())) if len(lists) == 1 else None)
        if chosen is None or not isinstance(item, int) or not 0 <= item < len(chosen):
            raise Unusable("a region's item_index is no picture of the task", f"item_index {shown(item)}")
        return chosen[item]
    singles = {key: value for key, value in pictures.items() if isinstance(value, str)}
    if not singles:
        [*several] = pictures.values()
        if len(several) == 1 and len(several[0]) == 1:
            return several[0][0]
        raise Unusable("the task has a list of several pictures, and its regions do not say which (item_index)")
    if len(singles) == 1:
        return next(iter(singles.values()))
    if tag in singles:
        return singles[tag]
    if only_tag and tag is not None and "image" in singles:
        return singles["image"]
    raise Unusable(
        "the task's data names several pictures, and the export does not say which one a region is on",
        f"pictures {', '.join(singles)}, drawn on {'an unknown one' if tag is None else tag}",
        "JSON-MIN does not say which picture a region is on: export JSON."
        if tag is None
        else "Give each Image tag the name of its key in the task's data, in the labelling interface and as to_name in "
        f"the export: {', '.join(singles)}.",
    )


def file_names(url: str) -> tuple[str, ...]:
    """Names under which the picture of a task may lie on disk.

    Args:
        url: ``/data/upload/12/1a2b3c4d-IMG_1.jpg``, ``/data/local-files/?d=photos/IMG_1.jpg``, ``s3://bucket/IMG_1.jpg``,
            ``/tasks/1/presign/?fileuri=`` with such an address in base64, ``https://...`` or a plain name.

    Returns:
        The likeliest first. A web address quotes ``&`` and spaces, but not everybody who writes one does: what it
        would be without quotes comes before, and what it literally says after. What an upload was called before is
        left to the finder, for Label Studio makes one name of several.

    Raises:
        Unusable: The picture itself stands in the JSON.
    """
    url = _signed(url)
    if url.startswith("data:"):
        raise Unusable("the picture is stored inside the JSON (base64): save it as a file")
    try:
        parts = urlsplit(url)
        local = parse_qs(parts.query).get("d", [""])[0]
    except ValueError as error:
        raise Unusable("the picture's address cannot be read", f"{shown(url)}: {error}") from error
    without_host = url.split("://", 1)[1].partition("/")[2] if "://" in url else url
    if url.startswith(BUCKETS):
        return (_plain(without_host),)
    literal = url.partition("?d=")[2] or without_host
    # urlsplit takes a Windows drive for a scheme
    path = local or (unquote(parts.path) if len(parts.scheme) != 1 else url)
    return tuple(dict.fromkeys((_plain(path), _plain(literal))))


def original_name(path: str) -> str:
    """What to call an upload's file where it is not at hand; other paths stay as they are."""
    original = UPLOAD_PREFIX.sub("", path.rsplit("/", 1)[-1])
    return path if path.endswith(f"/{original}") or original == path else original


def _plain(path: str) -> str:
    return path.replace("\\", "/").lstrip("/")


def _signed(url: str) -> str:
    """The bucket's address inside of one that Label Studio signs (``presign``, ``resolve``), else the address."""
    _, found, coded = url.partition("?fileuri=")
    if not found:
        return url
    coded = unquote(coded.partition("&")[0]).replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True).decode() or url
    except (binascii.Error, UnicodeDecodeError):
        return url


def _is_picture(address: str) -> bool:
    address = _signed(address)
    return address.startswith("data:image") or address.lower().split("?d=")[-1].split("?")[0].endswith(LISTED)
