"""Work of several processes and machines: on a Ray cluster of two, of which one dies."""

import math
import os
import subprocess
import sys
import time
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from cmr_ros.cli import main
from cmr_ros.errors import InputError
from cmr_ros.files.pictures import read_picture, write_picture
from cmr_ros.workers import Workers
from support.scenes import frames_of
from support.shared import ROOT

RENDER = ["synth", "render", "--seed", "5"]


def test_tasks_are_taken_as_they_are_needed():
    taken = []
    tasks = (taken.append(number) or number for number in count())
    with closing(Workers(2).map(math.sqrt, tasks)) as roots:
        assert [next(roots) for _ in range(100)] == [math.sqrt(number) for number in range(100)]
    assert len(taken) < 120


def test_processes_that_die_are_an_error():
    with pytest.raises(InputError, match="a process died.*fewer --jobs"):
        list(Workers(2).map(os._exit, [1, 1]))


def test_who_works_is_said_once(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([*RENDER, "--count", "1", "-o", str(tmp_path), "--jobs", "2", "--ray", "auto"])
    assert "not allowed with" in capsys.readouterr().err
    assert main([*RENDER, "--count", "1", "-o", str(tmp_path), "--jobs", "0"]) == 2
    assert "at least one process" in capsys.readouterr().err


def test_without_ray_a_cluster_is_one_clear_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)  # its import fails
    assert main([*RENDER, "--count", "1", "-o", str(tmp_path / "out"), "--ray", "auto"]) == 2
    assert "pip install 'ray[client]'" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "here", "here:x"])
def test_no_cluster_is_one_clear_error(address):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    with pytest.raises(InputError, match=f"--ray {address}: no connection.*ray start --head"):
        next(Workers(ray=address).map(math.sqrt, [1]))


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two machines with a processor each, the first of which has its address."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # of the processes that will work
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Cluster(True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
        yield cluster
        cluster.shutdown()


def is_at_work(machine):
    """Whether a process of this machine of a cluster has a task of ours."""
    daemon = machine.all_processes["raylet"][0].process.pid
    children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
    with suppress(FileNotFoundError, ProcessLookupError):  # one has ended since
        return any(b"ray::_do" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children)
    return False


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_labels_are_the_same_on_a_cluster(cluster, tmp_path):
    photographs = tmp_path / "photographs"
    for number, frame in enumerate(frames_of(1, 4)[1]):
        write_picture(photographs / f"{number}.png", frame.picture())
    write_picture(photographs / "wall.png", np.full((120, 160, 3), 127, np.uint8))
    (photographs / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    command = ["label", str(photographs), "-o"]
    assert main([*command, str(tmp_path / "cluster"), "--ray", cluster.address]) == 0
    assert main([*command, str(tmp_path / "here")]) == 0
    here = contents(tmp_path / "here")
    assert set(here) == {"labels_00000.json", "shard_00000.npz", "sheet.png"}
    assert contents(tmp_path / "cluster") == here


def test_errors_on_a_cluster_are_those_of_here(cluster):
    for workers in (Workers(), Workers(ray=cluster.address)):
        with pytest.raises(InputError, match="^missing.png: no such file") as caught:
            list(workers.map(read_picture, ["missing.png"]))
        assert type(caught.value) is InputError  # and not Ray's, which prints a traceback


def test_what_dies_everywhere_is_an_error(cluster, monkeypatch):
    monkeypatch.setattr("cmr_ros.workers._RETRIES", 0)
    with pytest.raises(InputError, match="call again, finished shards are kept"):
        list(Workers(ray=cluster.address).map(os._exit, [1]))


def test_renders_are_the_same_where_a_machine_dies(needs_egl, cluster, tmp_path):
    command = [*RENDER, "--count", "50", "--shard-size", "25", "-o"]
    (second,) = cluster.worker_nodes
    there = [*command, str(tmp_path / "cluster"), "--ray", cluster.address]
    with subprocess.Popen([sys.executable, "-m", "cmr_ros.cli", *there], cwd=ROOT) as running:
        while not is_at_work(second):
            assert running.poll() is None, "the second machine has not been used"
            time.sleep(0.05)
        cluster.remove_node(second, allow_graceful=False)
        assert not (tmp_path / "cluster").exists(), "it died too late"
    assert running.returncode == 0
    assert main([*command, str(tmp_path / "here")]) == 0
    here = contents(tmp_path / "here")
    assert set(here) == {"shard_00000.npz", "shard_00001.npz"}
    assert contents(tmp_path / "cluster") == here
