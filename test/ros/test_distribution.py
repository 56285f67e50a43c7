"""What differs between ROS 2's distributions; the rest of the tests run on whichever is there."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks

from cmr_ros.ros import distribution
from support.peer import environment
from support.shared import ROOT


@pytest.fixture
def humble(monkeypatch):
    """A rclpy without event_handler, and with the callbacks of Humble's qos_event."""
    old = SimpleNamespace(
        SubscriptionEventCallbacks=lambda **callbacks: ("subscription", callbacks),
        PublisherEventCallbacks=lambda *, deadline=None, liveliness=None: "publisher",
    )
    monkeypatch.setitem(sys.modules, "rclpy.qos_event", old)
    monkeypatch.setattr(distribution, "find_spec", lambda name: None)


def heard(message, info):
    return message, info


def test_humble_has_no_matched_events_and_tells_nothing_of_messages(humble):
    assert distribution.publisher_events(print) is None
    events = distribution.subscription_events(incompatible_qos=print)
    assert events == ("subscription", {"incompatible_qos": print})
    callback = distribution.with_info(heard)
    assert callback("image") == ("image", {})


def test_what_is_there_now_has_all_of_it():
    assert isinstance(distribution.publisher_events(print), PublisherEventCallbacks)
    events = distribution.subscription_events(incompatible_qos=print)
    assert isinstance(events, SubscriptionEventCallbacks)
    assert distribution.with_info(heard) is heard


@pytest.mark.parametrize("package, name", [("fastrtps", "FASTRTPS"), ("fastdds", "FASTDDS")])
def test_fast_dds_is_told_under_the_name_it_knows(package, name, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", "/nowhere")
    (tmp_path / "share" / package).mkdir(parents=True)
    surroundings = {"AMENT_PREFIX_PATH": f"/nowhere:{tmp_path}", "ROS_DOMAIN_ID": "7"}
    variable = distribution.fastdds_profiles_variable(surroundings)
    assert variable == f"{name}_DEFAULT_PROFILES_FILE"
    distribution.set_apart(surroundings)
    assert surroundings[variable] == str(ROOT / "config/fastdds.xml")
    assert surroundings["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert surroundings["ROS_DOMAIN_ID"] == "7"


def test_this_fast_dds_reads_the_profiles(tmp_path):
    """It complains of a file that it cannot read, under the name that it knows alone."""
    profiles = tmp_path / "broken.xml"
    profiles.write_text("<nothing")
    names = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
    surroundings = {name: value for name, value in os.environ.items() if name not in names}
    surroundings[distribution.fastdds_profiles_variable(os.environ)] = str(profiles)
    program = "import rclpy; rclpy.init(); rclpy.create_node('reader')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert "XML" in done.stderr + done.stdout
    assert "deprecated" not in done.stderr + done.stdout


def test_a_signal_while_an_object_goes_ends_the_process_quietly(tmp_path):
    """Exceptions that are raised in __del__ are lost."""
    program = """
import os, signal, sys, time
from rclpy.node import Node
from cmr_ros.ros.process import run

class Going:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)

def make():
    node = Node("going")
    node.create_timer(0.1, Going)
    return node

sys.exit(run("going", make))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=250, cwd=tmp_path,
        env=environment(),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
