"""Where the camera looks in its surroundings, and the light in which it sees the hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cmr_ros.synthesis.environment import Environment
from cmr_ros.synthesis.placement import rotation
from cmr_ros.synthesis.settings import LightSettings
from cmr_ros.synthesis.surfaces import Light

_UP = np.diag([1.0, -1.0, 1.0])


def random_gaze(settings: LightSettings, rng: np.random.Generator) -> np.ndarray:
    """Return panorama from camera (3, 3): any heading, mostly level; the crop is rolled freely."""
    level = rng.random() < settings.level
    roll = rng.normal(0, settings.roll_rad) if level else rng.uniform(-np.pi, np.pi)
    return (
        _UP
        @ rotation([0, 1, 0], rng.uniform(-np.pi, np.pi))
        @ rotation([1, 0, 0], rng.normal(0, settings.pitch_rad))
        @ rotation([0, 0, 1], roll)
    )


def random_light(
    environment: Environment, gaze: np.ndarray, settings: LightSettings, rng: np.random.Generator
) -> Light:
    """Return light from the surroundings, often with a lamp, window or flash added.

    Args:
        environment: the surroundings.
        gaze: (3, 3), environment = gaze @ camera.
        settings: how often and how strongly.
        rng: source of randomness.
    """
    brightness = np.exp(rng.normal(np.log(settings.brightness), settings.brightness_log))
    light = environment.light(gaze, brightness, rng.uniform(*settings.neutral))
    kind = rng.random()
    if kind < settings.flash:  # a lamp or flash near the camera
        toward = rng.normal(0, settings.flash_spread, 3) + settings.flash_from
        strength = rng.uniform(*settings.flash_strength) * brightness
    elif kind < settings.flash + settings.lamp:  # a lamp or window somewhere
        toward = rng.normal(0, settings.lamp_spread, 3) + settings.lamp_from
        strength = np.exp(rng.normal(*settings.lamp_log)) * brightness
    else:
        return light
    color = np.exp(rng.normal(0, settings.color_log, 3)) * strength / light.exposure
    return replace(light, key_direction=toward / np.linalg.norm(toward), key_color=color)
