#!/usr/bin/env python3
"""Gives the commands hostile and broken files, and prints what each cost and how it ended.

Every command runs in a process of its own, under limits of time and memory.  It must end by itself,
within the time, with a message on one line and the status of a refused input.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hostile_files import ROOT, Case, cases, jpeg

LIMIT_S, LIMIT_BYTES = 10.0, 1_500_000_000
#: A machine at work on other things is slower; its time is what the process itself used.
PATIENCE_S = 120.0


def run(case: Case, folder: Path, patience_s: float = PATIENCE_S) -> dict:
    """Run one case in a process of its own and return what it cost and how it ended."""
    name, content, command = case
    path = folder / "hostile"
    content(path) if callable(content) else path.write_bytes(content)
    image = folder / "image.jpg"
    image.write_bytes(jpeg())
    values = {"{}": str(path), "{image}": str(image), "{out}": str(folder / "out")}
    start_s = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "cmr_ros", *(values.get(part, part) for part in command)],
        stdout=subprocess.DEVNULL,
        stderr=(stderr := tempfile.TemporaryFile()),
        cwd=ROOT,
    )
    while time.monotonic() < start_s + patience_s:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        time.sleep(0.02)
    else:
        process.kill()
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    stderr.seek(0)
    lines = stderr.read().decode(errors="replace").splitlines()
    return {
        "name": name,
        "status": process.returncode,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
        "message": next((line for line in lines if line.startswith("cmr ")), lines[-1:]),
        "problem": problem(process.returncode, usage, lines),
    }


def problem(status: int, usage, lines: list[str]) -> str:
    """Return what is wrong with how a process ended, or nothing."""
    if status == -signal.SIGKILL:
        return "hang"
    if status < 0:
        return f"crash, {signal.Signals(-status).name}"
    if any("Traceback" in line for line in lines):
        return "traceback"
    if usage.ru_maxrss * 1024 > LIMIT_BYTES:
        return "memory"
    if usage.ru_utime + usage.ru_stime > LIMIT_S:
        return "time"
    if status == 2 and not lines[:1]:
        return "no message"
    if status == 2 and not lines[0].startswith(("cmr ", "usage:")):
        return "another message first"
    return "" if status in (0, 2) else f"status {status}"


def main() -> int:
    """Print a table; 1 if a case ended as it must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    args = parser.parse_args()
    results = []
    print("  CPU s  peak MB  status  case")
    for case in cases():
        if args.only not in case[0]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            result = run(case, Path(folder))
        results.append(result)
        print(
            f"{result['cpu_s']:7.1f} {result['peak_bytes'] / 1e6:8.0f} {result['status']:7d}"
            f"  {result['name']}{'  <- ' + result['problem'] if result['problem'] else ''}",
            flush=True,
        )
        if result["problem"]:
            print(f"{'':26s}{result['message']}", flush=True)
    wrong = [result for result in results if result["problem"]]
    print(
        f"{len(results)} cases, {len(wrong)} wrong; at most "
        f"{max(result['cpu_s'] for result in results):.1f} s and "
        f"{max(result['peak_bytes'] for result in results) / 1e6:.0f} MB"
    )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
