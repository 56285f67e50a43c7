"""What training pictures look like: every probability and range of the generator in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PictureSettings:
    """Settings of `generator.Generator`; probabilities in [0, 1], angles in degrees.

    Crop (as palm detection and tracking place it)
        size_px: side of the picture.  palm_share: longer side of the palm joints' box by the side.
        palm_center: its centre by the side.  center_jitter, scale_jitter, roll_jitter_deg: standard
        deviations around that rule; `loose` of the crops have twice these.
    View
        depth_m: range of the wrist's distance, drawn evenly in its logarithm; `far` of the hands
        are up to far_depth_m away.  palm_seen, back_seen: how often palm or back faces the camera
        (the rest: any side), give or take turn_deg.  tilt_deg: spread of fingers towards or away
        from the camera; `steep` of the views are drawn evenly up to steep_tilt_deg.
        arm_away_min: cosine below which the forearm may not point at the camera.
    Scene
        sleeve, bracelet, ring: worn.  held: an object in the hand.  occluder: something in front.
        second_hand: another hand nearby.  scenery: background from a panorama, if there are any.
        skin_colored: share of the made-up backgrounds that wear skin colours.  clutter: shapes in
        front of a panorama.  made_up_light: light from a made-up room.  clutter_pictures: how many
        made-up backgrounds there are.
        tint: standard deviation of the skin's colour around its texture.
    Camera
        motion_blur, defocus, low_resolution, noise, sharpened, jpeg: how often.
        borders: black corners, as in rotated crops of small pictures.  jpeg_quality: range.
    """

    size_px: int = 224
    palm_share: float = 0.385
    palm_center: tuple[float, float] = (0.49, 0.70)
    center_jitter: float = 0.04
    scale_jitter: float = 0.09
    roll_jitter_deg: float = 12.0
    loose: float = 0.1

    depth_m: tuple[float, float] = (0.28, 0.95)
    far: float = 0.08
    far_depth_m: float = 1.3
    palm_seen: float = 0.46
    back_seen: float = 0.28
    turn_deg: float = 34.0
    tilt_deg: float = 28.0
    steep: float = 0.15
    steep_tilt_deg: float = 75.0
    arm_away_min: float = -0.75

    sleeve: float = 0.45
    bracelet: float = 0.08
    ring: float = 0.1
    held: float = 0.14
    occluder: float = 0.13
    second_hand: float = 0.12
    scenery: float = 0.68
    skin_colored: float = 0.35
    clutter: float = 0.35
    made_up_light: float = 0.15
    clutter_pictures: int = 400
    tint: float = 0.1

    motion_blur: float = 0.18
    defocus: float = 0.2
    low_resolution: float = 0.45
    noise: float = 0.55
    sharpened: float = 0.25
    jpeg: float = 0.55
    borders: float = 0.4
    jpeg_quality: tuple[int, int] = (35, 95)
