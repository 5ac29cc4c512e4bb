"""The data sets beside a run's own: found, checked, counted, and kept apart from what the run is scored by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from equistera import skeleton as skeletons
from equistera.dataset.coco import load_annotations
from equistera.dataset.mixed import KEY, Source, map_points, mapped_annotations, shares, skeleton_of_file
from equistera.dataset.paths import picture_path
from equistera.dataset.ready import check_split, missing_files
from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm.config import resolve_path
from equistera.mm.data.dataset import KeypointDataset
from equistera.mm.evaluation.source_scores import MOST
from equistera.mm.run.fingerprint import mark_of
from equistera.skeleton import Skeleton
from equistera.training.plan import SourceSummary


def settle_sources(config: Config, animals: int) -> list[SourceSummary]:
    """Fills in what the sources of a config leave open, and checks them, pictures included.

    A picture that stands elsewhere in the run too (in its own training, validation or test set, or in a source before)
    is left out: it is known by size and the ends of the file, see
    :func:`equistera.mm.run.fingerprint.picture_marks`.

    Args:
        config: Resolved; its sources become complete.
        animals: Of the run's own training set.

    Raises:
        UserError: A source is missing or broken, has no point of ours, or nothing of it is left.
    """
    own: Any = config.train_dataloader.dataset
    entries = own.get("sources") or []
    if not isinstance(entries, (list, tuple)):
        raise UserError(f"{KEY}: expected a list of data sets, found {str(entries)[:80]!r}")
    if not entries:
        if own.get("epoch_samples"):
            raise UserError(f"train_dataloader.dataset.epoch_samples: {own.epoch_samples} is for a run with sources")
        return []
    if own.type != KeypointDataset.__name__:
        raise UserError(f"other data sets beside a run's own are for pose models, not for {own.type}")
    samples = own.get("epoch_samples") or animals
    if type(samples) is not int or samples < 1:
        raise UserError(f"train_dataloader.dataset.epoch_samples: expected a number above 0, found {samples!r}")
    skeleton, sources = skeletons.load(config.skeleton), [Source.of(e, f"{KEY}.{i}") for i, e in enumerate(entries)]
    counts, seen = shares(samples, [source.weight for source in sources])[1:], own_marks(own_sets(config, skeleton))
    for source in sources:
        namesakes = [other for other in sources if other.name == source.name]
        if len({(resolve_path(other.data_root).resolve(), other.ann_file) for other in namesakes}) < len(namesakes):
            hint = "How often its animals are drawn is said by its weight: --also DIR=2"
            raise UserError(f"the data set {source.data_root} is named twice", hint=hint)
        if len(namesakes) > 1:
            raise UserError(
                f"two data sets are called {source.name!r}",
                hint=f"Name them in the config: {KEY}=[dict(data_root=..., name=...), ...]",
            )
    # what scores a source must not be trained on in any of them
    settled = [_settled(source, skeleton, count, seen) for source, count in zip(sources, counts, strict=True)]
    scored = [_scored(source, summary, skeleton, seen) for source, summary in settled]
    configs.write(config, {KEY: [entry for entry, _ in scored]})
    return [summary for _, summary in scored]


def own_sets(config: Config, skeleton: Skeleton) -> Iterator[tuple[str, dict, Path]]:
    """Name, annotations and folder of the pictures of each of a run's own sets that is there."""
    root = Path(config.data_root)
    for name in ("train", "val", "test"):
        dataset = (config.get(f"{name}_dataloader") or {}).get("dataset")
        if dataset and (root / dataset.ann_file).is_file():
            yield name, load_annotations(root / dataset.ann_file, skeleton), root / dataset.data_prefix.img


def own_marks(sets: Iterable[tuple[str, dict, Path]]) -> dict[str, str]:
    """The part of a run's own data that a picture is in, by its mark; of those in several the test set counts.

    Args:
        sets: Of :func:`own_sets`.
    """
    marks = {}
    for name, coco, folder in sets:
        marks |= dict.fromkeys(_elsewhere(coco, folder, {})[1], f"your {name} set")
    return marks


