"""Reading a config: overrides that must exist, entries that are shared, paths that are relative to the project.

``skeleton``, ``data_root`` and ``codec`` are variables of a config, and its parts refer to them. What a config or an
option sets them to anew reaches every part here: MMEngine itself resolves a reference where it stands, before that.

``pretrained`` is the one entry that names weights to start from. MMEngine's own ways of naming them become it: they
would fetch a file from the net in the midst of a start, and run what it contains.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from equistera import PROJECT, commands
from equistera.errors import UserError
from equistera.inputs import find_config
from equistera.mm.adoption import adopted, is_mmposes
from equistera.mm.option_values import parse_value
from equistera.words import did_you_mean

#: Variables that parts of a config refer to.
SHARED = ("skeleton", "data_root", "codec")
#: Classes that need some of them, whether the config says so or not.
REFERRING: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("SkeletonPoseEstimator", "AnimalDetector"), ("skeleton", "codec")),
    **dict.fromkeys(("KeypointDataset", "BoxDataset"), SHARED),
}

#: Stands for what a config does not have: None is a value.
_NOTHING = object()

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


def load(path: str | Path, overrides: Sequence[str] = (), **shared: object) -> Config:
    """Reads a config and resolves it.

    Args:
        path: Config file, relative to the current folder or to the project.
        overrides: ``key=value`` as ``--cfg-options`` takes them.
        shared: Values for top-level entries; None leaves the config's own.

    Returns:
        The config with every shared entry filled in.

    Raises:
        UserError: No such file, not a config, an override that nothing would read, or weights named twice.
    """
    return resolve(read(path), overrides, **shared)


def resolve(config: Config, overrides: Sequence[str] = (), **shared: object) -> Config:
    """What :func:`load` does with a config that was :func:`read`; it is changed, and replaced if it is MMPose's own."""
    given = {key: value for key, value in shared.items() if value is not None}
    if is_mmposes(config):
        config = adopted(Config({**config.to_dict(), **given}, filename=config.filename))
    for key, value in given.items():
        config[key] = value
    _override(config, overrides)
    missing = [key for key in SHARED if key not in config]
    if missing:
        raise UserError(f"{config.filename} is not a config of this project: it has no {', '.join(map(repr, missing))}")
    _name_weights_once(config)
    # names of classes are looked up in MMPose's registries from here on
    init_default_scope(config.get("default_scope", "mmpose"))
    config.data_root = str(resolve_path(config.data_root))
    if str(config.skeleton).endswith(".json"):
        config.skeleton = str(resolve_path(config.skeleton))
    _share(config)
    return config


def write(config: Config, entries: Mapping[str, object]) -> None:
    """Gives a config what was decided of it. Nothing else in this package writes to one.

    Args:
        config: Resolved; changed.
        entries: Values by dotted key, lists reached by number; what a key lies in must be there.
    """
    for key, value in entries.items():
        where, _, name = key.rpartition(".")
        here: Any = entry_at(config, where) if where else config
        here[name] = value


def resolve_path(path: str | Path) -> Path:
    """A path of a config: absolute, or relative to the project."""
    return Path(path) if Path(path).is_absolute() else PROJECT / path


def skeleton_argument(name: str | None) -> str | None:
    """``--skeleton`` as a config takes it: a file named on the command line is relative to where the user stands."""
    return str(Path(name).resolve()) if name and name.endswith(".json") else name


def read(path: str | Path) -> Config:
    """A config as its file has it.

    Raises:
        UserError: No such file, or not a config.
    """
    path = find_config(path)
    try:
        return Config.fromfile(path, lazy_import=False)
    except Exception as error:
        # a config is Python: whatever goes wrong in it is the writer's to put right
        raise UserError(f"cannot read config {path}: {type(error).__name__}: {error}") from error


def as_text(config: Config) -> str | None:
    """The values of a config, so that :func:`from_text` gives them back; None if they are more than plain ones."""
    values = config.to_dict()
    try:
        return text if ast.literal_eval(text := repr(values)) == values else None
    except (ValueError, SyntaxError):
        return None


