"""The file formats of a graph: each is written from one, and run to see that it says the same."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

#: Arrays by the order of the graph's outputs, from its one input.
Run = Callable[[np.ndarray], list[np.ndarray]]
#: ONNX operators that torch's exporter writes without a conversion, and that onnxruntime knows since 1.17.
OPSET = 20


#: What a node says of the module that it comes from: a list of names, the outermost first.
SCOPES = "pkg.torch.onnx.name_scopes"


@dataclass(frozen=True)
class Ports:
    """A graph's input and outputs.

    Attributes:
        input: Its name.
        outputs: Their names.
        example: An input, whose first axis is the batch.
        any_batch: Whether the file takes any number of them; else as many as the example has.
    """

    input: str
    outputs: tuple[str, ...]
    example: torch.Tensor
    any_batch: bool


def to_onnx(graph: nn.Module, ports: Ports, metadata: Mapping[str, str], path: Path) -> None:
    """Writes an ``.onnx`` file.

    Torch's own exporter is used that needs ``onnxscript``; its older one gives other numbers for RTMPose's head.
    """
    batch = {0: torch.export.Dim("batch", min=1)} if ports.any_batch else {}
    with warnings.catch_warnings(), torch.no_grad():
        # of torch's inner workings
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            (ports.example,),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[ports.input],
            output_names=list(ports.outputs),
            dynamic_shapes=(batch,),
        )
    program.model.metadata_props.update(metadata)
    for node in program.model.graph.all_nodes():
        # not where this machine keeps which file
        for name in [name for name in node.metadata_props if name != SCOPES]:
            del node.metadata_props[name]
    program.save(str(path), external_data=False)


def run_onnx(path: Path) -> Run:
    """Runs an ``.onnx`` file on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda array: session.run(None, {session.get_inputs()[0].name: array})


def to_openvino(onnx: Path, metadata: Mapping[str, str], path: Path) -> None:
    """Makes an ``.xml`` file and its ``.bin`` of an ``.onnx`` file, in full precision."""
    import openvino

    model = openvino.convert_model(str(onnx))
    for name, value in metadata.items():
        model.set_rt_info(value, ["equistera", name])
    openvino.save_model(model, str(path), compress_to_fp16=False)


def run_openvino(path: Path) -> Run:
    """Runs an ``.xml`` file on the CPU, in full precision."""
    import openvino

    exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    model = openvino.Core().compile_model(str(path), "CPU", exact)
    return lambda array: [*model(array).to_tuple()]


def to_torchscript(graph: nn.Module, ports: Ports, metadata: Mapping[str, str], path: Path) -> None:
    """Writes a ``.pt`` file, whose ``metadata.json`` :func:`torch.jit.load` gives with ``_extra_files``."""
    with warnings.catch_warnings(), torch.no_grad():
        # it is deprecated, and warns of each size that it takes for a constant, which it is
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(graph, ports.example, check_trace=False)
        traced.save(str(path), _extra_files={"metadata.json": json.dumps({**metadata}).encode()})


def run_torchscript(path: Path) -> Run:
    """Runs a ``.pt`` file on the CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.load(str(path))

    def run(array: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            return [output.numpy() for output in traced(torch.from_numpy(array))]

    return run


def in_turn(run: Run, crops: np.ndarray, batch: int) -> list[np.ndarray]:
    """Outputs of many inputs, so many at a time; 0 takes all at once."""
    size = batch or len(crops)
    parts = [run(crops[start : start + size]) for start in range(0, len(crops), size)]
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
