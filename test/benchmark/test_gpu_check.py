"""The check for a machine with a GPU: rehearsed on the CPU, and what it does when parts die."""

import json
import os
import subprocess
import sys

import pytest

from cmr_ros.benchmark.gpu import MOST_BYTES, check
from cmr_ros.errors import InputError
from support.shared import ROOT


@pytest.mark.timeout(600)  # a fraction of it, unless others use the processor
def test_rehearsal_of_every_part(tmp_path):
    for package in ("torch", "moderngl", "rosbags"):
        pytest.importorskip(package)
    out = tmp_path / "out"
    environment = os.environ | {
        "OUT": str(out), "PYTHON": sys.executable, "CARRIED": str(tmp_path),
        "SECONDS_IN_ALL": "570",
    }  # fmt: skip
    done = subprocess.run(
        [ROOT / "scripts/gpu_check.sh", "--rehearse"],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    report = json.loads((out / "gpu.json").read_text())
    parts = report["parts"]
    errors = [row for part in parts.values() for row in part["rows"] if "error" in row]
    assert errors == [], (out / "gpu.log").read_text()[-3000:]
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert [part["status"] for part in parts.values()] == ["complete"] * len(check.PARTS)
    right = {row["task"]: row for row in parts["right"]["rows"]}
    assert any("float16" in task for task in right) and any("graph" in task for task in right)
    for row in parts["fast"]["rows"]:
        assert 0 < row["call_ms"]["median"] <= row["call_ms"]["p90"]
    trains = {row["task"]: row for row in parts["trains"]["rows"]}
    assert trains["train, first epochs"]["validations"][-1]["pa_mpvpe_mm"] > 0
    assert {"shipped", "new"} <= set(trains["compare on held-out images"])
    files = [path for path in out.rglob("*") if path.is_file()]
    assert {"gpu.json", "gpu.md", "gpu.log", "checkpoint.pt", "model.onnx"} <= {
        path.name for path in files
    }
    assert len(files) <= 8 and max(path.stat().st_size for path in files) < MOST_BYTES
    page = (out / "gpu.md").read_text()
    assert all(f"## {part.title}\n" in page for part in check.PARTS)


_PARTS = """
import os, signal, time

def tasks(setting):
    def fail():
        raise ValueError("wrong in itself")
    return [
        ("first", lambda: {"figure": 1}),
        ("dies", lambda: os.kill(os.getpid(), signal.SIGSEGV)),
        ("fails", fail),
        ("hangs", lambda: time.sleep(600)),
        ("last", lambda: {"figure": 2}),
    ]
"""


def test_some_parts_alone(tmp_path):
    assert check.Check(tmp_path / "out", 200, parts=["fast", "right"]).parts == [
        part for part in check.PARTS if part.name in ("right", "fast")
    ]
    with pytest.raises(InputError, match="--parts: 'quick' is none of machine, right"):
        check.Check(tmp_path / "other", 200, parts=["quick"])


def test_a_task_that_dies_hangs_or_fails_costs_no_other(tmp_path, monkeypatch):
    (tmp_path / "unlucky.py").write_text(_PARTS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    parts = (
        check.Part("no_such_module", "Missing", 20, 2),
        check.Part("unlucky", "Unlucky", 20, 0.3),
    )
    monkeypatch.setattr(check, "PARTS", parts)
    assert not check.Check(tmp_path / "out", 200, rehearse=True).run()
    report = json.loads((tmp_path / "out/gpu.json").read_text())["parts"]
    assert report["no_such_module"]["status"] == "failed"
    assert "No module named 'no_such_module'" in (tmp_path / "out/gpu.log").read_text()
    assert report["unlucky"]["status"] == "complete"
    rows = {row["task"]: row for row in report["unlucky"]["rows"]}
    assert list(rows) == ["first", "dies", "fails", "hangs", "last"]
    assert rows["first"]["figure"] == 1 and rows["last"]["figure"] == 2
    assert "SIGSEGV" in rows["dies"]["error"] and "SIGKILL" in rows["hangs"]["error"]
    assert rows["fails"]["error"] == "ValueError: wrong in itself"


def test_an_earlier_check_is_kept(tmp_path):
    (tmp_path / "gpu.json").write_text("{}")
    with pytest.raises(InputError, match="-o"):
        check.Check(tmp_path, 10)


def test_without_a_gpu_the_check_says_so(tmp_path):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    command = [sys.executable, "-m", "cmr_ros.benchmark.gpu.worker", "x", str(tmp_path / "f")]
    setting = {
        "rehearse": False, "deadline": 0, "scratch": "", "output": "", "skip": 0,
    }  # fmt: skip
    done = subprocess.run(
        command, input=json.dumps(setting), capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode != 0 and "no CUDA device" in done.stderr