def from_text(text: str, path: str | Path) -> Config:
    """A config from what :func:`as_text` made of it; nothing in it is executed, and nothing of it can be.

    Args:
        text: Of plain values.
        path: The file that it was read from, which need not be there any more.

    Raises:
        UserError: It names code that is no registered class of this project and MMPose.
    """
    hint = f"Give the config file as well: {path}"
    try:
        values = ast.literal_eval(text)
        config = Config(values, cfg_text=text, filename=str(path))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise UserError("the run's record holds no config of plain values", hint=hint) from error
    _refuse_foreign(values, hint)
    return config


def refuse_code(overrides: Sequence[str]) -> None:
    """Refuses overrides that nobody gave, if they name code that is no registered class.

    Raises:
        UserError: They do.
    """
    for override in overrides:
        key, _, text = override.partition("=")
        values: Any = parse_value(text)
        for part in reversed(key.split(".")):
            values = {part: values}
        _refuse_foreign(values, f"Give it again: {commands.line('--cfg-options', override)}")


def _refuse_foreign(values: Mapping, hint: str) -> None:
    if foreign := sorted({*_foreign(values)}):
        raise UserError(
            f"the recorded config uses code of its own ({', '.join(foreign)}), which is only run if you name it",
            hint=hint,
        )


def _foreign(values: Mapping) -> Iterator[str]:
    """Modules that a config would import and dotted names of types, which MMEngine would look up anywhere."""
    for _, part in mappings_in(values):
        imports = part.get("custom_imports")
        imports = imports.get("imports") if isinstance(imports, Mapping) else imports
        imports = imports if isinstance(imports, (list, tuple)) else [imports] * bool(imports)
        yield from (str(name) for name in imports if name != "equistera.mm.register")
        if "." in str(part.get("type", "")):
            yield str(part["type"])


