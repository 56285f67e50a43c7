"""`cmr benchmark node`: real nodes, players and listeners, one each for a camera."""

import json
import time

import pytest

pytest.importorskip("rclpy", reason="ROS is not installed")
from cmr_ros import HandPipeline
from cmr_ros.cli import main
from support.recordings import write_recording
from support.scenes import frames_of


def test_each_camera_has_a_row(tmp_path, capsys):
    camera, frames = frames_of(hands=1, count=20)
    pictures, truth = [frame.picture() for frame in frames], [frame.truth for frame in frames]
    recording = write_recording(tmp_path / "bag", pictures, truth, 30)
    command = ["benchmark", "node", "--recording", str(recording), "--rate", "10"]
    assert main([*command, "--cameras", "1", "2", "--json", str(tmp_path / "node.json")]) == 0
    rows = json.loads((tmp_path / "node.json").read_text())
    # Processor time is compared with processor time: waiting for a core is no work.
    pipeline, start_s = HandPipeline(), time.process_time()
    for picture in pictures:
        pipeline(picture, camera)
    own_ms = 1000 * (time.process_time() - start_s) / len(pictures)
    assert [len(cameras) for cameras in rows.values()] == [1, 2]
    for row in [*rows["1"], *rows["2"]]:
        assert row["images"] == 20 and 0 <= row["dropped"] < 20
        assert 0 < row["pipeline_median_ms"] < row["node_median_ms"]
        assert row["cpu_ms"] > own_ms / 2
        assert 0 < row["latency_median_ms"] <= row["latency_p90_ms"]
        assert 50 < row["peak_mb"] < 5000 and row["start_s"] > 0.5
    assert len(capsys.readouterr().out.splitlines()) == 2 + 3


def test_what_stops_a_node_is_told(tmp_path, capsys):
    command = ["benchmark", "node", "--model", str(tmp_path / "nothing")]
    assert main(command) == 2
    assert str(tmp_path / "nothing") in capsys.readouterr().err
    assert main(["benchmark", "node", "--cameras", "0"]) == 2
