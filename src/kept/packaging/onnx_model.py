"""An ONNX model in ONNX Runtime, one thread per session."""

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from kept.core.errors import Damaged

_DOUBLE = "tensor(double)"


def open_session(data: bytes) -> Any:
    """A session of ONNX Runtime. `Damaged` when it refuses the model.

    The model comes as bytes, never as a path: ONNX Runtime then refuses tensors that are kept in other files.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Requests come in all sizes: memory that is planned or kept per size would only grow.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = False
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # ONNX Runtime's own errors share no class but Exception.
        raise Damaged(f"ONNX Runtime refuses the model: {error}", where="model.onnx") from error


class OnnxModel:
    """Reads a float64 matrix [rows, width], answers float64 [rows, k]."""

    def __init__(self, data: bytes, *, width: int) -> None:
        session = open_session(data)
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type != _DOUBLE or outputs[0].type != _DOUBLE:
            raise Damaged("the model does not take one float64 matrix and answer one", where="model.onnx")
        if inputs[0].shape[1:] != [width]:
            raise Damaged(f"the model does not take {width} columns", where="model.onnx")
        self._session = session
        self._input = inputs[0].name
        self._outputs = [outputs[0].name]

    def run(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Answers for a C-contiguous float64 matrix."""
        answers: NDArray[np.float64] = self._session.run(self._outputs, {self._input: features})[0]
        return answers
