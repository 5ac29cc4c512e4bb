"""What is in a file of weights, read without running anything of it: torch's own files and safetensors.

What trainers put beside the weights (log buffers, configs, command lines) is not made again: a stand-in takes its
place, so that no class of another program is needed and none is trusted. A file that holds objects of unknown kinds
is refused with their names.
"""

from __future__ import annotations

import json
import pickle
import re
import struct
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy._core import multiarray, numeric

from equistera import inputs
from equistera.errors import UserError

#: How files of torch before version 1.6 begin; later ones are zip archives.
_PICKLE = b"\x80"
_FETCH = "A download that stopped early, or a web page saved in place of a file, looks like this; fetch it again."
#: What else is found under the name of a checkpoint, by its first bytes, and what helps.
_OTHERS = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "Fetch the file: git lfs pull"),
    (b"<", "a web page", _FETCH),
    (b"\x89HDF", "an HDF5 file, as Keras writes them", ""),
    (b"\x1f\x8b", "a gzip archive", "Unpack it and give the checkpoint in it."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it and give the checkpoint in it."),
    (b"Rar!", "a RAR archive", "Unpack it and give the checkpoint in it."),
    (b"\xff\xd8\xff", "a picture", ""),
    (b"\x89PNG", "a picture", ""),
    (b"{", "JSON text", "It may name the files that hold the weights; give one of those."),
    (b"\x08", "a network for inference alone, as ONNX", "Give the checkpoint that it was exported from."),
)
_TENSORFLOW = re.compile(r".*\.(index|meta|data-\d{5}-of-\d{5})")

#: Objects of these kinds say nothing of the weights; they are not made again.
_BESIDE = re.compile(
    r"(mmengine|mmcv|argparse|pathlib|datetime|enum|types\.SimpleNamespace|functools\.partial|copyreg|omegaconf|yacs|"
    r"addict|easydict|ruamel|collections|numpy|torch\.optim|pytorch_lightning|lightning|lightning_fabric)\."
)
_MAPPINGS = re.compile(r"collections\.defaultdict|.*\.(ConfigDict|CfgNode|EasyDict|Dict|AttributeDict)")
_UNKNOWN = re.compile(r"GLOBAL (\S+) was not an allowed")

#: safetensors' names of the kinds of numbers (https://github.com/huggingface/safetensors, "Format").
_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


class _Unread:
    """Stands for an object beside the weights: takes everything, keeps and does nothing."""

    def __new__(cls, *_args, **_kwargs):
        return super().__new__(cls)

    def __setstate__(self, state):
        pass


class _Mapping:
    """Stands for another program's kind of dictionary: a plain one is made."""

    def __new__(cls, *args, **_kwargs):
        return OrderedDict(args[0]) if args and isinstance(args[0], Mapping) else OrderedDict()


def read(path: Path) -> object:
    """The content of a file of weights, on the CPU.

    Args:
        path: Written by ``torch.save``, by whatever program, or a ``.safetensors`` file.

    Returns:
        What was saved; of a safetensors file its tensors by name.

    Raises:
        UserError: The file is missing, broken or something else, or holds objects that could run code.
    """
    inputs.checkpoint(path)
    try:
        with open(path, "rb") as file:
            start = file.read(32)
    except OSError as error:
        raise UserError(f"cannot read checkpoint {path}: {error.strerror}") from error
    found, hint = _other_kind(path, start)
    if found:
        raise UserError(f"{path} is broken or no checkpoint: {found}", hint=hint)
    try:
        return _read_safetensors(path) if _is_safetensors(path, start) else _read_torch(path)
    except UserError:
        raise
    except Exception as error:
        # damaged files make torch's readers fail in every way there is
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path} is broken or no checkpoint ({path.stat().st_size} bytes): {first}",
            hint=_FETCH,
        ) from error


def _is_safetensors(path: Path, start: bytes) -> bool:
    """A length, little-endian, then JSON of that length."""
    return start[8:9] == b"{" and struct.unpack_from("<Q", start)[0] <= path.stat().st_size - 8


def _other_kind(path: Path, start: bytes) -> tuple[str, str]:
    """What a file is that holds no weights, and what helps; empty where it may hold some."""
    if _TENSORFLOW.fullmatch(path.name):
        return "TensorFlow's files are named so", "Networks of TensorFlow, such as DeepLabCut 2 trains, cannot be used."
    if _is_safetensors(path, start) or start.startswith(_PICKLE) or not start:
        return "", ""
    if start.startswith(b"PK"):
        return _other_archive(path)
    for mark, what, hint in _OTHERS:
        if start.lstrip().startswith(mark):
            return what, hint
    return f"it starts with {start[:8]!r}", _FETCH


