"""What there is to choose of networks and how they run, each listed once."""

from __future__ import annotations

from typing import Literal, get_args

#: What runs a network.
EngineName = Literal["onnxruntime", "torch"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)

#: How a network's weights are stored.  compact: in half precision, computed with in single.
Precision = Literal["fp32", "compact", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

#: The crop camera that a network was trained for, see `geometry.crop.CropCamera`.
CropKind = Literal["virtual", "affine"]
CROPS: tuple[CropKind, ...] = get_args(CropKind)

#: The output that the 2D joints are read from: heatmaps, landmarks, or the mean of both.
JointCue = Literal["heatmaps", "landmarks", "mean"]
JOINT_CUES: tuple[JointCue, ...] = get_args(JointCue)
