"""A full disk: one error that names the file, and no half file."""

import os
import resource
import subprocess
import sys

import pytest

from cmr_ros.errors import InputError
from cmr_ros.files.output import write_bytes
from cmr_ros.files.pictures import write_picture
from cmr_ros.files.video import VideoWriter
from support.scenes import frames_of
from support.shared import ROOT

#: More than a mesh or the overlay of one picture needs, less than what is written in the tests.
LIMIT_BYTES = 16 << 10


def limit_files():
    """Let no file of this process grow beyond the limit; to its writers that is a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES))


def test_what_cannot_be_finished_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_bytes(path, b"{}")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space")))
    with pytest.raises(InputError, match="a.json: cannot be written .No space."):
        write_bytes(path, b'{"a": 1}')
    assert path.read_bytes() == b"{}" and list(tmp_path.iterdir()) == [path]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Pictures and a video of one hand."""
    folder = tmp_path_factory.mktemp("clip")
    _, frames = frames_of(hands=1, count=12)
    write_picture(folder / "hand.png", frames[0].picture())
    pytest.importorskip("av", reason="PyAV is not installed")
    with VideoWriter(folder / "clip.mp4") as video:
        for frame in frames:
            video.write(frame.picture(), frame.stamp_ns)
    return folder


def infer(source, option, output):
    """Run `cmr infer` where no file can grow beyond the limit."""
    command = [sys.executable, "-m", "cmr_ros", "infer", source, "--hfov", "60", option, output]
    # What counts the lines that tests run writes files, too.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    return subprocess.run(
        list(map(str, command)),
        preexec_fn=limit_files,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "source, option, name",
    [
        ("hand.png", "-o", "hands.png"),
        ("hand.png", "--ply", "meshes"),
        ("hand.png", "--glb", "meshes"),
        ("clip.mp4", "-o", "hands.mp4"),
        ("clip.mp4", "-o", "hands.gif"),
        ("clip.mp4", "--mcap", "hands.mcap"),
        ("clip.mp4", "--json", "hands.json"),
    ],
)
def test_infer_on_a_full_disk(clip, tmp_path, source, option, name):
    done = infer(clip / source, option, tmp_path / name)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"cmr infer: {tmp_path / name}" in done.stderr
    assert "cannot be written (File too large)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_old_file_stays_where_the_new_one_fails(clip, tmp_path):
    old = b"\0\0\0\x20ftypisom, of yesterday"
    (tmp_path / "hands.mp4").write_bytes(old)
    assert infer(clip / "clip.mp4", "-o", tmp_path / "hands.mp4").returncode == 2
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [old]
