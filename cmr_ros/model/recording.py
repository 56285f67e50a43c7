"""A session's work for one number of pictures, recorded on a GPU once and replayed: CUDA graphs."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnxruntime import OrtValue, RunOptions

from cmr_ros.errors import InputError

#: Of a provider that is to record; all nodes of the graph must be its own.
OPTIONS = {"enable_cuda_graph": "1"}
#: The option of a run that names its recording, and the name that means none.
_NAME, _NONE = "gpu_graph_id", "-1"
#: How far a replay may be from a run, ||a - b|| / ||b||.
_TOLERANCE = 1e-3


class Recording:
    """Answers one number of pictures; a recording reads and writes the same memory each time."""

    def __init__(
        self, session: onnxruntime.InferenceSession, images: np.ndarray, device: str = "cuda"
    ):
        """Record.

        Args:
            session: was opened with `OPTIONS`.
            images: (N, 3, S, S) float32.
            device: that the session computes on, as onnxruntime calls it.

        Raises:
            InputError: What is replayed is not what the session answers.
            Exception: Of onnxruntime, where it cannot record.
        """
        self._session = session
        self._options = _run_options(str(len(images)))
        self._binding = session.io_binding()
        # A copy: on the CPU it is the memory itself.
        self._images = OrtValue.ortvalue_from_numpy(images.copy(), device)
        self._binding.bind_ortvalue_input("image", self._images)
        expected = session.run(None, {"image": images}, _run_options(_NONE))
        # The binding holds on to its memory.
        for output, values in zip(session.get_outputs(), expected, strict=True):
            value = OrtValue.ortvalue_from_numpy(np.zeros_like(values), device)
            self._binding.bind_ortvalue_output(output.name, value)
        self(images)  # records
        for found, values in zip(self(images), expected, strict=True):
            if not np.linalg.norm(found - values) <= _TOLERANCE * np.linalg.norm(values):
                raise InputError("what is replayed is not what was recorded")

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        """Return the outputs of pictures (N, 3, S, S), in arrays of their own."""
        self._images.update_inplace(images)
        self._session.run_with_iobinding(self._binding, self._options)
        return [np.array(values) for values in self._binding.copy_outputs_to_cpu()]


def _run_options(name: str) -> RunOptions:
    options = RunOptions()
    options.add_run_config_entry(_NAME, name)
    return options
