"""The node's parameters: what they accept, and whether the files rendered from them fit."""

import math
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
import yaml

from cmr_ros.errors import InputError
from cmr_ros.ros.parameter_docs import hand_yaml, with_table
from cmr_ros.ros.parameter_values import declare
from cmr_ros.ros.parameters import Parameters
from support.shared import ROOT


def test_the_parameter_file_is_the_rendered_one():
    assert (ROOT / "config/hand.yaml").read_text() == hand_yaml(), "run `make parameters`"


def test_the_parameter_file_reads_as_the_defaults():
    values = yaml.safe_load(hand_yaml())["/**"]["ros__parameters"]
    assert values == vars(Parameters())
    assert [type(value) for value in values.values()] == [
        type(value) for value in vars(Parameters()).values()
    ]


def test_the_page_holds_the_rendered_table():
    page = (ROOT / "docs/ros.md").read_text()
    assert page == with_table(page), "run `make parameters`"
    for name in vars(Parameters()):
        assert page.count(f"| `{name}`") == 1


class StandIn:
    """Stands in for a node with values from the command line or a file."""

    def __init__(self, **given):
        self._parameter_overrides = {k: SimpleNamespace(value=v) for k, v in given.items()}
        self.declared, self.warnings, self.changes = {"use_sim_time": False}, [], []
        self.configured = False

    def declare_parameter(self, name, value, descriptor, ignore_override):
        self.declared[name] = value

    def has_parameter(self, name):
        return name in self.declared

    def add_on_set_parameters_callback(self, callback):
        self.set = lambda **values: callback(
            [SimpleNamespace(name=name, value=value) for name, value in values.items()]
        )

    def get_logger(self):
        return SimpleNamespace(warning=self.warnings.append)

    def declare(self):
        return declare(self, self.changes.append, lambda: self.configured)


ACCEPTED = [
    ("smoothing_hz", 1, 1.0),
    ("min_score", 1, 1.0),
    ("assume_hfov_deg", 60, 60.0),
    ("max_hands", 3.0, 3),
    ("providers", "cpu", ["cpu"]),
    ("providers", "cuda, cpu", ["cuda", "cpu"]),
    ("providers", ["cpu"], ["cpu"]),
    ("frame_prefix", "left_", "left_"),
    ("frame_prefix", "robot-1/left.", "robot-1/left."),
]
REFUSED = [
    ("smoothing_hz", "fast", "must be a number"),
    ("smoothing_hz", 31, "from 0 to 30"),
    ("smoothing_hz", math.nan, "from 0 to 30"),
    ("max_hands", 2.5, "a whole number"),
    ("max_hands", True, "a whole number"),
    ("max_hands", None, "a whole number"),
    ("max_hands", 0, "from 1 to 10"),
    ("publish_tf", "yes", "true or false"),
    ("providers", ["cpu", 1], "a list of strings"),
    ("providers", "", "a list of strings"),
    ("handedness", "both", "one of unknown, left, right"),
    ("frame_prefix", "bad name/", "letters, digits"),
    ("frame_prefix", "/left", "must not begin with '/'"),
    ("frame_prefix", 1, "a string"),
]


@pytest.mark.parametrize("name, given, meant", ACCEPTED)
def test_what_has_one_meaning_is_accepted_at_start_and_later(name, given, meant):
    node = StandIn(**{name: given})
    assert getattr(node.declare(), name) == meant == node.declared[name]
    assert type(node.declared[name]) is type(meant)
    node = StandIn()
    node.declare()
    assert node.set(**{name: given}).successful
    assert getattr(node.changes[-1], name) == meant


@pytest.mark.parametrize("name, given, words", REFUSED)
def test_what_has_none_is_refused_with_the_reason(name, given, words):
    with pytest.raises(InputError, match=f"parameter {name} is .*{words}"):
        StandIn(**{name: given}).declare()
    node = StandIn()
    node.declare()
    result = node.set(**{name: given})
    assert not result.successful and name in result.reason and words in result.reason
    assert not node.changes


def test_names_nobody_knows_are_warned_of():
    quality = {"qos_overrides./image_raw.subscription.reliability": "best_effort"}
    node = StandIn(smothing_hz=1.0, colour="red", use_sim_time=True, **quality)
    assert node.declare().smoothing_hz == 0
    assert [w.partition("; did you mean ")[2] for w in node.warnings] == ["smoothing_hz?", ""]
    assert "no parameter colour" in node.warnings[1]


def test_a_change_that_breaks_something_is_refused_and_forgotten():
    node = StandIn()
    node.changes = SimpleNamespace(append=lambda wanted: 1 / 0)
    node.declare()
    result = node.set(max_hands=3)
    assert not result.successful and "ZeroDivisionError" in result.reason


def test_what_is_read_when_configured_is_refused_afterwards():
    node = StandIn()
    node.declare()
    assert node.set(engine="torch", max_hands=3).successful
    node.configured = True
    assert node.set(engine="torch", max_hands=4).successful, "the engine stays as it is"
    refused = node.set(engine="onnxruntime", max_hands=5)
    assert not refused.successful and "engine" in refused.reason and "clean up" in refused.reason
    assert [(p.engine, p.max_hands) for p in node.changes] == [("torch", 3), ("torch", 4)]
