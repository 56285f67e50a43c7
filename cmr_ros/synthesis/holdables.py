"""Random things to hold, by their names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cmr_ros.synthesis.solids import Block, Solid, ball, bottle, can, cup
from cmr_ros.synthesis.thing_settings import GraspSettings

_BOX_EDGE_M, _PHONE_EDGE, _PEN_BEVEL_M = 0.002, 0.9, 0.001


def _can(settings: GraspSettings, rng: np.random.Generator) -> Solid:
    return can(rng.uniform(*settings.can_radius_m), rng.uniform(*settings.can_half_m))


def _bottle(settings: GraspSettings, rng: np.random.Generator) -> Solid:
    radius_m, half_m = rng.uniform(*settings.bottle_radius_m), rng.uniform(*settings.bottle_half_m)
    neck, shoulder = rng.uniform(*settings.bottle_neck), rng.uniform(*settings.bottle_shoulder)
    return bottle(radius_m, half_m, neck, shoulder)


def _cup(settings: GraspSettings, rng: np.random.Generator) -> Solid:
    radius_m, half_m = rng.uniform(*settings.cup_radius_m), rng.uniform(*settings.cup_half_m)
    return cup(radius_m, half_m, rng.uniform(*settings.cup_taper))


def _handle(settings: GraspSettings, rng: np.random.Generator) -> Solid:
    return can(rng.uniform(*settings.handle_radius_m), rng.uniform(*settings.handle_half_m))


def _pen(settings: GraspSettings, rng: np.random.Generator) -> Solid:
    radius_m, half_m = rng.uniform(*settings.pen_radius_m), rng.uniform(*settings.pen_half_m)
    return can(radius_m, half_m, _PEN_BEVEL_M)


def _ball(settings: GraspSettings, rng: np.random.Generator) -> Solid:
    return ball(rng.uniform(*settings.ball_radius_m))


def _box(settings: GraspSettings, rng: np.random.Generator) -> Solid:
    return Block(rng.uniform(*np.transpose(settings.box_half_m)), _BOX_EDGE_M)


def _phone(settings: GraspSettings, rng: np.random.Generator) -> Solid:
    half = rng.uniform(*np.transpose(settings.phone_half_m))
    return Block(half, _PHONE_EDGE * half[0])


HOLDABLES: dict[str, Callable[[GraspSettings, np.random.Generator], Solid]] = {
    "can": _can,
    "bottle": _bottle,
    "cup": _cup,
    "handle": _handle,
    "pen": _pen,
    "ball": _ball,
    "box": _box,
    "phone": _phone,
}
