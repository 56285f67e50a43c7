"""One process of a part: does its tasks in order and writes a line for each.

`python -m cmr_ros.benchmark.gpu.worker MODULE FILE`, the setting as JSON on standard input.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from cmr_ros.errors import InputError

#: A task: what it is, and the function that returns its figures.
Task = tuple[str, Callable[[], dict]]


@dataclass(frozen=True)
class Setting:
    """What a part of the check is to do."""

    rehearse: bool  # on the processor, with as little work as possible
    deadline: float  # seconds since the epoch
    scratch: Path  # folder for what need not be kept
    output: Path  # folder of the results
    skip: int  # tasks that are done
    skins: Path | None = None  # folder of skin textures
    hdri: Path | None = None  # folder of .exr panoramas

    @property
    def device(self):
        """The torch.device where networks run."""
        import torch

        return torch.device("cpu" if self.rehearse else "cuda")

    @property
    def seconds_left(self) -> float:
        """Until this process is ended."""
        return self.deadline - time.time()

    @classmethod
    def read(cls, text: str) -> Setting:
        """Return the setting of a JSON object."""
        values = json.loads(text)
        for name in ("scratch", "output", "skins", "hdri"):
            if name in values:
                values[name] = Path(values[name])
        return cls(**values)


def main(module: str, file: Path, setting: Setting) -> int:
    """Do the tasks that are left; 3 if the device is beyond use and a new process must go on."""
    if not setting.rehearse:
        import torch

        if not torch.cuda.is_available():
            raise InputError("torch finds no CUDA device; --rehearse runs everything on the CPU")
    tasks: list[Task] = import_module(module).tasks(setting)
    current = file.with_suffix(".task")
    for name, function in tasks[setting.skip :]:
        current.write_text(name)
        start = time.perf_counter()
        usable = True
        try:
            row = function()
            if not setting.rehearse:
                torch.cuda.synchronize()
        except Exception as error:  # whatever it is: the other tasks are still worth doing
            traceback.print_exc()
            row = {"error": f"{type(error).__name__}: {error}".strip().splitlines()[0][:400]}
            usable = setting.rehearse or _device_answers()
        line = {"task": name, "took_s": round(time.perf_counter() - start, 2), **row}
        with open(file, "a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")
        current.unlink()
        if not usable:
            return 3
    return 0


def _device_answers() -> bool:
    """Whether the device still computes: after some errors nothing works in the same process."""
    import torch

    try:
        torch.zeros(8, device="cuda").sum().item()
        torch.cuda.empty_cache()
    except Exception:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Setting.read(sys.stdin.read())))
