"""Camera-space hand mesh recovery for ROS 2.

The algorithms (`HandPipeline` and all it uses) know nothing of ROS; `cmr_ros.ros` holds the node.
"""

from pkgutil import extend_path
from typing import TYPE_CHECKING, Any

# The checkout lacks the generated messages and the installed package has them: when both are on
# the path, `cmr_ros.msg` is still found.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cmr_ros.errors import CmrError, InputError, RegistrationError
    from cmr_ros.files.calibration import read_calibration
    from cmr_ros.geometry.camera import Camera
    from cmr_ros.geometry.camera_view import CameraView
    from cmr_ros.geometry.skeleton import Handedness
    from cmr_ros.hand import Hand
    from cmr_ros.pipeline import HandPipeline
    from cmr_ros.settings import PipelineSettings

_HOME = {
    "Camera": "cmr_ros.geometry.camera",
    "CameraView": "cmr_ros.geometry.camera_view",
    "CmrError": "cmr_ros.errors",
    "Hand": "cmr_ros.hand",
    "HandPipeline": "cmr_ros.pipeline",
    "Handedness": "cmr_ros.geometry.skeleton",
    "InputError": "cmr_ros.errors",
    "PipelineSettings": "cmr_ros.settings",
    "RegistrationError": "cmr_ros.errors",
    "read_calibration": "cmr_ros.files.calibration",
}
__all__ = [
    "Camera",
    "CameraView",
    "CmrError",
    "Hand",
    "HandPipeline",
    "Handedness",
    "InputError",
    "PipelineSettings",
    "RegistrationError",
    "read_calibration",
]


def __getattr__(name: str) -> Any:
    # Lazy, so that `import cmr_ros.msg` does not pay for opencv and onnxruntime.
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'cmr_ros' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