def _settled(source: Source, skeleton: Skeleton, count: int, seen: dict[str, str]) -> tuple[Source, SourceSummary]:
    """A source with all that it leaves open, and what is in it; its pictures are ``seen`` from now on."""
    root = resolve_path(source.data_root)
    missing_files(root, [source.ann_file])
    file, folder = root / source.ann_file, root / source.data_prefix["img"]
    labelled_in = skeletons.load(source.skeleton) if source.skeleton else skeleton_of_file(file, skeleton)
    mapped = map_points(skeleton, labelled_in)
    check_split(file, folder, labelled_in)
    coco = mapped_annotations(file, skeleton, labelled_in, source.leave_out)
    out, marks = _elsewhere(coco, folder, seen)
    used = {image["id"] for image in coco["images"] if image["file_name"] not in out}
    pictures = [annotation["image_id"] for annotation in coco["annotations"] if annotation["image_id"] in used]
    if not pictures:
        raise UserError(
            f"nothing is left of {source.name}: every picture of it is elsewhere in the run, or shows no point of ours",
            [f"{name}: also in {where}" for name, where in [*out.items()][:5]],
        )
    seen |= dict.fromkeys(marks, source.name)
    found = source.skeleton or (labelled_in.name if labelled_in.name != skeleton.name else None)
    leave_out = sorted({*source.leave_out, *out})
    entry = {**asdict(source), "data_root": str(root), "skeleton": found, "leave_out": leave_out}
    if source.skeleton and source.skeleton.endswith(".json"):
        entry["skeleton"] = str(resolve_path(source.skeleton))
    without = [name for name, column in zip(skeleton.names, mapped.columns, strict=True) if column < 0]
    return Source(**entry), SourceSummary(
        name=source.name,
        pictures=len({*pictures}),
        animals=len(pictures),
        samples=count,
        skeleton=labelled_in.name + ("" if source.skeleton else ", by the names of its points"),
        mapped=mapped.taken,
        unmapped=mapped.left,
        without=tuple(without),
        left_out={where: sum(w == where for w in out.values()) for where in dict.fromkeys(out.values())},
    )


def _elsewhere(coco: Mapping, folder: Path, seen: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """File names of the labelled pictures that are ``seen``, and where; and the marks of the others."""
    out, marks = {}, []
    labelled = {annotation["image_id"] for annotation in coco["annotations"]}
    for image in (image for image in coco["images"] if image["id"] in labelled):
        mark = mark_of(picture_path(folder, image["file_name"]))
        if mark in seen:
            out[image["file_name"]] = seen[mark]
        elif mark:
            marks.append(mark)
    return out, marks


def _scored(
    source: Source, summary: SourceSummary, skeleton: Skeleton, seen: Mapping[str, str]
) -> tuple[dict, SourceSummary]:
    """The entry of a source whose own validation set, where it has one, holds no picture that is trained on."""
    entry, root = asdict(source), Path(source.data_root)
    file = root / source.val_ann_file if source.val_ann_file else None
    if file is None or not file.is_file():
        return {**entry, "val_ann_file": None}, summary
    folder, labelled_in = root / source.val_data_prefix["img"], skeletons.load(source.skeleton or skeleton.name)
    check_split(file, folder, labelled_in)
    out, _ = _elsewhere(load_annotations(file, labelled_in), folder, seen)
    leave_out = sorted({*source.val_leave_out, *out})
    coco = mapped_annotations(file, skeleton, labelled_in, leave_out)
    if not coco["annotations"]:
        return {**entry, "val_ann_file": None}, summary
    return {**entry, "val_leave_out": leave_out}, replace(summary, val_animals=min(MOST, len(coco["annotations"])))
