"""The node as a managed one: its states, what it holds in each, and what it says when one fails."""

import copy
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from cmr_ros.errors import InputError
from support.peer import Camera, NodeProcess

CONFIGURE, CLEANUP = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP
ACTIVATE, DEACTIVATE = Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE


class Manager:
    """Manages a node over its services, as `ros2 lifecycle` and nav2's lifecycle manager do."""

    def __init__(self, namespace, folder, recorded_messages):
        self.node = NodeProcess(namespace, folder, "-p", "autostart:=false")
        self.camera = Camera(namespace, recorded_messages)
        self.peer = self.camera.peer
        create = self.peer.node.create_client
        self._get = create(GetState, "hand_node/get_state")
        self._change = create(ChangeState, "hand_node/change_state")

    def call(self, client, request):
        self.peer.spin_until(client.service_is_ready, client.srv_name)
        answer = client.call_async(request)
        self.peer.spin_until(answer.done, client.srv_name)
        return answer.result()

    def change(self, transition):
        """Ask for a transition; return whether it succeeded, and the state after it."""
        request = ChangeState.Request(transition=Transition(id=transition))
        success = self.call(self._change, request).success
        return success, self.state()

    def state(self):
        return self.call(self._get, GetState.Request()).current_state.label

    def bring_to(self, state):
        """Bring the node to a state, from whichever it is in."""
        if self.state() == "active":
            assert self.change(DEACTIVATE) == (True, "inactive")
        if self.state() == "inactive" and state == "unconfigured":
            assert self.change(CLEANUP) == (True, "unconfigured")
        if self.state() == "unconfigured" and state != "unconfigured":
            assert self.change(CONFIGURE) == (True, "inactive")
        if state == "active":
            assert self.change(ACTIVATE) == (True, "active")
        assert self.state() == state

    def has_no_topics(self):
        """Wait until hands are not even advertised."""
        count = self.peer.node.count_publishers
        self.peer.spin_until(lambda: not count("hand_node/hands"), "the end of topics")

    def tells(self, level, *words):
        """Wait until the diagnostics say it all, at this level."""
        self.camera.diagnostics.said.clear()
        self.peer.spin_until(lambda: self.camera.diagnostics.tell(level, *words), words)

    def close(self):
        self.peer.close()
        self.node.stop()
        assert "Traceback" not in self.node.log, self.node.log

    def held(self):
        """Return the node's memory in MB, its threads and its file descriptors."""
        process = Path(f"/proc/{self.node.process.pid}")
        lines = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        memory, threads = (int(lines[key].split()[0]) for key in ("VmRSS", "Threads"))
        return memory / 1024, threads, len(os.listdir(process / "fd"))

    def processor_s(self):
        """Return the processor time that the node has taken so far."""
        fields = Path(f"/proc/{self.node.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def manager(tmp_path_factory, recorded_messages):
    manager = Manager("managed", tmp_path_factory.mktemp("nodes"), recorded_messages)
    yield manager
    manager.close()


def test_a_step_that_fails_says_why_and_can_be_tried_again(manager):
    manager.bring_to("unconfigured")
    manager.tells(DiagnosticStatus.OK, "unconfigured")
    manager.has_no_topics()
    known = len(manager.node.warnings)
    assert manager.peer.set_parameter("hand_node", "model", "nowhere").successful
    assert manager.change(CONFIGURE) == (False, "unconfigured")
    manager.tells(DiagnosticStatus.ERROR, "nowhere: no model folder")
    (warning,) = manager.node.warnings[known:]
    assert "nowhere: no model folder" in warning
    assert manager.peer.set_parameter("hand_node", "model", "").successful
    assert manager.change(CONFIGURE) == (True, "inactive")
    manager.tells(DiagnosticStatus.OK, "inactive")
    refused = manager.peer.set_parameter("hand_node", "model", "nowhere")
    assert not refused.successful and "clean up" in refused.reason


def test_it_answers_only_while_it_is_active(manager):
    camera = manager.camera

    def processor_s_of_ten_images():
        before_s = manager.processor_s()
        for _ in range(10):
            camera.send()
            manager.peer.spin_for(0.1)
        return manager.processor_s() - before_s

    for _ in range(2):
        manager.bring_to("active")
        camera.wait_for_node()
        assert camera.find()
        active_s = processor_s_of_ten_images()
        manager.bring_to("inactive")
        manager.peer.spin_until(lambda: not camera.images.get_subscription_count(), "silence")
        manager.peer.spin_for(0.5)  # the last answers may be under way
        camera.hands.clear()
        assert processor_s_of_ten_images() < active_s / 3, "an inactive node is at work"
        assert not camera.hands


def test_two_hundred_rounds_leave_nothing_behind(manager):
    def rounds(count):
        for _ in range(count):
            assert manager.change(ACTIVATE) == (True, "active")
            assert manager.change(DEACTIVATE) == (True, "inactive")
        return manager.held()

    manager.bring_to("inactive")
    memory, threads, files = rounds(20)
    memory_later, *_ = rounds(180)
    assert memory_later < memory + 3

    def nothing_is_left():
        _, threads_later, files_later = manager.held()
        return threads_later <= threads and files_later <= files

    manager.peer.spin_until(nothing_is_left, f"at most {threads} threads and {files} files")


def test_loading_again_and_again_leaves_nothing_behind(manager):
    def rounds(count):
        for _ in range(count):
            manager.bring_to("active")
            manager.bring_to("unconfigured")
        return manager.held()

    memory, threads, files = rounds(10)
    memory_later, threads_later, files_later = rounds(15)
    assert memory_later < memory + 30
    assert (threads_later, files_later) == (threads, files)


def test_cleaning_up_frees_memory_and_parameters(manager):
    manager.bring_to("active")
    manager.camera.wait_for_node()
    assert manager.camera.find()
    manager.bring_to("inactive")
    memory, threads, _ = manager.held()
    manager.bring_to("unconfigured")
    manager.has_no_topics()

    def is_freed():
        memory_later, threads_later, _ = manager.held()
        return memory_later < memory - 40 and threads_later < threads

    manager.peer.spin_until(is_freed, "memory and threads to be given back")
    assert manager.peer.set_parameter("hand_node", "max_hands", 1).successful
    try:
        manager.bring_to("active")
        manager.camera.wait_for_node()
        assert len(manager.camera.find()) == 1
    finally:
        assert manager.peer.set_parameter("hand_node", "max_hands", 2).successful


def test_what_is_not_possible_changes_nothing(tmp_path, recorded_messages):
    manager = Manager("ended", tmp_path, recorded_messages)
    try:
        manager.bring_to("active")
        assert manager.change(CONFIGURE) == (False, "active")
        assert manager.change(Transition.TRANSITION_ACTIVE_SHUTDOWN) == (True, "finalized")
        manager.tells(DiagnosticStatus.OK, "finalized")
    finally:
        manager.close()


@pytest.fixture
def inside():
    """A node in this process, not started, and what it reports and logs."""
    from cmr_ros.ros.node import HandNode

    rclpy.init(args=["--ros-args", "-r", "__ns:=/inside", "-p", "assume_hfov_deg:=60.0"])
    node = HandNode()
    node.reports, node.logged = [], []
    node.health._publisher.publish = node.reports.append
    node.get_logger = lambda: SimpleNamespace(
        warning=node.logged.append, info=lambda _: None, debug=lambda _: None
    )
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def status_of(node):
    """Return what /diagnostics says now."""
    node.health._report()
    return node.reports[-1].status[0]


def test_an_unexpected_error_leads_to_unconfigured_by_way_of_error_processing(inside, monkeypatch):
    from cmr_ros.ros import node as module

    with monkeypatch.context() as patch:
        patch.setattr(module, "Outputs", lambda *_: 1 / 0)  # after the network is loaded
        assert inside.trigger_configure() == TransitionCallbackReturn.ERROR
    assert "ZeroDivisionError" in status_of(inside).message
    assert not inside.count_publishers("/inside/hand_node/hands")
    assert inside.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert inside.trigger_activate() == TransitionCallbackReturn.SUCCESS
    assert status_of(inside).message.startswith("idle")


@pytest.mark.parametrize("is_broken", [False, True])
def test_an_activation_that_fails_leaves_no_subscriptions(inside, monkeypatch, is_broken):
    from cmr_ros.ros import inputs

    monkeypatch.setattr(inputs, "DepthInput", lambda *_: 1 / 0)
    wanted = {"autostart": False, "use_depth": True, "use_stereo": not is_broken}
    inside.set_parameters([Parameter(name, value=value) for name, value in wanted.items()])
    assert inside.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert inside.trigger_activate() != TransitionCallbackReturn.SUCCESS
    assert ("ZeroDivisionError" if is_broken else "choose one") in status_of(inside).message
    topics = {subscription.topic_name for subscription in inside.subscriptions}
    assert not topics & {"/inside/image_raw", "/inside/camera_info"}


def test_a_hand_that_is_measured_is_of_unknown_size_until_the_end(inside, monkeypatch):
    def length_m():
        return inside._pipeline.settings.hand_length_m

    async def pause(duration_s):
        lengths_m.append(length_m())
        inside.set_parameters([Parameter("publish_mask", value=False)])
        lengths_m.append(length_m())
        inside.trigger_deactivate()

    inside.set_parameters([Parameter("hand_length_m", value=0.2)])
    inside.start()
    lengths_m = [length_m()]
    monkeypatch.setattr(inside._sizing, "_pause", pause)
    with pytest.raises(InputError, match="0 images"):
        inside._sizing._measured(0.4, 1.0).send(None)
    assert inside.trigger_activate() == TransitionCallbackReturn.SUCCESS
    assert [*lengths_m, length_m()] == [0.2, 0, 0, 0.2]


class BrokenEngine:
    """Fails as onnxruntime does on a device that is lost, once it has run for a while."""

    serving = "onnxruntime on cuda"

    def __init__(self, error):
        self.error, self.runs = error, 0

    def __call__(self, images):
        self.runs += 1
        raise self.error


def shown(node, recorded_messages):
    """Show a node an image with hands, as its subscription does."""
    image = copy.deepcopy(recorded_messages[0][0])
    node._answer(image, None)


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA failure 719: unspecified launch failure"), MemoryError()]
)
def test_a_network_that_fails_ends_in_unconfigured_and_starts_again(
    inside, recorded_messages, monkeypatch, error
):
    from cmr_ros.ros import node as module

    inside.start()
    shown(inside, recorded_messages)
    assert status_of(inside).level == DiagnosticStatus.OK
    assert inside._inputs is not None
    broken = inside._pipeline.network.engine = BrokenEngine(error)
    for _ in range(3):
        shown(inside, recorded_messages)
    assert broken.runs == 2, "it goes on trying"
    monkeypatch.setattr(module, "_RESTART_S", 0.0)
    found = status_of(inside)
    assert (found.level, inside._pipeline) == (DiagnosticStatus.ERROR, None)
    assert "the network does not run on" in found.message and "starts again" in found.message
    assert str(error) in found.message
    assert inside._state_machine.current_state[1] == "unconfigured"
    assert not inside.count_publishers("/inside/hand_node/hands")
    assert len(inside.logged) == 1, inside.logged
    assert status_of(inside).level == DiagnosticStatus.OK
    assert inside._state_machine.current_state[1] == "active"
    shown(inside, recorded_messages)
    assert dict((v.key, v.value) for v in status_of(inside).values)["hands"] != "0"


def test_a_managed_node_waits_for_its_manager(inside, recorded_messages):
    inside.set_parameters([Parameter("autostart", value=False)])
    for _ in range(2):
        assert inside.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert inside.trigger_activate() == TransitionCallbackReturn.SUCCESS
        assert status_of(inside).level == DiagnosticStatus.OK
        inside._pipeline.network.engine = BrokenEngine(RuntimeError("lost"))
        shown(inside, recorded_messages)
        for _ in range(3):
            assert "starts again when configured" in status_of(inside).message
            assert inside._state_machine.current_state[1] == "unconfigured"


def test_an_image_that_cannot_be_used_costs_no_network(inside, recorded_messages, monkeypatch):
    inside.start()

    def refuses(*_):
        raise ValueError("this image")

    monkeypatch.setattr(type(inside._pipeline), "__call__", refuses)
    shown(inside, recorded_messages)
    assert "ValueError: this image" in status_of(inside).message
    assert inside._state_machine.current_state[1] == "active"
