"""int8: convolutions and products of matrices in whole numbers, their steps fitted on a user's own crops."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import numpy as np

#: What is computed in int8; softmax, normalisation and decoding are not.
_OPERATORS = ["Conv", "MatMul", "Gemm"]


def quantize(source: Path, target: Path, crops: np.ndarray, input_name: str, batch: int) -> None:
    """Writes an int8 copy of an ``.onnx`` file.

    Args:
        source: In full precision.
        target: Where to.
        crops: What it will be used on, as the graph takes it.
        input_name: The graph's input.
        batch: How many go in together; 0 for any number.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            size = batch or 1
            self.batches = iter([crops[i : i + size] for i in range(0, len(crops) - size + 1, size)])

        def get_next(self):
            return next(({input_name: array} for array in self.batches), None)

    with tempfile.TemporaryDirectory() as folder:
        # batch normalisation goes into the convolutions before their range is measured
        fused = Path(folder) / "fused.onnx"
        quant_pre_process(str(source), str(fused), skip_symbolic_shape=True)
        level = logging.root.level
        logging.root.setLevel(logging.ERROR)
        try:
            quantization.quantize_static(
                str(fused),
                str(target),
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=_OPERATORS,
                per_channel=True,
                # 8 bits overflow in the sums of CPUs without VNNI
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        finally:
            logging.root.setLevel(level)
