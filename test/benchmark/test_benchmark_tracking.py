"""The scenes that are hard to follow, and the table of ids kept."""

import json

import pytest

from cmr_ros.cli import main
from cmr_ros.files.playback import read
from cmr_ros.model import weights
from cmr_ros.synthesis.encounters import ENCOUNTERS

pytest.importorskip("rosbags")


def test_ids_are_compared_over_the_images_of_a_recording(tmp_path, capsys):
    figures = tmp_path / "figures.json"
    demo = str(weights.find("demo.mcap"))
    assert main(["benchmark", "tracking", "--recording", demo, "--json", str(figures)]) == 0
    row = json.loads(figures.read_text())["all"]
    assert row["switches"] == 0 and row["right"] > 0.9 * row["true"] > 100
    assert "id switches" in capsys.readouterr().out


@pytest.mark.usefixtures("needs_egl")
def test_a_hand_behind_a_board_is_no_hand_to_be_seen(tmp_path, monkeypatch):
    from cmr_ros.synthesis import recording

    monkeypatch.setattr(recording, "RATE_HZ", 8)
    file = tmp_path / "hidden.mcap"
    assert main(["synth", "recording", "--act", "hidden", "--seed", "3", "-o", str(file)]) == 0
    shown = [len(frame.hands) for frame in read(file)[1]]
    assert shown[0] == 1 and 0 in shown and "hidden" in ENCOUNTERS
