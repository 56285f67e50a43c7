"""`cmr benchmark pipeline --peer`: the same images to others as well, in turn."""

import json
import sys

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed")
from cmr_ros.benchmark.beside import scenes
from cmr_ros.cli import main
from cmr_ros.evaluation import peers
from cmr_ros.files import playback
from support.made_up_hands import flat_right_hand
from support.recordings import write_recording

#: Answers as the peer's process does, and says which images it got.
STAND_IN = """
import json, sys
with open({log!r}, "a") as log:
    while line := sys.stdin.buffer.readline():
        height, width = map(int, line.split())
        assert len(sys.stdin.buffer.read(3 * height * width)) == 3 * height * width
        log.write(f"{{width}}x{{height}}\\n")
        answer = {{"hands": [], "wall_s": 0.02, "cpu_s": 0.03, "peak_bytes": 5000000}}
        print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def recording(tmp_path):
    """One image without hands, two with one, and one with two."""
    hand = flat_right_hand() + [0, 0, 0.5]
    pictures = [np.full((480, 640, 3), 40 * index, np.uint8) for index in range(4)]
    return write_recording(tmp_path / "bag", pictures, [[], [hand], [hand], [hand, hand]], 30)


def test_the_scenes_show_so_many_hands(recording):
    _, frames = playback.read(recording)
    made = scenes(frames)
    assert [(scene.name, len(scene.frames)) for scene in made] == [
        ("1 hand, 640x480", 2),
        ("1 hand, 1280x720", 2),
        ("2 hands, 640x480", 1),
        ("2 hands, 1280x720", 1),
        ("4 hands, 1280x720", 1),
    ]
    for scene in made:
        assert all(image.shape[1::-1] == scene.size for image in scene.images())
    (one,), (four,) = made[3].images(), made[4].images()
    assert [np.unique(image).tolist() for image in (one, four)] == [[120, 127]] * 2
    assert (four[360, :] == 120).all() and (one[360, 160:1120] == 120).all()


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """Put a stand-in in the peer's place; return the file of the images that it saw."""
    log = tmp_path / "seen.txt"
    (tmp_path / "stand_in.py").write_text(STAND_IN.format(log=str(log)))
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin/python"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} {tmp_path}/stand_in.py\n")
    python.chmod(0o755)
    monkeypatch.setattr(peers, "PREFIX", tmp_path)
    return log


def test_peers_see_the_same_images_in_turn(recording, tmp_path, seen, capsys):
    figures = tmp_path / "figures.json"
    command = ["benchmark", "pipeline", "--recording", str(recording), "--peer", "mediapipe"]
    assert main([*command, "--turns", "2", "--json", str(figures)]) == 0
    made = json.loads(figures.read_text())
    assert seen.read_text().split() == [
        size
        for size, count in [("640x480", 4), ("1280x720", 4), ("640x480", 2), ("1280x720", 4)]
        for _ in range(count)
    ]
    for rows in made.values():
        ours, theirs = rows["cmr_ros"], rows["mediapipe"]
        assert ours["images"] == theirs["images"]
        assert theirs["median_ms"] == pytest.approx(20) and theirs["peak_mb"] == 5
        assert theirs["median_ratio"] == pytest.approx(ours["median_ms"] / 20)
        assert ours["cpu_ms"] > 0 and ours["median_ratio"] == 1
    assert "4 hands, 1280x720" in capsys.readouterr().out


def test_ratios_are_compared_with_those_of_an_earlier_run(recording, tmp_path, seen, capsys):
    earlier = tmp_path / "earlier.json"
    command = ["benchmark", "pipeline", "--recording", str(recording), "--turns", "1"]
    compare = [*command, "--peer", "mediapipe", "--against", str(earlier)]

    def write(ratio):
        rows = {"cmr_ros": {"median_ratio": 1.0}, "mediapipe": {"median_ratio": ratio}}
        earlier.write_text(json.dumps({"1 hand, 640x480": rows, "another": rows}))

    for ratio, status in ((1e-6, 1), (1e6, 0)):
        write(ratio)
        assert main(compare) == status
        row = capsys.readouterr().out.splitlines()[-1]
        assert row.startswith("1 hand, 640x480") and row.endswith("worse") == bool(status)
    nothing = '{"a": {"mediapipe": {"median_ratio": 0}}}'
    for text in ("[1]", "{}", '{"a": {"mediapipe": {}}}', nothing):
        earlier.write_text(text)
        assert main(compare) == 2 and "no ratios" in capsys.readouterr().err
    assert main([*command, "--against", str(earlier)]) == 2 and "--peer" in capsys.readouterr().err