def mappings_in(node: object, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every dictionary within a config, itself included, with its dotted key, the outer ones first."""
    if isinstance(node, Mapping):
        yield key, node
    elif not isinstance(node, (list, tuple)):
        return
    for name, inner in list(node.items() if isinstance(node, Mapping) else enumerate(node)):
        yield from mappings_in(inner, f"{key}.{name}" if key else str(name))


def _override(config: Config, overrides: Sequence[str]) -> None:
    values, problems = {}, []
    pairs = [override.partition("=") for override in overrides]
    types = {key.removesuffix(".type"): str(parse_value(text)) for key, _, text in pairs if key.endswith(".type")}
    for override, (key, equals, text) in zip(overrides, pairs, strict=True):
        if not equals or not key:
            problems.append(f"{override!r}: expected key=value")
            continue
        value = parse_value(text)
        if isinstance(entry_at(config, key), str) and type(value) in (int, float):
            # a folder 2024/12 is no fraction
            value = text.strip()
        problems += _unknown_key(config, key, types)
        if isinstance(value, dict) and not isinstance(entry_at(config, key, {}), Mapping):
            # MMEngine merges dictionaries, and there is none to merge with
            value["_delete_"] = True
        problems += _contradictions(key, value, values)
        values[key] = value
    if problems:
        raise UserError(
            "--cfg-options cannot be applied:", problems, "Keys are those of the config and its _base_ files"
        )
    config.merge_from_dict(values)


def _contradictions(key: str, value: object, given: Mapping[str, object]) -> list[str]:
    """A finding for each earlier override that says something else of the same entry."""
    return [
        f"{key}: given twice, as {earlier!r} and as {value!r}"
        if other == key
        else f"{key}={value!r}: {other}={earlier!r} is given too, and one lies within the other"
        for other, earlier in given.items()
        if (other == key and earlier != value) or f"{key}.".startswith(f"{other}.") != f"{other}.".startswith(f"{key}.")
    ]


def _name_weights_once(config: Config) -> None:
    """Makes ``load_from`` and ``init_cfg=dict(type="Pretrained", ...)`` what ``pretrained`` says."""
    named = dict(_take_pretrained(config))
    if config.get("pretrained") is None and config.get("load_from"):
        # where both are there a run wrote the latter, see equistera.mm.run.train
        named["load_from"] = config.load_from
    elsewhere = [key for key in named if key not in ("load_from", "model.init_cfg", "model.backbone.init_cfg")]
    said = [f"{key}: {value!r}" for key, value in named.items()]
    if named and config.get("pretrained") is not None:
        said.append(f"pretrained: {config.pretrained!r}")
    if named and config.get("from_scratch"):
        said.append("from_scratch: True, which means no weights")
    if len(said) > 1 or elsewhere:
        raise UserError(
            "the config names the weights to start from in several places:" if len(said) > 1 else
            "only the whole network or its backbone can start from weights:",
            said,
            "Leave one of them: pretrained='FILE', with from_scratch=False; None takes the others out",
        )  # fmt: skip
    if named:
        (config.pretrained,) = map(str, named.values())


def _take_pretrained(config: Config) -> Iterator[tuple[str, object]]:
    """Takes every initialisation from a file out of the network's config."""
    for key, part in mappings_in(config.get("model"), "model"):
        inits = part.get("init_cfg") or []
        inits = [inits] if isinstance(inits, Mapping) else list(inits)
        taken = [init for init in inits if init.get("type") in ("Pretrained", "PretrainedInit")]
        if taken:
            part["init_cfg"] = [init for init in inits if init not in taken] or None
            yield f"{key}.init_cfg", taken[0].get("checkpoint")


def entry_at(config: Config, key: str, missing: object = None) -> object:
    """What the config holds at a dotted key, lists reached by number, or ``missing``."""
    here: object = dict(config.items())
    for part in key.split("."):
        here = _inside(here, part, missing)
    return here


def _inside(here: object, part: str, missing: object) -> object:
    if isinstance(here, (list, tuple)) and part.isdigit() and int(part) < len(here):
        return here[int(part)]
    return here.get(part, missing) if isinstance(here, Mapping) else missing


def _unknown_key(config: Config, key: str, types: Mapping[str, str]) -> list[str]:
    """A finding if nothing would read ``key``.

    That is where it is no entry of the config and no argument of the class it configures (whose name may be given as
    well: ``types``, by the key of what they configure), or a shared entry below the top level, which is overwritten.
    """
    here: object = dict(config.items())
    parts = key.split(".")
    for i, part in enumerate(parts[1:], 1):
        if part in SHARED:
            return [f"{key}: is filled in from the top level, set {'.'.join(parts[i:])}"]
    for i, part in enumerate(parts):
        found = _inside(here, part, _NOTHING)
        if found is _NOTHING:
            here = here if isinstance(here, Mapping) else {}
            arguments = _arguments({**here, "type": types.get(".".join(parts[:i]), here.get("type"))})
            if i == len(parts) - 1 and part in arguments:
                return []
            choices = [*here, *sorted(arguments)]
            return [f"{key}: no {part!r} in {'.'.join(parts[:i]) or 'the config'}{did_you_mean(part, choices)}"]
        here = found
    return []


def _arguments(part: Mapping) -> set[str]:
    """Names of the arguments of the class that a part of the config configures, its parents' included where it hands
    them on."""
    import torch.optim
    from mmpose.registry import DATASETS, HOOKS, KEYPOINT_CODECS, METRICS, MODELS, TRANSFORMS, VISBACKENDS
    from torch.utils.data import DataLoader

    type_name = part.get("type")
    registries = (MODELS, DATASETS, TRANSFORMS, METRICS, HOOKS, VISBACKENDS, KEYPOINT_CODECS)
    if isinstance(type_name, str):
        found = next(filter(None, (registry.get(type_name) for registry in registries)), None)
        found = found or getattr(torch.optim, type_name, None)
    else:
        found = DataLoader if {"dataset", "sampler"} <= part.keys() else None
    if found is None:
        return set()
    names: set[str] = set()
    for cls in inspect.getmro(found):
        parameters = inspect.signature(vars(cls)["__init__"]).parameters.values() if "__init__" in vars(cls) else ()
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)} - {"self"}
        if parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names


def _share(config: Config) -> None:
    """Gives every entry that is named like a variable its value, and our classes what they ask for."""
    shared = {key: config[key] for key in SHARED}
    for part in (config.get("model", {}), *(config[name].dataset for name in LOADERS if config.get(name))):
        part.update({key: shared[key] for key in REFERRING.get(part.get("type"), ())})
    for place, node in mappings_in(dict(config.items())):
        # a data set beside the run's own has its own place and skeleton
        if ".sources." not in place:
            node.update({key: shared[key] for key in SHARED if key in node})
