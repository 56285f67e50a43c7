"""One typed configuration for every network: variant, encoder, groups, decoder, input."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar, get_args

from cmr_ros.errors import InputError
from cmr_ros.model.heatmap import PUBLISHED_SIGMA_PX
from cmr_ros.network.aggregation import BODY_GROUPS, Groups, hand_groups
from cmr_ros.network.decoder import DecoderConfig
from cmr_ros.network.trunk import FULL_WIDTHS, LITE_WIDTHS, TrunkWidths

T = TypeVar("T")
#: Of a layer's channels: the published networks have 2048.
_LARGEST = 8192
Variant = Literal["SG", "PG", "G", "P"]
Encoder = Literal["resnet18", "resnet50", "mobile"]


@dataclass(frozen=True)
class MobileConfig:
    """Widths of a mobile network up to its latent vector."""

    trunk: TrunkWidths = FULL_WIDTHS
    #: of the top-down decoder at a quarter, an 8th, a 16th and a 32nd of the input
    maps: tuple[int, int, int, int] = (32, 48, 64, 96)
    #: of the second encoder at an 8th, a 16th and a 32nd of the input
    codes: tuple[int, int, int] = (32, 64, 96)
    flattened: int = 24  # channels that go, position by position, into the latent vector
    hidden: int = 384  # units of the MLPs from the trunk's summary and the peaks to that vector

    def __post_init__(self) -> None:
        for name, count in (("trunk", 6), ("maps", 4), ("codes", 3)):
            if len(getattr(self, name)) != count:
                raise InputError(f"{name} has {len(getattr(self, name))} widths instead of {count}")
        sizes = (*self.trunk, *self.maps, *self.codes, self.flattened, self.hidden)
        if not all(0 < size <= _LARGEST for size in sizes):
            raise InputError(f"a width in {asdict(self)} is not within 1 and {_LARGEST}")


@dataclass(frozen=True)
class NetworkConfig:
    """What a camera-space mesh recovery network is made of."""

    #: SG: silhouette, then pose, then mesh; PG: pose twice, then mesh; G: pose, then mesh, the
    #: release trained on more data; P: PG without groups
    variant: Variant = "SG"
    encoder: Encoder = "resnet18"
    joint_count: int = 21
    #: joints whose maps are aggregated
    groups: Groups = field(default_factory=lambda: hand_groups("tips"))
    decoder: DecoderConfig = DecoderConfig()
    mobile: MobileConfig = MobileConfig()  # of the encoder "mobile" alone
    input_size: int = 224  # side of the crop in pixels
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)  # of RGB in [0, 1]
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)  # of RGB in [0, 1]
    scale_m: float = 0.20  # metres of one unit of the predicted meshes
    #: standard deviation of the heatmaps' peaks in training, crop pixels
    heatmap_sigma_px: float = PUBLISHED_SIGMA_PX
    #: use a mobile trunk's released heads too; they fit the released trunk alone
    landmark_heads: bool = True
    #: hidden units of the MLP with which the 3D joints of the released heads move the mesh that
    #: the decoder starts from; 0: none
    nudge: int = 0
    #: channels of a mobile network's own head that says whether a crop shows a hand, and which
    #: one; 0: the released ones say so
    crop_head: int = 0
    #: channels of a mobile network's own head that says where in a badly placed crop the hand is;
    #: 0: none
    region_head: int = 0

    def __post_init__(self) -> None:
        for name, choices in (("variant", get_args(Variant)), ("encoder", get_args(Encoder))):
            if getattr(self, name) not in choices:
                raise InputError(f"no {name} {getattr(self, name)!r}; choose from {list(choices)}")
        sizes = {"joint_count": self.joint_count, "latent": self.decoder.latent} | {
            f"widths[{level}]": width for level, width in enumerate(self.decoder.widths)
        }
        may_be_0 = {name: getattr(self.decoder, name) for name in ("start", "neighbours")}
        may_be_0 |= {"nudge": self.nudge, "crop_head": self.crop_head}
        may_be_0 |= {"region_head": self.region_head}
        sizes |= {name: size + 1 for name, size in may_be_0.items()}
        for name, size in sizes.items():
            if not 0 < size <= _LARGEST:
                raise InputError(f"{name} is {size}; no network has more than {_LARGEST}")
        for name in ("crop_head", "region_head"):
            if getattr(self, name) % 8:
                raise InputError(f"{name} is {getattr(self, name)}; expected a multiple of 8")
        if not 0 < self.input_size <= 1024:
            raise InputError(f"input_size {self.input_size} is not within 32 and 1024")
        if self.input_size % 32:
            raise InputError(f"input_size {self.input_size} is no multiple of 32")
        if any(not 0 <= joint < self.joint_count for group in self.groups for joint in group):
            raise InputError(f"a group names a joint beyond the {self.joint_count} joints")

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain values, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NetworkConfig:
        """Return the configuration of plain values; raises InputError for what is none."""
        try:
            values = _tuples(values)
            parts = {
                name: _known(kind, values.get(name, {}))
                for name, kind in (("decoder", DecoderConfig), ("mobile", MobileConfig))
            }
            return _known(cls, values | parts)
        except (TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
            raise InputError(f"not a network configuration ({error})") from None


def _known(cls: type[T], values: dict[str, Any]) -> T:
    unknown = sorted(set(values) - {entry.name for entry in fields(cls)})
    if unknown:
        raise InputError(f"unknown entry {unknown[0]!r} in the network configuration")
    return cls(**values)


def _tuples(value: Any) -> Any:
    """Return a JSON value with its lists made tuples, so that it can be frozen and compared."""
    if isinstance(value, dict):
        return {key: _tuples(entry) for key, entry in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value


#: What the mobile networks have in common: they take RGB in [0, 1].
_MOBILE = {"encoder": "mobile", "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
#: Their sizes.  The light ones', for at most half of the time on a CPU, fill its blocks of 16.
_SIZES = {
    "mobile": {
        "mobile": MobileConfig(),
        "decoder": {"latent": 256, "widths": (64, 32, 16, 8), "start": 512},
        "nudge": 256,
    },
    "mobile_lite": {
        "mobile": MobileConfig(LITE_WIDTHS, (16, 32, 32, 48), (32, 32, 48), 16, hidden=256),
        "decoder": {
            "latent": 128, "widths": (32, 16, 16, 8), "start": 192, "neighbours": 9,
            "self_regression": False,
        },
        "nudge": 96,
    },
}  # fmt: skip


def _presets() -> dict[str, NetworkConfig]:
    changes: dict[str, dict[str, Any]] = {
        "sg": {},
        "pg": {},
        "p": {"groups": ()},
        "g": {
            "groups": hand_groups("tips", "parts"),
            "decoder": DecoderConfig(attention=False),
        },
    }
    presets = {
        f"{variant}_{encoder}": NetworkConfig(variant.upper(), encoder, **change)
        for variant, change in changes.items()
        for encoder in ("resnet18", "resnet50")
    }
    for variant, change in changes.items():
        for name, sizes in _SIZES.items():
            decoder = replace(change.get("decoder", DecoderConfig()), **sizes["decoder"])
            values = change | _MOBILE | sizes | {"variant": variant.upper(), "decoder": decoder}
            presets[f"{variant}_{name}"] = NetworkConfig(**values)
    body = {"joint_count": 17, "groups": BODY_GROUPS, "input_size": 256, "scale_m": 3.5}
    return presets | {"pg_resnet18_body": NetworkConfig("PG", "resnet18", **body)}


#: The published networks and their mobile kin by name, such as sg_resnet18 or g_mobile.
PRESETS = _presets()


def preset_name(config: NetworkConfig) -> str:
    """Return the name of the preset that a configuration is a kind of."""
    kind = config.variant, config.encoder, config.mobile
    names = [n for n, one in PRESETS.items() if (one.variant, one.encoder, one.mobile) == kind]
    return names[0] if names else f"{config.variant.lower()}_{config.encoder}"


def preset(name: str) -> NetworkConfig:
    """Return a published configuration; raises InputError when there is none of that name."""
    if name not in PRESETS:
        raise InputError(f"no network {name!r}; choose from {', '.join(PRESETS)}")
    return PRESETS[name]
