"""Runs the parts one after the other, each in processes of its own, and keeps what they had.

A part is a list of tasks (`worker`); each task's answer is one line of the part's file as soon as
it is there.  A task that takes its process with it is noted, and a new process goes on after it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cmr_ros.benchmark.gpu import MOST_BYTES, tables
from cmr_ros.errors import InputError
from cmr_ros.files.output import write_bytes

#: What is never given to the parts: the last tables are written in it.
_RESERVE_S = 5
#: How much longer than on a GPU parts may take in a rehearsal.
_PATIENCE = 10
#: The task of a process that did not come to its first one.
_START = "start"


@dataclass(frozen=True)
class Part:
    """A module with `tasks(setting)`; what it, and each of its tasks, may take at most."""

    module: str
    title: str
    limit_s: float
    task_limit_s: float

    @property
    def name(self) -> str:
        """The part's name in the report."""
        return self.module.rpartition(".")[2]


_HERE = "cmr_ros.benchmark.gpu"
#: In order of what one would miss most; the last takes what is left.
PARTS = (
    Part(f"{_HERE}.machine", "Machine", 60, 30),
    Part(f"{_HERE}.right", "Right", 100, 45),
    Part(f"{_HERE}.providers", "Providers of onnxruntime", 60, 40),
    Part(f"{_HERE}.fast", "Fast", 160, 40),
    Part(f"{_HERE}.pipeline", "Whole pipeline", 50, 40),
    Part(f"{_HERE}.trains", "Trains", float("inf"), float("inf")),
)


class Check:
    """Writes gpu.json, gpu.md, gpu.log and what training made into a folder."""

    def __init__(
        self,
        output: Path,
        seconds: float,
        rehearse: bool = False,
        skins: Path | None = None,
        hdri: Path | None = None,
        parts: Sequence[str] | None = None,
    ):
        """Prepare a check.

        Args:
            output: the folder.
            seconds: what all parts may take together.
            rehearse: run everything on the CPU with tiny sizes.
            skins: folder of skin textures to render with.
            hdri: folder of .exr panoramas to render with.
            parts: names of those to run; None: all.

        Raises:
            InputError: The folder holds a check already, or a part is none.
        """
        names = [part.name for part in PARTS]
        if unknown := sorted(set(parts or ()) - set(names)):
            raise InputError(f"--parts: {unknown[0]!r} is none of {', '.join(names)}")
        self.parts = [part for part in PARTS if parts is None or part.name in parts]
        if (output / "gpu.json").exists():
            raise InputError(f"{output} holds a check already; give another folder with -o")
        output.mkdir(parents=True, exist_ok=True)
        self.output, self.rehearse = output.resolve(), rehearse
        self.patience = _PATIENCE if rehearse else 1
        self.folders = {"skins": skins, "hdri": hdri}
        self.start = time.time()
        self.deadline = self.start + seconds - _RESERVE_S
        self.report: dict = {
            "rehearsal": rehearse,
            "started": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.start)),
            "parts": {},
        }

    def run(self) -> bool:
        """Run all parts; whether every task of every part had an answer and none was wrong."""
        # So that all that was started is ended, too, when somebody ends this process.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        with TemporaryDirectory() as scratch, open(self.output / "gpu.log", "wb") as log:
            for part in self.parts:
                self._run_part(part, Path(scratch), log)
        self._keep_small()
        parts = self.report["parts"].values()
        return all(p["status"] == "complete" for p in parts) and not any(
            row.get("error") or row.get("ok") is False for p in parts for row in p["rows"]
        )

    def _run_part(self, part: Part, scratch: Path, log) -> None:
        start = time.time()
        deadline = min(start + self.patience * part.limit_s, self.deadline)
        rows: list[dict] = []
        entry = {"title": part.title, "status": "running", "seconds": 0.0, "rows": rows}
        self.report["parts"][part.name] = entry
        file = scratch / f"{part.name}.jsonl"
        setting = {"rehearse": self.rehearse, "deadline": deadline, "scratch": str(scratch)}
        setting |= {"output": str(self.output)}
        setting |= {k: str(v.resolve()) for k, v in self.folders.items() if v is not None}
        status = "cut off"
        while time.time() < deadline:
            done = len(rows)
            code = self._work(part, file, setting | {"skip": done}, log, entry)
            entry["seconds"] = round(time.time() - start, 1)
            if code in (0, None):
                status = "cut off" if code is None else "complete"
                break
            task = _task(file)
            if task.exists() or len(rows) == done:
                rows.append(_crashed(task, code))
                file.write_text("".join(json.dumps(row) + "\n" for row in rows))
            if rows[-1]["task"] == _START:
                status = "failed"
                break
        entry["status"] = status
        self._write()
        print(tables.part(part.name, entry), flush=True)

    def _work(self, part: Part, file: Path, setting: dict, log, entry: dict) -> int | None:
        """Run one process of a part; return its exit status, None if the part is out of time."""
        log.write(f"== {part.name}, {setting['skip']} tasks done\n".encode())
        log.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "cmr_ros.benchmark.gpu.worker", part.module, str(file)],
            env=os.environ | ({"OMP_NUM_THREADS": "1"} if self.rehearse else {}),
            stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            with process.stdin as stdin:
                stdin.write(json.dumps(setting).encode())
            while True:
                try:
                    code = process.wait(timeout=0.2)
                except subprocess.TimeoutExpired:
                    code = None
                if _read(file, entry["rows"]):
                    self._write()
                if code is not None or time.time() > setting["deadline"]:
                    return code
                if _age_s(_task(file)) > self.patience * part.task_limit_s:
                    return -signal.SIGKILL
        finally:
            # What it started goes with it: renderers, a training run.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()

    def _write(self) -> None:
        self.report["seconds"] = round(time.time() - self.start, 1)
        write_bytes(self.output / "gpu.json", json.dumps(self.report, indent=1).encode())
        write_bytes(self.output / "gpu.md", tables.page(self.report).encode())

    def _keep_small(self) -> None:
        """Cut the log to its end, and name what else is too large to travel."""
        log = self.output / "gpu.log"
        text = log.read_bytes()
        if len(text) > MOST_BYTES:
            log.write_bytes(text[-MOST_BYTES:])
        large = [p for p in self.output.rglob("*") if p.is_file() and p.stat().st_size > MOST_BYTES]
        self.report["too_large"] = [str(path.relative_to(self.output)) for path in large]
        self._write()


def _read(file: Path, rows: list[dict]) -> bool:
    """Take over the lines that a worker has finished since; whether there were any."""
    if not file.exists():
        return False
    lines = [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
    new = [json.loads(line) for line in lines[len(rows) :]]
    rows += new
    return bool(new)


def _task(file: Path) -> Path:
    """Return where a worker notes the task that it is at."""
    return file.with_suffix(".task")


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _crashed(task: Path, code: int) -> dict:
    """Return the row of a task that took its process with it."""
    name = task.read_text() if task.exists() else _START
    task.unlink(missing_ok=True)
    how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
    return {"task": name, "error": f"its process ended with {how}; see gpu.log"}
