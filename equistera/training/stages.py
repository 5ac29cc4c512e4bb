"""Which part of a network a parameter belongs to.

A stage is what freezes, opens and has a learning rate of its own. Every parameter belongs to exactly one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from equistera.errors import UserError

TIERS = ("early", "middle", "head")


@dataclass(frozen=True)
class Stage:
    """A named part of the network.

    Attributes:
        name: Such as ``stage3``.
        tier: ``early``, ``middle`` or ``head``: decides the learning rate.
        prefixes: Module names; a parameter belongs here if its name is one of them or lies below one.
        layered: Each of the prefixes, from input to output, is a layer with a learning rate of its own where
            ``strategy.layer_decay`` says so; else the stage is one.
    """

    name: str
    tier: str
    prefixes: tuple[str, ...]
    layered: bool = False

    def owns(self, parameter: str) -> bool:
        return any(_is_below(parameter, prefix) for prefix in self.prefixes)

    @property
    def layers(self) -> int:
        return len(self.prefixes) if self.layered else 1

    def layers_after(self, parameter: str) -> int:
        """Layers of this stage between one of its parameters and its output."""
        if not self.layered:
            return 0
        (layer,) = (i for i, prefix in enumerate(self.prefixes) if _is_below(parameter, prefix))
        return self.layers - 1 - layer


def _is_below(parameter: str, module: str) -> bool:
    return parameter == module or parameter.startswith(module + ".")


def _backbone(**prefixes: Sequence[str]) -> tuple[Stage, ...]:
    early = ("stem", "stage1")
    stages = tuple(
        Stage(name, "early" if name in early else "middle", tuple(f"backbone.{module}" for module in modules))
        for name, modules in prefixes.items()
    )
    return (*stages, Stage("head", "head", ("head",)))


#: By backbone class of MMPose and MMDetection, and ours.
LAYOUTS: dict[str, tuple[Stage, ...]] = {
    "CSPNeXt": _backbone(stem=["stem"], stage1=["stage1"], stage2=["stage2"], stage3=["stage3"], stage4=["stage4"]),
    # a transition feeds the stage after it; layer1 is what the paper calls stage 1 (Sun et al. 2019)
    "HRNet": _backbone(
        stem=["conv1", "bn1", "conv2", "bn2"],
        stage1=["layer1"],
        stage2=["transition1", "stage2"],
        stage3=["transition2", "stage3"],
        stage4=["transition3", "stage4"],
    ),
    # its seven stages by the stride that they end at (equistera/mm/network/efficientnet_lite.py)
    "EfficientNetLite": _backbone(
        stem=["conv_stem", "bn1"],
        stage1=["blocks.0", "blocks.1"],
        stage2=["blocks.2"],
        stage3=["blocks.3", "blocks.4"],
        stage4=["blocks.5", "blocks.6", "conv_head", "bn2"],
    ),
}

#: MMPretrain's, whose stages follow from its number of blocks.
TRANSFORMER = "VisionTransformer"


def transformer_layout(blocks: int) -> tuple[Stage, ...]:
    """Stages of MMPretrain's ``VisionTransformer``: each has a quarter of its blocks, and each block is a layer.

    What is before the first block is the stem. The last norm is the layer that is nearest to the head, as in MMPose's
    ``LayerDecayOptimWrapperConstructor``.
    """
    modules = [f"layers.{block}" for block in range(blocks)]
    quarters = {f"stage{i + 1}": modules[blocks * i // 4 : blocks * (i + 1) // 4] for i in range(4)}
    quarters["stage4"].append("ln1")
    stem, *middle, head = _backbone(stem=["patch_embed", "cls_token", "pos_embed", "pre_norm"], **quarters)
    return (stem, *(replace(stage, layered=True) for stage in middle), head)


def layout_for(backbone: str, custom: Iterable[dict] | None = None, blocks: int = 0) -> tuple[Stage, ...]:
    """The stages of a network.

    Args:
        backbone: Class name of the backbone.
        custom: From the config, for another backbone: ``dict(name=, tier=, prefixes=[...])`` for each stage.
        blocks: Number of its blocks, if it is a transformer.

    Returns:
        Stages from input to output.

    Raises:
        UserError: The backbone is unknown and no stages are given, or they are malformed.
    """
    if custom is None:
        if backbone == TRANSFORMER:
            return transformer_layout(blocks)
        if backbone not in LAYOUTS:
            raise UserError(
                f"no stages are known for backbone {backbone!r} (known: {', '.join([*LAYOUTS, TRANSFORMER])})",
                hint="Name them in the config: model.stages=[dict(name='stem', tier='early', "
                "prefixes=['backbone.stem']), ...]; the last is dict(name='head', tier='head', prefixes=['head'])",
            )
        return LAYOUTS[backbone]
    stages, problems = [], []
    for entry in custom:
        if _is_stage(entry):
            stages.append(Stage(entry["name"], entry["tier"], tuple(entry["prefixes"])))
        else:
            found = dict(entry) if isinstance(entry, Mapping) else entry
            problems.append(f"expected dict(name=, tier= one of {TIERS}, prefixes=[...]), found {found!r}")
    names = [stage.name for stage in stages]
    problems += [f"stage {name!r} is named twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if not stages and not problems:
        problems = ["it is empty"]
    if problems:
        raise UserError("model.stages cannot be used:", problems)
    return tuple(stages)


def _is_stage(entry: object) -> bool:
    return (
        isinstance(entry, Mapping)
        and set(entry) == {"name", "tier", "prefixes"}
        and isinstance(entry["name"], str)
        and entry["tier"] in TIERS
        and isinstance(entry["prefixes"], (list, tuple))
        and all(isinstance(prefix, str) and prefix for prefix in entry["prefixes"])
    )


def assign(parameters: Iterable[str], stages: Sequence[Stage]) -> dict[str, Stage]:
    """The stage of every parameter, by its name as ``named_parameters`` gives it.

    Raises:
        UserError: A parameter is in no stage or in several, or a stage is empty; all are named.
    """
    found, problems = {}, []
    for parameter in parameters:
        owners = [stage for stage in stages if stage.owns(parameter)]
        if len(owners) == 1:
            found[parameter] = owners[0]
        else:
            problems.append(f"{parameter}: in {[stage.name for stage in owners] if owners else 'no stage'}")
    used = {stage.name for stage in found.values()}
    problems += [f"stage {stage.name!r} has no parameter" for stage in stages if stage.name not in used]
    if problems:
        raise UserError("every parameter must belong to exactly one stage:", problems)
    return found
