"""What training pictures look like: every probability and range they are drawn with.

`PictureSettings` has how often things happen and how the hand is seen; the classes before it, and
`thing_settings` for what hands wear and hold, have how each thing looks.  Poses and shapes of hands
are those of `hand_model`.

A pair `(low, high)` is drawn evenly between the two, integers without the upper one.  Names in
`_log` are of natural logarithms: of a factor that is drawn evenly between two, or from a normal
distribution with a standard deviation.  Shares and probabilities lie in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

from cmr_ros.geometry.regions import PALM_CENTER, PALM_SIDE
from cmr_ros.synthesis.thing_settings import (
    Counts,
    GraspSettings,
    JewellerySettings,
    Pair,
    ThingSettings,
    TouchSettings,
)


@dataclass(frozen=True)
class PhotographSettings:
    """What the camera does to a picture (`augment`)."""

    motion_px: float = 3.0  # mean of the motion's length beyond 2 px, drawn exponentially
    motion_max_px: float = 14.0
    defocus_px: Pair = (0.4, 1.6)  # standard deviation of the blur
    smallest: float = 0.38  # share of the size that low resolution leaves at least
    bilinear: float = 0.7  # enlarged linearly; the rest cubically
    sharpening_px: Pair = (0.7, 1.5)
    sharpening: Pair = (0.3, 1.2)
    exposure_log: float = 0.12
    white_balance_log: float = 0.05  # of each colour
    saturation_log: Pair = (-0.05, 0.2)  # mean and standard deviation
    contrast_log: float = 0.14
    contrast_pivot: Pair = (0.35, 0.6)  # brightness that contrast leaves alone
    haze: float = 0.03  # standard deviation; the negative half is clear air
    noise: float = 0.013  # mean strength, drawn exponentially, of a brightness of 1
    noise_max: float = 0.05
    blotchy: float = 0.4  # noise that was smoothed by the camera
    upright_borders: float = 0.7  # borders that are nearly upright; the rest lie at any angle
    border_turn_rad: float = 0.5  # standard deviation of the upright ones' angle
    border_cut: float = 0.85  # sides that cut no joint off; each further joint is as rare again
    border_cut_max: int = 3  # joints that one side cuts off at most
    border_margin: Pair = (2.0, 0.18)  # gamma's shape and scale, shares of the side


@dataclass(frozen=True)
class ClutterSettings:
    """Made-up pictures of shapes, lines and text (`backgrounds`)."""

    zoom_log: Pair = (-0.2, 1.2)
    turn_deg: float = 25.0
    shift: float = 0.3  # of the size, each way
    layers: Counts = (1, 5)
    shapes: Counts = (1, 12)  # of each layer
    rows: float = 0.4  # layers with a row of equal things
    blur_px: Pair = (0.5, 5)  # of the hindmost layer
    grain: Pair = (1, 14)  # standard deviation, of 255
    grain_px: Pair = (0.4, 2)
    shade: float = 0.25  # standard deviation of the light's unevenness

    ground_cells: tuple[int, ...] = (2, 4, 8, 16, 40, 80)  # sizes of the ground's octaves
    ground_octaves: Counts = (1, 5)
    ground_mix: Pair = (0.05, 0.8)

    extent_log: Pair = (-1.8, 0.7)  # of a shape, share of the size: mean and standard deviation
    angles: tuple[float, float, float] = (0.4, 0.1, 0.5)  # shares: level, upright, any
    corners: Counts = (3, 7)
    corner_spread: float = 0.7
    line_width: float = 0.02  # mean share of the size, drawn exponentially
    letters: Counts = (1, 9)
    letter_height: Pair = (0.4, 2.5)  # OpenCV's font scale

    row_pitch: Pair = (0.04, 0.25)  # shares of the size
    row_fill: Pair = (0.4, 0.95)  # share of the pitch
    row_corner: Pair = (-0.2, 0.6)
    row_count: Counts = (1, 9)
    row_length: Counts = (3, 25)
    row_round: float = 0.3  # discs instead of boxes

    skin_light: Pair = (60, 240)  # red of skin-like colours
    skin_spread: float = 0.08  # standard deviation of each colour's factor
    saturation_beta: Pair = (1.1, 3.0)  # of things: mostly dull
    value_beta: Pair = (1.4, 1.2)


@dataclass(frozen=True)
class RoomSettings:
    """Made-up rooms that light the scene (`environment`); radiance 1 is a white wall."""

    color: Pair = (0.05, 0.9)  # of walls, ceiling and floor
    color_tint: Pair = (0.8, 1.2)
    stain_log: float = 0.45  # standard deviation of the walls' unevenness
    things: Counts = (0, 12)
    thing_light: Pair = (0.02, 1.0)
    thing_tint: Pair = (0.6, 1)
    thing_px: Counts = (4, 40)  # of a panorama 256 px wide
    lamps: Counts = (1, 5)
    lamp_log: Pair = (0.5, 4)
    lamp_warmth: float = 0.15  # standard deviation
    lamp_px: Counts = (4, 24)
    lamp_rows: Counts = (0, 80)  # of 128; lamps are above


@dataclass(frozen=True)
class LightSettings:
    """Where the camera looks, and the light it sees the hand in (`lighting`)."""

    level: float = 0.65  # cameras that are held upright, more or less; the rest roll freely
    roll_rad: float = 0.6
    pitch_rad: float = 0.35
    brightness: float = 0.76  # of white skin, median
    brightness_log: float = 0.2
    neutral: Pair = (0.5, 1.0)  # share of the light's colour that white balance removes
    flash: float = 0.1  # how often the key light is near the camera
    flash_spread: float = 0.5
    flash_from: tuple[float, float, float] = (0, -0.3, -1)  # mean direction, camera frame
    flash_strength: Pair = (0.2, 1.0)
    lamp: float = 0.2  # how often the key light is somewhere else
    lamp_spread: float = 1.0
    lamp_from: tuple[float, float, float] = (0, 0, -0.4)
    lamp_log: Pair = (-0.7, 0.6)  # mean and standard deviation of its strength
    color_log: float = 0.08


@dataclass(frozen=True)
class BackdropSettings:
    """What stands behind the hand, and how the hand is laid over it (`generator`)."""

    view_slope: Pair = (0.3, 0.9)  # half the width of the view of a panorama, at distance 1
    shapes: Counts = (1, 6)  # in front of a panorama
    colors: int = 4
    dim_log: Pair = (-0.15, 0.3)  # mean and standard deviation of clutter's brightness
    blurred: float = 0.5
    blur_px: Pair = (0.5, 4)
    faded: Pair = (1.0, 1.0)  # saturation, a factor
    edge_px: Pair = (0.3, 0.7)  # blur of the finished picture; hides how sharp renderings are


@dataclass(frozen=True)
class WallSettings:
    """Plain walls close behind the hand (`generator`)."""

    dull: float = 0.5  # saturation, by that of other things
    stains: Pair = (0.0, 0.15)  # how much lighter and darker they make it, shares
    shade: Pair = (0.1, 0.5)  # how much darker it gets from one side to the other, shares
    shadow: float = 0.6  # walls with the hand's shadow
    depth: Pair = (0.1, 0.6)  # share of the light that the shadow lacks
    shift: float = 0.08  # standard deviation of the shadow's place, of the size
    blur_px: Pair = (2, 14)  # of the shadow


@dataclass(frozen=True)
class SecondHandSettings:
    """Another hand beside the first (`generator`)."""

    left: float = 0.7
    roll_rad: float = 1.2  # standard deviation
    distance_m: Pair = (0.06, 0.2)  # across the view, from the first hand's middle knuckle
    depth_m: float = 0.06  # standard deviation along the view
    gap_m: float = 0.03  # least distance of the two hands' joints
    nearest_m: float = 0.12  # least distance from the camera
    tries: int = 4


@dataclass(frozen=True)
class SkinSettings:
    """Skin (`skin`): photographed textures where there are some, made-up ones otherwise."""

    photographed: float = 0.8  # where there are textures
    photographed_tone: float = 0.12  # standard deviation of the melanin added to a photograph
    tint_each: float = 0.4  # shares of PictureSettings.tint: of each colour, of all together
    tint_all: float = 0.8
    contrast_log: float = 0.12
    creases: float = 1.0  # exponent on the share of the surroundings that the skin sees
    specular: Pair = (0.018, 0.05)
    roughness: Pair = (0.36, 0.62)
    scatter: Pair = (0.5, 1.3)
    bump: Pair = (0.0, 0.003)
    tone_beta: Pair = (1.1, 2.2)  # melanin of made-up skins, 0 very light to 1 very dark
    pale_palm: Pair = (0.3, 0.7)  # share of the melanin that palms lack
    varnished: float = 0.0  # hands with varnish on their nails
    blood: Pair = (0.2, 0.3)  # mean and standard deviation


@dataclass(frozen=True)
class PictureSettings:
    """Settings of `generator.Generator`."""

    # The crop, as palm detection and tracking place it.
    size_px: int = 224
    palm_share: float = PALM_SIDE  # longer side of the palm joints' box, as a share of the crop's
    palm_center: Pair = PALM_CENTER  # its centre in the crop, shares of the side
    center_jitter: float = 0.04  # standard deviations around that rule
    scale_jitter: float = 0.09
    roll_jitter_deg: float = 12.0
    loose: float = 0.1  # crops with twice these

    # The view of the hand.
    depth_m: Pair = (0.28, 0.95)  # of the wrist, drawn evenly in its logarithm
    far: float = 0.08  # hands up to far_depth_m away
    far_depth_m: float = 1.3
    palm_seen: float = 0.46  # palm towards the camera; back_seen: back; the rest: any side
    back_seen: float = 0.28
    turn_deg: float = 34.0  # standard deviation around these
    tilt_deg: float = 28.0  # of fingers towards or away from the camera
    steep: float = 0.15  # views that are drawn evenly up to steep_tilt_deg
    steep_tilt_deg: float = 75.0
    arm_away_min: float = -0.75  # cosine below which the forearm may not point at the camera
    least_visible: int = 7  # joints; views with fewer, or with less of the hand, are drawn again
    least_mask: float = 0.03  # share of the picture

    # The scene: how often.
    sleeve: float = 0.45
    bracelet: float = 0.08  # where there is no sleeve
    ring: float = 0.1
    wristband: float = 0.0  # fitted to the wrist, where there is no sleeve
    finger_ring: float = 0.0  # fitted to the finger
    gloved: float = 0.0
    grasp: float = 0.0  # fingers closed around a thing
    touch: float = 0.0  # another hand that touches, where there is no grasp
    held: float = 0.14  # a thing before the palm, where there is no grasp
    occluder: float = 0.13
    second_hand: float = 0.12
    plain: float = 0.0  # background a plain wall
    scenery: float = 0.68  # background from a panorama, if there are any
    skin_colored: float = 0.35  # made-up backgrounds in skin colours
    clutter: float = 0.35  # shapes in front of a panorama
    made_up_light: float = 0.15  # light from a made-up room although there are panoramas
    clutter_pictures: int = 400  # how many made-up backgrounds there are
    tint: float = 0.1  # standard deviation of the skin's colour around its texture

    # The camera: how often.
    motion_blur: float = 0.18
    defocus: float = 0.2
    low_resolution: float = 0.45
    noise: float = 0.55
    sharpened: float = 0.25
    jpeg: float = 0.55
    borders: float = 0.4  # black, as in rotated crops at a picture's edge
    jpeg_quality: Counts = (35, 95)

    # How each of these looks.
    photograph: PhotographSettings = PhotographSettings()
    clutter_style: ClutterSettings = ClutterSettings()
    room: RoomSettings = RoomSettings()
    light: LightSettings = LightSettings()
    backdrop: BackdropSettings = BackdropSettings()
    wall: WallSettings = WallSettings()
    other_hand: SecondHandSettings = SecondHandSettings()
    things: ThingSettings = ThingSettings()
    grasps: GraspSettings = GraspSettings()
    touches: TouchSettings = TouchSettings()
    jewellery: JewellerySettings = JewellerySettings()
    skin: SkinSettings = SkinSettings()


#: What `cmr synth render` draws: nearer to photographs, as `cmr synth compare` tells, than the
#: defaults, which whatever measures weights keeps to, so that its figures stay comparable.
TRAINING = PictureSettings(
    gloved=0.05,
    grasp=0.14,
    touch=0.08,
    bracelet=0.0,
    ring=0.0,
    wristband=0.22,
    finger_ring=0.14,
    plain=0.2,
    skin_colored=0.5,
    clutter_style=ClutterSettings(saturation_beta=(0.8, 4.0)),
    backdrop=BackdropSettings(faded=(0.3, 1.1), blurred=0.3, blur_px=(0.5, 3)),
    skin=SkinSettings(creases=1.6, varnished=0.1),
)


@dataclass(frozen=True)
class SceneSettings:
    """Scenes that a hand detector learns from (`hand_scenes`)."""

    size_px: int = 256
    #: Longer side of a hand's joints' box, drawn evenly in its logarithm.
    extent_px: Pair = (16, 230)
    empty: float = 0.12  # scenes without hands
    more_hands: float = 1.6  # mean number of hands beyond the first
    photographed: float = 0.45  # hands from photographs, where there are some
    touching: float = 0.08  # hands that may touch or cover others
    beside: float = 0.2  # hands that touch or cover another one of about their size
    beside_at: Pair = (0.45, 1.1)  # distance of their palms, by the other hand's extent
    whole_arm: float = 0.7  # cut-outs whose arm goes on
    persons: float = 0.4  # probability of one more rendered person, where there are some
    person_size: Pair = (0.3, 1.5)  # of those without hands, by the scene's size
    bystanders: float = 0.35  # scenes with drawn faces, and limbs without hands
    clouds: float = 0.15  # grounds of clouds in a picture's colours
    shapes: float = 0.35
    grey: float = 0.2
    dark: float = 0.1
    dark_log: Pair = (-1.8, -0.5)
