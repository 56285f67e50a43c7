"""Lens models, under the names and with the numbers of coefficients that drivers give them."""

from __future__ import annotations

import re

import numpy as np

from cmr_ros.errors import InputError

#: OpenCV's polynomial: k1 k2 p1 p2, k3, k4 k5 k6, s1 s2 s3 s4 (thin prism), tau_x tau_y (tilt).
_POLYNOMIAL = (4, 5, 8, 12, 14)
#: The models that are computed with, as sensor_msgs/CameraInfo calls them, and how many
#: coefficients each takes.
_COEFFICIENTS = {
    "plumb_bob": _POLYNOMIAL,
    "rational_polynomial": _POLYNOMIAL,
    "equidistant": (4,),
}
#: Other names, in lower case without separators: Kalibr's radtan and equi, librealsense's Brown
#: Conrady and Kannala Brandt4, OpenCV's fisheye.
_NAMES = {
    "plumb_bob": "plumbbob radtan radialtangential brownconrady brown opencv opencvpinhole",
    "rational_polynomial": "rationalpolynomial rational radtan8 brownconradyk6",
    "equidistant": "equidistant equi fisheye opencvfisheye kannalabrandt kannalabrandt4 kb4",
}
_MODELS = {alias: model for model, aliases in _NAMES.items() for alias in aliases.split()}
#: Without distortion.  librealsense's variants of Brown and Conrady compute something else than
#: OpenCV does, except where all coefficients are 0, as they mostly are.
_WITHOUT = (
    "none nodistortion undistorted rectified pinhole perspective rectilinear "
    "inversebrownconrady modifiedbrownconrady"
).split()


def lens(name: str, coefficients: np.ndarray) -> tuple[str, np.ndarray]:
    """Return model and coefficients of a lens: one of CameraInfo's models, or "" for a pinhole.

    name: as a driver or calibration tool gives it.  coefficients: (N,); zeros that exceed what the
    model takes are dropped.  An equidistant lens without coefficients is r = f theta, and no
    pinhole.  Raises InputError for an unknown model, or coefficients that it does not take.
    """
    alias = re.sub(r"[^a-z0-9]", "", name.lower().removeprefix("distortion."))
    model = _MODELS.get(alias, "")
    if not model and alias and alias not in _WITHOUT:
        raise InputError(
            f"distortion model {name!r}: known are {', '.join(_COEFFICIENTS)}; "
            "rectify the image instead"
        )
    if not coefficients.any():
        return (model, np.zeros(4)) if model == "equidistant" else ("", np.zeros(0))
    if not alias and coefficients.size == 4:
        raise InputError(
            "4 distortion coefficients without a model may be plumb_bob or equidistant; name it"
        )
    if not alias and coefficients.size in _POLYNOMIAL:
        model = "plumb_bob"
    if model == "equidistant" and coefficients.size == 8 and not coefficients[[2, 3, 6, 7]].any():
        coefficients = coefficients[[0, 1, 4, 5]]  # Orbbec: k1 k2 p1 p2 k3 k4 k5 k6
    used = np.flatnonzero(coefficients)[-1] + 1
    fitting = [n for n in _COEFFICIENTS.get(model, ()) if used <= n <= coefficients.size]
    if not fitting:
        raise InputError(
            f"distortion model {name!r} does not take the {coefficients.size} coefficients "
            f"{coefficients.tolist()}; check D, or rectify the image"
        )
    return model, coefficients[: fitting[-1]]
