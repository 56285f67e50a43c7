"""What the Rerun viewer is sent, read back from the file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rerun", reason="rerun-sdk is not installed")
from cmr_ros.errors import InputError
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.viewing.viewer import RerunViewer
from support.made_up_hands import camera, hand

FACES = np.array([[0, 1, 2], [2, 1, 3]])


def entities(file: Path) -> str:
    command = [Path(sys.executable).with_name("rerun"), "rrd", "print", "-v", file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_hands_are_drawn_in_both_views_and_leave_nothing_behind(tmp_path):
    file = tmp_path / "new" / "shown.rrd"
    picture = np.zeros((480, 640, 3), np.uint8)
    right, left = hand(3), hand(4, Handedness.LEFT)
    shown = [[right, left], [right], [hand(9)]]
    with RerunViewer(FACES, file) as viewer:
        for index, hands in enumerate(shown):
            viewer.show(picture, index * 10**8, camera(), hands, truth=[right.joints_m])
    text = entities(file)
    for name in ("hand_left", "hand_right"):
        for path in (f"camera/{name}/mesh", f"camera/image/{name}/outline", f"depth/{name}"):
            assert f"/{path}" in text
    # Hand 9 takes the place of hand 3: names do not grow with time.
    assert "hand_right_2" not in text and "hand_9" not in text
    assert "/camera/truth" in text and "Blueprint" in text


def test_files_of_another_kind_stay(tmp_path):
    note = tmp_path / "note.rrd"
    note.write_text("remember the milk")
    with pytest.raises(InputError, match="another kind"):
        RerunViewer(FACES, note)
