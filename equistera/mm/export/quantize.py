"""int8: a network's convolutions and products of matrices in whole numbers, their steps fitted on a user's own crops.

The head stays in full precision: of 256 steps many bins or cells beside a peak would get the same one.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np

from equistera.mm.export.formats import SCOPES

_OPERATORS = ["Conv", "MatMul", "Gemm"]
_OF_A_HEAD = re.compile(r"\bnetworks\.\d+\.head\b")


def quantize(source: Path, target: Path, crops: np.ndarray, input_name: str, batch: int) -> None:
    """Writes an int8 copy of an ``.onnx`` file.

    Args:
        source: In full precision; batch normalisation is in its convolutions already.
        target: Where to.
        crops: What it will be used on, as the graph takes it.
        input_name: The graph's input.
        batch: How many go in together; 0 for any number.
    """
    import onnx
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            size = batch or 1
            # a file of a fixed batch larger than what there is gets the first crop again
            enough = crops if len(crops) >= size else np.resize(crops, (size, *crops.shape[1:]))
            self.batches = iter([enough[i : i + size] for i in range(0, len(enough) - size + 1, size)])

        def get_next(self):
            return next(({input_name: array} for array in self.batches), None)

    scopes = {
        node.name: prop.value
        for node in onnx.load(str(source), load_external_data=False).graph.node
        for prop in node.metadata_props
        if prop.key == SCOPES
    }
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # it advises what is done already
    try:
        quantization.quantize_static(
            str(source),
            str(target),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=_OPERATORS,
            nodes_to_exclude=[name for name, scope in scopes.items() if _OF_A_HEAD.search(scope)],
            per_channel=True,
            # 8 bits overflow in the sums of CPUs without VNNI
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
    finally:
        logging.root.setLevel(level)
