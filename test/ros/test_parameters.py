"""The node's parameters: the files rendered from them are up to date."""

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
import yaml

from cmr_ros.ros.parameter_docs import hand_yaml, with_table
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
