"""The recording and rendered sets as commands make them: complete, readable, resumable."""

import numpy as np
import pytest

from cmr_ros.cli import main
from cmr_ros.files.playback import read
from cmr_ros.synthesis.shards import Shards, shard_path

pytest.importorskip("rosbags")
pytestmark = pytest.mark.usefixtures("needs_egl")


def test_recording_holds_pictures_camera_and_truth(tmp_path, monkeypatch):
    from cmr_ros.synthesis import recording

    monkeypatch.setattr(recording, "DURATION_S", 0.12)
    file = tmp_path / "short.mcap"
    assert main(["synth", "recording", "-o", str(file), "--seed", "4"]) == 0
    camera, frames = read(file)
    assert len(frames) == 3 and np.diff([f.stamp_ns for f in frames]).tolist() == [40_000_000] * 2
    assert (camera.width, camera.height) == (640, 480) and camera.distortion.any()
    picture = frames[0].picture().astype(int)
    assert picture.shape == (480, 640, 3)
    (joints,) = frames[0].truth
    # The joints lie on what stands out from the room, which the far left of the picture shows.
    hand = np.rint(camera.project(joints)).astype(int)
    contrast = np.abs(picture[hand[:, 1], hand[:, 0]] - picture[hand[:, 1], 40]).sum(axis=1)
    assert (contrast > 10).mean() > 0.9


def test_conditions_are_distance_an_object_and_grey(tmp_path, monkeypatch):
    from cmr_ros.synthesis import recording

    monkeypatch.setattr(recording, "RATE_HZ", 1.25)
    file = tmp_path / "conditions.mcap"
    assert main(["synth", "recording", "--act", "conditions", "-o", str(file)]) == 0
    _, frames = read(file)
    assert [len(frame.truth) for frame in frames] == [1, 1, 1, 1, 1, 1, 2, 2]
    depths_m = [frame.truth[0][0, 2] for frame in frames[:4]]
    np.testing.assert_allclose(depths_m, [0.5, 1.15, 2.03, 3.0], atol=0.02)
    colors = [np.ptp(frame.picture().astype(int), axis=2).mean() for frame in frames]
    assert min(colors[:6]) > 5 > 2 > max(colors[6:])


def test_recording_wants_mcap(tmp_path, capsys):
    assert main(["synth", "recording", "-o", str(tmp_path / "demo.bag")]) == 2
    assert "demo.bag" in capsys.readouterr().err


def test_rendering_resumes_where_it_stopped(tmp_path, capsys):
    command = ["synth", "render", "-o", str(tmp_path), "--shard-size", "2", "--seed", "6"]
    assert main([*command, "--count", "2"]) == 0
    first = shard_path(tmp_path, 0).stat().st_mtime_ns
    assert main([*command, "--count", "3", "--jobs", "2"]) == 0
    assert shard_path(tmp_path, 0).stat().st_mtime_ns == first
    samples = Shards(tmp_path)
    assert len(samples) == 3
    assert not np.array_equal(samples[1].joints, samples[2].joints)
    # The last shard is not full yet.
    third = samples[2].joints
    assert main([*command, "--count", "4"]) == 0
    samples = Shards(tmp_path)
    assert len(samples) == 4 and np.array_equal(samples[2].joints, third)
    assert shard_path(tmp_path, 0).stat().st_mtime_ns == first
    capsys.readouterr()
    for other in (["--count", "4", "--seed", "7"], ["--count", "3"], ["--count", "2"]):
        assert main([*command, *other]) == 2
        assert "name another folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, "--count", "4", "--seed", "-1"])
    assert "whole number from 0 on" in capsys.readouterr().err


def test_empty_folders_are_named(tmp_path, capsys):
    out = str(tmp_path / "sheet.png")
    assert main(["synth", "preview", "-o", out, "--count", "1", "--skins", str(tmp_path)]) == 2
    assert main(["synth", "preview", "-o", out, "--count", "1", "--hdri", str(tmp_path)]) == 2
    errors = capsys.readouterr().err
    assert "no .jpg or .png skin texture" in errors and "no .exr panorama" in errors
