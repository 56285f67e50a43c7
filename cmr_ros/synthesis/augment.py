"""What a cheap camera does to a picture: blur, noise, colour, JPEG, black borders."""

from __future__ import annotations

import cv2
import numpy as np

from cmr_ros.synthesis.settings import PhotographSettings, PictureSettings


def photograph(
    picture: np.ndarray, settings: PictureSettings, rng: np.random.Generator
) -> np.ndarray:
    """Return the picture (s, s, 3) uint8 as a camera would have delivered it.

    Noise and JPEG belong to the camera's own pixels, so a crop of a small picture is degraded
    small and enlarged afterwards.
    """
    size, how = picture.shape[0], settings.photograph
    if rng.random() < settings.motion_blur:
        kernel = _motion_kernel(how, rng)
        picture = cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    if rng.random() < settings.defocus:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(*how.defocus_px))
    small = size
    if rng.random() < settings.low_resolution:
        small = int(size * np.exp(rng.uniform(np.log(how.smallest), 0)))
        picture = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
    picture = _develop(picture.astype(np.float32) / 255, how, rng)
    if rng.random() < settings.noise:
        picture = _add_noise(picture, how, rng)
    if rng.random() < settings.sharpened:
        soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(*how.sharpening_px))
        picture = picture + rng.uniform(*how.sharpening) * (picture - soft)
    picture = (255 * np.clip(picture, 0, 1)).astype(np.uint8)
    if rng.random() < settings.jpeg:
        picture = _compress(picture, int(rng.integers(*settings.jpeg_quality)))
    if small < size:
        enlarge = cv2.INTER_LINEAR if rng.random() < how.bilinear else cv2.INTER_CUBIC
        picture = cv2.resize(picture, (size, size), interpolation=enlarge)
    return picture


def inside_borders(
    joints_px: np.ndarray, size_px: int, settings: PhotographSettings, rng: np.random.Generator
) -> np.ndarray:
    """Return which pixels (s, s) of a crop lie inside the picture it was cut from, bool.

    That picture is a turned rectangle that holds all or most of the joints.

    Args:
        joints_px: (21, 2) in crop pixels.
        size_px: side of the crop.
        settings: how the borders lie.
        rng: source of randomness.
    """
    if rng.random() < settings.upright_borders:
        angle = rng.normal(0, settings.border_turn_rad)
    else:
        angle = rng.uniform(-np.pi, np.pi)
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    along = joints_px @ axes.T
    # A few joints may fall outside on a side; most often none does.
    cut = np.minimum(rng.geometric(settings.border_cut, 4) - 1, settings.border_cut_max)
    ordered = np.sort(along, axis=0)
    shape, scale = settings.border_margin
    margin = rng.gamma(shape, scale * size_px, 4)
    low = ordered[cut[:2], [0, 1]] - margin[:2]
    high = ordered[-1 - cut[2:], [0, 1]] + margin[2:]
    grid = np.stack(np.meshgrid(np.arange(size_px), np.arange(size_px)), -1) @ axes.T
    return ((grid > low) & (grid < high)).all(axis=-1)


def _motion_kernel(settings: PhotographSettings, rng: np.random.Generator) -> np.ndarray:
    length, angle = 2 + rng.exponential(settings.motion_px), rng.uniform(0, np.pi)
    half = int(np.ceil(min(length, settings.motion_max_px) / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    tip = half * np.array([np.cos(angle), np.sin(angle)]) + half
    tail = 2 * half - tip
    cv2.line(kernel, tuple(tail.round().astype(int)), tuple(tip.round().astype(int)), 1.0, 1)
    kernel = cv2.GaussianBlur(kernel, (3, 3), 0.5)
    return kernel / kernel.sum()


def _develop(
    picture: np.ndarray, settings: PhotographSettings, rng: np.random.Generator
) -> np.ndarray:
    """Vary exposure, white balance, saturation and contrast, as cameras differ."""
    exposure = np.exp(rng.normal(0, settings.exposure_log))
    gain = exposure * np.exp(rng.normal(0, settings.white_balance_log, 3)).astype(np.float32)
    picture = picture * gain.astype(np.float32)
    grey = picture @ np.array([0.3, 0.59, 0.11], np.float32)
    saturation = np.float32(np.exp(rng.normal(*settings.saturation_log)))
    picture = grey[..., None] + saturation * (picture - grey[..., None])
    contrast = np.float32(np.exp(rng.normal(0, settings.contrast_log)))
    middle = np.float32(rng.uniform(*settings.contrast_pivot))
    haze = np.float32(max(rng.normal(0, settings.haze), 0))
    return haze + (1 - haze) * (middle + contrast * (picture - middle))


def _add_noise(
    picture: np.ndarray, settings: PhotographSettings, rng: np.random.Generator
) -> np.ndarray:
    """Add noise that grows with brightness; part of it is shared by the colours."""
    strength = np.float32(min(rng.exponential(settings.noise), settings.noise_max))
    shape = picture.shape[:2]
    noise = rng.standard_normal((*shape, 1), np.float32)
    noise = 0.8 * noise + 0.6 * rng.standard_normal((*shape, 3), np.float32)
    if rng.random() < settings.blotchy:  # cameras that denoise leave blotches
        noise = 2 * cv2.GaussianBlur(noise, (0, 0), 0.9)
    return picture + strength * (0.5 + np.clip(picture, 0, 1)) * noise


def _compress(picture: np.ndarray, quality: int) -> np.ndarray:
    _, code = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1]
