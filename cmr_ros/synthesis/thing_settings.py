"""What hands wear, hold and hide behind in training pictures; `settings` says how often.

Pairs, names in `_log` and shares are those of `settings`.
"""

from __future__ import annotations

from dataclasses import dataclass

Pair = tuple[float, float]
Counts = tuple[int, int]


@dataclass(frozen=True)
class ThingSettings:
    """What a hand wears, holds and hides behind (`scene`); lengths in metres."""

    printed: float = 0.5
    specular: tuple[float, ...] = (0.02, 0.04, 0.08)
    roughness: Pair = (0.2, 0.8)
    roundness: Pair = (0.15, 1.2)  # exponents of a superquadric that is neither box, can nor ball

    long_sleeve: float = 0.6
    long_sleeve_start_m: Pair = (0.0, 0.03)  # from the wrist towards the elbow
    short_sleeve_start_m: Pair = (0.03, 0.15)
    sleeve_gap_m: Pair = (0.003, 0.012)
    sleeve_flare: Pair = (0, 0.12)  # gap per length
    fold_m: Pair = (0.0, 0.004)
    fold_per_m: Pair = (60, 250)  # radians per metre
    fold_phase: Pair = (0, 6)
    cloth_scale: Pair = (0.3, 2.5)
    cloth_printed: float = 0.45

    bracelet_tube_m: Pair = (0.0015, 0.004)
    bracelet_width: Pair = (1, 4)  # times the thickness
    bracelet_at_m: Pair = (0.01, 0.03)  # from the wrist
    ring_fingers: tuple[int, ...] = (5, 9, 13, 13, 17)  # base joints; most wear it on the fourth
    ring_tube_m: Pair = (0.0008, 0.0018)
    ring_width: Pair = (1, 2.5)
    ring_at: Pair = (0.4, 0.7)  # share of the first phalanx

    glove_skin_like: float = 0.1

    held_radius_m: Pair = (0.006, 0.035)
    held_breadth: Pair = (0.6, 1.4)  # times the radius
    held_length_log: Pair = (0, 1.6)
    held_across: float = 0.7  # things that lie across the palm; the rest at any angle
    held_shift_m: float = 0.012  # standard deviation
    held_skin_like: float = 0.1

    occluder_nearer: Pair = (0.75, 0.94)  # distance, as a share of the hand's
    occluder_size_m: Pair = (0.01, 0.05)  # least half axis, and what the beta law adds at most
    occluder_beta: Pair = (1.2, 2.5)
    occluder_length_log: Pair = (0, 1.5)
    occluder_shift_m: float = 0.035  # standard deviation
    occluder_skin_like: float = 0.35


@dataclass(frozen=True)
class JewellerySettings:
    """What is fitted around wrists and fingers (`jewellery`); lengths in metres."""

    wrist_at_m: Pair = (0.015, 0.04)  # from the wrist's joint towards the elbow
    watch: float = 0.6  # wristbands that are watches
    metal: float = 0.45  # wristbands of metal
    flat: float = 0.6  # bracelets and rings that are flat; the rest are round
    gap_m: float = 0.001  # between skin and wristband
    strap_width_m: Pair = (0.014, 0.024)
    strap_m: Pair = (0.0015, 0.0035)  # thickness
    bracelet_width_m: Pair = (0.003, 0.02)
    bracelet_m: Pair = (0.0015, 0.005)
    case_radius_m: Pair = (0.012, 0.021)
    case_half_m: Pair = (0.0035, 0.006)
    round_case: float = 0.6
    ring_fingers: tuple[int, ...] = (5, 9, 13, 13, 13, 17)  # base joints
    ring_at: Pair = (0.4, 0.65)  # share of the first phalanx
    ring_width_m: Pair = (0.002, 0.007)
    ring_m: Pair = (0.001, 0.0025)


@dataclass(frozen=True)
class GraspSettings:
    """What hands close around, and how (`grasps`); lengths in metres."""

    #: A thing (`holdables`), whether it lies in the palm or between the tips, and its share.
    things: tuple[tuple[str, str, float], ...] = (
        ("can", "palm", 0.11), ("bottle", "palm", 0.13), ("cup", "palm", 0.1),
        ("handle", "palm", 0.14), ("ball", "palm", 0.07), ("box", "palm", 0.09),
        ("phone", "palm", 0.11), ("pen", "tips", 0.07), ("ball", "tips", 0.05),
        ("box", "tips", 0.07), ("can", "tips", 0.06),
    )  # fmt: skip
    tries: int = 4  # before another pose is taken

    can_radius_m: Pair = (0.018, 0.036)
    can_half_m: Pair = (0.04, 0.085)
    bottle_radius_m: Pair = (0.026, 0.04)
    bottle_half_m: Pair = (0.08, 0.13)
    bottle_neck: Pair = (0.3, 0.5)  # radius, share of the body's
    bottle_shoulder: Pair = (0.5, 0.75)  # share of the length
    cup_radius_m: Pair = (0.03, 0.043)
    cup_half_m: Pair = (0.04, 0.06)
    cup_taper: Pair = (0.7, 1.0)  # radius of the bottom, share of the rim's
    handle_radius_m: Pair = (0.008, 0.016)
    handle_half_m: Pair = (0.05, 0.13)
    pen_radius_m: Pair = (0.0035, 0.006)
    pen_half_m: Pair = (0.06, 0.08)
    ball_radius_m: Pair = (0.015, 0.04)
    box_half_m: tuple[Pair, Pair, Pair] = ((0.006, 0.028), (0.015, 0.035), (0.03, 0.09))
    phone_half_m: tuple[Pair, Pair, Pair] = ((0.0035, 0.006), (0.031, 0.039), (0.06, 0.08))

    spread: Pair = (0.0, 1.1)  # of the fingers, by that of a comfortably spread hand
    cup_deg: Pair = (2, 12)
    thumbs: int = 10  # positions of the thumb to choose from
    thumb_deg: tuple[Pair, ...] = ((25, 45), (-5, 24), (-30, 10), (-10, 0), (-15, 0))
    slant_rad: Pair = (-0.2, 0.7)  # of the long axis, from straight across the palm to the wrist
    along: Pair = (0.8, 1.25)  # from the wrist (0) to the knuckles (1)
    shift_m: float = 0.012  # standard deviation along the long axis
    tips: int = 48  # poses to choose from, by how far apart the tips are
    tips_mcp_deg: Pair = (10, 65)
    tips_pip_deg: Pair = (10, 60)
    tips_thumb_deg: tuple[Pair, ...] = ((20, 42), (-16, 10), (-28, -5), (0, 35), (0, 40))
    tips_open: float = 0.7  # how far they open first, by how far they can close
    tips_back: Pair = (0.0, 1.5)  # 0: the long axis is straight across the fingers


@dataclass(frozen=True)
class TouchSettings:
    """Two hands that touch (`touching`)."""

    left: float = 0.85  # the other one is a left hand, of the same person
    clasp: float = 0.5  # one is closed around the other; else they are laid against each other
    alike: float = 0.4  # of those, hands that mirror each other
    askew_rad: float = 0.25  # standard deviation by which these are turned
    aside_m: float = 0.025  # standard deviation from where the palms would meet
    tries: int = 6  # before there is no other hand