def _other_archive(path: Path) -> tuple[str, str]:
    """What a zip archive is that torch.save has not written, or what has happened to one; empty if all is well."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            ours = any(name.rsplit("/", 1)[-1] == "data.pkl" for name in names)
            if ours and sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                # torch packs nothing; what claims to be larger may be so by any factor
                return "it unpacks to more bytes than it has", "Pack it again without compression: zip -0"
            # torch does not compare the check sums when it loads
            damaged = archive.testzip() if ours else None
    except Exception as error:
        # zipfile has as many ways to fail as there are damages
        return str(error) or type(error).__name__, _FETCH
    if damaged:
        return f"the check sum of {damaged} is wrong", "Copy or fetch it again."
    if any(name.endswith("/constants.pkl") for name in names):
        return "a network for inference alone, as TorchScript", "Give the checkpoint that it was exported from."
    if ours:
        return "", ""
    files = [name for name in names if not name.endswith("/")]
    such = f", such as {files[0]}" if files else ""
    return f"a zip archive of {len(files)} files{such}", "Unpack it and give the checkpoint in it."


def _read_torch(path: Path) -> object:
    known = _stand_ins()
    while True:
        try:
            safe = torch.serialization.safe_globals([(kind, name) for name, kind in known.items()])
            with safe, warnings.catch_warnings():
                # what torch has to say of a file, such as its age, is for who made it
                warnings.simplefilter("ignore")
                return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            unknown = _UNKNOWN.search(str(error))
            if unknown is None or unknown[1] in known or not _BESIDE.match(unknown[1]):
                raise _refusal(path, str(error)) from error
            known[unknown[1]] = _Mapping if _MAPPINGS.fullmatch(unknown[1]) else _Unread


def _stand_ins() -> dict[str, object]:
    """What checkpoints of OpenMMLab and others carry beside tensors: NumPy values, plain types, log buffers.

    NumPy 2 has other names for the same functions than NumPy 1. MMEngine's log buffers name their methods by
    ``getattr``.
    """
    kinds = [list, dict, tuple, frozenset, slice, int, float, str, np.ndarray, np.dtype]
    kinds += [kind for kind in vars(np.dtypes).values() if isinstance(kind, type)]
    known: dict[str, object] = {f"{kind.__module__}.{kind.__name__}": kind for kind in kinds}
    for module, name in ((multiarray, "_reconstruct"), (multiarray, "scalar"), (numeric, "_frombuffer")):
        place = module.__name__.rsplit(".", 1)[-1]
        known |= {f"numpy.{core}.{place}.{name}": getattr(module, name) for core in ("core", "_core")}
    return known | dict.fromkeys((f"builtins.{name}" for name in ("getattr", "object", "bool", "type")), _Unread)


def _refusal(path: Path, found: str) -> UserError:
    """Of a file that torch will not read with weights only, and says so."""
    if not any(words in found for words in ("nsupported", "GLOBAL", "Can only", "unrecognized function")):
        return UserError(f"{path} is broken or no checkpoint: {found.splitlines()[0]}")
    unknown = re.search(r"GLOBAL (\S+)", found)
    name = unknown[1] if unknown else "code"
    hint = "Ask its maker for a file with weights only. Where you trust it: torch.save(network.state_dict(), FILE)"
    if name.startswith(("ultralytics.", "models.yolo", "models.common")):
        hint = "It is a network of YOLO, of another kind than those here."
    return UserError(f"{path} holds more than weights ({name}): loading it could run code, so it is refused", hint=hint)


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    data = bytearray(path.read_bytes())
    begin = 8 + struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:begin].decode("utf-8"))
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        if entry["dtype"] not in _DTYPES:
            raise ValueError(f"numbers of kind {entry['dtype']!r} in {name}")
        if not 0 <= first <= last <= len(data) - begin:
            raise ValueError(f"{name} lies beyond the end of the file")
        kind = _DTYPES[entry["dtype"]]
        # a slice is a copy, which begins where numbers of its size may begin
        part = data[begin + first : begin + last]
        values = torch.frombuffer(part, dtype=kind) if part else torch.empty(0, dtype=kind)
        found[name] = values.reshape(entry["shape"])
    return found
